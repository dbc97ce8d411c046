package main

import (
	"fmt"
	"maps"
	"os"
	"time"
)

// The parts of the comparison beside the cost of a delivery.

// gzip: what a tick takes when streams are compressed.
func (cmd *benchCmd) gzip() error {
	var ratios []float64
	detail := ""
	for range cmd.Rounds {
		var cpu, size [2]float64
		err := cmd.onSite(func(s *site) (err error) {
			for i, packed := range []bool{false, true} {
				if cpu[i], size[i], err = cmd.tickCost(s, packed); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
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
	if err := crowd(f, cmd.Viewers, 4*time.Second); err != nil {
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
func (cmd *benchCmd) sizes() error { return cmd.onSite(cmd.sizesOn) }

func (cmd *benchCmd) sizesOn(s *site) (err error) {
	const lead, ticks = 3, 12 // lead: frames to refer back to
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
		err := cmd.watched("six", func(s *site, f *fleet) error {
			if err := crowd(f, viewers, time.Duration(viewers)*time.Millisecond); err != nil {
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
			return nil
		})
		if err != nil {
			return err
		}
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
			err := cmd.watched("line", func(s *site, f *fleet) error {
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
				return cmd.check(s, f)
			})
			if err != nil {
				return err
			}
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
		err := cmd.watched("six", func(s *site, f *fleet) error {
			began := time.Now()
			if err := crowd(f, cmd.Viewers, 2*time.Second); err != nil {
				return err
			}
			all = append(all, f.lastFirst().Sub(began).Seconds())
			fmt.Fprintf(os.Stderr, "  %.2f s, refused %d\n", all[len(all)-1], f.total().Refused)
			return nil
		})
		if err != nil {
			return err
		}
	}
	cmd.row(fmt.Sprintf("%d connects in 2 s: the last has its snapshot after", cmd.Viewers), 4, middle(all), "s", "")
	return nil
}

// restart: the server is killed and started again under all viewers.
func (cmd *benchCmd) restart() error {
	var all []float64
	for range cmd.Rounds {
		err := cmd.watched("six", func(s *site, f *fleet) error {
			f.again = true
			if err := crowd(f, cmd.Viewers, 4*time.Second); err != nil {
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
			return nil
		})
		if err != nil {
			return err
		}
	}
	cmd.row(fmt.Sprintf("restart under %d viewers: all are current again after", cmd.Viewers), 15, middle(all), "s", "")
	return nil
}
