package stream

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"
)

// Viewer names who is counted: a user, the subject of a token, an address.
type Viewer string

// Limits bound the streams of one viewer.
type Limits struct {
	Streams           int // open at once
	ConnectsPerMinute int // begun within any minute
}

// Times gives limits n times as wide, for viewers that stand for many people.
func (l Limits) Times(n int) Limits { return Limits{l.Streams * n, l.ConnectsPerMinute * n} }

// Refusal is why a stream was not let in.
type Refusal struct {
	Reason     string // "streams", "connects" or "server"
	Limit      int
	RetryAfter time.Duration
}

func (r *Refusal) Error() string {
	switch r.Reason {
	case "connects":
		return fmt.Sprintf("more than %d streams opened within a minute: wait and try again", r.Limit)
	case "server":
		return fmt.Sprintf("the server has %d streams open, and no room for more: try again", r.Limit)
	}
	return fmt.Sprintf("%d streams are open already: close one, then try again", r.Limit)
}

// retryWhenFull is when a refused viewer may try again: a place is freed at
// once when a stream is closed, so soon, but not in a tight loop.
const retryWhenFull = 5 * time.Second

// Entry is one open stream as the roster knows it.
type Entry struct {
	Viewer  Viewer
	Screen  string // random name of one screen; empty when the client gave none
	Session string // the session it was opened with; empty for tokens
	User    int64  // the user it was opened by; 0 for tokens
	KeyID   string // the signing secret of its token; empty for sessions
}

// Place is what a stream holds while it is open.
type Place struct {
	Entry
	roster *Roster
	cause  error       // why it was ended; nil while it goes on
	end    func(error) // ends the stream; nil before Bind
	left   bool
}

// Roster lists the open streams, bounds how many a viewer may have, and ends
// them. Its methods may be called by any number of goroutines.
type Roster struct {
	limits   Limits
	capacity int

	mu       sync.Mutex
	viewers  map[Viewer]*viewer
	draining bool
	empty    chan struct{} // closed when draining and the last stream is gone
	open     int
}

type viewer struct {
	places   map[*Place]struct{}
	connects []time.Time // of the last minute, oldest first
}

// NewRoster makes an empty roster for at most capacity streams.
func NewRoster(limits Limits, capacity int) *Roster {
	return &Roster{limits: limits, capacity: capacity, viewers: map[Viewer]*viewer{}, empty: make(chan struct{})}
}

// Enter lets a stream in, or gives a *Refusal. Bind says how it is ended, Leave
// frees its place. wider multiplies the limits.
//
// A stream of a screen that has one already takes its place, so that a network
// that changed does not lock its owner out.
func (r *Roster) Enter(e Entry, wider int) (*Place, error) {
	limits := r.limits.Times(wider)
	now := time.Now()
	r.mu.Lock()
	defer r.mu.Unlock()
	v := r.viewers[e.Viewer]
	if v == nil {
		v = &viewer{places: map[*Place]struct{}{}}
		r.viewers[e.Viewer] = v
	}
	for len(v.connects) > 0 && now.Sub(v.connects[0]) >= time.Minute {
		v.connects = v.connects[1:]
	}
	if len(v.connects) >= limits.ConnectsPerMinute {
		return nil, &Refusal{"connects", limits.ConnectsPerMinute, time.Minute - now.Sub(v.connects[0])}
	}
	if predecessor := v.screen(e.Screen); predecessor != nil {
		r.remove(predecessor, Replaced)
	} else if len(v.places) >= limits.Streams {
		return nil, &Refusal{"streams", limits.Streams, retryWhenFull}
	} else if r.open >= r.capacity {
		return nil, &Refusal{"server", r.capacity, retryWhenFull + rand.N(retryWhenFull)}
	}
	v.connects = append(v.connects, now)
	p := &Place{Entry: e, roster: r}
	v.places[p] = struct{}{}
	r.open++
	if r.draining {
		p.finish(errDraining)
	}
	return p, nil
}

var errDraining = errors.New("the server stops")

// Bind says how the stream is ended: with a [Goodbye], or another error to end it
// without a word. end is called once at most, must not wait, and is called at once
// if the stream was ended before.
func (p *Place) Bind(end func(why error)) {
	p.roster.mu.Lock()
	defer p.roster.mu.Unlock()
	p.end = end
	if p.cause != nil {
		end(p.cause)
	}
}

// Leave frees the place.
func (p *Place) Leave() {
	p.roster.mu.Lock()
	defer p.roster.mu.Unlock()
	p.roster.remove(p, context.Canceled)
}

// finish ends the stream. The caller holds the roster's lock.
func (p *Place) finish(why error) {
	if p.cause != nil {
		return
	}
	p.cause = why
	if p.end != nil {
		p.end(why)
	}
}

func (v *viewer) screen(name string) *Place {
	for p := range v.places {
		if name != "" && p.Screen == name {
			return p
		}
	}
	return nil
}

// remove frees a place, once, and ends its stream. The caller holds r.mu.
func (r *Roster) remove(p *Place, why error) {
	if p.left {
		return
	}
	p.left = true
	p.finish(why)
	delete(r.viewers[p.Viewer].places, p)
	r.open--
	if r.draining && r.open == 0 {
		close(r.empty)
	}
}

// EndWhere ends the streams that match, with a goodbye.
func (r *Roster) EndWhere(why Goodbye, match func(Entry) bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, v := range r.viewers {
		for p := range v.places {
			if match(p.Entry) {
				p.finish(why) // the place is freed by the stream itself, once it said goodbye
			}
		}
	}
}

// Entries lists the open streams.
func (r *Roster) Entries() []Entry {
	r.mu.Lock()
	defer r.mu.Unlock()
	var entries []Entry
	for _, v := range r.viewers {
		for p := range v.places {
			entries = append(entries, p.Entry)
		}
	}
	return entries
}

// Sweep forgets viewers that have no stream and opened none for a minute.
func (r *Roster) Sweep() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for name, v := range r.viewers {
		quiet := len(v.connects) == 0 || time.Since(v.connects[len(v.connects)-1]) >= time.Minute
		if len(v.places) == 0 && quiet {
			delete(r.viewers, name)
		}
	}
}

// Drain ends all streams and those that still come in, without a goodbye, for
// the server comes back and they may too. It returns when all are gone or ctx ends.
func (r *Roster) Drain(ctx context.Context) {
	r.mu.Lock()
	if !r.draining {
		r.draining = true
		if r.open == 0 {
			close(r.empty)
		}
	}
	for _, v := range r.viewers {
		for p := range v.places {
			p.finish(errDraining)
		}
	}
	r.mu.Unlock()
	select {
	case <-r.empty:
	case <-ctx.Done():
	}
}
