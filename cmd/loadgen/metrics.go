package main

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"pulseboard/store"
	"pulseboard/store/boardfile"
	"pulseboard/store/sqlite"
)

// metricsCmd measures how events are kept and read, each figure against a baseline
// of the same run.
type metricsCmd struct {
	Binary string `help:"The pulseboard to measure." default:"bin/pulseboard" type:"path"`
	Rounds int    `help:"Rounds of which the median counts." default:"5"`
	Kept   int    `help:"Events kept before taking in is measured." default:"1000000"`
	Burst  int    `help:"Events taken in a round." default:"200000"`
	Events int    `help:"Events kept when boards are read." default:"10000000"`
	Only   string `help:"Run these parts only, separated by commas: ingest, http, alone, load, board, idle."`
	Data   string `help:"Keep the loaded store here, and use it if it is there." type:"path"`
	JSON   string `help:"Write what was found to this file too." type:"path"`

	ctx     context.Context
	scratch string // folder, for all that is measured
	rows    []row
}

func (cmd *metricsCmd) Run(ctx context.Context) (err error) {
	cmd.ctx = ctx
	if cmd.scratch, err = os.MkdirTemp("", "loadgen"); err != nil {
		return err
	}
	defer os.RemoveAll(cmd.scratch)
	if cmd.Data == "" {
		cmd.Data = filepath.Join(cmd.scratch, "loaded")
	}
	for _, part := range []struct {
		name string
		run  func() error
	}{{"ingest", cmd.ingest}, {"http", cmd.http}, {"alone", cmd.alone}, {"load", cmd.load}, {"board", cmd.board}, {"idle", cmd.idle}} {
		if cmd.Only != "" && !slices.Contains(strings.Split(cmd.Only, ","), part.name) {
			continue
		}
		cmd.say("%s", part.name)
		if err := part.run(); err != nil {
			return fmt.Errorf("%s: %w", part.name, err)
		}
	}
	printTable(os.Stdout, cmd.rows)
	if cmd.JSON == "" {
		return nil
	}
	text, err := json.MarshalIndent(cmd.rows, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(cmd.JSON, append(text, '\n'), 0o644)
}

func (cmd *metricsCmd) say(format string, args ...any) {
	fmt.Fprintf(os.Stderr, format+"\n", args...)
}

func (cmd *metricsCmd) row(r row) {
	cmd.rows = append(cmd.rows, r)
	cmd.say("  %s: %.2f %s, %s (%s)", r.What, r.Got, r.Unit, r.verdict(), r.Detail)
}

// keep is a store with one tenant and its board, whose rollups follow as in the server.
type keep struct {
	*sqlite.Store
	tenant store.TenantID
	board  store.Dashboard
	stop   func()
}

const tenantSlug = "load"

// openKeep opens the store in a folder, which may be new.
func openKeep(ctx context.Context, dir string) (*keep, error) {
	boards, err := boardfile.Parse("board12", []byte(board12))
	if err != nil {
		return nil, err
	}
	s, err := sqlite.Open(ctx, dir)
	if err != nil {
		return nil, err
	}
	t, err := s.Tenant(ctx, tenantSlug)
	if err != nil {
		if t, err = s.CreateTenant(ctx, tenantSlug, "", false); err != nil {
			return nil, err
		}
	}
	if err := s.ApplyDashboards(ctx, t.ID, boards); err != nil {
		return nil, err
	}
	following, stop := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		s.KeepRollups(following, slog.New(slog.NewTextHandler(os.Stderr, nil)))
	}()
	return &keep{s, t.ID, boards[0], func() { stop(); <-done }}, nil
}

func (k *keep) close() error {
	k.stop()
	return k.Close()
}

// manyBehind is how far behind the rollups follow by themselves.
const manyBehind = 40_000

// nearlyFollowed waits until the rollups lack but the newest events.
func (k *keep) nearlyFollowed(ctx context.Context) error {
	for {
		if lag, err := k.RollupLag(ctx); err != nil || lag < manyBehind {
			return err
		}
		time.Sleep(time.Millisecond)
	}
}

// followed waits until the rollups count all events.
func (k *keep) followed(ctx context.Context) error {
	if err := k.nearlyFollowed(ctx); err != nil {
		return err
	}
	for {
		if behind, err := k.FollowRollups(ctx, k.tenant); err != nil {
			return err
		} else if behind > 0 {
			continue
		}
		if lag, err := k.RollupLag(ctx); err != nil || lag == 0 {
			return err
		}
	}
}

// copyFolder copies the files of a closed store.
func copyFolder(to, from string) error {
	return os.CopyFS(to, os.DirFS(from))
}
