package fold

import (
	"errors"
	"fmt"
	"maps"
	"testing"
	"time"

	"pgregory.net/rapid"

	"pulseboard/store"
	"pulseboard/store/pack"
)

// kept is rollups as a store keeps them.
type kept map[RollupKey]map[[2]int64][]byte // by tier and start

// follow folds events into the rollups of a dashboard.
func (k kept) follow(t interface{ Fatal(...any) }, d store.Dashboard, events []store.Event) {
	for key, r := range RollupsOf(d) {
		fold := NewRollupBuilder(r)
		for i := range events {
			fold.Add(&events[i])
		}
		if k[key] == nil {
			k[key] = map[[2]int64][]byte{}
		}
		for step := range fold.Steps() {
			at := [2]int64{step.Tier, step.Start}
			block, wide, err := step.Merge(k[key][at])
			if err != nil || wide {
				t.Fatal(err, wide)
			}
			k[key][at] = block
		}
	}
}

// begin returns a fold that takes over what the rollups count up to a seq.
func (k kept) begin(t interface{ Fatal(...any) }, d store.Dashboard, v store.View, w store.Window, upto store.EventSeq) *Fold {
	fold := New(d, v, w)
	for _, span := range fold.Spans() {
		err := fold.Restore(span, upto, func(yield func(int64, []byte) bool) {
			for at, block := range k[span.Key] {
				if at[0] == span.Tier && at[1] >= span.From && at[1] < span.To && !yield(at[1], block) {
					return
				}
			}
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return fold
}

// A fold that begins with rollups, whatever bites they followed the events in,
// and is given all events again reads what a recount says.
func TestAFoldOfRollupsAgreesWithARecount(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		d, v := drawBoard(t)
		// Longer ranges are read from longer tiers; the events are as far apart.
		scale := time.Duration(1)
		if from := rapid.SampledFrom([]string{"", "now-26h", "now-9d", "now-40d", "now-200d"}).Draw(t, "long"); from != "" {
			v.Range, _ = store.ParseRange(from, "now")
			scale = map[string]time.Duration{"now-26h": 13, "now-9d": 108, "now-40d": 480, "now-200d": 2400}[from]
		}
		now := epoch
		window, err := v.Range.Window(now)
		if err != nil {
			t.Fatal(err)
		}
		var events []store.Event
		rollups := kept{}
		upto := store.EventSeq(0)
		for range rapid.IntRange(1, 5).Draw(t, "bites") {
			for range rapid.IntRange(0, 12).Draw(t, "events") {
				e := drawEvent(t)
				e.Seq = store.EventSeq(len(events) + 1)
				e.Time = epoch.Add(scale * e.Time.Sub(epoch))
				events = append(events, e)
			}
			if rapid.IntRange(0, 3).Draw(t, "follow") > 0 {
				rollups.follow(t, d, events[upto:])
				upto = store.EventSeq(len(events))
			}
		}
		fold := drawPacking(t, rollups.begin(t, d, v, window, upto))
		if _, tiered := TierOf(window.Step); tiered && fold.Upto() != upto {
			t.Fatalf("it has the events up to %d, not %d", fold.Upto(), upto)
		}
		for i := range events {
			fold.Add(&events[i])
		}
		for range rapid.IntRange(1, 4).Draw(t, "readings") {
			if err := same(fold.Readings(), recount(d, v, window, events)); err != nil {
				t.Fatal(err)
			}
			if rapid.Bool().Draw(t, "news") {
				e := drawEvent(t)
				e.Seq = store.EventSeq(len(events) + 1)
				e.Time = epoch.Add(scale * e.Time.Sub(epoch))
				events = append(events, e)
				fold.Add(&e)
			}
			now = now.Add(scale * time.Duration(rapid.IntRange(0, 1000).Draw(t, "seconds")) * time.Second)
			if window, err = v.Range.Window(now); err != nil {
				t.Fatal(err)
			}
			if !fold.Slide(window) { // its steps are too long
				fold = drawPacking(t, rollups.begin(t, d, v, window, upto))
				for i := range events {
					fold.Add(&events[i])
				}
			}
		}
	})
}

func TestMetricsThatMeanTheSameShareARollup(t *testing.T) {
	condition := func(s string) store.Condition {
		c, err := store.ParseCondition(s)
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	one, two := condition("status >= 400"), condition(`path = "/"`)
	d := store.Dashboard{Widgets: []store.Widget{
		{Key: "a", Kind: store.Stat, Metric: store.Metric{Measure: store.P50, Property: "ms", Where: []store.Condition{one, two}}},
		{Key: "b", Kind: store.Line, Metric: store.Metric{Measure: store.P99, Property: "ms", Where: []store.Condition{two, one, one}}},
		{Key: "c", Kind: store.Stat, Metric: store.Metric{Measure: store.Sum, Property: "ms"}},
		{Key: "d", Kind: store.Stat, Metric: store.Metric{Measure: store.Avg, Property: "ms"}},
		{Key: "e", Kind: store.TextKind},
	}}
	if n := len(RollupsOf(d)); n != 2 {
		t.Errorf("%d rollups, want 2", n)
	}
	plain := RollupsOf(d)
	d.Variables = []store.Variable{{Name: "host", Property: "host"}}
	for key := range RollupsOf(d) {
		if _, same := plain[key]; same {
			t.Error("with and without a variable it is the same")
		}
	}
	text, number := condition(`status = "500"`), condition("status = 500")
	if (Rollup{metric: store.Metric{Where: []store.Condition{text}}}).Key() == (Rollup{metric: store.Metric{Where: []store.Condition{number}}}).Key() {
		t.Error("a text and a number are the same")
	}
}

func TestAStepWithTooManyGroupsIsWide(t *testing.T) {
	fold := NewRollupBuilder(Rollup{metric: store.Metric{Measure: store.Count, By: "path"}})
	for i := range MaxCombinations + 1 {
		fold.Add(&store.Event{Time: epoch, Properties: store.Properties{{Key: "path", Value: store.Text(fmt.Sprint(i))}}})
	}
	for step := range fold.Steps() {
		if _, wide, err := step.Merge(nil); !wide || err != nil {
			t.Errorf("wide %v, %v", wide, err)
		}
	}
}

// The number of users is the same however they are folded, also where it is
// estimated, and then near the truth.
func TestManyUsersAreEstimatedTheSameInAnyOrder(t *testing.T) {
	const users, parts = 50_000, 7
	var all userSet
	var some [parts]userSet
	for i := range users {
		all.add(hashUser(fmt.Sprint("u", i)))
		some[i*i%parts].add(hashUser(fmt.Sprint("u", users-1-i)))
	}
	var merged userSet
	for i := range some {
		var read userSet
		r := &pack.Reader{Rest: some[i].append(nil)}
		read.read(r)
		if r.Err() != nil || len(r.Rest) > 0 {
			t.Fatal(r.Err())
		}
		merged.merge(&read)
	}
	n, about := all.size()
	if m, _ := merged.size(); m != n || !about || n < users*98/100 || n > users*102/100 {
		t.Errorf("%d, merged %d, of %d", n, m, users)
	}
	var few userSet
	for i := range exactUsers {
		few.add(hashUser(fmt.Sprint(i)))
	}
	if n, about := few.size(); n != exactUsers || about {
		t.Errorf("%d of %d, about %v", n, exactUsers, about)
	}
}

// Whatever stands in a block, reading it ends with cells or an error; what was read
// is written and read the same.
func FuzzReadBlock(f *testing.F) {
	d := store.Dashboard{}
	for _, m := range []store.Metric{{Measure: store.Uniques}, {Measure: store.P50, Property: "n"}, {Measure: store.Sum, Property: "n"}, {Measure: store.Ratio, Of: []store.Condition{}}, {Measure: store.Count, By: "n"}} {
		fold := NewRollupBuilder(RollupOf(d, m))
		for i := range 20 {
			fold.Add(&store.Event{User: fmt.Sprint(i), Time: epoch, Properties: store.Properties{{Key: "n", Value: store.Num(float64(i) / 3)}}})
		}
		for step := range fold.Steps() {
			block, _, _ := step.Merge(nil)
			f.Add(block)
		}
	}
	f.Fuzz(func(t *testing.T, block []byte) {
		cells, err := readBlock(block)
		if err != nil {
			if !errors.Is(err, errBlock) {
				t.Fatal(err)
			}
			return
		}
		written := cells.append(nil)
		again, err := readBlock(written)
		if err != nil {
			t.Fatalf("%x is read and written as %x: %v", block, written, err)
		}
		if len(again) != len(cells) || string(again.append(nil)) != string(written) {
			t.Fatalf("%x: %v and %v", block, maps.Collect(maps.All(cells)), again)
		}
	})
}
