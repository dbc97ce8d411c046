// Package turns lets work that takes long be done a little at a time, so that whoever asks for
// much waits for their own work and holds up nobody else.
//
// All methods may be called by any number of goroutines.
package turns

import (
	"cmp"
	"context"
	"slices"
	"sync"
)

// Queue has a few places for work. Groups take turns, and of one group its members do. Half of
// the places at most are one group's, and one is one member's. Use [New].
type Queue struct {
	size int

	mu      sync.Mutex
	places  int // that are free
	running map[Member]int
	groups  map[string]int // running
	waiting []*Ticket      // those who came first are first
	turn    int64          // counts those let in
	last    map[string]int64
	lastOf  map[Member]int64
}

// Member is for whom work is done: one of a group, such as a user of a tenant.
type Member struct{ Group, Name string }

// Ticket is work that waits for a place, or has one.
type Ticket struct {
	queue   *Queue
	members []Member      // for whom it waits
	in      Member        // whose place it has
	ready   chan struct{} // closed when the work may begin
	left    bool
}

// New makes a queue with so many places.
func New(places int) *Queue {
	return &Queue{size: places, places: places, running: map[Member]int{}, groups: map[string]int{}, last: map[string]int64{}, lastOf: map[Member]int64{}}
}

// Enter waits for a place. leave gives it back. The error is the cause of ctx's end.
func (q *Queue) Enter(ctx context.Context, m Member) (leave func(), err error) {
	t := q.Ask(m)
	if err := t.Wait(ctx); err != nil {
		return nil, err
	}
	return t.Leave, nil
}

// Ask puts work into the queue. Call Leave when it is done, or is not to be done.
func (q *Queue) Ask(m Member) *Ticket {
	q.mu.Lock()
	defer q.mu.Unlock()
	t := &Ticket{queue: q, members: []Member{m}, ready: make(chan struct{})}
	q.waiting = append(q.waiting, t)
	q.admit()
	return t
}

// Also lets the work be done for another member too: in whoever's turn comes first.
func (t *Ticket) Also(m Member) {
	t.queue.mu.Lock()
	defer t.queue.mu.Unlock()
	if !slices.Contains(t.members, m) {
		t.members = append(t.members, m)
		t.queue.admit()
	}
}

// Wait returns when the work may begin. The error is the cause of ctx's end.
func (t *Ticket) Wait(ctx context.Context) error {
	select {
	case <-t.ready:
		return nil
	case <-ctx.Done():
		t.Leave()
		return context.Cause(ctx)
	}
}

// Leave gives the place back, or waits no more. It may be called again.
func (t *Ticket) Leave() {
	q := t.queue
	q.mu.Lock()
	defer q.mu.Unlock()
	if t.left {
		return
	}
	t.left = true
	if i := slices.Index(q.waiting, t); i >= 0 {
		q.waiting = slices.Delete(q.waiting, i, i+1)
		return
	}
	q.places++
	if q.running[t.in]--; q.running[t.in] == 0 {
		delete(q.running, t.in)
	}
	if q.groups[t.in.Group]--; q.groups[t.in.Group] == 0 {
		delete(q.groups, t.in.Group)
	}
	q.admit()
	if len(q.waiting) == 0 && len(q.running) == 0 {
		clear(q.last)
		clear(q.lastOf)
	}
}

// admit lets in whoever may begin: of those who may, one of the group whose turn was
// longest ago, and of that group the member whose turn was. The caller holds q.mu.
func (q *Queue) admit() {
	for q.places > 0 {
		next, as := -1, Member{}
		for i, t := range q.waiting {
			for _, m := range t.members {
				if q.running[m] > 0 || q.groups[m.Group] >= max(1, q.size/2) {
					continue
				}
				if next < 0 || cmp.Or(cmp.Compare(q.last[m.Group], q.last[as.Group]), cmp.Compare(q.lastOf[m], q.lastOf[as])) < 0 {
					next, as = i, m
				}
			}
		}
		if next < 0 {
			return
		}
		t := q.waiting[next]
		q.waiting = slices.Delete(q.waiting, next, next+1)
		q.turn++
		q.last[as.Group], q.lastOf[as] = q.turn, q.turn
		q.places--
		q.running[as]++
		q.groups[as.Group]++
		t.in = as
		close(t.ready)
	}
}
