package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

const (
	senders  = 4 // that send batches at once
	manyOnes = 64
)

// batches calls send for the batches of some events, by several senders at once.
func batches(first, n, size, senders int, send func(first, n int) error) error {
	var next atomic.Int64
	errs := make(chan error, senders)
	var all sync.WaitGroup
	for range senders {
		all.Go(func() {
			for {
				at := int(next.Add(int64(size))) - size
				if at >= n {
					return
				}
				if err := send(first+at, min(size, n-at)); err != nil {
					errs <- err
					return
				}
			}
		})
	}
	all.Wait()
	select {
	case err := <-errs:
		return err
	default:
		return nil
	}
}

// send posts lines of NDJSON until they are taken.
func (s *site) send(ctx context.Context, lines []byte) error {
	for {
		r, err := http.NewRequestWithContext(ctx, "POST", "http://"+s.address+"/api/events", bytes.NewReader(lines))
		if err != nil {
			return err
		}
		r.Header.Set("Authorization", "Bearer "+s.key)
		r.Header.Set("Content-Type", "application/x-ndjson")
		answer, err := http.DefaultClient.Do(r)
		if err != nil {
			return err
		}
		text, _ := io.ReadAll(answer.Body)
		answer.Body.Close()
		switch answer.StatusCode {
		case http.StatusAccepted:
			return nil
		case http.StatusTooManyRequests:
			time.Sleep(20 * time.Millisecond)
		default:
			return fmt.Errorf("POST /api/events: %s %s", answer.Status, text)
		}
	}
}

// caughtUp waits until the rollups lack but the newest few events.
func (s *site) caughtUp() error {
	if !waitFor(5*time.Minute, func() bool { return s.metric("pulseboard_store_rollup_lag_events") < manyBehind }) {
		return fmt.Errorf("the rollups do not catch up")
	}
	return nil
}

// http: the same as ingest, with HTTP and JSON before it.
func (cmd *metricsCmd) http() error {
	http.DefaultTransport.(*http.Transport).MaxIdleConnsPerHost = manyOnes
	log := weblog{time.Now().UTC().Truncate(time.Second).Add(-12 * time.Hour), 20 * time.Millisecond}
	const size = 1_000
	var ratios, with, without []float64
	for round := range cmd.Rounds {
		k, err := openKeep(cmd.ctx, filepath.Join(cmd.scratch, fmt.Sprint("http-", round)))
		if err != nil {
			return err
		}
		made := log.batch(0, cmd.Burst)
		begun := time.Now()
		err = batches(0, cmd.Burst, size, senders, func(first, n int) error {
			_, err := k.Record(cmd.ctx, k.tenant, made[first:first+n], time.Now())
			return err
		})
		if err == nil {
			err = k.nearlyFollowed(cmd.ctx)
		}
		direct := float64(cmd.Burst) / time.Since(begun).Seconds()
		k.close()
		if err != nil {
			return err
		}
		lines := make([][]byte, 0, cmd.Burst/size)
		for at := 0; at < cmd.Burst; at += size {
			lines = append(lines, appendNDJSON(nil, made[at:at+size]))
		}
		s, err := newSite(cmd.ctx, cmd.Binary, []string{board12})
		if err != nil {
			return err
		}
		begun = time.Now()
		err = batches(0, cmd.Burst, size, senders, func(first, n int) error { return s.send(cmd.ctx, lines[first/size]) })
		if err == nil {
			err = s.caughtUp()
		}
		overHTTP := float64(cmd.Burst) / time.Since(begun).Seconds()
		s.close()
		if err != nil {
			return err
		}
		cmd.say("    %.0f and %.0f events/s", overHTTP, direct)
		ratios, with, without = append(ratios, overHTTP/direct), append(with, overHTTP), append(without, direct)
	}
	cmd.row(row{"over HTTP as NDJSON, against the same without HTTP and JSON", atLeast, 0.6, middle(ratios), "×", fmt.Sprintf("%.0f and %.0f events/s, %d senders", middle(with), middle(without), senders)})
	return nil
}

// alone: events that come one a request share transactions.
func (cmd *metricsCmd) alone() error {
	http.DefaultTransport.(*http.Transport).MaxIdleConnsPerHost = manyOnes
	s, err := newSite(cmd.ctx, cmd.Binary, []string{board12})
	if err != nil {
		return err
	}
	defer s.close()
	log := weblog{time.Now().UTC().Truncate(time.Second).Add(-12 * time.Hour), 20 * time.Millisecond}
	next := 0
	measure := func(senders, n int) (float64, error) {
		made := log.batch(next, n)
		next += n
		begun := time.Now()
		err := batches(0, n, 1, senders, func(first, n int) error {
			return s.send(cmd.ctx, appendNDJSON(nil, made[first:first+n]))
		})
		return float64(n) / time.Since(begun).Seconds(), err
	}
	var ratios, many, one []float64
	for range cmd.Rounds {
		alone, err := measure(1, cmd.Burst/100)
		if err != nil {
			return err
		}
		together, err := measure(manyOnes, cmd.Burst/10)
		if err != nil {
			return err
		}
		ratios, many, one = append(ratios, together/alone), append(many, together), append(one, alone)
	}
	cmd.row(row{"one event a request: 64 clients against one", atLeast, 4, middle(ratios), "×", fmt.Sprintf("%.0f and %.0f events/s", middle(many), middle(one))})
	return nil
}

