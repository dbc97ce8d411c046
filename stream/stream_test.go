package stream

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"pulseboard/store"
)

func TestAViewIsRecomputedOnceACycleHoweverManyEventsCome(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		s := newShelf()
		h := newHub(s, 5*time.Second)
		c := newClient(t, JSON, store.Live)
		c.open(h)
		time.Sleep(time.Minute)
		scans := s.scans
		for range 1000 {
			h.Announce(tenant, s.record("a"))
			time.Sleep(10 * time.Millisecond)
		}
		time.Sleep(5 * time.Second)
		c.cut()
		if got := s.scans - scans; got < 2 || got > 4 {
			t.Errorf("%d recomputations in 10 s of a flood at a cycle of 5 s", got)
		}
		if got := c.got(); got[len(got)-1] != `{"a":1000}` {
			t.Errorf("the last update is %s", got[len(got)-1])
		}
		for i := 2; i < len(c.at); i++ {
			if apart := c.at[i].Sub(c.at[i-1]); apart < 5*time.Second {
				t.Errorf("two updates %s apart", apart)
			}
		}
	})
}

func TestAfterAQuietTimeAChangeGoesOutAtOnce(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		s := newShelf()
		h := newHub(s, 5*time.Second)
		c := newClient(t, JSON, store.Every30s)
		c.open(h)
		defer c.cut()
		time.Sleep(31 * time.Second)
		h.Announce(tenant, s.record("a"))
		synctest.Wait()
		if got := c.got(); len(got) != 2 || got[1] != `{"a":1}` {
			t.Fatalf("at once came %v", got)
		}
		h.Announce(tenant, s.record("a"))
		time.Sleep(29 * time.Second)
		if got := c.got(); len(got) != 2 {
			t.Errorf("before the cadence was over came %v", got[2:])
		}
		time.Sleep(2 * time.Second)
		if got := c.got(); len(got) != 3 || got[2] != `{"a":2}` {
			t.Errorf("after it came %v", got[2:])
		}
	})
}

func TestOneRenderingServesAll(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		s := newShelf()
		h := newHub(s, time.Second)
		var clients []*client
		for range 500 {
			c := newClient(t, HTML, store.Live)
			c.open(h)
			defer c.cut()
			clients = append(clients, c)
		}
		time.Sleep(10 * time.Second)
		scans, renders, frames := s.scans, counted(t, h.telemetry.Renders), counted(t, h.telemetry.Frames)
		h.Announce(tenant, s.record("b"))
		time.Sleep(2 * time.Second)
		for _, c := range clients {
			if got := c.got(); len(got) != 2 || got[1] != `<b id="widget-b--value" hx-swap-oob="true">1</b>` {
				t.Fatalf("a viewer got %v", got[1:])
			}
		}
		if s.scans-scans != 1 || counted(t, h.telemetry.Renders)-renders != 1 || counted(t, h.telemetry.Frames)-frames != 1 {
			t.Errorf("500 viewers cost %d scans, %d renders, %d frames", s.scans-scans,
				counted(t, h.telemetry.Renders)-renders, counted(t, h.telemetry.Frames)-frames)
		}
	})
}

func TestAViewWithoutChangesSendsHeartbeatsOnly(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		s := newShelf()
		h := newHub(s, time.Second)
		c := newClient(t, HTML, store.Live)
		c.open(h)
		start := time.Now()
		time.Sleep(5*time.Minute + time.Second)
		h.Announce(tenant, s.record("nothing that is shown"))
		time.Sleep(10 * time.Second)
		c.cut()
		if got := c.got(); len(got) != 1 {
			t.Errorf("sent %v", got[1:])
		}
		if len(c.beats) != 11 || c.beats[0].After(start) || c.beats[1].Sub(c.beats[0]) != 30*time.Second {
			t.Errorf("%d heartbeats, the first at %s", len(c.beats), c.beats[0].Sub(start))
		}
	})
}

func TestASlowReaderSkipsAndHoldsNobodyUp(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		s := newShelf()
		h := newHub(s, time.Second)
		slow, quick := newClient(t, JSON, store.Live), newClient(t, JSON, store.Live)
		slow.delay = 20 * time.Second
		slow.open(h)
		quick.open(h)
		for range 60 {
			h.Announce(tenant, s.record("a"))
			time.Sleep(time.Second)
		}
		time.Sleep(time.Minute)
		if n := len(quick.got()); n < 59 {
			t.Errorf("the quick one got %d updates of 60", n)
		}
		if n := len(slow.got()); n > 5 || slow.knows() != quick.knows() {
			t.Errorf("the slow one got %d updates and knows %s, not %s", n, slow.knows(), quick.knows())
		}
		slow.cut()
		quick.cut()
	})
}

