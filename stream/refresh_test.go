package stream

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"pulseboard/store"
	"pulseboard/store/fold"
)

// A step may begin between a caller's look at the clock and that of the refresh. Nobody waits for
// ever then.
func TestARefreshEndsThoughAStepBeginsMeanwhile(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		h := newHub(newShelf(), time.Second)
		step := time.Now().Truncate(time.Minute).Add(time.Minute)
		var looks atomic.Int64
		h.wall = func() time.Time {
			if looks.Add(1) == 1 {
				return step.Add(-time.Microsecond)
			}
			return step.Add(time.Millisecond)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		pool, err := h.Open(ctx, viewOf("now-15m"), reader)
		if err != nil || looks.Load() > 20 {
			t.Fatalf("%v after %d looks at the clock", err, looks.Load())
		}
		pool.Release()
	})
}

// stuckSource is a source whose first read ends only when its context has ended and it is let go.
type stuckSource struct {
	Source
	let   chan struct{}
	reads atomic.Int64
}

func (s *stuckSource) read(ctx context.Context) error {
	if s.reads.Add(1) > 1 {
		return nil
	}
	<-ctx.Done()
	<-s.let
	return ctx.Err()
}

func (s *stuckSource) ScanEvents(ctx context.Context, tenant store.TenantID, scan store.Scan, fn func(*store.Event) error) (store.EventSeq, error) {
	if err := s.read(ctx); err != nil {
		return 0, err
	}
	return s.Source.ScanEvents(ctx, tenant, scan, fn)
}

func (s *stuckSource) FoldView(ctx context.Context, tenant store.TenantID, f *fold.Fold, to time.Time) (store.EventSeq, error) {
	if err := s.read(ctx); err != nil {
		return 0, err
	}
	return s.Source.FoldView(ctx, tenant, f, to)
}

// A refresh that ends because its only viewer left fails for nobody else: whoever comes while it
// ends gets one of their own.
func TestWhoComesWhileARefreshIsGivenUpIsServed(t *testing.T) {
	for _, warm := range []bool{false, true} {
		inBubble(t, func(t *testing.T) {
			s := newShelf()
			h := newHub(s, time.Second)
			if warm {
				pool, err := h.Open(t.Context(), view(), reader)
				if err != nil {
					t.Fatal(err)
				}
				pool.Release()
			}
			stuck := &stuckSource{Source: h.source, let: make(chan struct{})}
			h.source = stuck
			h.Announce(tenant, s.record("a"))
			open := func(ctx context.Context, by Opener) <-chan error {
				result := make(chan error, 1)
				go func() {
					pool, err := h.Open(ctx, view(), by)
					if err == nil {
						pool.Release()
					}
					result <- err
				}()
				synctest.Wait()
				return result
			}
			ctx, leave := context.WithCancel(t.Context())
			gone := open(ctx, reader)
			leave()
			<-gone
			stays := open(t.Context(), Opener{Key: "ann"})
			close(stuck.let)
			if err := <-stays; err != nil {
				t.Errorf("warm %t: %v", warm, err)
			}
		})
	}
}

// sleepySource takes three seconds to read a view from the beginning.
type sleepySource struct{ Source }

func (s sleepySource) FoldView(ctx context.Context, tenant store.TenantID, f *fold.Fold, to time.Time) (store.EventSeq, error) {
	select {
	case <-time.After(3 * time.Second):
	case <-ctx.Done():
		return 0, ctx.Err()
	}
	return s.Source.FoldView(ctx, tenant, f, to)
}

