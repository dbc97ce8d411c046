package stream

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"pulseboard/store"
	"pulseboard/store/fold"
)

// slowSource is a source of which a part waits until its context ends, or until it is let go.
type slowSource struct {
	Source
	mu      sync.Mutex
	folding int           // reads from the beginning that are under way
	most    int           // of them at once
	fold    chan struct{} // closed to let reads go; nil: they do not wait
	save    chan struct{} // the same of writes
}

func waitFor(ctx context.Context, let chan struct{}, err error) error {
	if let == nil {
		return nil
	}
	select {
	case <-let:
		return nil
	case <-ctx.Done():
		return err
	}
}

func (s *slowSource) FoldView(ctx context.Context, tenant store.TenantID, f *fold.Fold, to time.Time) (store.EventSeq, error) {
	s.mu.Lock()
	s.folding++
	s.most = max(s.most, s.folding)
	s.mu.Unlock()
	defer func() {
		s.mu.Lock()
		s.folding--
		s.mu.Unlock()
	}()
	if err := waitFor(ctx, s.fold, ctx.Err()); err != nil || ctx.Err() != nil {
		return 0, ctx.Err()
	}
	return s.Source.FoldView(ctx, tenant, f, to)
}

func (s *slowSource) SaveViewState(ctx context.Context, tenant store.TenantID, key store.ViewKey, owner store.ViewOwner, state store.ViewState) error {
	if err := waitFor(ctx, s.save, store.ErrBusy); err != nil {
		return err
	}
	return s.Source.SaveViewState(ctx, tenant, key, owner, state)
}

// A page and a snapshot are shown while another program holds the store, also those of a view
// that is watched.
func TestReadingWaitsForNoWriter(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		s := newShelf()
		h := newHub(s, time.Second)
		c := newClient(t, JSON, store.Live)
		c.open(h)
		slow := &slowSource{Source: h.source, save: make(chan struct{})}
		h.source = slow
		h.Announce(tenant, s.record("a"))
		for i := range 5 {
			began := time.Now()
			view := view()
			if i > 0 {
				view = rangeOf(60 + i)
			}
			pool, err := h.Open(t.Context(), view, reader)
			if err != nil {
				t.Fatal(err)
			}
			if took := time.Since(began); took > 1500*time.Millisecond {
				t.Errorf("a page took %s", took)
			}
			if i == 0 {
				if got := string(pool.Current().Snapshot.Widgets[0].JSON()); got != "1" {
					t.Errorf("the page shows %s", got)
				}
			}
			pool.Release()
		}
		other := newClient(t, JSON, store.Live) // begins all the same
		other.view = "now-15m"
		began := time.Now()
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second) // as the store gives up
		defer cancel()
		pool, err := h.Open(ctx, viewOf(other.view), watcher)
		if err != nil || time.Since(began) > 2*time.Second {
			t.Fatalf("a stream began after %s: %v", time.Since(began), err)
		}
		pool.Release()
		if got := c.got(); len(got) != 1 {
			t.Errorf("what is not on disk was sent: %q", got)
		}
		close(slow.save)
		time.Sleep(5 * time.Second)
		if got := c.got(); len(got) != 2 {
			t.Errorf("when the store was free again came %q", got)
		}
		c.cut()
	})
}

// A refresh that nobody waits for any more ends; one that others wait for goes on.
func TestARefreshEndsWhenAllWhoWaitedWentAway(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		h := newHub(newShelf(), time.Second)
		slow := &slowSource{Source: h.source, fold: make(chan struct{})}
		h.source = slow
		first, leave := context.WithCancel(t.Context())
		second, leaveToo := context.WithCancel(t.Context())
		errs := make(chan error, 2)
		for _, ctx := range []context.Context{first, second} {
			go func() {
				_, err := h.Open(ctx, view(), reader)
				errs <- err
			}()
		}
		synctest.Wait()
		leave()
		if err := <-errs; !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
		synctest.Wait()
		if slow.folding != 1 {
			t.Error("the refresh ended though somebody waits for it")
		}
		leaveToo()
		if err := <-errs; !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
		synctest.Wait()
		if slow.folding != 0 {
			t.Error("the refresh goes on for nobody")
		}
		if pools, _, _ := h.held(); pools != 0 {
			t.Errorf("%d views are held that were never read", pools)
		}
		close(slow.fold)
		pool, err := h.Open(t.Context(), view(), reader)
		if err != nil {
			t.Fatal(err)
		}
		pool.Release()
	})
}
