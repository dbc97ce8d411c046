// Package turns lets work that takes long be done a little at a time, so that whoever asks for
// much waits for their own work and holds up nobody else.
//
// All methods may be called by any number of goroutines.
package turns

import (
	"context"
	"slices"
	"sync"
)

// Queue has a few places for work. Groups take turns, and of one group those who wait come in
// the order in which they asked. Half of the places at most are one group's, and one is one
// member's. Use [New].
type Queue struct {
	size int

	mu      sync.Mutex
	places  int // that are free
	running map[Member]int
	groups  map[string]int // running
	waiting []*ticket      // those who came first are first
	turn    int64          // counts those let in
	last    map[string]int64
}

// Member is for whom work is done: one of a group, such as a user of a tenant.
type Member struct{ Group, Name string }

type ticket struct {
	Member
	ready chan struct{} // closed when the work may begin
}

// New makes a queue with so many places.
func New(places int) *Queue {
	return &Queue{size: places, places: places, running: map[Member]int{}, groups: map[string]int{}, last: map[string]int64{}}
}

// Enter waits for a place. leave gives it back. The error is the cause of ctx's end.
func (q *Queue) Enter(ctx context.Context, m Member) (leave func(), err error) {
	t := &ticket{m, make(chan struct{})}
	q.mu.Lock()
	q.waiting = append(q.waiting, t)
	q.admit()
	q.mu.Unlock()
	select {
	case <-t.ready:
		return func() { q.leave(t) }, nil
	case <-ctx.Done():
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	if i := slices.Index(q.waiting, t); i >= 0 {
		q.waiting = slices.Delete(q.waiting, i, i+1)
		return nil, context.Cause(ctx)
	}
	return func() { q.leave(t) }, nil // it was let in just now
}

func (q *Queue) leave(t *ticket) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.places++
	if q.running[t.Member]--; q.running[t.Member] == 0 {
		delete(q.running, t.Member)
	}
	if q.groups[t.Group]--; q.groups[t.Group] == 0 {
		delete(q.groups, t.Group)
	}
	q.admit()
	if len(q.waiting) == 0 && len(q.running) == 0 {
		clear(q.last)
	}
}

// admit lets in whoever may begin: of those who may, one of the group whose turn was
// longest ago. The caller holds q.mu.
func (q *Queue) admit() {
	for q.places > 0 {
		next := -1
		for i, t := range q.waiting {
			if q.running[t.Member] > 0 || q.groups[t.Group] >= max(1, q.size/2) {
				continue
			}
			if next < 0 || q.last[t.Group] < q.last[q.waiting[next].Group] {
				next = i
			}
		}
		if next < 0 {
			return
		}
		t := q.waiting[next]
		q.waiting = slices.Delete(q.waiting, next, next+1)
		q.turn++
		q.last[t.Group] = q.turn
		q.places--
		q.running[t.Member]++
		q.groups[t.Group]++
		close(t.ready)
	}
}
