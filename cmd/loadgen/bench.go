package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"maps"
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

// row is a line of the table.
type row struct {
	What   string  `json:"what"`
	AtMost float64 `json:"at_most"`
	Got    float64 `json:"got"`
	Unit   string  `json:"unit"`
	Detail string  `json:"detail,omitempty"`
}

// arm is what one way to stream took in one round.
type arm struct {
	CPU       float64 `json:"cpu_us_a_delivery"`
	Memory    float64 `json:"rss_kib_a_viewer"`
	TotalRSS  float64 `json:"rss_mib"`
	latencies `json:"event_to_arrival"`
	Merged    int `json:"merged"`
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

func (cmd *benchCmd) row(what string, atMost, got float64, unit, detail string) {
	cmd.rows = append(cmd.rows, row{what, atMost, got, unit, detail})
}

// site starts pulseboard with a history.
func (cmd *benchCmd) site(args ...string) (*site, error) {
	s, err := newSite(cmd.ctx, cmd.Binary, []string{board6, board24(), boardLine}, args...)
	if err != nil {
		return nil, err
	}
	return s, s.history(cmd.ctx)
}

func (cmd *benchCmd) fleet(s *site, board, query string, gzip bool) (*fleet, error) {
	f, err := newFleet(s.address, streamRequest(s.address, "/api/stream/dashboard/"+board+"?refresh=live&"+query, s.cookie, gzip))
	if err == nil {
		f.sizes = gzip
	}
	return f, err
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
	cmd.gaps += wrong + f.total().Duplicates
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
	var p *process
	var f *fleet
	var post func() error
	var board *site
	if way == "pulseboard" {
		s, err := cmd.site()
		if err != nil {
			return a, err
		}
		defer s.close()
		if f, err = cmd.fleet(s, "line", "format=json", false); err != nil {
			return a, err
		}
		p, post, board = s.process, s.post, s
	} else {
		if p, err = start(cmd.ctx, func(line string) (string, bool) { return line, strings.Contains(line, "127.0.0.1:") }, self(), "serve", way); err != nil {
			return a, err
		}
		defer p.kill()
		if f, err = newFleet(p.address, streamRequest(p.address, "/stream", "", false)); err != nil {
			return a, err
		}
		payload := bytes.Repeat([]byte("x"), max(1, cmd.frame-len(message("1000", nil))))
		post = func() error {
			r, err := http.Post("http://"+p.address+"/tick", "", bytes.NewReader(payload))
			if err == nil {
				r.Body.Close()
			}
			return err
		}
	}
	defer f.close()
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
	a = arm{
		CPU:       (p.cpu() - cpu).Seconds() * 1e6 / float64(max(1, deliveries)),
		Memory:    float64(p.memory()-before) / 1024 / float64(cmd.Viewers),
		TotalRSS:  float64(p.memory()) / (1 << 20),
		latencies: f.latencies(),
		Merged:    merged,
	}
	if way == "pulseboard" {
		cmd.frame = int(f.total().Bytes-bytes) / max(1, deliveries)
		if err := cmd.check(board, f); err != nil {
			return a, err
		}
	}
	return a, nil
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

func middle(all []float64) float64 {
	if len(all) == 0 {
		return 0
	}
	slices.Sort(all)
	return all[len(all)/2]
}

// gzip: what a tick takes when streams are compressed.
func (cmd *benchCmd) gzip() error {
	var ratios []float64
	detail := ""
	for range cmd.Rounds {
		s, err := cmd.site()
		if err != nil {
			return err
		}
		var cpu, size [2]float64
		for i, packed := range []bool{false, true} {
			if cpu[i], size[i], err = cmd.tickCost(s, packed); err != nil {
				s.close()
				return err
			}
		}
		s.close()
		ratios = append(ratios, cpu[1]/cpu[0])
		detail = fmt.Sprintf("%.0f against %.0f ms a tick, %.0f against %.0f bytes a viewer", cpu[1], cpu[0], size[1], size[0])
		fmt.Fprintf(os.Stderr, "  %s\n", detail)
	}
	cmd.row("CPU a tick with gzip against identity", 1.1, middle(ratios), "×", detail)
	return nil
}

func (cmd *benchCmd) tickCost(s *site, packed bool) (ms, size float64, err error) {
	f, err := cmd.fleet(s, "line", "format=json", packed)
	if err != nil {
		return 0, 0, err
	}
	defer f.close()
	f.sizes = true
	if err := f.open(cmd.Viewers, 4*time.Second, false); err != nil {
		return 0, 0, err
	}
	if err := begun(f, cmd.Viewers, 10*time.Second); err != nil {
		return 0, 0, err
	}
	run := func(n int) error {
		for range n {
			if err := s.post(); err != nil {
				return err
			}
			time.Sleep(400 * time.Millisecond)
		}
		return nil
	}
	if err := run(warmUp); err != nil {
		return 0, 0, err
	}
	cpu, bytes := s.cpu(), f.total().Bytes
	if err := run(cmd.Ticks); err != nil {
		return 0, 0, err
	}
	return (s.cpu() - cpu).Seconds() * 1e3 / float64(cmd.Ticks), float64(f.total().Bytes-bytes) / float64(cmd.Ticks*cmd.Viewers), nil
}

// sizes: the packed bytes of a tick, of two boards in two formats, at a cadence of
// five seconds and two events a second.
func (cmd *benchCmd) sizes() error {
	const lead, ticks = 3, 12 // lead: frames to refer back to
	s, err := cmd.site()
	if err != nil {
		return err
	}
	defer s.close()
	sizes := []struct {
		board, format, whole, accept string
		atMost                       float64
		what                         string
		fleet                        *fleet
		before                       int64
	}{
		{board: "six", format: "html", whole: "/dashboards/six", accept: "text/html", atMost: 2.5, what: "bytes a tick, 6 widgets, of the page"},
		{board: "six", format: "json", whole: "/api/dashboards/six/snapshot", accept: "application/json", atMost: 6, what: "bytes a tick, 6 widgets, of the JSON"},
		{board: "many", format: "html", whole: "/dashboards/many", accept: "text/html", atMost: 4, what: "bytes a tick, 24 widgets, of the page"},
		{board: "many", format: "json", whole: "/api/dashboards/many/snapshot", accept: "application/json", atMost: 10, what: "bytes a tick, 24 widgets, of the JSON"},
	}
	for i := range sizes {
		b := &sizes[i]
		path := "/api/stream/dashboard/" + b.board + "?refresh=5s&format=" + b.format
		if b.fleet, err = newFleet(s.address, streamRequest(s.address, path, s.cookie, true)); err != nil {
			return err
		}
		defer b.fleet.close()
		b.fleet.sizes = true
		if err := b.fleet.open(1, 0, false); err != nil {
			return err
		}
	}
	for n := range (lead + ticks) * 10 {
		if n == lead*10 {
			for i := range sizes {
				sizes[i].before = sizes[i].fleet.total().Bytes
			}
		}
		if err := s.post(); err != nil {
			return err
		}
		time.Sleep(500 * time.Millisecond)
	}
	for _, b := range sizes {
		whole, err := s.get(b.whole, b.accept)
		if err != nil {
			return err
		}
		size := float64(b.fleet.total().Bytes-b.before) / ticks
		cmd.row(b.what, b.atMost, 100*size/float64(len(whole)), "%", fmt.Sprintf("%.0f of %d", size, len(whole)))
	}
	return nil
}

// work: what is done once, whatever the number of viewers.
func (cmd *benchCmd) work() error {
	var did [2][3]float64
	many := 2 * cmd.Viewers
	for i, viewers := range []int{10, many} {
		s, err := cmd.site()
		if err != nil {
			return err
		}
		f, err := cmd.fleet(s, "six", "format=json", false)
		if err != nil {
			return err
		}
		if err := f.open(viewers, time.Duration(viewers)*time.Millisecond, false); err != nil {
			return err
		}
		if err := begun(f, viewers, 20*time.Second); err != nil {
			return err
		}
		names := []string{"pulseboard_renders_total", "pulseboard_store_calls_total", "pulseboard_frames_total"}
		var before [3]float64
		for n, name := range names {
			before[n] = s.metric(name)
		}
		for range cmd.Ticks {
			if err := tick(f, viewers, s.post); err != nil {
				return err
			}
		}
		for n, name := range names {
			did[i][n] = (s.metric(name) - before[n]) / float64(cmd.Ticks)
		}
		cmd.gaps += f.total().Duplicates
		f.close()
		s.close()
	}
	cmd.row(fmt.Sprintf("renders a tick, %d against 10 viewers", many), 1, did[1][0]/did[0][0], "×", fmt.Sprintf("%.1f and %.1f", did[1][0], did[0][0]))
	cmd.row(fmt.Sprintf("queries a tick, %d against 10 viewers", many), 1, did[1][1]/did[0][1], "×", fmt.Sprintf("%.1f and %.1f", did[1][1], did[0][1]))
	return nil
}

// stalled: what those feel who read when others do not.
func (cmd *benchCmd) stalled() error {
	const viewers, stuck = 1000, 100
	var ratios []float64
	detail := ""
	for range cmd.Rounds {
		var p99 [2]float64
		for i, stalled := range []int{0, stuck} {
			s, err := cmd.site()
			if err != nil {
				return err
			}
			f, err := cmd.fleet(s, "line", "format=json", false)
			if err != nil {
				return err
			}
			if err := f.open(stalled, 100*time.Millisecond, true); err != nil {
				return err
			}
			if err := f.open(viewers-stalled, time.Second, false); err != nil {
				return err
			}
			if err := begun(f, viewers, 10*time.Second); err != nil {
				return err
			}
			for range warmUp { // what the stalled have room for
				if err := tick(f, viewers-stalled, s.post); err != nil {
					return err
				}
			}
			f.forget()
			for range 3 * cmd.Ticks {
				if err := tick(f, viewers-stalled, s.post); err != nil {
					return err
				}
			}
			p99[i] = f.latencies().TickP99
			if err := cmd.check(s, f); err != nil {
				return err
			}
			f.close()
			s.close()
		}
		ratios = append(ratios, p99[1]/p99[0])
		detail = fmt.Sprintf("%.1f against %.1f ms", p99[1], p99[0])
		fmt.Fprintf(os.Stderr, "  %s\n", detail)
	}
	cmd.row("100 stalled among 1,000: p99 of the others", 1.2, middle(ratios), "×", detail)
	return nil
}

// storm: all come at once.
func (cmd *benchCmd) storm() error {
	var all []float64
	for range cmd.Rounds {
		s, err := cmd.site()
		if err != nil {
			return err
		}
		f, err := cmd.fleet(s, "six", "format=json", false)
		if err != nil {
			return err
		}
		began := time.Now()
		if err := f.open(cmd.Viewers, 2*time.Second, false); err != nil {
			return err
		}
		if err := begun(f, cmd.Viewers, 30*time.Second); err != nil {
			return err
		}
		all = append(all, f.lastFirst().Sub(began).Seconds())
		fmt.Fprintf(os.Stderr, "  %.2f s, refused %d\n", all[len(all)-1], f.total().Refused)
		f.close()
		s.close()
	}
	cmd.row(fmt.Sprintf("%d connects in 2 s: the last has its snapshot after", cmd.Viewers), 4, middle(all), "s", "")
	return nil
}

// restart: the server is killed and started again under all viewers.
func (cmd *benchCmd) restart() error {
	var all []float64
	for range cmd.Rounds {
		s, err := cmd.site()
		if err != nil {
			return err
		}
		f, err := cmd.fleet(s, "six", "format=json", false)
		if err != nil {
			return err
		}
		f.again = true
		if err := f.open(cmd.Viewers, 4*time.Second, false); err != nil {
			return err
		}
		if err := begun(f, cmd.Viewers, 20*time.Second); err != nil {
			return err
		}
		began := time.Now()
		s.kill()
		if err := s.start(cmd.ctx); err != nil {
			return err
		}
		if err := s.post(); err != nil {
			return err
		}
		current := waitFor(60*time.Second, func() bool {
			states, someone := f.distinct()
			if open, _ := f.streams(); open != cmd.Viewers || states != 1 {
				return false
			}
			fresh, err := s.readings("six") // now, for the window slides on
			return err == nil && maps.Equal(someone, fresh)
		})
		if !current {
			cmd.gaps++
		}
		all = append(all, time.Since(began).Seconds())
		fmt.Fprintf(os.Stderr, "  %.2f s, refused %d\n", all[len(all)-1], f.total().Refused)
		cmd.gaps += f.total().Duplicates
		f.close()
		s.close()
	}
	cmd.row(fmt.Sprintf("restart under %d viewers: all are current again after", cmd.Viewers), 15, middle(all), "s", "")
	return nil
}

func (cmd *benchCmd) print() {
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "what\tat most\tgot\t\t")
	for _, r := range cmd.rows {
		verdict := "reached"
		if r.Got > r.AtMost*1.0005 {
			verdict = "MISSED"
		}
		fmt.Fprintf(w, "%s\t%g %s\t%.2f %s\t%s\t%s\n", r.What, r.AtMost, r.Unit, r.Got, r.Unit, verdict, r.Detail)
	}
	if len(cmd.arms) > 0 {
		fmt.Fprintln(w, "\t\t\t\t")
		fmt.Fprintln(w, "way\tµs CPU a delivery\tKiB a viewer\tp50, p99 ms\tspread ms")
		for _, way := range ways {
			of := func(f func(arm) float64) float64 { return median(cmd.arms[way], f) }
			fmt.Fprintf(w, "%s\t%.1f\t%.1f\t%.0f, %.0f\t%.0f\n", way, of(func(a arm) float64 { return a.CPU }), of(func(a arm) float64 { return a.Memory }),
				of(func(a arm) float64 { return a.P50 }), of(func(a arm) float64 { return a.P99 }), of(func(a arm) float64 { return a.Spread }))
		}
	}
	w.Flush()
}
