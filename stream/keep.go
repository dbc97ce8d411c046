package stream

import (
	"context"
	"errors"
	"time"

	"pulseboard/store"
)

const (
	// keepWait is how long a watched pool waits at a time until ids are on disk.
	keepWait = time.Second
	// pageWait is how long a page does, so that its id is that of what it shows. Pages show
	// what was read even if it is not on disk: who only reads does not wait for who writes.
	pageWait = 150 * time.Millisecond
	// keepAgain is when to try again after ids could not be written.
	keepAgain = 2 * time.Second
)

// keep writes what is known of the newest rendition to disk and then releases it to watchers.
// So a watcher that comes back finds its cursor known, whatever was killed meanwhile.
func (p *Pool) keep(ctx context.Context) error {
	select {
	case p.keeping <- struct{}{}:
	case <-ctx.Done():
		return ctx.Err()
	}
	defer func() { <-p.keeping }()
	r := p.current.Load()
	if int64(r.id()) > p.kept.Load() {
		if err := p.hub.source.SaveViewState(ctx, p.view.Tenant, p.key.view, *p.owner.Load(), r.state); err != nil {
			p.keepAfter.Store(p.hub.uptime() + int64(keepAgain))
			return err
		}
		p.kept.Store(int64(r.id()))
	}
	p.keepAfter.Store(0)
	if was := p.released.Load(); was == nil || r.id() > was.id() {
		p.released.Store(r)
	}
	return nil
}

// keepSoon keeps the newest rendition if there are watchers to release it to, unless that takes
// too long. What fails is tried again by the pool's loop.
func (p *Pool) keepSoon(ctx context.Context, wait time.Duration) {
	if p.untilKept() > 0 {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	if err := p.keep(ctx); err != nil && !errors.Is(err, context.Canceled) && (wait == keepWait || !errors.Is(err, context.DeadlineExceeded)) {
		p.logUnkept(err)
	}
}

// untilKept is the time until the newest rendition may be kept, longestWait if it is.
func (p *Pool) untilKept() time.Duration {
	if r := p.current.Load(); !p.durable.Load() || r == p.released.Load() && int64(r.id()) <= p.kept.Load() {
		return longestWait
	}
	return max(0, time.Duration(p.keepAfter.Load()-p.hub.uptime()))
}

// begin makes the pool's ids durable because owner is about to watch. If the store is held by
// somebody else, the stream begins all the same: with ids that are known to this process
// alone, so that a reader that comes back to another gets a snapshot.
func (p *Pool) begin(ctx context.Context, owner store.ViewOwner) {
	p.owner.CompareAndSwap(nil, &owner)
	p.durable.Store(true)
	p.keepSoon(ctx, keepWait)
}

func (p *Pool) logUnkept(err error) {
	p.hub.log.Warn("the ids of a view could not be kept; trying again", "view", p.key.view, "error", err)
}
