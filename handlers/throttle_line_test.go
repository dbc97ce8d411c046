package handlers

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"pulseboard/store"
)

// outcome is what became of one attempt of many.
type outcome struct {
	attempt *loginAttempt
	refusal loginRefusal
	err     error
}

// beginAll begins n attempts, one after another, each of which may come to wait.
// take gives the outcomes that there are since it was called last, in their order.
func (t *loginThrottle) beginAll(ctx context.Context, n int, origin func(i int) signInOrigin) (take func() []outcome) {
	var mu sync.Mutex
	var outcomes []outcome
	for i := range n {
		go func() {
			attempt, refusal, err := t.begin(ctx, origin(i))
			mu.Lock()
			defer mu.Unlock()
			outcomes = append(outcomes, outcome{attempt, refusal, err})
		}()
		synctest.Wait()
	}
	return func() []outcome {
		synctest.Wait()
		mu.Lock()
		defer mu.Unlock()
		taken := outcomes
		outcomes = nil
		return taken
	}
}

func always(o signInOrigin) func(int) signInOrigin { return func(int) signInOrigin { return o } }

func (t *loginThrottle) waiting() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.crowd.waiting) + len(t.own.waiting)
}

// Each attempt that succeeds lets one more in, the one that waits longest.
func TestAttemptsWaitForThoseThatMaySucceed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		throttle := newLoginThrottle()
		screen := func(i int) signInOrigin {
			return from(fmt.Sprintf("192.0.2.%d", i), "ann@example.com")
		}
		take := throttle.beginAll(t.Context(), 30, screen)
		open := take()
		if len(open) != accountBurst || throttle.waiting() != 20 {
			t.Fatalf("%d of 30 attempts were let in at once and %d wait", len(open), throttle.waiting())
		}
		for i := range 30 {
			time.Sleep(50 * time.Millisecond)
			open[i].attempt.end(false)
			open[i].attempt.end(true) // it is decided already
			let := take()
			open = append(open, let...)
			if i >= 20 {
				continue
			}
			if len(let) != 1 || let[0].attempt == nil {
				t.Fatalf("end %d: %+v", i, let)
			}
			want := throttle.addresses.cells(networkOf(fmt.Sprintf("192.0.2.%d", i+accountBurst)).String())
			if let[0].attempt.held[0].cells != want {
				t.Errorf("end %d let in another than the one that waited longest", i)
			}
		}
		if in := throttle.attempts(100, screen(0), true); in != accountBurst {
			t.Errorf("then %d guesses, want %d", in, accountBurst)
		}
	})
}

// Guesses at once are no more than guesses one after another: those that wait are
// refused when failures alone are too many, and told the truth of the wait.
func TestAttemptsThatWaitAreRefusedOnceOthersFailed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		throttle, ann := newLoginThrottle(), from("192.0.2.1", "ann@example.com")
		take := throttle.beginAll(t.Context(), 30, always(ann))
		open := take()
		for i, o := range open {
			if late := take(); len(late) > 0 {
				t.Fatalf("after %d failures: %+v", i, late)
			}
			o.attempt.end(true)
		}
		refused := take()
		for _, o := range refused {
			if o.attempt != nil || o.refusal.wait != accountEvery || !o.refusal.at.Equal(time.Now()) {
				t.Errorf("after the failures: %+v", o)
			}
		}
		if len(open) != accountBurst || len(refused) != 20 || throttle.waiting() != 0 {
			t.Errorf("%d let in, %d refused, %d wait", len(open), len(refused), throttle.waiting())
		}
	})
}

func TestWaitingEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		throttle, ann := newLoginThrottle(), from("192.0.2.1", "ann@example.com")
		open := throttle.beginAll(t.Context(), accountBurst, always(ann))()
		ctx, cancel := context.WithCancel(t.Context())
		cancelled, patient := throttle.beginAll(ctx, 5, always(ann)), throttle.beginAll(t.Context(), 5, always(ann))
		began := time.Now()
		time.Sleep(time.Second)
		cancel()
		for _, o := range cancelled() {
			if o.attempt != nil || !errors.Is(o.err, context.Canceled) {
				t.Errorf("given up: %+v", o)
			}
		}
		if throttle.waiting() != 5 {
			t.Errorf("%d wait, want 5", throttle.waiting())
		}
		time.Sleep(crowdPatience)
		late := patient()
		for _, o := range late {
			if o.attempt != nil || o.refusal.wait != time.Second || o.refusal.at.Sub(began) != crowdPatience {
				t.Errorf("waited too long: %+v after %v", o, o.refusal.at.Sub(began))
			}
		}
		if len(late) != 5 || throttle.waiting() != 0 {
			t.Errorf("%d ended, %d wait", len(late), throttle.waiting())
		}
		for _, o := range open {
			o.attempt.end(false)
		}
		if in := throttle.attempts(100, ann, true); in != accountBurst {
			t.Errorf("then %d guesses, want %d", in, accountBurst)
		}
	})
}

// An attempt whose sender goes away at the moment that it is let in gives its place on.
func TestAPlaceGivenToNobodyIsNotLost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		throttle, ann := newLoginThrottle(), from("192.0.2.1", "ann@example.com")
		open := throttle.beginAll(t.Context(), accountBurst, always(ann))()
		ctx, cancel := context.WithCancel(t.Context())
		gone, next := throttle.beginAll(ctx, 1, always(ann)), throttle.beginAll(t.Context(), 1, always(ann))
		throttle.mu.Lock()
		cancel()
		throttle.end(open[0].attempt, false)
		throttle.mu.Unlock()
		if o := gone(); len(o) != 1 || o[0].attempt != nil || !errors.Is(o[0].err, context.Canceled) {
			t.Errorf("the one that went away: %+v", o)
		}
		if o := next(); len(o) != 1 || o[0].attempt == nil {
			t.Errorf("the next: %+v", o)
		}
	})
}

func TestWaitingIsBoundedAndNoNetworkTakesAllOfIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		throttle := newLoginThrottle()
		throttle.beginAll(t.Context(), accountBurst, func(i int) signInOrigin {
			return from(fmt.Sprintf("203.0.113.%d", i), "ann@example.com")
		})
		crowd := throttle.beginAll(t.Context(), 1_000, always(from("192.0.2.1", "ann@example.com")))
		refused := len(crowd())
		if throttle.waiting() != crowdWaiting/2 || refused != 1_000-crowdWaiting/2 {
			t.Errorf("of one network %d wait and %d were refused", throttle.waiting(), refused)
		}
		others := throttle.beginAll(t.Context(), 1_000, func(i int) signInOrigin {
			return from(fmt.Sprintf("10.0.%d.%d", i/250, i%250), "ann@example.com")
		})
		if waiting := throttle.waiting(); waiting != crowdWaiting-1 { // nobody takes the last: each leaves as much as it holds
			t.Errorf("of all networks %d wait, want %d", waiting, crowdWaiting-1)
		}
		for _, o := range others() {
			if o.attempt != nil || o.refusal.wait != time.Second {
				t.Fatalf("no room to wait: %+v", o)
			}
		}
		time.Sleep(crowdPatience)
		synctest.Wait()
		if throttle.crowd.room.used != 0 || throttle.waiting() != 0 {
			t.Errorf("%d places to wait were not given back", throttle.crowd.room.used)
		}
	})
}

// Whoever comes when failures are forgiven does not overtake those who wait.
func TestNobodyIsOvertaken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		throttle, ann := newLoginThrottle(), from("192.0.2.1", "ann@example.com")
		throttle.attempts(5, ann, true)
		time.Sleep(accountEvery - time.Second)
		throttle.beginAll(t.Context(), 5, always(ann))
		first := throttle.beginAll(t.Context(), 1, always(ann))
		time.Sleep(2 * time.Second) // one failure is forgiven
		second := throttle.beginAll(t.Context(), 1, always(ann))
		if one, two := first(), second(); len(one) != 1 || one[0].attempt == nil || len(two) != 0 {
			t.Errorf("the first: %+v, the second: %+v", one, two)
		}
	})
}

