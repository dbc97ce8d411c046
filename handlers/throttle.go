package handlers

import (
	"context"
	"net/netip"
	"slices"
	"sync"
	"time"

	"pulseboard/store"
)

// Ten tries in a row are what a person who forgot a password makes; after that,
// one in 15 s makes guessing hopeless and locks nobody out for long. Many people
// may share a client address, but few of them fail at the same time.
const (
	accountBurst = 10
	accountEvery = 15 * time.Second
	addressBurst = 50
	addressEvery = 3 * time.Second
)

const (
	// crowdPatience is how long an attempt waits while only undecided ones stand in
	// its way: the passwords of those before it are checked in that time.
	crowdPatience = 4 * time.Second
	// crowdWaiting bounds the attempts that wait so; a network has at most half.
	crowdWaiting = 256
	// ownPatience and ownWaiting are the same for a known network's own count. By
	// then the attempt is refused to all appearance, and a wrong password must
	// be found out before the refusal is sent: see throttledTakes.
	ownPatience = throttledTakes / 2
	ownWaiting  = 64
)

// loginThrottle slows down the guessing of passwords. It promises:
//
//   - Only failures count. An attempt that is not decided yet holds its place, so
//     that guesses made at once are no more than guesses made one after another;
//     success gives the place back. An attempt that only undecided ones stand in the
//     way of waits for them, first come, first served: see crowdPatience.
//   - Failures count for the account, by its normalised e-mail address, and for
//     the client's network: accountBurst and addressBurst in a row, then one each
//     accountEvery and addressEvery. What is no e-mail address counts for the network only.
//   - Nobody is locked out by others where they signed in before. A browser that has
//     signed in to the account, known by its cookie, and a network that has, known by
//     the store, have counts of their own to fall back on while the account or the
//     network waits.
//   - Answers tell nothing. Whether there is such an account makes no difference,
//     and of a known network a wrong password is answered like any attempt that has
//     to wait. Only the browser that holds the cookie is told that it was wrong.
//   - Its memory is 2.4 MB and what a bounded number of attempts that wait take,
//     whatever is sent and by however many, and it forgets no failure before its
//     time: see failureSketch.
type loginThrottle struct {
	mu        sync.Mutex
	accounts  *failureSketch
	addresses *failureSketch
	known     *failureSketch // browsers and networks that have signed in to the account

	crowd *loginLine // of attempts that undecided ones stand in the way of
	own   *loginLine // of attempts that fall back on their network's own count
}

func newLoginThrottle() *loginThrottle {
	return &loginThrottle{
		accounts:  newFailureSketch(accountBurst, accountEvery),
		addresses: newFailureSketch(addressBurst, addressEvery),
		known:     newFailureSketch(accountBurst, accountEvery),
		crowd:     &loginLine{patience: crowdPatience, room: newBudget(crowdWaiting)},
		own:       &loginLine{patience: ownPatience, room: newBudget(ownWaiting)},
	}
}

// signInOrigin is from where an attempt to sign in comes.
type signInOrigin struct {
	email   store.Email // of the account; empty for what is no e-mail address
	network netip.Prefix

	// What has signed in to the account before.
	browser      string // names the browser; empty when it has not
	knownNetwork bool
}

// loginAttempt is one attempt to sign in. It has to be ended.
type loginAttempt struct {
	throttle *loginThrottle
	held     []heldPlace
	// refusal is what the attempt would have been told if its network did not have
	// a count of its own; a failure is answered with it. It is zero otherwise.
	refusal loginRefusal
}

// loginRefusal is what an attempt is told that has to come again later.
type loginRefusal struct {
	wait time.Duration // at least a second
	at   time.Time     // when the attempt was refused
}

type heldPlace struct {
	sketch *failureSketch
	cells  failureCells
}

// begin lets an attempt be made, when need be after others are decided, or returns
// nil and the refusal. The error is that of ctx when it ends first.
func (t *loginThrottle) begin(ctx context.Context, o signInOrigin) (*loginAttempt, loginRefusal, error) {
	network := o.network.String()
	shared := []heldPlace{t.place(t.addresses, network)}
	if o.email != "" {
		shared = append(shared, t.place(t.accounts, string(o.email)))
	}
	choices := [][]heldPlace{shared}
	if o.email != "" && o.browser != "" {
		choices = append(choices, []heldPlace{t.place(t.known, "browser "+o.browser+" "+string(o.email))})
	}
	attempt, wait, err := t.enter(ctx, t.crowd, network, choices)
	if attempt != nil || err != nil {
		return attempt, loginRefusal{}, err
	}
	refusal := loginRefusal{wait, time.Now()}
	if o.email == "" || !o.knownNetwork {
		return nil, refusal, nil
	}
	own := []heldPlace{t.place(t.known, "network "+network+" "+string(o.email))}
	attempt, _, err = t.enter(ctx, t.own, network, [][]heldPlace{own})
	if attempt != nil {
		attempt.refusal = refusal
	}
	return attempt, refusal, err
}

