package turns

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"
)

const places = 4

// Whoever asks for much waits for their own, not others for them.
func TestGroupsAndMembersTakeTurns(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		ok := t.Run("", func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := New(places)
				var mu sync.Mutex
				running, groups, all := map[Member]int{}, map[string]int{}, 0
				var order []string
				var done sync.WaitGroup
				asked := rapid.SliceOfN(rapid.Custom(func(rt *rapid.T) Member {
					return Member{rapid.SampledFrom([]string{"1", "2", "3"}).Draw(rt, "group"), rapid.SampledFrom([]string{"a", "b", "c", "d"}).Draw(rt, "name")}
				}), 1, 40).Draw(rt, "builds")
				for i, k := range asked {
					done.Go(func() {
						ctx, cancel := context.WithTimeout(t.Context(), time.Duration(i%7+1)*20*time.Second)
						defer cancel()
						leave, err := b.Enter(ctx, k)
						if err != nil {
							return
						}
						mu.Lock()
						running[k]++
						groups[k.Group]++
						all++
						order = append(order, k.Group)
						if running[k] > 1 || groups[k.Group] > places/2 || all > places {
							t.Errorf("%d of a member, %d of a group, %d in all are at work", running[k], groups[k.Group], all)
						}
						mu.Unlock()
						time.Sleep(10 * time.Second)
						mu.Lock()
						running[k]--
						groups[k.Group]--
						all--
						mu.Unlock()
						leave()
					})
				}
				done.Wait()
				if b.places != places || len(b.waiting)+len(b.running)+len(b.groups) != 0 {
					t.Errorf("in the end %+v", b)
				}
			})
		})
		if !ok {
			rt.Fatal("see above")
		}
	})
}

func TestAGroupThatWaitsComesBeforeOneThatHadItsTurn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := New(2)
		var order []string
		var mu sync.Mutex
		var done sync.WaitGroup
		enter := func(group string, name int) {
			done.Go(func() {
				leave, err := b.Enter(t.Context(), Member{group, fmt.Sprint(name)})
				if err != nil {
					t.Error(err)
					return
				}
				mu.Lock()
				order = append(order, group)
				mu.Unlock()
				time.Sleep(time.Second)
				leave()
			})
			synctest.Wait()
		}
		for i := range 10 {
			enter("1", i)
			enter("4", i)
		}
		enter("2", 0)
		enter("3", 0)
		done.Wait()
		if at := slices.Index(order, "2"); at > 4 {
			t.Errorf("groups came in the order %v", order)
		}
		if at := slices.Index(order, "3"); at > 6 {
			t.Errorf("groups came in the order %v", order)
		}
	})
}
