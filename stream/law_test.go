package stream

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"pulseboard/store"
	"pulseboard/store/fold"
	"pulseboard/stream/wire"
)

// step is one thing that happens to a server and its clients.
type step struct {
	what   string
	client int
	names  []string
	wait   time.Duration
	n      int
}

func drawSteps(t *rapid.T, clients int) []step {
	return rapid.SliceOfN(rapid.Custom(func(t *rapid.T) step {
		return step{
			what: rapid.SampledFrom([]string{
				"events", "events", "events", "events", "cut", "cut", "open", "open", "page", "page", "restart", "slow", "redefine", "wait", "fail", "jump", "forget", "sweep",
			}).Draw(t, "what"),
			client: rapid.IntRange(0, clients-1).Draw(t, "client"),
			names:  rapid.SliceOfN(rapid.SampledFrom([]string{"a", "b", "c", "d"}), 1, 4).Draw(t, "names"),
			wait:   time.Duration(rapid.SampledFrom([]int{0, 1, 50, 900, 4000, 31_000, 61_000, 1_900_000}).Draw(t, "ms")) * time.Millisecond,
			n:      rapid.IntRange(0, 1<<16).Draw(t, "n"),
		}
	}), 1, 50).Draw(t, "steps")
}

// Whatever happens in between, in the end every client knows what a new client is
// told and what counting all events again gives; ids only grew, and nobody was told
// what it knew.
func TestAfterAnyGapAClientKnowsWhatANewOneKnows(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		w := world{
			steps: drawSteps(rt, clients),
			cycle: rapid.SampledFrom([]time.Duration{100 * time.Millisecond, 5 * time.Second}).Draw(rt, "cycle"),
		}
		ok := t.Run("", func(t *testing.T) { inBubble(t, func(t *testing.T) { w.run(t) }) })
		if !ok {
			rt.Fatal("see above")
		}
	})
}

const clients = 8

// world is a server and its clients.
type world struct {
	steps []step
	cycle time.Duration

	t       *testing.T
	shelf   *shelf
	hub     *Hub
	clients [clients]*client
	open    [clients]bool
}

func (w *world) run(t *testing.T) {
	w.t, w.shelf = t, newShelf()
	w.start()
	cadences := []store.Cadence{store.Live, store.Live, store.Every5s, store.Every15s}
	for i := range w.clients {
		c := newClient(t, []Format{JSON, HTML}[i%2], cadences[i/2])
		c.packed, c.shelf = i%3 != 0, w.shelf
		c.linked = i >= 3
		c.room = []int{0, 0, 0, 40, 0, 100, 300, 40}[i]
		if i >= 6 {
			c.view = "now-15m"
		}
		w.clients[i] = c
	}
	for _, s := range w.steps {
		w.do(s)
		time.Sleep(s.wait)
	}
	w.settle()
	w.check()
	w.hub.Announce(tenant, w.shelf.record("a", "b", "c", "d"))
	w.rest()
	w.check()
	w.stop()
}

func (w *world) do(s step) {
	c := w.clients[s.client]
	switch s.what {
	case "events":
		w.hub.Announce(tenant, w.shelf.record(s.names...))
	case "cut":
		w.cut(s.client, s.n)
	case "open":
		if !w.open[s.client] {
			c.open(w.hub)
			w.open[s.client] = true
		}
	case "page":
		if !w.open[s.client] && c.format == HTML {
			c.load(w.hub)
		}
	case "restart":
		w.stop()
		w.shelf.record(s.names...) // by another process, meanwhile
		w.start()
	case "slow":
		c.mu.Lock()
		c.delay = s.wait
		c.mu.Unlock()
	case "redefine":
		w.shelf.define(unique(s.names)...)
		_ = w.hub.Sync(context.Background())
	case "fail":
		w.shelf.fail(1)
	case "jump":
		w.shelf.jump([]time.Duration{-3 * time.Hour, -time.Minute, -time.Second, time.Second, 20 * time.Minute, 2 * time.Hour}[s.n%6])
	case "forget":
		if !w.open[s.client] {
			c.forget([]string{"", "x", "1", "9007199254740991"}[s.n%4])
		}
	case "sweep": // the last one leaves, and the view is forgotten
		w.cutAll()
		time.Sleep(2 * linger)
	}
}

func (w *world) start() {
	w.hub = newHub(w.shelf, w.cycle)
	w.hub.wall = w.shelf.now
	w.hub.writers = wire.New(2, stallTimeout, wire.Stats{Wrote: w.hub.telemetry.wrote, Skipped: w.hub.telemetry.skipped})
}

func (w *world) stop() {
	w.cutAll()
	w.hub.writers.Close()
	synctest.Wait()
}

func (w *world) cut(client, drop int) {
	if w.open[client] {
		w.clients[client].cutAfter(drop)
		w.open[client] = false
	}
}

func (w *world) cutAll() {
	for i := range w.clients {
		w.cut(i, 0)
	}
}

// settle mends all faults, opens what is closed and waits until all is calm.
func (w *world) settle() {
	w.shelf.fail(0)
	for i, c := range w.clients {
		c.mu.Lock()
		c.delay = 0
		c.mu.Unlock()
		if c.ended() { // the server gave it up
			w.cut(i, 0)
		}
		if !w.open[i] {
			c.open(w.hub)
			w.open[i] = true
		}
	}
	w.rest()
}

// rest waits until all is calm, and no window slides for a while.
func (w *world) rest() {
	time.Sleep(2 * time.Minute)
	now := w.shelf.now()
	time.Sleep(now.Truncate(time.Minute).Add(time.Minute + time.Second).Sub(now))
}

// check compares what each client knows with what one is told by a server that
// just started on a copy of the shelf.
func (w *world) check() {
	server := world{t: w.t, shelf: w.shelf.copy(), cycle: w.cycle}
	server.start()
	defer server.stop()
	for _, c := range w.clients {
		if c.ended() {
			w.t.Errorf("a client's stream ended: %v", <-c.done)
			continue
		}
		fresh := newClient(w.t, c.format, store.Live)
		fresh.view = c.view
		fresh.open(server.hub)
		time.Sleep(time.Millisecond)
		fresh.cut()
		if c.knows() != fresh.knows() {
			w.t.Errorf("%s, packed %v, linked %v: a client knows %s, a new one %s", c.format, c.packed, c.linked, c.knows(), fresh.knows())
		}
		if want := w.shelf.recount(w.t, viewOf(c.view)); fresh.format == JSON && fresh.knows() != want {
			w.t.Errorf("a new client is told %s; all events counted again give %s", fresh.knows(), want)
		}
	}
}

// recount gives what a client in JSON has to know, from all events.
func (s *shelf) recount(t *testing.T, v store.View) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	window, err := v.Range.Window(s.wall())
	if err != nil {
		t.Fatal(err)
	}
	f := fold.New(s.dashboard, v, window)
	for i := range s.events {
		f.Add(&s.events[i])
	}
	values := map[string]string{}
	for _, r := range f.Readings() {
		values[string(r.Key)] = pairs.FindStringSubmatch(fmt.Sprintf(`{"%s":%s}`, r.Key, r.JSON()))[2]
	}
	return fmt.Sprint(values)
}

func unique(names []string) (kept []string) {
	for _, name := range names {
		if !strings.Contains(strings.Join(kept, ""), name) {
			kept = append(kept, name)
		}
	}
	return kept
}
