package handlers

import (
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
)

// However many grow and end, no more is held than the limit, and in the end nothing.
func TestSharesStayWithinTheirLimit(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	const limit = 1000
	f := newBudget(limit)
	keys, addresses := []string{"k1", "k2", "k3"}, []string{"a1", "a2"}
	var open []*share
	refused := 0
	for range 5_000 {
		if len(open) == 0 || len(open) < 40 && random.IntN(3) > 0 {
			open = append(open, f.share(keys[random.IntN(3)], addresses[random.IntN(2)]))
		}
		i := random.IntN(len(open))
		if random.IntN(3) == 0 {
			open[i].release()
			open = append(open[:i], open[i+1:]...)
		} else if _, err := open[i].grow(nil, 1+random.IntN(100)); err != nil {
			refused++
		}
		held := 0
		for _, s := range open {
			held += s.size
		}
		if f.used != held || held > limit {
			t.Fatalf("%d are held, %d are counted", held, f.used)
		}
	}
	if refused == 0 {
		t.Error("nobody was refused")
	}
	for _, s := range open {
		s.release()
	}
	if f.used != 0 || len(f.held) != 0 {
		t.Errorf("left: %d, %v", f.used, f.held)
	}
}

// Whoever takes all that can be had, by one key from many addresses or by many keys, leaves room
// for the next key, and for the same key elsewhere.
func TestTheGreedyLeaveRoomForOthers(t *testing.T) {
	const piece = 4 << 10
	take := func(f *budget, key, address string) (bytes int) {
		for {
			if _, err := f.share(key, address).grow(nil, piece); err != nil {
				return bytes
			}
			bytes += piece
		}
	}
	f := newBudget(bodiesInFlight)
	if got := take(f, "k1", "a1"); got < 16<<20 || got > bodiesInFlight/2 {
		t.Errorf("one sender gets %d bytes", got)
	}
	if got := take(f, "k1", "a2"); got < 4<<20 {
		t.Errorf("the same key elsewhere gets %d bytes", got)
	}
	for _, key := range []string{"k2", "k3", "k4"} {
		if got := take(f, key, "a1"); got < 2<<20 {
			t.Errorf("%s gets %d bytes", key, got)
		}
	}
}

// A sender of any number of small batches doesn't take all places to wait in.
func TestTheGreedyLeavePlacesToWaitIn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		i := newIntake(bodiesInFlight)
		var leave []func()
		for range intakeAtOnce {
			l, err := i.enter(t.Context(), "k1", "a1")
			if err != nil {
				t.Fatal(err)
			}
			leave = append(leave, l)
		}
		var all sync.WaitGroup
		for range 3 * intakeWaiting {
			all.Go(func() {
				if l, err := i.enter(t.Context(), "k1", "a1"); err == nil {
					l()
				}
			})
		}
		synctest.Wait()
		all.Go(func() {
			l, err := i.enter(t.Context(), "k2", "a1")
			if err != nil {
				t.Error(err)
				return
			}
			l()
		})
		synctest.Wait()
		for _, l := range leave {
			l()
		}
		all.Wait()
	})
}
