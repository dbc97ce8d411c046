package stream

import (
	"context"
	"fmt"
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
	Reason     string // "streams" or "connects"
	Limit      int
	RetryAfter time.Duration
}

func (r *Refusal) Error() string {
	if r.Reason == "connects" {
		return fmt.Sprintf("more than %d streams opened within a minute: wait and try again", r.Limit)
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

	end context.CancelCauseFunc
}

// Roster lists the open streams, bounds how many a viewer may have, and ends
// them. Its methods may be called by any number of goroutines.
type Roster struct {
	limits Limits

	mu       sync.Mutex
	viewers  map[Viewer]*viewer
	draining bool
	empty    chan struct{} // closed when draining and the last stream is gone
	open     int
}

type viewer struct {
	entries  map[*Entry]struct{}
	connects []time.Time // of the last minute, oldest first
}

// NewRoster makes an empty roster.
func NewRoster(limits Limits) *Roster {
	return &Roster{limits: limits, viewers: map[Viewer]*viewer{}, empty: make(chan struct{})}
}

// Enter lets a stream in, or gives a *Refusal. The context it returns is
// cancelled when the roster ends the stream, with a [Goodbye] as its cause; leave
// frees the place. wider multiplies the limits.
//
// A stream of a screen that has one already takes its place, so that a network
// that changed does not lock its owner out.
func (r *Roster) Enter(ctx context.Context, e Entry, wider int) (_ context.Context, leave func(), _ error) {
	limits := r.limits.Times(wider)
	now := time.Now()
	r.mu.Lock()
	defer r.mu.Unlock()
	v := r.viewers[e.Viewer]
	if v == nil {
		v = &viewer{entries: map[*Entry]struct{}{}}
		r.viewers[e.Viewer] = v
	}
	for len(v.connects) > 0 && now.Sub(v.connects[0]) >= time.Minute {
		v.connects = v.connects[1:]
	}
	if len(v.connects) >= limits.ConnectsPerMinute {
		return nil, nil, &Refusal{"connects", limits.ConnectsPerMinute, time.Minute - now.Sub(v.connects[0])}
	}
	if predecessor := v.screen(e.Screen); predecessor != nil {
		r.remove(predecessor, Replaced)
	} else if len(v.entries) >= limits.Streams {
		return nil, nil, &Refusal{"streams", limits.Streams, retryWhenFull}
	}
	v.connects = append(v.connects, now)
	ctx, e.end = context.WithCancelCause(ctx)
	v.entries[&e] = struct{}{}
	r.open++
	if r.draining {
		e.end(context.Canceled)
	}
	return ctx, func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.remove(&e, context.Canceled)
	}, nil
}

func (v *viewer) screen(name string) *Entry {
	for e := range v.entries {
		if name != "" && e.Screen == name {
			return e
		}
	}
	return nil
}

// remove frees an entry's place, once, and ends its stream. The caller holds r.mu.
func (r *Roster) remove(e *Entry, cause error) {
	e.end(cause)
	v := r.viewers[e.Viewer]
	if v == nil {
		return
	}
	if _, open := v.entries[e]; !open {
		return
	}
	delete(v.entries, e)
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
		for e := range v.entries {
			if match(*e) {
				e.end(why) // the place is freed by the stream itself, once it said goodbye
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
		for e := range v.entries {
			entries = append(entries, *e)
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
		if len(v.entries) == 0 && quiet {
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
		for e := range v.entries {
			e.end(context.Canceled)
		}
	}
	r.mu.Unlock()
	select {
	case <-r.empty:
	case <-ctx.Done():
	}
}