const loadedOver = 30 * 24 * time.Hour

// load brings in all events over HTTP, and measures memory and disk.
func (cmd *metricsCmd) load() error {
	if _, err := os.Stat(cmd.Data); err == nil {
		cmd.say("  %s is there", cmd.Data)
		return nil
	}
	http.DefaultTransport.(*http.Transport).MaxIdleConnsPerHost = manyOnes
	s, err := newSiteIn(cmd.ctx, cmd.Data, cmd.Binary, []string{board12})
	if err != nil {
		return err
	}
	defer s.kill()
	var most, sent atomic.Int64
	watching, stop := context.WithCancel(cmd.ctx)
	var watch sync.WaitGroup
	watch.Go(func() {
		for watching.Err() == nil {
			most.Store(max(most.Load(), s.memory()))
			time.Sleep(100 * time.Millisecond)
		}
	})
	log := spread(cmd.Events, loadedOver)
	begun := time.Now()
	err = batches(0, cmd.Events, 1_000, senders, func(first, n int) error {
		lines := appendNDJSON(nil, log.batch(first, n))
		sent.Add(int64(len(lines)))
		return s.send(cmd.ctx, lines)
	})
	if err == nil {
		err = s.caughtUp()
	}
	took := time.Since(begun)
	stop()
	watch.Wait()
	if err != nil {
		return err
	}
	cmd.row(row{"memory of the server while all came in", atMost, 300, float64(most.Load()) / (1 << 20), "MiB", fmt.Sprintf("%d events in %.0f s", cmd.Events, took.Seconds())})
	time.Sleep(6 * time.Second) // the last few are counted
	if err := s.end(); err != nil {
		return err
	}
	var size int64
	err = filepath.WalkDir(cmd.Data, func(_ string, f fs.DirEntry, err error) error {
		if info, infoErr := f.Info(); err == nil && infoErr == nil && !f.IsDir() {
			size += info.Size()
		}
		return err
	})
	cmd.row(row{"bytes on disk an event, against its NDJSON", atMost, 0.9, float64(size) / float64(sent.Load()), "×",
		fmt.Sprintf("%.0f of %.0f", float64(size)/float64(cmd.Events), float64(sent.Load())/float64(cmd.Events))})
	return err
}

// end lets the server close its store.
func (s *site) end() error {
	_ = s.cmd.Process.Signal(syscall.SIGTERM)
	return s.cmd.Wait()
}

// idle: what boards cost that are watched while nothing comes in.
func (cmd *metricsCmd) idle() error {
	const boards, cycles = 1_000, 40
	var files []string
	for i := range boards {
		file := strings.Replace(board12, "id: web", fmt.Sprint("id: web-", i), 1)
		if i%500 == 0 { // a file has at most 1 MiB
			files = append(files, file)
			continue
		}
		files[len(files)-1] += "---" + file
	}
	s, err := newSite(cmd.ctx, cmd.Binary, files)
	if err != nil {
		return err
	}
	defer s.close()
	log := spread(10_000, 24*time.Hour)
	if err := s.send(cmd.ctx, appendNDJSON(nil, log.batch(0, 10_000))); err != nil {
		return err
	}
	var fleets []*fleet
	defer func() {
		for _, f := range fleets {
			f.close()
		}
	}()
	for i := range boards {
		f, err := newFleet(s.address, streamRequest(s.address, fmt.Sprintf("/api/stream/dashboard/web-%d?refresh=live", i), s.cookie, false))
		if err != nil {
			return err
		}
		fleets = append(fleets, f)
		if err := crowd(f, 1, 0); err != nil {
			return err
		}
	}
	time.Sleep(10 * time.Second) // rollups follow, boards are drawn
	var costs []float64
	for range cmd.Rounds {
		before := s.cpu()
		time.Sleep(cycles * siteCycle)
		costs = append(costs, (s.cpu()-before).Seconds()*1e3/cycles)
	}
	cmd.row(row{"a cycle with 1,000 watched boards and nothing new", atMost, 20, middle(costs), "ms", fmt.Sprintf("%d widgets", boards*12)})
	return nil
}
