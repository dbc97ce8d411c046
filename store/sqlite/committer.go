package sqlite

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"pulseboard/store"
)

const (
	// maxTogether is how many events are kept in one transaction, if the first
	// request alone has not more.
	maxTogether = 10_000
	// maxWaiting bounds the events of one tenant that wait to be kept, however many
	// requests they came in, and maxWaitingAll those of all tenants.
	maxWaiting    = 4 * store.MaxBatch
	maxWaitingAll = 4 * maxWaiting
)

var errClosed = errors.New("the store is closed")

// committer keeps batches of events. Those that arrive while a transaction goes to
// the disk share the next one, and the tenants among them take turns, so that one
// who sends much makes none of the others wait for more than a transaction.
//
// One goroutine keeps; any number may ask it to.
type committer struct {
	// keep begins a transaction and keeps what take returns, all or none of it. Its errors
	// are those of package store.
	keep func(ctx context.Context, take func() []*batch) error
	wait time.Duration // how long a batch waits to be kept

	mu      sync.Mutex
	waiting map[store.TenantID][]*batch // no queue is empty
	turns   []store.TenantID            // those with waiting batches, each once, the next first
	events  map[store.TenantID]int      // that wait
	all     int                         // events that wait
	closed  bool                        // no batch is taken any more
	signal  chan struct{}
	done    chan struct{}
}

// batch is what one request asked to keep, and what became of it.
type batch struct {
	tenant   store.TenantID
	events   []store.Event
	received time.Time
	asked    time.Time // when it began to wait

	result store.Recorded
	err    error
	done   chan struct{} // closed when result and err are there
}

func newCommitter(wait time.Duration, keep func(context.Context, func() []*batch) error) *committer {
	c := &committer{
		keep:    keep,
		wait:    wait,
		waiting: map[store.TenantID][]*batch{},
		events:  map[store.TenantID]int{},
		signal:  make(chan struct{}, 1),
		done:    make(chan struct{}),
	}
	go c.run()
	return c
}

// close ends the committer after what waits is kept.
func (c *committer) close() {
	c.mu.Lock()
	c.closed = true
	c.mu.Unlock()
	c.wake()
	<-c.done
}

func (c *committer) wake() {
	select {
	case c.signal <- struct{}{}:
	default:
	}
}

// record keeps a batch with others and returns when it is on disk. A ctx that ends
// takes the batch back if its transaction has not begun.
func (c *committer) record(ctx context.Context, b *batch) (store.Recorded, error) {
	b.asked, b.done = time.Now(), make(chan struct{})
	if err := c.add(b); err != nil {
		return store.Recorded{}, err
	}
	c.wake()
	select {
	case <-b.done:
	case <-ctx.Done():
		if c.takeBack(b) {
			return store.Recorded{}, ctx.Err()
		}
		<-b.done
	}
	return b.result, b.err
}

func (c *committer) add(b *batch) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	n := len(b.events)
	switch {
	case c.closed:
		return errClosed
	case c.events[b.tenant] > 0 && c.events[b.tenant]+n > maxWaiting, c.all > 0 && c.all+n > maxWaitingAll:
		return fmt.Errorf("%w: %d events of the tenant and %d of all wait", store.ErrOverloaded, c.events[b.tenant], c.all)
	}
	if len(c.waiting[b.tenant]) == 0 {
		c.turns = append(c.turns, b.tenant)
	}
	c.waiting[b.tenant] = append(c.waiting[b.tenant], b)
	c.events[b.tenant] += n
	c.all += n
	return nil
}

// takeBack removes a batch that still waits, and says whether it did.
func (c *committer) takeBack(b *batch) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	i := slices.Index(c.waiting[b.tenant], b)
	if i >= 0 {
		c.remove(b.tenant, i)
	}
	return i >= 0
}

// remove takes a batch out of its tenant's queue. With the last one the tenant leaves
// the line, so that the next batch that it adds stands behind those who wait. The caller
// holds c.mu.
func (c *committer) remove(tenant store.TenantID, i int) *batch {
	queue := c.waiting[tenant]
	b := queue[i]
	c.all -= len(b.events)
	if len(queue) == 1 {
		delete(c.waiting, tenant)
		delete(c.events, tenant)
		at := slices.Index(c.turns, tenant)
		c.turns = slices.Delete(c.turns, at, at+1)
		return b
	}
	if i == 0 { // as nearly always: then the others need not move up
		queue[0] = nil
		c.waiting[tenant] = queue[1:]
	} else {
		c.waiting[tenant] = slices.Delete(queue, i, i+1)
	}
	c.events[tenant] -= len(b.events)
	return b
}

// take gives the batches of a transaction, one of each tenant in turn.
func (c *committer) take() (batches []*batch) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for n := 0; len(c.turns) > 0; {
		tenant := c.turns[0]
		if n += len(c.waiting[tenant][0].events); len(batches) > 0 && n > maxTogether {
			break
		}
		batches = append(batches, c.remove(tenant, 0))
		if len(c.waiting[tenant]) > 0 {
			c.turns = append(c.turns[1:], tenant)
		}
	}
	return batches
}

// oldest gives when the batch that waits longest began to; ok is false when none waits.
func (c *committer) oldest() (asked time.Time, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, queue := range c.waiting {
		if !ok || queue[0].asked.Before(asked) {
			asked, ok = queue[0].asked, true
		}
	}
	return asked, ok
}

func (c *committer) run() {
	defer close(c.done)
	for {
		asked, some := c.oldest()
		if some {
			c.keepSome(asked.Add(c.wait))
			continue
		}
		c.mu.Lock()
		closed := c.closed
		c.mu.Unlock()
		if closed {
			return
		}
		<-c.signal
	}
}

// keepSome waits for its turn to write, until a moment, and then keeps some of what
// waits by then: together or, where one batch can't be kept, each alone, so that none
// fails for another.
func (c *committer) keepSome(deadline time.Time) {
	ctx, cancel := context.WithDeadline(context.Background(), deadline)
	defer cancel()
	var batches []*batch
	err := c.keep(ctx, func() []*batch {
		batches = c.take()
		return batches
	})
	switch {
	case len(batches) > 0 || err == nil:
	case isAny(err, context.DeadlineExceeded, store.ErrBusy): // its turn did not come
		batches = c.expired(time.Now().Add(-c.wait))
		err = fmt.Errorf("%w: no turn to write within %s", store.ErrBusy, c.wait)
	default:
		batches = c.take()
	}
	alone := err != nil && len(batches) > 1 && !isAny(err, store.ErrBusy, store.ErrFull)
	for _, b := range batches {
		if b.err = err; alone {
			b.err = c.keep(context.Background(), func() []*batch { return []*batch{b} })
		}
		if alone && isAny(b.err, store.ErrBusy) {
			err, alone = b.err, false // those that are left don't wait for the same lock one after the other
		}
		close(b.done)
	}
}

// expired takes the batches that began to wait before a moment.
func (c *committer) expired(before time.Time) (batches []*batch) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, tenant := range slices.Clone(c.turns) {
		for len(c.waiting[tenant]) > 0 && !c.waiting[tenant][0].asked.After(before) {
			batches = append(batches, c.remove(tenant, 0))
		}
	}
	return batches
}

func isAny(err error, of ...error) bool {
	return slices.ContainsFunc(of, func(one error) bool { return errors.Is(err, one) })
}
