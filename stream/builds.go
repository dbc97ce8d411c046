package stream

import (
	"context"
	"slices"
	"sync"

	"pulseboard/store"
)

// buildsAtOnce is how many views are read from the beginning at the same time. A few are
// enough to use the machine, and each takes memory that is not a view's yet.
const buildsAtOnce = 4

// builds lets views be read from the beginning, which may take seconds, a few at a time.
// Tenants take turns, and of one tenant those who wait for one; half of the places at most
// are one tenant's, and one is one key's. So whoever opens many views waits for their own.
//
// Its methods may be called by any number of goroutines.
type builds struct {
	size int

	mu      sync.Mutex
	places  int // that are free
	running map[buildKey]int
	tenants map[store.TenantID]int // running
	waiting []*build               // those who came first are first
	turn    int64                  // counts those let in
	last    map[store.TenantID]int64
}

type buildKey struct {
	tenant store.TenantID
	key    QuotaKey
}

type build struct {
	buildKey
	ready chan struct{} // closed when it may begin
}

func newBuilds(places int) *builds {
	return &builds{size: places, places: places, running: map[buildKey]int{}, tenants: map[store.TenantID]int{}, last: map[store.TenantID]int64{}}
}

// enter waits for a place. leave gives it back. The error is ctx's. What the hub refreshes by
// itself, for those who watch already, has no key and does not wait.
func (b *builds) enter(ctx context.Context, tenant store.TenantID, key QuotaKey) (leave func(), err error) {
	if key == "" {
		return func() {}, nil
	}
	w := &build{buildKey{tenant, key}, make(chan struct{})}
	b.mu.Lock()
	b.waiting = append(b.waiting, w)
	b.admit()
	b.mu.Unlock()
	select {
	case <-w.ready:
		return func() { b.leave(w) }, nil
	case <-ctx.Done():
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if i := slices.Index(b.waiting, w); i >= 0 {
		b.waiting = slices.Delete(b.waiting, i, i+1)
		return nil, context.Cause(ctx)
	}
	return func() { b.leave(w) }, nil // it was let in just now
}

func (b *builds) leave(w *build) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.places++
	if b.running[w.buildKey]--; b.running[w.buildKey] == 0 {
		delete(b.running, w.buildKey)
	}
	if b.tenants[w.tenant]--; b.tenants[w.tenant] == 0 {
		delete(b.tenants, w.tenant)
	}
	b.admit()
	if len(b.waiting) == 0 && len(b.running) == 0 {
		clear(b.last)
	}
}

// admit lets in whoever may begin: of those who may, one of the tenant whose turn was
// longest ago. The caller holds b.mu.
func (b *builds) admit() {
	for b.places > 0 {
		next := -1
		for i, w := range b.waiting {
			if b.running[w.buildKey] > 0 || b.tenants[w.tenant] >= max(1, b.size/2) {
				continue
			}
			if next < 0 || b.last[w.tenant] < b.last[b.waiting[next].tenant] {
				next = i
			}
		}
		if next < 0 {
			return
		}
		w := b.waiting[next]
		b.waiting = slices.Delete(b.waiting, next, next+1)
		b.turn++
		b.last[w.tenant] = b.turn
		b.places--
		b.running[w.buildKey]++
		b.tenants[w.tenant]++
		close(w.ready)
	}
}