func (t *loginThrottle) place(s *failureSketch, key string) heldPlace {
	return heldPlace{s, s.cells(key)}
}

// enter takes the first of the choices that has room, and waits in the line while
// undecided attempts take up the room. It returns nil and how long to stay away when
// failures take it up, the line is full, or its patience ends.
func (t *loginThrottle) enter(ctx context.Context, line *loginLine, network string, choices [][]heldPlace) (*loginAttempt, time.Duration, error) {
	w := &waitingAttempt{choices: choices, decided: make(chan struct{})}
	place := line.room.share(network)
	defer place.release()
	t.mu.Lock()
	defer t.mu.Unlock()
	t.decideWaiting() // failures that were forgiven since make room for those who came first
	if !t.decide(w) && place.add(1) {
		line.waiting = append(line.waiting, w)
		t.mu.Unlock()
		w.await(ctx, line.patience)
		t.mu.Lock()
		t.decideWaiting()
		line.leave(w)
	}
	if err := ctx.Err(); err != nil {
		if w.attempt != nil {
			t.end(w.attempt, false)
		}
		return nil, 0, err
	}
	if w.attempt != nil {
		return w.attempt, 0, nil
	}
	wait, _ := roomIn(choices[0])
	return nil, max(time.Second, wait), nil
}

// decide reports whether a waiting attempt need not wait any longer: it has its
// places, or failures stand in its way.
func (t *loginThrottle) decide(w *waitingAttempt) bool {
	refused := true
	for _, places := range w.choices {
		wait, full := roomIn(places)
		if !full {
			w.attempt = t.hold(places)
			return true
		}
		refused = refused && wait > 0
	}
	return refused
}

// decideWaiting decides the waiting attempts that can be, the oldest first.
func (t *loginThrottle) decideWaiting() {
	for _, line := range []*loginLine{t.crowd, t.own} {
		line.waiting = slices.DeleteFunc(line.waiting, func(w *waitingAttempt) bool {
			if !t.decide(w) {
				return false
			}
			close(w.decided)
			return true
		})
	}
}

// roomIn returns the longest wait that failures impose at any of the places, and
// whether any is full, of failures or of attempts that are not decided.
func roomIn(places []heldPlace) (wait time.Duration, full bool) {
	for _, p := range places {
		w, f := p.sketch.room(p.cells)
		wait, full = max(wait, w), full || f
	}
	return wait, full
}

func (t *loginThrottle) hold(places []heldPlace) *loginAttempt {
	for _, p := range places {
		p.sketch.begin(p.cells)
	}
	return &loginAttempt{throttle: t, held: places}
}

// end gives the attempt's places back, to those who wait for them; a failure counts.
// Only the first call does anything.
func (a *loginAttempt) end(failed bool) {
	a.throttle.mu.Lock()
	defer a.throttle.mu.Unlock()
	a.throttle.end(a, failed)
}

func (t *loginThrottle) end(a *loginAttempt, failed bool) {
	for _, p := range a.held {
		p.sketch.end(p.cells, failed)
	}
	a.held = nil
	t.decideWaiting()
}

// loginLine is where attempts wait until others are decided.
type loginLine struct {
	patience time.Duration
	room     *budget // of attempts, by network
	waiting  []*waitingAttempt
}

func (l *loginLine) leave(w *waitingAttempt) {
	l.waiting = slices.DeleteFunc(l.waiting, func(other *waitingAttempt) bool { return other == w })
}

// waitingAttempt is an attempt that is not begun yet.
type waitingAttempt struct {
	choices [][]heldPlace // of places, any of which will do
	attempt *loginAttempt // nil until there is room
	decided chan struct{} // closed when it need not wait any longer
}

func (w *waitingAttempt) await(ctx context.Context, patience time.Duration) {
	timer := time.NewTimer(patience)
	defer timer.Stop()
	select {
	case <-w.decided:
	case <-timer.C:
	case <-ctx.Done():
	}
}