func TestACursorGetsWhatChangedAfterIt(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		s := newShelf()
		h := newHub(s, time.Second)
		c := newClient(t, JSON, store.Live)
		c.open(h)
		time.Sleep(2 * time.Second)
		c.cut()
		h.Announce(tenant, s.record("b", "b"))
		time.Sleep(time.Hour)
		s.record("b") // while no server runs
		h = newHub(s, time.Second)
		c.open(h)
		time.Sleep(time.Second)
		c.cut()
		if got := c.got(); len(got) != 2 || got[1] != `{"b":1}` {
			t.Errorf("after an hour and a restart came %v", got[1:]) // the first two left the range
		}
		c.open(newHub(s, time.Second))
		time.Sleep(time.Second)
		c.cut()
		if got := c.got(); len(got) != 2 {
			t.Errorf("nothing changed, and yet came %v", got[2:])
		}
	})
}

func TestAStrangeCursorGetsTheSnapshot(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		s := newShelf()
		h := newHub(s, time.Second)
		c := newClient(t, JSON, store.Live)
		c.open(h)
		time.Sleep(time.Second)
		c.cut()
		known, _ := store.ParseSeq(c.cursor)
		for _, cursor := range []string{"", "x", "-5", "0", "007", "1", (known + 1).String(), (known + 1<<20).String(), (known ^ 1).String(), "99999999999999999999"} {
			w := newClient(t, JSON, store.Live)
			w.cursor = cursor
			pool, err := h.Open(t.Context(), view(), watcher)
			if err != nil {
				t.Fatal(err)
			}
			watcher := pool.Watch(JSON, false, store.Live, cursor)
			if got := string(watcher.begin()); !strings.Contains(got, `data: {"a":0,"b":0,"c":0}`) {
				t.Errorf("cursor %q gets %q", cursor, got)
			}
			watcher.Close()
			pool.Release()
		}
	})
}

func TestIDsGrowWhateverTheClockDoes(t *testing.T) {
	now := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	var state store.ViewState
	for _, at := range []time.Time{now, now, now.Add(-time.Hour), now.Add(24 * time.Hour), now, now.Add(time.Millisecond), time.Unix(0, 0)} {
		if state.First == 0 {
			epoch, err := drawEpoch(7)
			if err != nil || epoch == 7 {
				t.Fatalf("epoch %d (%v)", epoch, err)
			}
			state.Epoch = epoch
		}
		seq := nextSeq(state.Last, state.Epoch, at)
		if seq <= state.Last || seq >= 1<<53 {
			t.Fatalf("%d after %d", seq, state.Last)
		}
		if state.First == 0 {
			state.First = seq
		}
		state.Last = seq
		if !trusts(state, seq) || trusts(state, seq+1) || trusts(state, state.First-1) {
			t.Errorf("%+v trusts the wrong ids", state)
		}
	}
}

func TestAnotherDefinitionReachesOpenStreams(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		s := newShelf()
		h := newHub(s, time.Second)
		asJSON, asHTML, away := newClient(t, JSON, store.Live), newClient(t, HTML, store.Live), newClient(t, HTML, store.Live)
		for _, c := range []*client{asJSON, asHTML, away} {
			c.open(h)
		}
		time.Sleep(2 * time.Second)
		away.cut()
		s.define("c", "d")
		if err := h.Sync(t.Context()); err != nil {
			t.Fatal(err)
		}
		time.Sleep(2 * time.Second)
		away.open(newHub(s, time.Second))
		time.Sleep(2 * time.Second)
		for _, c := range []*client{asHTML, away} {
			c.cut()
			if !slices.Contains(c.events, reload) || len(c.elements) != 2 || !strings.Contains(c.elements["widget-c"], "revision 2") {
				t.Errorf("%v, %s", c.events, c.knows())
			}
		}
		if got := asJSON.knows(); got != "map[c:0 d:0]" {
			t.Errorf("JSON knows %s", got)
		}
		asJSON.cut()
	})
}

func TestADashboardThatIsRemovedSaysGoodbye(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		s := newShelf()
		h := newHub(s, time.Second)
		c := newClient(t, JSON, store.Live)
		c.open(h)
		time.Sleep(2 * time.Second)
		s.mu.Lock()
		s.dashboard, s.head.Dashboards = store.Dashboard{}, s.head.Dashboards+1
		s.mu.Unlock()
		_ = h.Sync(t.Context())
		<-c.done
		if c.events[len(c.events)-1] != goodbye {
			t.Errorf("%v", c.events)
		}
		if _, err := h.Open(t.Context(), view(), watcher); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("opening it again: %v", err)
		}
	})
}

func TestAFailingStoreDelaysAndLosesNothing(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		s := newShelf()
		h := newHub(s, time.Second)
		c := newClient(t, JSON, store.Live)
		c.open(h)
		time.Sleep(10 * time.Second)
		s.failSaves, s.failScans = 2, 2
		h.Announce(tenant, s.record("a", "a", "b"))
		synctest.Wait()
		if got := c.got(); len(got) != 1 {
			t.Errorf("told before it was on disk: %v", got[1:])
		}
		time.Sleep(20 * time.Second)
		if got := c.got(); len(got) != 2 || got[1] != `{"a":2,"b":1}` {
			t.Errorf("in the end came %v", got[1:])
		}
		c.cut()
	})
}

