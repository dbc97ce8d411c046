package stream

import (
	"context"
	"errors"
	"time"

	"pulseboard/store"
)

// join makes a watcher one of the pool's. The first of a lane sets its pace: what
// a stream begins with counts as an update. Who joins later takes the lane's pace
// as it is.
func (p *Pool) join(w *Watcher, interval time.Duration) {
	p.lanesMu.Lock()
	defer p.lanesMu.Unlock()
	now, r := time.Now(), p.released.Load()
	if len(p.watchers) == 0 {
		ctx, cancel := context.WithCancel(p.hub.life)
		p.stop = cancel
		p.nextBeat = now.Add(p.hub.heartbeat)
		p.news.Store(0)
		p.unsent.Store(0)
		p.hub.work.Go(func() { p.run(ctx) })
		p.hub.noteWatched(p, 1)
	}
	l := p.lanes[interval]
	if l == nil {
		l = newLane(p, interval, r)
		p.lanes[interval] = l
		if r.frame(r.resume(w.cursor), w.format) != nil {
			l.sent = now
		}
	}
	w.lane, w.track = l, &l.tracks[w.format]
	w.track.watchers++
	p.watchers[w] = struct{}{}
	p.durable.Store(true) // again, if the last watcher left since begin
	p.watching.Add(1)
	p.hub.telemetry.Streams.Inc()
}

// listen makes the pool notify the watcher of turns.
func (p *Pool) listen(w *Watcher) {
	p.lanesMu.Lock()
	defer p.lanesMu.Unlock()
	w.lane.watchers[w] = struct{}{}
}

func (p *Pool) leave(w *Watcher) {
	p.lanesMu.Lock()
	defer p.lanesMu.Unlock()
	if _, open := p.watchers[w]; !open {
		return
	}
	delete(p.watchers, w)
	delete(w.lane.watchers, w)
	w.track.watchers--
	if w.lane.empty() {
		delete(p.lanes, w.lane.interval)
	}
	p.watching.Add(-1)
	p.hub.telemetry.Streams.Dec()
	if len(p.watchers) == 0 {
		p.stop()
		p.hub.noteWatched(p, -1)
		p.durable.Store(false)
	}
}

// endAll makes every stream of the pool say goodbye.
func (p *Pool) endAll(why Goodbye) {
	p.lanesMu.Lock()
	defer p.lanesMu.Unlock()
	for w := range p.watchers {
		w.End(why)
	}
}

// run does what is due, while somebody watches.
func (p *Pool) run(ctx context.Context) {
	for ctx.Err() == nil {
		p.refreshIfDue(ctx)
		p.keepSoon(ctx, keepWait)
		timer := time.NewTimer(p.advance())
		select {
		case <-ctx.Done():
		case <-p.woken:
		case <-timer.C:
		}
		timer.Stop()
	}
}

// refreshIfDue refreshes the pool when there is something new for a lane that may
// send: so a view is recomputed at most once in the shortest cadence that it is
// watched at, and what goes out is as new as can be.
func (p *Pool) refreshIfDue(ctx context.Context) {
	if !p.isStale() || p.untilDue() > 0 {
		return
	}
	p.hub.urgent.Add(1)
	err := p.Refresh(ctx, "")
	p.hub.urgent.Add(-1)
	if err == nil || ctx.Err() != nil {
		return
	}
	p.lanesMu.Lock()
	p.retryAt = time.Now().Add(max(time.Second, p.hub.cycle))
	p.lanesMu.Unlock()
	if !errors.Is(err, store.ErrNotFound) {
		p.hub.log.Error("refresh failed; trying again", "view", p.key.view, "error", err)
	}
}

func (p *Pool) isStale() bool {
	window, err := p.view.Range.Window(p.hub.wall())
	return err == nil && p.stale(p.hub.head(p.view.Tenant), window)
}

// untilDue is the time until some lane may send.
func (p *Pool) untilDue() time.Duration {
	p.lanesMu.Lock()
	defer p.lanesMu.Unlock()
	now := time.Now()
	least := longestWait // without lanes
	for _, l := range p.lanes {
		least = min(least, l.due().Sub(now))
	}
	return max(least, p.retryAt.Sub(now))
}

// advance gives each lane that is due the current rendition, and all of them a
// heartbeat when it is time. It gives the time until something is due again.
func (p *Pool) advance() time.Duration {
	p.lanesMu.Lock()
	defer p.lanesMu.Unlock()
	now, r := time.Now(), p.released.Load()
	var beat []byte
	if !now.Before(p.nextBeat) {
		beat = appendHeartbeat(nil, p.hub.wall())
		p.nextBeat = p.nextBeat.Add(p.hub.heartbeat)
		if p.nextBeat.Before(now) { // the machine slept
			p.nextBeat = now.Add(p.hub.heartbeat)
		}
	}
	stale := p.isStale()
	wait := min(p.untilNextStep(), p.nextBeat.Sub(now), p.untilKept())
	for _, l := range p.lanes {
		var update *rendition
		if l.lags(r) && !now.Before(l.due()) {
			update = r
		}
		if (update != nil || beat != nil) && l.advance(update, beat) {
			l.sent = now
			p.observeWait()
		}
		if l.lags(r) {
			wait = min(wait, l.due().Sub(now))
		}
		if stale {
			wait = min(wait, max(l.due().Sub(now), p.retryAt.Sub(now)))
		}
	}
	return max(wait, 0)
}

// observeWait observes how long the oldest event of an update waited for it.
func (p *Pool) observeWait() {
	if since := p.unsent.Swap(0); since != 0 {
		p.hub.telemetry.EventToFragment.Observe(time.Duration(p.hub.uptime() - since).Seconds())
	}
}

// longestWait bounds a sleep, for a clock that is set forward does not shorten a
// sleep that has begun.
const longestWait = 15 * time.Second

// untilNextStep is the time until a window that moves begins another step.
func (p *Pool) untilNextStep() time.Duration {
	read := p.read.Load()
	if !p.view.Range.Moves() || read == nil || read.window.Step == 0 {
		return longestWait
	}
	now, step := p.hub.wall(), read.window.Step
	next := time.Unix(now.Unix()-now.Unix()%step+step, 0)
	return min(next.Sub(now), longestWait)
}