// Also where guesses made elsewhere have used up the account's count, right
// passwords at once are all let in from where its owner signed in before.
func TestAnOwnersRightPasswordsAtOnceAreAllLetIn(t *testing.T) {
	for name, known := range map[string]func(*signInOrigin){
		"browser": func(o *signInOrigin) { o.browser = "one" },
		"network": func(o *signInOrigin) { o.knownNetwork = true },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				throttle, owner := newLoginThrottle(), from("192.0.2.1", "ann@example.com")
				throttle.attempts(accountBurst, from("198.51.100.7", owner.email), true)
				known(&owner)
				take := throttle.beginAll(t.Context(), 16, always(owner))
				in := 0
				for open := take(); len(open) > 0; open = append(open[1:], take()...) {
					time.Sleep(20 * time.Millisecond)
					if open[0].attempt != nil {
						in++
						open[0].attempt.end(false)
					}
				}
				if in != 16 {
					t.Errorf("%d of 16 right passwords were let in", in)
				}
			})
		})
	}
}

// answers gives, for wrong passwords sent at once, what their senders see: of
// each when it was answered and the wait it was told, 0 for a wrong password.
// decide says when the attempts before them are decided, and how.
func answers(o signInOrigin, n int, decide func(before []outcome)) []string {
	throttle, began := newLoginThrottle(), time.Now()
	throttle.attempts(4, from("198.51.100.7", o.email), true)
	before := throttle.beginAll(context.Background(), accountBurst-4, always(from("198.51.100.8", o.email)))()
	var mu sync.Mutex
	var all sync.WaitGroup
	var seen []string
	for range n {
		all.Go(func() {
			attempt, refusal, _ := throttle.begin(context.Background(), o)
			if attempt != nil {
				time.Sleep(50 * time.Millisecond) // its password is checked
				attempt.end(true)
				refusal = attempt.refusal
			}
			if refusal != (loginRefusal{}) {
				time.Sleep(time.Until(refusal.at.Add(throttledTakes)))
			}
			mu.Lock()
			defer mu.Unlock()
			seen = append(seen, fmt.Sprintf("%v: %v", time.Since(began), refusal.wait))
		})
		synctest.Wait()
	}
	decide(before)
	all.Wait()
	slices.Sort(seen)
	return seen
}

// What attempts that wait are told, and when, is the same for an account that is
// known to the network and for one that does not exist.
func TestAWaitingAttemptTellsNothing(t *testing.T) {
	for name, decide := range map[string]func([]outcome){
		"never":   func([]outcome) {},
		"failed":  func(before []outcome) { endEach(before, func(int) bool { return true }) },
		"right":   func(before []outcome) { endEach(before, func(int) bool { return false }) },
		"by half": func(before []outcome) { endEach(before, func(i int) bool { return i%2 == 0 }) },
	} {
		for _, n := range []int{1, 5, 20, 150, 400} {
			var got [2][]string
			for i, email := range []store.Email{"ann@example.com", "eve@example.com"} {
				synctest.Test(t, func(t *testing.T) {
					o := from("192.0.2.1", email)
					o.knownNetwork = i == 0
					got[i] = answers(o, n, decide)
				})
			}
			if len(got[0]) != n || !slices.Equal(got[0], got[1]) {
				t.Errorf("%s, %d attempts: the answers are\n%v\n%v", name, n, got[0], got[1])
			}
		}
	}
}

func endEach(before []outcome, failed func(i int) bool) {
	for i, o := range before {
		time.Sleep(70 * time.Millisecond)
		o.attempt.end(failed(i))
	}
}

// Where a network's own count is full too, the answer is not later than that to an
// account that does not exist, with time left to check a password.
func TestWaitingForTheOwnCountEndsBeforeTheAnswerIsDue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		throttle, owner := newLoginThrottle(), from("192.0.2.1", "ann@example.com")
		throttle.attempts(accountBurst, from("198.51.100.7", owner.email), true)
		owner.knownNetwork = true
		throttle.beginAll(t.Context(), accountBurst, always(owner))
		began := time.Now()
		attempt, refusal, err := throttle.begin(t.Context(), owner)
		if attempt != nil || err != nil || !refusal.at.Equal(began) || refusal.wait != accountEvery {
			t.Errorf("attempt %v, refusal %+v, error %v", attempt, refusal, err)
		}
		if took := time.Since(began); took == 0 || took > throttledTakes/2 {
			t.Errorf("it waited %v", took)
		}
	})
}