func TestTheCauseOfAnEndIsTheLastEvent(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		s := newShelf()
		c := newClient(t, JSON, store.Live)
		c.open(newHub(s, time.Second))
		time.Sleep(time.Second)
		c.stop(SignedOut)
		if err := <-c.done; err != nil || c.events[len(c.events)-1] != goodbye {
			t.Errorf("%v, %v", err, c.events)
		}
		time.Sleep(time.Second) // the pool's loop ends with its last watcher
	})
}

func TestTheRosterBoundsTheStreamsOfAViewer(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		r := NewRoster(Limits{Streams: 2, ConnectsPerMinute: 4}, 5)
		enter := func(screen string) (*Place, error) { return r.Enter(Entry{Key: "ann", Screen: screen}, 1) }
		first, err := enter("one")
		if err != nil {
			t.Fatal(err)
		}
		var cause error
		first.Bind(func(why error) { cause = why })
		if _, err = enter(""); err != nil {
			t.Fatal(err)
		}
		var refusal *Refusal
		if _, err = enter(""); !errors.As(err, &refusal) || refusal.Reason != "streams" || refusal.RetryAfter <= 0 {
			t.Errorf("the third: %v", err)
		}
		if _, err = r.Enter(Entry{Key: "bob"}, 1); err != nil {
			t.Errorf("another viewer: %v", err)
		}
		if _, err = enter("one"); err != nil || cause != Replaced {
			t.Errorf("the same screen: %v, its old stream: %v", err, cause)
		}
		first.Leave() // late, and of no effect on the stream that took its place
		if _, err = enter(""); !errors.As(err, &refusal) {
			t.Errorf("a place was freed twice: %v", err)
		}
		wide, err := r.Enter(Entry{Key: "ann"}, 2)
		if err != nil {
			t.Fatalf("with wider limits: %v", err)
		}
		wide.Leave()
		if _, err = enter("one"); !errors.As(err, &refusal) || refusal.Reason != "connects" || refusal.RetryAfter != time.Minute {
			t.Errorf("the fifth within a minute: %v", err)
		}
		time.Sleep(time.Minute)
		if _, err = enter("one"); err != nil {
			t.Errorf("a minute later: %v", err)
		}
		for i := range 2 {
			if _, err = r.Enter(Entry{Key: QuotaKey(fmt.Sprint(i))}, 1); err != nil {
				t.Errorf("while there is room: %v", err)
			}
		}
		if _, err = r.Enter(Entry{Key: "full"}, 1); !errors.As(err, &refusal) || refusal.Reason != "server" || refusal.RetryAfter <= 0 {
			t.Errorf("when the server is full: %v", err)
		}
		r.Sweep()
		ended, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		r.Drain(ended)
		wide.Leave()
		if _, err = r.Enter(Entry{Key: "eve"}, 1); !errors.As(err, &refusal) {
			t.Errorf("%v", err)
		}
	})
}

func TestAStreamThatComesWhileDrainingEndsAtOnce(t *testing.T) {
	r := NewRoster(Limits{Streams: 1, ConnectsPerMinute: 1}, 1)
	r.Drain(t.Context())
	late, err := r.Enter(Entry{Key: "eve"}, 1)
	if err != nil {
		t.Fatal(err)
	}
	ended := false
	late.Bind(func(error) { ended = true })
	if !ended {
		t.Error("it goes on")
	}
}

func FuzzAppendEvent(f *testing.F) {
	for _, s := range []string{"", "a", "a\nb", "a\r\nb\r", "\n\n", "data: x\n\nevent: goodbye\n\n", "\r\n\r\n", "{}"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, data string) {
		b := appendEvent(nil, metricUpdate, 7, []byte(data))
		events := parse(t, string(b))
		want := strings.ReplaceAll(strings.ReplaceAll(data, "\r\n", "\n"), "\r", "\n")
		if len(events) != 1 || events[0] != (sse{metricUpdate, "7", want}) {
			t.Fatalf("%q is written %q", data, b)
		}
		if hasLine(b[1:], "event: ") {
			t.Fatalf("%q made a field of its own: %q", data, b)
		}
	})
}

// An address that stands for many people has many streams, but of a few views only: each view is
// work of its own.
func TestAKeyWatchesAFewViews(t *testing.T) {
	r := NewRoster(Limits{Streams: 2, ConnectsPerMinute: 1000}, 1000)
	enter := func(view int) (*Place, error) { return r.Enter(Entry{Key: "office", View: fmt.Sprint(view)}, 10) }
	var first *Place
	for i := range 4 {
		place, err := enter(i)
		if err != nil {
			t.Fatal(err)
		}
		if i == 0 {
			first = place
		}
	}
	var refusal *Refusal
	if _, err := enter(4); !errors.As(err, &refusal) || refusal.Reason != "watched" || refusal.Limit != 4 {
		t.Errorf("a fifth view: %v", err)
	}
	for range 10 {
		if _, err := enter(3); err != nil {
			t.Errorf("a view that is watched already: %v", err)
		}
	}
	first.Leave()
	if _, err := enter(4); err != nil {
		t.Errorf("after one was left: %v", err)
	}
}
