package stream

import (
	"context"
	"testing"
	"time"

	"pgregory.net/rapid"

	"pulseboard/store"
)

// step is one thing that happens to a server and its clients.
type step struct {
	what   string
	client int
	names  []string
	wait   time.Duration
}

func drawSteps(t *rapid.T, clients int) []step {
	return rapid.SliceOfN(rapid.Custom(func(t *rapid.T) step {
		return step{
			what:   rapid.SampledFrom([]string{"events", "events", "events", "cut", "open", "restart", "slow", "redefine", "wait", "fail"}).Draw(t, "what"),
			client: rapid.IntRange(0, clients-1).Draw(t, "client"),
			names:  rapid.SliceOfN(rapid.SampledFrom([]string{"a", "b", "c", "d"}), 1, 4).Draw(t, "names"),
			wait:   time.Duration(rapid.SampledFrom([]int{0, 1, 50, 900, 4000, 61_000, 1_900_000}).Draw(t, "ms")) * time.Millisecond,
		}
	}), 1, 40).Draw(t, "steps")
}

// Whatever happens in between, in the end every client knows what a new client
// is told, and ids only grew.
func TestAfterAnyGapAClientKnowsWhatANewOneKnows(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		const clients = 4
		steps := drawSteps(rt, clients)
		cycle := rapid.SampledFrom([]time.Duration{100 * time.Millisecond, 5 * time.Second}).Draw(rt, "cycle")
		ok := t.Run("", func(t *testing.T) { inBubble(t, func(t *testing.T) { runSteps(t, steps, clients, cycle) }) })
		if !ok {
			rt.Fatal("see above")
		}
	})
}

func runSteps(t *testing.T, steps []step, n int, cycle time.Duration) {
	s := newShelf()
	h := newHub(s, cycle)
	clients := make([]*client, n)
	open := make([]bool, n)
	for i := range clients {
		clients[i] = newClient(t, []Format{JSON, HTML}[i%2], []store.Cadence{store.Live, store.Live, store.Every5s, store.Every15s}[i%4])
	}
	cutAll := func() {
		for i, c := range clients {
			if open[i] {
				c.cut()
				open[i] = false
			}
		}
	}
	for _, step := range steps {
		c := clients[step.client]
		switch step.what {
		case "events":
			h.Announce(tenant, s.record(step.names...))
		case "cut":
			if open[step.client] {
				c.cut()
				open[step.client] = false
			}
		case "open":
			if !open[step.client] {
				c.open(h)
				open[step.client] = true
			}
		case "restart":
			cutAll()
			s.record(step.names...) // by another process, meanwhile
			h = newHub(s, cycle)
		case "slow":
			c.mu.Lock()
			c.delay = step.wait
			c.mu.Unlock()
		case "redefine":
			s.define(unique(step.names)...)
			_ = h.Sync(context.Background())
		case "fail":
			s.mu.Lock()
			s.failSaves, s.failScans = 1, 1
			s.mu.Unlock()
		}
		time.Sleep(step.wait)
	}
	s.mu.Lock()
	s.failSaves, s.failScans = 0, 0
	s.mu.Unlock()
	for i, c := range clients {
		c.mu.Lock()
		c.delay = 0
		c.mu.Unlock()
		if !open[i] {
			c.open(h)
			open[i] = true
		}
	}
	time.Sleep(2 * time.Hour) // all delays and cadences are over, and the range is empty
	h.Announce(tenant, s.record("a", "b", "c", "d"))
	time.Sleep(time.Minute)
	for _, c := range clients {
		fresh := newClient(t, c.format, store.Live)
		fresh.open(h)
		time.Sleep(time.Second)
		fresh.cut()
		if c.knows() != fresh.knows() {
			t.Errorf("%s: a client knows %s, a new one %s", c.format, c.knows(), fresh.knows())
		}
	}
	cutAll()
	time.Sleep(time.Second) // loops end
}

func unique(names []string) (kept []string) {
	seen := map[string]bool{}
	for _, name := range names {
		if !seen[name] {
			seen[name] = true
			kept = append(kept, name)
		}
	}
	return kept
}