// A view that somebody waits for comes in their turn, also if somebody else asked for it first
// and has many others to wait for.
func TestAViewComesInTheTurnOfWhoeverIsNext(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		h := newHub(newShelf(), time.Second)
		h.source = sleepySource{h.source}
		open := func(v store.View, key QuotaKey) error {
			pool, err := h.Open(t.Context(), v, Opener{Key: key})
			if err == nil {
				pool.Release()
			}
			return err
		}
		for i := range 15 {
			for _, key := range []QuotaKey{"greedy", "greedier"} {
				go func() { _ = open(rangeOf(60+i+len(key)*100), key) }() // some come too late
			}
		}
		synctest.Wait()
		go func() { _ = open(view(), "greedy") }()
		synctest.Wait()
		for _, v := range []store.View{view(), rangeOf(5_000)} {
			began := time.Now()
			if err := open(v, "ann"); err != nil || time.Since(began) > 10*time.Second {
				t.Errorf("after %s: %v", time.Since(began), err)
			}
		}
		time.Sleep(5 * time.Minute)
	})
}

// busySource is a store that another program holds.
type busySource struct{ Source }

func (s busySource) SaveViewState(ctx context.Context, _ store.TenantID, _ store.ViewKey, _ store.ViewOwner, _ store.ViewState) error {
	select {
	case <-time.After(2 * time.Second):
	case <-ctx.Done():
	}
	return store.ErrBusy
}

func TestStreamsBeginTogetherWhileTheStoreIsHeld(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		h := newHub(newShelf(), time.Second)
		h.source = busySource{h.source}
		took := make(chan time.Duration, 20)
		for i := range cap(took) {
			go func() {
				began := time.Now()
				pool, err := h.Open(t.Context(), view(), Opener{Key: QuotaKey(fmt.Sprint(i)), Watches: true})
				if err != nil {
					t.Error(err)
				} else {
					pool.Release()
				}
				took <- time.Since(began)
			}()
		}
		for range cap(took) {
			if d := <-took; d > 1500*time.Millisecond {
				t.Errorf("a stream began after %s", d)
			}
		}
	})
}

// Views that are watched before anything happens in them may grow together as far as the memory
// goes, and no further: each then keeps fewer groups apart.
func TestWatchedViewsShareTheMemory(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		s := newShelf()
		s.dashboard.Widgets = []store.Widget{{Key: "paths", Kind: store.Table, Metric: store.Metric{Measure: store.Count, By: "path"}}}
		h := newHub(s, time.Second)
		const budget = 32 << 20
		h.LimitMemory(budget)
		var open []*Watcher
		var pools []*Pool
		for i := range 60 {
			from := time.Now().Add(time.Minute)
			r, err := store.ParseRange(fmt.Sprint(from.UnixMilli()), fmt.Sprint(from.Add(time.Duration(60+i)*time.Minute).UnixMilli()))
			if err != nil {
				t.Fatal(err)
			}
			pool, err := h.Open(t.Context(), store.View{Tenant: tenant, Dashboard: "d", Range: r}, watcher)
			if err != nil {
				t.Fatal(err)
			}
			pools, open = append(pools, pool), append(open, pool.Watch(JSON, false, store.Live, ""))
		}
		time.Sleep(2 * time.Minute)
		const events = 10_000
		s.mu.Lock()
		for i := range events {
			s.head.Events++
			s.events = append(s.events, store.Event{Seq: s.head.Events, Name: "a", Time: s.wall(), Properties: store.Properties{{Key: "path", Value: store.Text(fmt.Sprint("/articles/", i))}}})
		}
		s.mu.Unlock()
		h.Announce(tenant, s.head.Events)
		time.Sleep(10 * time.Second)
		h.Announce(tenant, s.record("a")) // those who grew first learn that others did
		time.Sleep(10 * time.Second)
		if _, _, used := h.held(); used > budget {
			t.Errorf("%d views hold %d bytes, and may hold %d", len(pools), used, budget)
		}
		merged := 0
		for _, p := range pools {
			if p.Current().Snapshot.Widgets[0].Merged {
				merged++
			}
		}
		if merged == 0 || pools[0].stale(h.head(tenant), pools[0].Current().Snapshot.Window) {
			t.Errorf("%d views say that groups were merged, or one is not up to date", merged)
		}
		for i, w := range open {
			w.Close()
			pools[i].Release()
		}
	})
}
