package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"text/tabwriter"
	"time"
)

// watchCmd holds viewers on one dashboard for a while.
type watchCmd struct {
	Binary  string        `help:"A pulseboard to start in a fresh folder." default:"bin/pulseboard" type:"path"`
	Address string        `help:"HOST:PORT of a server that runs already, instead."`
	Board   string        `help:"Dashboard to watch on it." default:"six"`
	Cookie  string        `help:"Cookie header of a session there."`
	Key     string        `help:"Ingest key there; without one no events are sent."`
	Viewers int           `help:"Streams to open." default:"1000"`
	Over    time.Duration `help:"Time to open them in." default:"10s"`
	For     time.Duration `help:"Time to watch." default:"1m"`
	Every   time.Duration `help:"Time between two events." default:"1s"`
	Gzip    bool          `help:"Ask for compressed streams; then bytes are counted, and nothing is checked."`
	JSON    bool          `help:"Report as JSON."`
}

// report is what a watch found.
type report struct {
	Viewers     int           `json:"viewers"`
	Lasted      time.Duration `json:"lasted_ns"`
	Events      int           `json:"events"`
	counts      `json:"counts"`
	FirstP50    float64 `json:"first_frame_p50_ms"`
	FirstLast   float64 `json:"first_frame_last_ms"`
	latencies   `json:"event_to_arrival"`
	Deliveries  int     `json:"deliveries"`
	Merged      int     `json:"merged"` // updates that came to a viewer in one with the next
	Gaps        int     `json:"gaps"`   // viewers that in the end know anything else than a fresh page
	BytesViewer float64 `json:"bytes_a_viewer"`
	CPU         float64 `json:"server_cpu_us_a_delivery"`
	CPUShare    float64 `json:"server_cpu_cores"`
	RSS         float64 `json:"server_rss_kib_a_viewer"`
}

func (cmd *watchCmd) Run(ctx context.Context) error {
	if err := allowFiles(); err != nil {
		return err
	}
	var s *site
	if cmd.Address != "" {
		s = &site{process: nil, cookie: cmd.Cookie, key: cmd.Key}
	} else {
		var err error
		if s, err = newSite(ctx, cmd.Binary, []string{board6, board24(), boardLine}); err != nil {
			return err
		}
		defer s.close()
		if err := s.history(ctx); err != nil {
			return err
		}
		cmd.Address = s.address
	}
	r, err := cmd.watch(ctx, s)
	if err != nil {
		return err
	}
	if cmd.JSON {
		return json.NewEncoder(os.Stdout).Encode(r)
	}
	r.print()
	return nil
}

func (cmd *watchCmd) watch(ctx context.Context, s *site) (report, error) {
	path := "/api/stream/dashboard/" + cmd.Board + "?format=json&refresh=live"
	f, err := newFleet(cmd.Address, streamRequest(cmd.Address, path, s.cookie, cmd.Gzip))
	if err != nil {
		return report{}, err
	}
	defer f.close()
	f.sizes = cmd.Gzip
	own := s.process != nil
	var memory int64
	var cpu time.Duration
	if own {
		memory = s.memory()
	}
	if err := f.open(cmd.Viewers, cmd.Over, false); err != nil {
		return report{}, err
	}
	waitFor(10*time.Second, func() bool { _, begun := f.streams(); return begun == cmd.Viewers })
	if own {
		cpu = s.cpu()
	}
	began, before := time.Now(), f.total()
	for ctx.Err() == nil && time.Since(began) < cmd.For {
		known, posted := f.known(), time.Now()
		if s.key != "" {
			if err := s.post(); err != nil {
				return report{}, err
			}
		}
		for time.Since(posted) < cmd.Every {
			time.Sleep(min(5*time.Millisecond, cmd.Every))
			if n, id := f.arrived(known); n > 0 {
				f.mark(id, posted.UnixNano())
				time.Sleep(cmd.Every - time.Since(posted))
			}
		}
	}
	time.Sleep(time.Second) // what is under way arrives
	r := report{Viewers: cmd.Viewers, Lasted: time.Since(began), Events: s.sent, counts: f.total(), latencies: f.latencies()}
	p50, last := f.firsts()
	r.FirstP50, r.FirstLast = p50.Seconds()*1e3, last.Seconds()*1e3
	r.BytesViewer = float64(r.Bytes-before.Bytes) / float64(cmd.Viewers)
	r.Deliveries, r.Merged = f.deliveries()
	if own {
		used := s.cpu() - cpu
		r.CPU = used.Seconds() * 1e6 / float64(max(1, r.Deliveries))
		r.CPUShare = used.Seconds() / r.Lasted.Seconds()
		r.RSS = float64(s.memory()-memory) / 1024 / float64(cmd.Viewers)
		if !cmd.Gzip {
			fresh, err := s.readings(cmd.Board)
			if err != nil {
				return report{}, err
			}
			r.Gaps = f.wrong(fresh)
		}
	}
	return r, nil
}

// waitFor waits until something is true, or for too long.
func waitFor(most time.Duration, reached func() bool) bool {
	for began := time.Now(); !reached(); time.Sleep(5 * time.Millisecond) {
		if time.Since(began) > most {
			return false
		}
	}
	return true
}

func (r report) print() {
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	line := func(name string, value any) { fmt.Fprintf(w, "%s\t%v\n", name, value) }
	line("viewers, lasted", fmt.Sprint(r.Viewers, ", ", r.Lasted.Round(time.Second)))
	line("connects, refused, broken", fmt.Sprint(r.Connects, ", ", r.Refused, ", ", r.Broken))
	line("first frame, ms: median, last", fmt.Sprintf("%.0f, %.0f", r.FirstP50, r.FirstLast))
	line("events, updates, deliveries", fmt.Sprint(r.Events, ", ", r.Ticks, ", ", r.Deliveries))
	line("event to arrival, ms: p50, p99", fmt.Sprintf("%.1f, %.1f", r.P50, r.P99))
	line("first to last viewer, ms, median", fmt.Sprintf("%.1f", r.Spread))
	line("gaps, duplicates, updates merged", fmt.Sprint(r.Gaps, ", ", r.Duplicates, ", ", r.Merged))
	line("bytes a viewer", fmt.Sprintf("%.0f", r.BytesViewer))
	line("server CPU: µs a delivery, cores", fmt.Sprintf("%.1f, %.2f", r.CPU, r.CPUShare))
	line("server RSS, KiB a viewer", fmt.Sprintf("%.1f", r.RSS))
	w.Flush()
}
