package handlers

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"pulseboard/store"
)

func from(address string, email store.Email) signInOrigin {
	return signInOrigin{email: email, network: networkOf(address)}
}

// try makes one attempt and says whether it was let in.
func (t *loginThrottle) try(o signInOrigin, failed bool) (bool, time.Duration) {
	attempt, refusal, _ := t.begin(context.Background(), o)
	if attempt == nil {
		return false, refusal.wait
	}
	attempt.end(failed)
	return true, 0
}

// attempts gives how many of n attempts were let in.
func (t *loginThrottle) attempts(n int, o signInOrigin, failed bool) (in int) {
	for range n {
		if ok, _ := t.try(o, failed); ok {
			in++
		}
	}
	return in
}

func TestOnlyFailuresCount(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		throttle, ann := newLoginThrottle(), from("192.0.2.1", "ann@example.com")
		if in := throttle.attempts(1_000, ann, false); in != 1_000 {
			t.Errorf("%d of 1,000 right passwords were let in", in)
		}
		if in := throttle.attempts(100, ann, true); in != accountBurst {
			t.Errorf("then %d of 100 guesses", in)
		}
	})
}

func TestFailuresAreForgivenInTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		throttle, ann := newLoginThrottle(), from("192.0.2.1", "ann@example.com")
		throttle.attempts(accountBurst, ann, true)
		time.Sleep(5 * time.Second)
		if ok, wait := throttle.try(ann, true); ok || wait != 10*time.Second {
			t.Errorf("after 5 s: let in %t, wait %v", ok, wait)
		}
		time.Sleep(10 * time.Second)
		if in := throttle.attempts(100, ann, true); in != 1 {
			t.Errorf("after 15 s %d attempts, want 1", in)
		}
		time.Sleep(accountBurst * accountEvery)
		if in := throttle.attempts(100, ann, true); in != accountBurst {
			t.Errorf("after all are forgiven %d attempts, want %d", in, accountBurst)
		}
	})
}

func TestGuessingSlowsDownTheGuesserAndNoOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		throttle := newLoginThrottle()
		in := 0
		for i := range 500 {
			in += throttle.attempts(1, from("192.0.2.1", store.Email(fmt.Sprintf("u%d@example.com", i))), true)
		}
		if in != addressBurst {
			t.Errorf("%d guesses at 500 accounts, want %d", in, addressBurst)
		}
		if in := throttle.attempts(1, from("192.0.2.1", ""), true); in != 0 {
			t.Error("what is no address does not count for the network")
		}
		if in := throttle.attempts(1, from("192.0.2.2", "u499@example.com"), true); in != 1 {
			t.Error("an account that nobody guessed at waits")
		}
	})
}

func TestAnOwnerGetsInAtAnyTimeWhileOthersGuess(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		throttle := newLoginThrottle()
		guesser, stranger := from("198.51.100.7", "ann@example.com"), from("192.0.2.3", "ann@example.com")
		byNetwork, byBrowser := from("192.0.2.1", "ann@example.com"), from("192.0.2.2", "ann@example.com")
		byNetwork.knownNetwork, byBrowser.browser = true, "one"
		guesses := 0
		for second := range 3600 {
			guesses += throttle.attempts(1, guesser, true)
			for _, owner := range []signInOrigin{byNetwork, byBrowser} {
				if ok, wait := throttle.try(owner, false); !ok {
					t.Fatalf("second %d: an owner has to wait %v", second, wait)
				}
			}
			if ok, _ := throttle.try(stranger, false); ok && second > accountBurst && second%15 > 1 {
				t.Fatalf("second %d: a stranger is let in", second)
			}
			time.Sleep(time.Second)
		}
		if most := accountBurst + int(time.Hour/accountEvery); guesses > most {
			t.Errorf("%d guesses in an hour, want at most %d", guesses, most)
		}
	})
}

func TestKnownOriginsHaveCountsOfTheirOwn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		throttle := newLoginThrottle()
		shared := from("192.0.2.1", "ann@example.com") // by the owner and a guesser
		shared.knownNetwork = true
		if in := throttle.attempts(100, shared, true); in != 2*accountBurst {
			t.Errorf("%d guesses from the owner's network, want %d", in, 2*accountBurst)
		}
		owner := shared
		owner.browser = "one"
		if in := throttle.attempts(1_000, owner, false); in != 1_000 {
			t.Errorf("the owner's browser was let in %d times of 1,000", in)
		}
		if in := throttle.attempts(100, owner, true); in != accountBurst {
			t.Errorf("%d guesses from the owner's browser, want %d", in, accountBurst)
		}
		bob := from("192.0.2.1", "bob@example.com")
		bob.browser = "one"
		throttle.attempts(100, from("198.51.100.7", bob.email), true)
		if in := throttle.attempts(1, bob, false); in != 1 {
			t.Error("another account of the browser waits")
		}
	})
}

