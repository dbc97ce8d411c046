package handlers

import (
	"net/netip"
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

// loginThrottle slows down the guessing of passwords. It promises:
//
//   - Only failures count. An attempt that is not decided yet holds its place, so
//     that guesses made at once are no more than guesses made one after another;
//     success gives the place back.
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
//   - Its memory is 2.4 MB, whatever is sent and by however many, and it forgets no
//     failure before its time: see failureSketch.
type loginThrottle struct {
	mu        sync.Mutex
	accounts  *failureSketch
	addresses *failureSketch
	known     *failureSketch // browsers and networks that have signed in to the account
}

func newLoginThrottle() *loginThrottle {
	return &loginThrottle{
		accounts:  newFailureSketch(accountBurst, accountEvery),
		addresses: newFailureSketch(addressBurst, addressEvery),
		known:     newFailureSketch(accountBurst, accountEvery),
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
	// wait is how long the attempt would have had to wait if its network did not
	// have a count of its own; a failure is answered with it.
	wait time.Duration
}

type heldPlace struct {
	sketch *failureSketch
	cells  failureCells
}

// begin lets an attempt be made, or returns nil and how long to wait first.
func (t *loginThrottle) begin(o signInOrigin) (*loginAttempt, time.Duration) {
	t.mu.Lock()
	defer t.mu.Unlock()
	places := []heldPlace{t.place(t.addresses, o.network.String())}
	if o.email != "" {
		places = append(places, t.place(t.accounts, string(o.email)))
	}
	wait := waitFor(places)
	if wait == 0 {
		return t.hold(places, 0), 0
	}
	if o.email != "" && o.browser != "" {
		own := []heldPlace{t.place(t.known, "browser "+o.browser+" "+string(o.email))}
		if waitFor(own) == 0 {
			return t.hold(own, 0), 0
		}
	}
	if o.email != "" && o.knownNetwork {
		own := []heldPlace{t.place(t.known, "network "+o.network.String()+" "+string(o.email))}
		if waitFor(own) == 0 {
			return t.hold(own, wait), 0
		}
	}
	return nil, wait
}

func (t *loginThrottle) place(s *failureSketch, key string) heldPlace {
	return heldPlace{s, s.cells(key)}
}

// waitFor returns the longest wait for any of the places.
func waitFor(places []heldPlace) time.Duration {
	var wait time.Duration
	for _, p := range places {
		wait = max(wait, p.sketch.wait(p.cells))
	}
	return wait
}

func (t *loginThrottle) hold(places []heldPlace, wait time.Duration) *loginAttempt {
	for _, p := range places {
		p.sketch.begin(p.cells)
	}
	return &loginAttempt{t, places, wait}
}

// end gives the attempt's places back; a failure counts. Only the first call does
// anything.
func (a *loginAttempt) end(failed bool) {
	a.throttle.mu.Lock()
	defer a.throttle.mu.Unlock()
	for _, p := range a.held {
		p.sketch.end(p.cells, failed)
	}
	a.held = nil
}
