package main

import (
	"maps"
	"slices"
	"time"
)

// What a fleet saw.

// streams counts the open streams, and those of them that had an update.
func (f *fleet) streams() (open, begun int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, v := range f.viewers {
		if v.phase == streaming || v.phase == head && v.stalled {
			open++
			if v.first != 0 || v.stalled {
				begun++
			}
		}
	}
	return open, begun
}

// arrived gives how many got the newest tick since the first ids were known, and
// its id.
func (f *fleet) arrived(known int) (viewers int, id string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.order) <= known {
		return 0, ""
	}
	id = f.order[len(f.order)-1]
	return len(f.ticks[id].arrivals), id
}

func (f *fleet) known() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.order)
}

func (f *fleet) mark(id string, posted int64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if t := f.ticks[id]; t != nil && t.posted == 0 {
		t.posted = posted
	}
}

// wrong counts the viewers that know anything else than this.
func (f *fleet) wrong(values map[string]string) (n int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, v := range f.viewers {
		if !v.stalled && !maps.Equal(f.states.values(v.state), values) {
			n++
		}
	}
	return n
}

// distinct counts the states the viewers are in.
func (f *fleet) distinct() (states int, someone map[string]string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	seen := map[int]bool{}
	for _, v := range f.viewers {
		if !v.stalled {
			seen[v.state] = true
			someone = f.states.values(v.state)
		}
	}
	return len(seen), someone
}

// latencies are of all ticks whose event the fleet knows.
type latencies struct {
	Ticks  int     `json:"ticks"`
	P50    float64 `json:"p50_ms"` // event to arrival
	P99    float64 `json:"p99_ms"`
	Spread float64 `json:"spread_ms"` // first to last viewer of a tick, median
	// The viewer at the 99th percentile of a tick, median over the ticks: a commit
	// that was slow on the disk counts as one of many here.
	TickP99 float64 `json:"tick_p99_ms"`
}

func (f *fleet) latencies() latencies {
	f.mu.Lock()
	defer f.mu.Unlock()
	var all, spreads, p99s []int64
	for _, t := range f.ticks {
		if t.posted == 0 {
			continue
		}
		arrivals := slices.Sorted(slices.Values(t.arrivals))
		for _, at := range arrivals {
			all = append(all, at-t.posted)
		}
		spreads = append(spreads, arrivals[len(arrivals)-1]-arrivals[0])
		p99s = append(p99s, arrivals[len(arrivals)*99/100]-t.posted)
	}
	if len(all) == 0 {
		return latencies{}
	}
	slices.Sort(all)
	slices.Sort(spreads)
	slices.Sort(p99s)
	ms := func(ns int64) float64 { return float64(ns) / 1e6 }
	return latencies{len(spreads), ms(all[len(all)/2]), ms(all[len(all)*99/100]), ms(spreads[len(spreads)/2]), ms(p99s[len(p99s)/2])}
}

// deliveries counts the updates that came, and those that came to a viewer in one
// with the next.
func (f *fleet) deliveries() (came, merged int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, id := range f.order {
		if t := f.ticks[id]; t.posted != 0 {
			came += len(t.arrivals)
			merged += max(0, f.reading()-len(t.arrivals))
		}
	}
	return came, merged
}

// reading counts the viewers that read.
func (f *fleet) reading() (n int) {
	for _, v := range f.viewers {
		if v.phase == streaming && !v.stalled {
			n++
		}
	}
	return n
}

// forget begins to count ticks anew.
func (f *fleet) forget() {
	f.mu.Lock()
	defer f.mu.Unlock()
	clear(f.ticks)
	f.order = nil
}

// lastFirst gives when the last viewer had its first update.
func (f *fleet) lastFirst() time.Time {
	f.mu.Lock()
	defer f.mu.Unlock()
	var last int64
	for _, v := range f.viewers {
		last = max(last, v.first)
	}
	return time.Unix(0, last)
}

// firsts gives the time from asking to the first update: median, last.
func (f *fleet) firsts() (p50, last time.Duration) {
	f.mu.Lock()
	defer f.mu.Unlock()
	var all []int64
	for _, v := range f.viewers {
		if v.first != 0 {
			all = append(all, v.first-v.asked)
		}
	}
	if len(all) == 0 {
		return 0, 0
	}
	slices.Sort(all)
	return time.Duration(all[len(all)/2]), time.Duration(all[len(all)-1])
}

func (f *fleet) total() counts {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.counts
}

// arrivalsOf returns when an update came to each viewer that has it.
func (f *fleet) arrivalsOf(id string) []int64 {
	f.mu.Lock()
	defer f.mu.Unlock()
	if t := f.ticks[id]; t != nil {
		return slices.Clone(t.arrivals)
	}
	return nil
}
