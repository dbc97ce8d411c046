package sqlite

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/jmoiron/sqlx"

	"pulseboard/store"
	"pulseboard/store/fold"
)

// kinds are the pools for reads that may take long.
func kinds(s *Store) map[string]*sqlx.DB {
	return map[string]*sqlx.DB{"builds": s.builds, "scans": s.scans, "values": s.values, "chores": s.chores}
}

// kindOf gives the pool of each method that reads for long; all others read in a moment.
var kindOf = map[string]string{
	"FoldView": "builds", "ScanEvents": "scans", "PropertyValues": "values",
	"EachEvent": "chores", "FollowRollups": "chores", "Forget": "chores", "Shrink": "chores", "KeepTidy": "chores",
}

// backgroundReads are the methods that read in the background.
var backgroundReads = map[string]func(context.Context, *at) error{
	"FollowRollups": func(ctx context.Context, a *at) error { _, err := a.s.FollowRollups(ctx, a.tenant); return err },
	"Forget":        func(ctx context.Context, a *at) error { _, err := a.s.Forget(ctx, a.tenant, noon); return err },
	"Shrink":        func(ctx context.Context, a *at) error { _, err := a.s.Shrink(ctx); return err },
	"KeepTidy":      func(ctx context.Context, a *at) error { return a.s.tidy(ctx) },
}

// hold takes all connections of a pool, until the test ends.
func hold(t *testing.T, db *sqlx.DB) {
	t.Helper()
	for range db.Stats().MaxOpenConnections {
		conn, err := db.Connx(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { conn.Close() })
	}
}

// TestReadsWaitForTheirOwnKindOnly takes all connections of one kind, as reads do that are stuck,
// and lets everything else read.
func TestReadsWaitForTheirOwnKindOnly(t *testing.T) {
	for _, held := range []string{"builds", "scans", "values", "chores"} {
		t.Run(held, func(t *testing.T) {
			a := newAt(t)
			hold(t, kinds(a.s)[held])
			for _, reads := range []map[string]func(context.Context, *at) error{storeReads, backgroundReads} {
				for name, read := range reads {
					wait := 30 * time.Second
					waits := kindOf[name] == held
					if waits {
						wait = 20 * time.Millisecond
					}
					ctx, cancel := context.WithTimeout(t.Context(), wait)
					err := read(ctx, a)
					cancel()
					if waits && !errors.Is(err, context.DeadlineExceeded) {
						t.Errorf("%s is said to wait for %s: error %v", name, held, err)
					}
					if !waits && err != nil {
						t.Errorf("%s waits for %s: %v", name, held, err)
					}
				}
			}
		})
	}
}

// stuck calls read in as many goroutines as stated, each of which calls pause once and stays in it
// until the test ends.
func stuck(t *testing.T, n int, read func(pause func()) error) {
	t.Helper()
	inside, release := make(chan struct{}), make(chan struct{})
	var all sync.WaitGroup
	t.Cleanup(func() { close(release); all.Wait() })
	for range n {
		all.Go(func() {
			var once sync.Once
			if err := read(func() { once.Do(func() { inside <- struct{}{}; <-release }) }); err != nil {
				t.Error(err)
			}
		})
	}
	for range n {
		select {
		case <-inside:
		case <-time.After(10 * time.Second):
			t.Fatal("a read did not begin")
		}
	}
}

// buildsAtOnce is how many views package stream reads from the beginning at once for people who
// open them.
const buildsAtOnce = 4

// TestWatchersWaitForNoBuilds holds views that are read from the beginning, as those are that give
// way to watchers.
func TestWatchersWaitForNoBuilds(t *testing.T) {
	a := newAt(t)
	window, err := a.view.Range.Window(noon)
	if err != nil {
		t.Fatal(err)
	}
	for batch := range 30 { // so many that the fold pauses
		record(t, a.s, a.tenant, noon, requests(batch, 1_000)...)
	}
	stuck(t, buildsAtOnce, func(pause func()) error {
		f := fold.New(a.board, a.view, window)
		f.Pause(pause)
		_, err := a.s.FoldView(context.Background(), a.tenant, f, time.Time{})
		return err
	})
	answers := func(name string, read func(context.Context, *at) error) {
		t.Helper()
		ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
		defer cancel()
		if err := read(ctx, a); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	// A view that is watched already is built beside them when its dashboard has changed.
	for _, name := range []string{"ScanEvents", "PropertyValues", "LiveSessions", "LiveUsers", "EachEvent", "FoldView"} {
		answers(name, storeReads[name])
	}
	for name, read := range backgroundReads {
		answers(name, read)
	}
}

// TestLongScansAreBuilds lets a view go on that nobody has looked at while many events came in: that
// takes as long as to read one from the beginning.
func TestLongScansAreBuilds(t *testing.T) {
	a := newAt(t)
	for head, want := range map[store.EventSeq]string{shortScan: "scans", shortScan + 1: "builds"} {
		if _, err := a.s.writer.Exec(`UPDATE heads SET events = ?`, head); err != nil {
			t.Fatal(err)
		}
		events := 0
		_, err := a.s.ScanEvents(t.Context(), a.tenant, store.Scan{}, func(*store.Event) error {
			events++
			for kind, db := range kinds(a.s) {
				if n := db.Stats().InUse; n > 0 != (kind == want) {
					t.Errorf("a scan of %d events has %d connections for %s", head, n, kind)
				}
			}
			return nil
		})
		if err != nil || events != 3 {
			t.Errorf("%d events, error %v", events, err)
		}
	}
}

// TestReadersTakeLittleMemory bounds what all connections that read keep of the file, which SQLite
// allows 2 MiB each by itself, and expects them to be gone when nobody has read for a while.
func TestReadersTakeLittleMemory(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAt(t)
		all, kib := kinds(a.s), 0
		all["reader"] = a.s.reader
		for name, db := range all {
			var cache int // −KiB
			if err := db.Get(&cache, `PRAGMA cache_size`); err != nil || cache >= 0 {
				t.Errorf("%s keep %d pages, error %v", name, cache, err)
			}
			kib -= cache * db.Stats().MaxOpenConnections
		}
		if kib > 15<<10 {
			t.Errorf("all connections that read keep %d KiB", kib)
		}
		time.Sleep(3 * idleTime)
		synctest.Wait()
		for name, db := range all {
			if n := db.Stats().OpenConnections; n != 0 {
				t.Errorf("%d connections for %s are open when nobody has read for long", n, name)
			}
		}
		if n := a.s.writer.Stats().OpenConnections; n != 1 {
			t.Errorf("the writer has %d connections", n) // with the last one the log would go
		}
		for _, reads := range []map[string]func(context.Context, *at) error{storeReads, backgroundReads} {
			for name, read := range reads {
				if err := read(t.Context(), a); err != nil {
					t.Errorf("%s after that: %v", name, err)
				}
			}
		}
	})
}
