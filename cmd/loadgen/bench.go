package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"slices"
	"strings"
	"text/tabwriter"
	"time"
)

// benchCmd compares, all on this machine and in one go.
type benchCmd struct {
	Binary  string `help:"The pulseboard to measure." default:"bin/pulseboard" type:"path"`
	Viewers int    `help:"Streams open at once." default:"5000"`
	Rounds  int    `help:"Rounds of which the median counts." default:"3"`
	Ticks   int    `help:"Updates measured a round." default:"30"`
	Only    string `help:"Run these parts only, separated by commas: fanout, gzip, sizes, work, stalled, storm, restart."`
	JSON    string `help:"Write what was found to this file too." type:"path"`

	ctx   context.Context
	rows  []row
	arms  map[string][]arm
	gaps  int // all that was missed, doubled or wrong
	frame int // bytes of an update of pulseboard, which the others send too
}

// arm is what one way to stream took in one round.
type arm struct {
	CPU       float64 `json:"cpu_us_a_delivery"`
	Memory    float64 `json:"rss_kib_a_viewer"`
	TotalRSS  float64 `json:"rss_mib"`
	latencies `json:"event_to_arrival"`
	Merged    int `json:"merged"`
	frame     int // bytes of an update
}

var ways = []string{"pulseboard", "raw", "goroutine", "r3labs", "go-sse"}