// To the guesser a known network looks like any other: each wrong password gets
// the answer, and the wait, of an account that does not exist.
func TestAKnownNetworkTellsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		with, without := newLoginThrottle(), newLoginThrottle()
		known, unknown := from("192.0.2.1", "ann@example.com"), from("192.0.2.1", "eve@example.com")
		known.knownNetwork = true
		random := rand.New(rand.NewPCG(1, 2))
		for i := range 1_000 {
			attempt, refusal, _ := with.begin(t.Context(), known)
			if attempt != nil {
				attempt.end(true)
				refusal = attempt.refusal
			}
			if _, want := without.try(unknown, true); refusal.wait != want {
				t.Fatalf("attempt %d: wait %v and %v", i, refusal.wait, want)
			}
			time.Sleep(time.Duration(random.IntN(30_000)) * time.Millisecond / 2)
		}
	})
}

// However attempts are spread in time, no more fail than the promise says.
func TestNoPatternOfGuessesGetsMore(t *testing.T) {
	for seed := range uint64(20) {
		synctest.Test(t, func(t *testing.T) {
			throttle, ann := newLoginThrottle(), from("192.0.2.1", "ann@example.com")
			random := rand.New(rand.NewPCG(seed, 0))
			began, guesses := time.Now(), 0
			var open []*loginAttempt
			let := make(chan *loginAttempt, 2_000)
			for range 2_000 {
				switch random.IntN(4) {
				case 0, 1:
					go func() {
						attempt, _, _ := throttle.begin(t.Context(), ann)
						let <- attempt
					}()
				case 2:
					synctest.Wait()
					for len(let) > 0 {
						if attempt := <-let; attempt != nil {
							open = append(open, attempt)
						}
					}
					if len(open) > 0 {
						failed := random.IntN(3) > 0
						open[0].end(failed)
						open = open[1:]
						if failed {
							guesses++
						}
					}
				case 3:
					time.Sleep(time.Duration(random.Int64N(int64(accountEvery))))
				}
				if most := accountBurst + int(time.Since(began)/accountEvery); guesses > most {
					t.Fatalf("seed %d: %d guesses after %v, want at most %d", seed, guesses, time.Since(began), most)
				}
			}
		})
	}
}

func TestAFloodMakesTheThrottleForgetNothingAndTakesNoMemory(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		throttle, ann := newLoginThrottle(), from("192.0.2.1", "ann@example.com")
		throttle.attempts(accountBurst, ann, true)
		before := heap()
		const flood = 100_000
		for i := range flood { // 100 failures a second, more than are hashed
			ip := netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)})
			throttle.attempts(1, from(ip.String(), store.Email(fmt.Sprintf("u%d@example.com", i))), true)
			if i%1_000 == 0 && i/100 < 13 {
				if ok, _ := throttle.try(ann, true); ok {
					t.Fatalf("forgotten after %d others", i)
				}
			}
			time.Sleep(10 * time.Millisecond)
		}
		if grown := int64(heap()) - int64(before); grown > 256<<10 {
			t.Errorf("the throttle took %d bytes for %d accounts", grown, flood)
		}
		newcomers := 0
		for i := range 1_000 {
			newcomers += throttle.attempts(1, from(fmt.Sprintf("192.0.2.%d", i%250), store.Email(fmt.Sprintf("new%d@example.com", i))), false)
		}
		if newcomers != 1_000 {
			t.Errorf("after the flood %d of 1,000 newcomers were let in", newcomers)
		}
		runtime.KeepAlive(throttle)
	})
}

// Keys that share all cells count together, and no key waits longer for it than
// for failures of its own.
func TestSharedCellsMakeNobodyWaitLong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sketch := newFailureSketch(accountBurst, accountEvery)
		cells := sketch.cells("ann")
		for range 1_000 {
			sketch.begin(cells)
		}
		for range 1_000 {
			sketch.end(cells, true)
		}
		if wait, full := sketch.room(cells); wait != accountEvery || !full {
			t.Errorf("wait %v, full %t, want %v", wait, full, accountEvery)
		}
	})
}

func heap() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

func TestNetworks(t *testing.T) {
	for address, want := range map[string]string{
		"192.0.2.1":              "192.0.2.1/32",
		"::ffff:192.0.2.1":       "192.0.2.1/32",
		"2001:db8:1:2:3:4:5:6":   "2001:db8:1:2::/64",
		"2001:db8:1:2:ffff::":    "2001:db8:1:2::/64",
		"2001:db8:1:3::":         "2001:db8:1:3::/64",
		"fe80::1%eth0":           "fe80::/64",
		"::1":                    "::/64",
		"@":                      "invalid Prefix",
		"/run/pulseboard/a.sock": "invalid Prefix",
	} {
		if got := networkOf(address).String(); got != want {
			t.Errorf("%s is of network %s, want %s", address, got, want)
		}
	}
}
