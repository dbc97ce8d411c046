package stream

import (
	"sync/atomic"
	"time"

	"pulseboard/store"
	"pulseboard/stream/chain"
	"pulseboard/stream/wire"
)

// lane is the watchers of a pool that get updates at the same pace. They get them
// at the same moments too, so that what one gets, all get. Its fields are guarded
// by Pool.lanesMu, but for what says otherwise.
type lane struct {
	interval time.Duration // the least time between two updates
	group    *wire.Group   // of the watchers whose connections the writers own
	tracks   [formats]track
	watchers map[*Watcher]struct{}
	sent     time.Time // when the last update went out
}

// track is what the watchers of a lane get in one format.
type track struct {
	watchers int
	chain    chain.Chain
	state    store.Seq            // of those who got all turns
	turn     atomic.Pointer[turn] // the newest; read by anybody
}

// turn is one thing that all watchers of a track get. It never changes.
type turn struct {
	n         int64        // turns of a track are numbered without gaps
	rendition *rendition   // that the watchers have after it
	from      store.Seq    // the state an update leads from
	update    bool         // the frame holds an update
	beat      bool         // the frame holds a heartbeat
	frame     *chain.Frame // for those who got all turns before
	heartbeat []byte       // for others, when it is a beat
}

func newLane(p *Pool, interval time.Duration, now *rendition) *lane {
	l := &lane{interval: interval, watchers: map[*Watcher]struct{}{}}
	if p.hub.writers != nil {
		l.group = p.hub.writers.NewGroup()
	}
	for f := range l.tracks {
		l.tracks[f].state = now.id()
		l.tracks[f].turn.Store(&turn{rendition: now})
	}
	return l
}

func (l *lane) empty() bool {
	for f := range l.tracks {
		if l.tracks[f].watchers > 0 {
			return false
		}
	}
	return true
}

// due says when the lane may send another update.
func (l *lane) due() time.Time { return l.sent.Add(l.interval) }

// lags says whether a rendition is newer than what the lane's watchers have.
func (l *lane) lags(r *rendition) bool {
	for f := range l.tracks {
		if t := &l.tracks[f]; t.watchers > 0 && t.turn.Load().rendition != r {
			return true
		}
	}
	return false
}

// advance gives the lane's watchers a rendition, unless it is nil, and a
// heartbeat, unless that is. It says whether an update was in it.
func (l *lane) advance(r *rendition, heartbeat []byte) (updated bool) {
	woken := false
	for f := range l.tracks {
		t := &l.tracks[f]
		if t.watchers == 0 {
			continue
		}
		changed, update := t.advance(r, Format(f), heartbeat)
		woken, updated = woken || changed, updated || update
	}
	if woken {
		l.wake()
	}
	return updated
}

func (t *track) advance(r *rendition, format Format, heartbeat []byte) (changed, updated bool) {
	was := t.turn.Load()
	is := &turn{n: was.n + 1, rendition: was.rendition, beat: heartbeat != nil, heartbeat: heartbeat, from: t.state}
	var plain []byte
	if r != nil && r != was.rendition {
		is.rendition = r
		if f := r.frame(t.state, format); f != nil {
			is.update, plain, t.state = true, f.Plain, r.id()
		} else if !is.beat {
			// The format shows no difference, so there is nothing to send.
			same := *was
			same.rendition = r
			t.turn.Store(&same)
			return false, false
		}
	}
	if plain == nil && !is.beat {
		return false, false
	}
	is.frame = t.chain.Add(append(plain[:len(plain):len(plain)], heartbeat...))
	t.turn.Store(is)
	return true, is.update
}

func (l *lane) wake() {
	if l.group != nil {
		l.group.Wake()
	}
	for w := range l.watchers {
		w.notify()
	}
}