func (cmd *benchCmd) Run(ctx context.Context) error {
	if err := allowFiles(); err != nil {
		return err
	}
	cmd.ctx, cmd.arms = ctx, map[string][]arm{}
	for _, part := range []struct {
		name string
		run  func() error
	}{
		{"fanout", cmd.fanout}, {"gzip", cmd.gzip}, {"sizes", cmd.sizes}, {"work", cmd.work},
		{"stalled", cmd.stalled}, {"storm", cmd.storm}, {"restart", cmd.restart},
	} {
		if cmd.Only != "" && !slices.Contains(strings.Split(cmd.Only, ","), part.name) {
			continue
		}
		fmt.Fprintf(os.Stderr, "%s\n", part.name)
		if err := part.run(); err != nil {
			return fmt.Errorf("%s: %w", part.name, err)
		}
	}
	cmd.row("gaps, duplicates, wrong states", 0, float64(cmd.gaps), "", "")
	cmd.print()
	if cmd.JSON == "" {
		return nil
	}
	text, err := json.MarshalIndent(map[string]any{"table": cmd.rows, "ways": cmd.arms}, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(cmd.JSON, append(text, '\n'), 0o644)
}

func (cmd *benchCmd) row(what string, most, got float64, unit, detail string) {
	cmd.rows = append(cmd.rows, row{what, atMost, most, got, unit, detail})
}

// onSite starts pulseboard with a history, for as long as fn takes.
func (cmd *benchCmd) onSite(fn func(s *site) error) error {
	s, err := newSite(cmd.ctx, cmd.Binary, []string{board6, board24(), boardLine})
	if err != nil {
		return err
	}
	defer s.close()
	if err := s.history(cmd.ctx); err != nil {
		return err
	}
	return fn(s)
}

func (cmd *benchCmd) fleet(s *site, board, query string, gzip bool) (*fleet, error) {
	f, err := newFleet(s.address, streamRequest(s.address, "/api/stream/dashboard/"+board+"?refresh=live&"+query, s.cookie, gzip))
	if err == nil {
		f.sizes = gzip
	}
	return f, err
}

// watched gives fn a site and a fleet for one of its boards, and counts the ids that
// did not grow.
func (cmd *benchCmd) watched(board string, fn func(s *site, f *fleet) error) error {
	return cmd.onSite(func(s *site) error {
		f, err := cmd.fleet(s, board, "format=json", false)
		if err != nil {
			return err
		}
		defer f.close()
		if err := fn(s, f); err != nil {
			return err
		}
		cmd.gaps += f.total().Duplicates
		return nil
	})
}

// crowd opens streams over a time and waits until all gave something.
func crowd(f *fleet, viewers int, over time.Duration) error {
	if err := f.open(viewers, over, false); err != nil {
		return err
	}
	return begun(f, viewers, 30*time.Second)
}

// begun waits until all streams of a fleet gave something.
func begun(f *fleet, n int, most time.Duration) error {
	if !waitFor(most, func() bool { _, begun := f.streams(); return begun == n }) {
		open, begun := f.streams()
		return fmt.Errorf("of %d streams %d are open and %d began", n, open, begun)
	}
	return nil
}

// check counts what viewers know that is not so.
func (cmd *benchCmd) check(s *site, f *fleet) error {
	fresh, err := s.readings("line")
	if err != nil {
		return err
	}
	// The window may slide while it is asked for; what is wrong stays wrong.
	wrong := f.wrong(fresh)
	for range 20 {
		if wrong == 0 {
			break
		}
		time.Sleep(200 * time.Millisecond)
		if fresh, err = s.readings("line"); err != nil {
			return err
		}
		wrong = f.wrong(fresh)
	}
	cmd.gaps += wrong
	return nil
}

// tick posts one event, waits until its update is everywhere, and rests a while so
// that the next goes out at once.
func tick(f *fleet, viewers int, post func() error) error {
	known, posted := f.known(), time.Now()
	if err := post(); err != nil {
		return err
	}
	id := ""
	waitFor(5*time.Second, func() (all bool) {
		var n int
		n, id = f.arrived(known)
		return n >= viewers
	})
	f.mark(id, posted.UnixNano())
	time.Sleep(150 * time.Millisecond)
	return nil
}

const warmUp = 5 // ticks

// fanout: the cost of a delivery, five ways.
func (cmd *benchCmd) fanout() error {
	for round := range cmd.Rounds {
		for _, way := range ways {
			a, err := cmd.measure(way)
			if err != nil {
				return fmt.Errorf("%s: %w", way, err)
			}
			cmd.arms[way] = append(cmd.arms[way], a)
			fmt.Fprintf(os.Stderr, "  round %d %-10s %5.1f µs CPU a delivery, %5.1f KiB a viewer, event to arrival p50 %.0f p99 %.0f ms, spread %.0f ms, merged %d\n",
				round+1, way, a.CPU, a.Memory, a.P50, a.P99, a.Spread, a.Merged)
		}
	}
	us := func(a arm) float64 { return a.CPU }
	spread := func(a arm) float64 { return a.Spread }
	detail := fmt.Sprintf("%d viewers, updates of %d bytes", cmd.Viewers, cmd.frame)
	cmd.row("CPU a delivery against the raw loop", 1.3, cmd.ratio("raw", us), "×", detail)
	cmd.row("CPU a delivery against goroutine-per-viewer", 0.8, cmd.ratio("goroutine", us), "×", "")
	cmd.row("RSS a viewer", 6, median(cmd.arms["pulseboard"], func(a arm) float64 { return a.Memory }), "KiB",
		fmt.Sprintf("%.0f MiB in all", median(cmd.arms["pulseboard"], func(a arm) float64 { return a.TotalRSS })))
	cmd.row("spread first to last viewer against the raw loop", 1.3, cmd.ratio("raw", spread), "×", "")
	return nil
}

func (cmd *benchCmd) measure(way string) (a arm, err error) {
	if way == "pulseboard" {
		err = cmd.watched("line", func(s *site, f *fleet) (err error) {
			if a, err = cmd.deliver(s.process, f, s.post); err != nil {
				return err
			}
			cmd.frame = a.frame
			return cmd.check(s, f)
		})
		return a, err
	}
	p, err := start(cmd.ctx, func(line string) (string, bool) { return line, strings.Contains(line, "127.0.0.1:") }, self(), "serve", way)
	if err != nil {
		return a, err
	}
	defer p.kill()
	f, err := newFleet(p.address, streamRequest(p.address, "/stream", "", false))
	if err != nil {
		return a, err
	}
	defer f.close()
	payload := bytes.Repeat([]byte("x"), max(1, cmd.frame-len(message("1000", nil))))
	return cmd.deliver(p, f, func() error {
		r, err := http.Post("http://"+p.address+"/tick", "", bytes.NewReader(payload))
		if err == nil {
			r.Body.Close()
		}
		return err
	})
}

// deliver lets a server send updates to all viewers, and measures what that takes.
func (cmd *benchCmd) deliver(p *process, f *fleet, post func() error) (a arm, err error) {
	before := p.memory()
	if err := f.open(cmd.Viewers, 4*time.Second, false); err != nil {
		return a, err
	}
	time.Sleep(time.Second)
	for range warmUp {
		if err := tick(f, cmd.Viewers, post); err != nil {
			return a, err
		}
	}
	if err := begun(f, cmd.Viewers, 10*time.Second); err != nil {
		return a, err
	}
	f.forget()
	cpu, bytes := p.cpu(), f.total().Bytes
	for range cmd.Ticks {
		if err := tick(f, cmd.Viewers, post); err != nil {
			return a, err
		}
	}
	deliveries, merged := f.deliveries()
	return arm{
		CPU:       (p.cpu() - cpu).Seconds() * 1e6 / float64(max(1, deliveries)),
		Memory:    float64(p.memory()-before) / 1024 / float64(cmd.Viewers),
		TotalRSS:  float64(p.memory()) / (1 << 20),
		latencies: f.latencies(),
		Merged:    merged,
		frame:     int(f.total().Bytes-bytes) / max(1, deliveries),
	}, nil
}

// ratio gives the median over the rounds of pulseboard's value by another's.
func (cmd *benchCmd) ratio(other string, of func(arm) float64) float64 {
	var all []float64
	for i, a := range cmd.arms[other] {
		all = append(all, of(cmd.arms["pulseboard"][i])/of(a))
	}
	return middle(all)
}

func median(arms []arm, of func(arm) float64) float64 {
	var all []float64
	for _, a := range arms {
		all = append(all, of(a))
	}
	return middle(all)
}

func (cmd *benchCmd) print() {
	printTable(os.Stdout, cmd.rows)
	if len(cmd.arms) > 0 {
		w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
		fmt.Fprintln(w, "\nway\tµs CPU a delivery\tKiB a viewer\tp50, p99 ms\tspread ms")
		for _, way := range ways {
			of := func(f func(arm) float64) float64 { return median(cmd.arms[way], f) }
			fmt.Fprintf(w, "%s\t%.1f\t%.1f\t%.0f, %.0f\t%.0f\n", way, of(func(a arm) float64 { return a.CPU }), of(func(a arm) float64 { return a.Memory }),
				of(func(a arm) float64 { return a.P50 }), of(func(a arm) float64 { return a.P99 }), of(func(a arm) float64 { return a.Spread }))
		}
		w.Flush()
	}
}
