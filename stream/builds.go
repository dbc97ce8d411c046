package stream

import (
	"context"
	"runtime"
	"slices"
	"strconv"
	"time"

	"pulseboard/stream/turns"
)

// buildsAtOnce is how many views are read from the beginning at the same time. A few are
// enough to use the machine, and each takes memory that is not a view's yet.
const buildsAtOnce = 4

// buildPatience is how long a view waits for its turn to be read from the beginning.
const buildPatience = time.Minute

// buildFor is for whom a view of the pool is read from the beginning.
func (p *Pool) buildFor(key QuotaKey) turns.Member {
	return turns.Member{Group: strconv.FormatInt(int64(p.view.Tenant), 10), Name: string(key)}
}

// enterBuild waits until the view may be read from the beginning, which may take seconds. leave
// ends that. What the hub refreshes by itself, for those who watch already, does not wait.
func (p *Pool) enterBuild(ctx context.Context, f *flight) (leave func(), err error) {
	if p.isFor(f, "") {
		return func() {}, nil
	}
	p.flightMu.Lock()
	f.ticket = p.hub.builds.Ask(p.buildFor(f.keys[0]))
	for _, key := range f.keys[1:] {
		f.ticket.Also(p.buildFor(key))
	}
	ticket := f.ticket
	p.flightMu.Unlock()
	ctx, cancel := context.WithTimeoutCause(ctx, buildPatience, &Refusal{Reason: "server", Limit: buildsAtOnce, RetryAfter: retryWhenCrowded})
	defer cancel()
	if err := ticket.Wait(ctx); err != nil {
		return nil, err
	}
	return ticket.Leave, nil
}

// buildFreely is how long a build may work without rests while somebody watches.
const buildFreely = 250 * time.Millisecond

// giveWay returns a function for one build to call now and then. It waits as long as screens are
// being brought up to date, so that whoever watches gets updates as soon as if nobody looked at
// anything new; and a long build rests as long as it works, which leaves the collector and the
// screens their part of the machine. A build that a screen waits for does neither.
func (p *Pool) giveWay(f *flight) func() {
	began, waited := time.Now(), time.Duration(0)
	return func() {
		runtime.Gosched() // whatever else can go on does, and not only after a time slice
		worked := time.Since(began) - waited
		rests := worked > buildFreely && p.hub.anybodyWatches()
		for (rests || p.hub.busy()) && waited < worked && !p.isFor(f, "") {
			time.Sleep(time.Millisecond)
			waited += time.Millisecond
		}
	}
}

// anybodyWatches reports whether any stream is open.
func (h *Hub) anybodyWatches() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.watched > 0
}

func (p *Pool) isFor(f *flight, key QuotaKey) bool {
	p.flightMu.Lock()
	defer p.flightMu.Unlock()
	return slices.Contains(f.keys, key)
}

// busy reports whether screens are being brought up to date.
func (h *Hub) busy() bool {
	return h.urgent.Load() > 0 || h.writers != nil && h.writers.Writing()
}
