package stream

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"pulseboard/store"
)

// QuotaKey names what limits are counted for: a user, the subject of a token, an address.
type QuotaKey string

// owner returns the name under which what is kept of views is counted.
func (k QuotaKey) owner() store.ViewOwner {
	sum := sha256.Sum256([]byte(k))
	return store.ViewOwner(base64.RawURLEncoding.EncodeToString(sum[:9]))
}

// Limits bound what is open for one key.
type Limits struct {
	Streams           int // open at once
	ConnectsPerMinute int // begun within any minute
	ViewsPerMinute    int // opened that nobody had open: other ranges, other variables
}

// Times returns limits of streams n times as wide, for keys that stand for many people. They
// look at the same views.
func (l Limits) Times(n int) Limits {
	return Limits{l.Streams * n, l.ConnectsPerMinute * n, l.ViewsPerMinute}
}

// Refusal is why a stream or a view was not let in.
type Refusal struct {
	Reason     string // "streams", "watched", "connects", "views", "server" or "memory"
	Limit      int
	RetryAfter time.Duration
}

// Error says what is full, and what would make room.
func (r *Refusal) Error() string {
	switch r.Reason {
	case "connects":
		return fmt.Sprintf("more than %d streams opened within a minute: wait and try again", r.Limit)
	case "watched":
		return fmt.Sprintf("streams of %d different ranges or filters are open already: close one, then try again", r.Limit)
	case "views":
		return fmt.Sprintf("more than %d ranges or filters looked at within a minute: wait and try again", r.Limit)
	case "memory":
		return fmt.Sprintf("there is no room for another view in the %d MiB of --view-memory: look at a shorter range, or try again", r.Limit)
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
	Key     QuotaKey
	View    string // what it shows
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

// Roster lists the open streams, bounds how many a key may have, and ends
// them. Its methods may be called by any number of goroutines.
type Roster struct {
	limits   Limits
	capacity int

	mu       sync.Mutex
	quotas   map[QuotaKey]*quota
	draining bool
	empty    chan struct{} // closed when draining and the last stream is gone
	open     int
}

// quota is what one key has used of its limits.
type quota struct {
	places   map[*Place]struct{}
	connects []time.Time // of the last minute, oldest first
	views    *rate.Limiter
}

// quota returns what a key has used. The caller holds r.mu.
func (r *Roster) quota(key QuotaKey) *quota {
	q := r.quotas[key]
	if q == nil {
		q = &quota{places: map[*Place]struct{}{}, views: rate.NewLimiter(rate.Limit(float64(r.limits.ViewsPerMinute)/60), r.limits.ViewsPerMinute)}
		r.quotas[key] = q
	}
	return q
}

// viewsWatched is how many different views a key may watch, in times of the streams of one user:
// keys that stand for many people have more streams, but people look at the same views.
const viewsWatched = 2

// watches counts the views, other than one, that the key's streams show.
func (q *quota) watches(but string) int {
	views := map[string]bool{}
	for p := range q.places {
		if p.View == but {
			return 0 // it is one of those already
		}
		views[p.View] = true
	}
	return len(views)
}

// AdmitView counts a view that is opened for these keys and that nobody had open, or returns a
// *Refusal.
func (r *Roster) AdmitView(keys ...QuotaKey) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	var reserved []*rate.Reservation
	for _, key := range keys {
		limiter := r.quota(key).views
		reservation := limiter.Reserve()
		reserved = append(reserved, reservation)
		if wait := reservation.Delay(); !reservation.OK() || wait > 0 {
			for _, taken := range reserved { // what is refused costs nothing
				taken.Cancel()
			}
			return &Refusal{"views", limiter.Burst(), wait}
		}
	}
	return nil
}

// NewRoster makes an empty roster for at most capacity streams.
func NewRoster(limits Limits, capacity int) *Roster {
	return &Roster{limits: limits, capacity: capacity, quotas: map[QuotaKey]*quota{}, empty: make(chan struct{})}
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
	v := r.quota(e.Key)
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
	} else if most := viewsWatched * r.limits.Streams; v.watches(e.View) >= most {
		return nil, &Refusal{"watched", most, retryWhenFull}
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

func (q *quota) screen(name string) *Place {
	for p := range q.places {
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
	delete(r.quotas[p.Key].places, p)
	r.open--
	if r.draining && r.open == 0 {
		close(r.empty)
	}
}

// EndWhere ends the streams that match, with a goodbye.
func (r *Roster) EndWhere(why Goodbye, match func(Entry) bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, v := range r.quotas {
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
	for _, v := range r.quotas {
		for p := range v.places {
			entries = append(entries, p.Entry)
		}
	}
	return entries
}

// Sweep forgets keys that have no stream and opened nothing for a minute.
func (r *Roster) Sweep() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for name, v := range r.quotas {
		quiet := v.views.Tokens() >= float64(v.views.Burst()) && (len(v.connects) == 0 || time.Since(v.connects[len(v.connects)-1]) >= time.Minute)
		if len(v.places) == 0 && quiet {
			delete(r.quotas, name)
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
	for _, v := range r.quotas {
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
