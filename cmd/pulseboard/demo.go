package main

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"pulseboard/store"
	"pulseboard/store/boardfile"
	"pulseboard/store/secret"
	"pulseboard/store/sqlite"
	"pulseboard/stream"
)

// The demo's sign-in. It opens nothing but made-up data, to look at.
const (
	demoTenant   = "demo"
	demoEmail    = "demo@example.com"
	demoPassword = "pulseboard"
)

//go:embed demo/*.yaml
var demoBoards embed.FS

// demo feeds the demo's tenant: with the events of a simulated shop, and with
// the server's own figures.
type demo struct {
	st     *sqlite.Store
	tenant store.Tenant
	shop   *shop
	past   *past
	own    *ownFigures
}

// prepareDemo makes the demo's tenant, user and dashboards where they are
// missing, and the recent past of its shop. The server's own figures are read from the registry.
func prepareDemo(ctx context.Context, st *sqlite.Store, dir string, registry *prometheus.Registry) (*demo, error) {
	own, err := newOwnFigures(registry, theOwnFigures)
	if err != nil {
		return nil, err
	}
	tenant, err := st.Tenant(ctx, demoTenant)
	if errors.Is(err, store.ErrNotFound) {
		if tenant, err = st.CreateTenant(ctx, demoTenant, "Demo shop", true); err != nil {
			return nil, err
		}
		hash, err := secret.HashPassword(demoPassword)
		if err != nil {
			return nil, err
		}
		if _, err := st.CreateUser(ctx, tenant.ID, demoEmail, store.Viewer, hash); err != nil {
			return nil, err
		}
	} else if err != nil {
		return nil, err
	}
	if !tenant.Demo {
		return nil, fmt.Errorf("the data folder %s has a tenant named %s of its own: serve the demo from another folder with --data", dir, demoTenant)
	}
	boards, err := readDemoBoards()
	if err != nil {
		return nil, err
	}
	if err := st.ApplyDashboards(ctx, tenant.ID, boards); err != nil {
		return nil, err
	}
	d := &demo{st: st, tenant: tenant, shop: newShop(), own: own}
	d.past = &past{st: st, tenant: tenant.ID, shop: newShop(), now: time.Now().Truncate(time.Second), reach: demoPast}
	return d, d.past.recordRecent(ctx)
}

func readDemoBoards() ([]store.Dashboard, error) {
	files, err := fs.Glob(demoBoards, "demo/*.yaml")
	if err != nil {
		return nil, err
	}
	var boards []store.Dashboard
	for _, file := range files {
		data, err := demoBoards.ReadFile(file)
		if err != nil {
			return nil, err
		}
		parsed, err := boardfile.Parse(file, data)
		if err != nil {
			return nil, err
		}
		boards = append(boards, parsed...)
	}
	return boards, nil
}

// announce prints where the demo is and how to get in.
func (d *demo) announce(out io.Writer, url string) {
	fmt.Fprintf(out, "\nDemo, with made-up data: %s\n  e-mail    %s\n  password  %s\n\n", url, demoEmail, demoPassword)
}

// ownFiguresEvery is how often the server reports on itself.
const ownFiguresEvery = 5 * time.Second

// run keeps the shop open until ctx ends, and records its older past meanwhile.
func (d *demo) run(ctx context.Context, hub *stream.Hub, log *slog.Logger) {
	var past sync.WaitGroup
	defer past.Wait()
	past.Go(func() {
		if err := d.past.recordOlder(ctx); err != nil && ctx.Err() == nil {
			log.Error("the demo could not record its past", "error", err)
		}
	})
	second := time.NewTicker(time.Second)
	defer second.Stop()
	reported := time.Now()
	for {
		select {
		case <-ctx.Done():
			return
		case at := <-second.C:
			events := d.shop.second(at.Truncate(time.Second))
			for i := range events { // nothing lies ahead of the clock
				if events[i].Time.After(at) {
					events[i].Time = at
				}
			}
			if at.Sub(reported) >= ownFiguresEvery {
				reported = at
				events = append(events, d.own.event(at, log))
			}
			recorded, err := d.st.Record(ctx, d.tenant.ID, events, at)
			if err != nil {
				if ctx.Err() == nil {
					log.Error("the demo could not keep its events", "error", err)
				}
				continue
			}
			hub.Announce(d.tenant.ID, recorded.Head)
		}
	}
}
