package sqlite

import (
	"fmt"
	"testing"
	"time"

	"pgregory.net/rapid"

	"pulseboard/store"
	"pulseboard/store/fold"
)

const rollupBoard = `widgets of every kind of cell`

// drawBoard gives a dashboard that reads each kind of cell, and a view of it.
func drawBoard(t *rapid.T) (store.Dashboard, store.View) {
	metrics := []store.Metric{
		{Measure: store.Count}, {Measure: store.Uniques, Event: "a"}, {Measure: store.Count, By: "path"}, {Measure: store.Avg, Property: "ms"},
		{Measure: store.P90, Property: "ms"}, {Measure: store.P50, Property: "ms", By: "path"}, {Measure: store.Max, Property: "ms"},
	}
	d := store.Dashboard{ID: "d", Title: rollupBoard}
	if rapid.Bool().Draw(t, "variable") {
		d.Variables = []store.Variable{{Name: "path", Property: "path"}}
	}
	for i, m := range rapid.SliceOfN(rapid.SampledFrom(metrics), 1, 4).Draw(t, "metrics") {
		kind := store.Stat
		if m.By != "" {
			kind = store.Bars
		}
		d.Widgets = append(d.Widgets, store.Widget{Key: store.WidgetKey(fmt.Sprint("w", i)), Kind: kind, Metric: m})
	}
	r, err := store.ParseRange(rapid.SampledFrom([]string{"now-20m", "now-1h", "now-20h", "now-30d", "now-400d"}).Draw(t, "from"), "now")
	if err != nil {
		t.Fatal(err)
	}
	v := store.View{Dashboard: d.ID, Range: r}
	if d.Variables != nil && rapid.Bool().Draw(t, "picked") {
		v.Vars = store.Vars{"path": {rapid.SampledFrom([]string{"/", "/x", "7"}).Draw(t, "path")}}
	}
	return d, v
}

func drawBatch(t *rapid.T) []store.Event {
	return rapid.SliceOfN(rapid.Custom(func(t *rapid.T) store.Event {
		e := store.Event{
			Name: rapid.SampledFrom([]string{"a", "b"}).Draw(t, "name"),
			ID:   rapid.SampledFrom([]string{"", "", "1", "2", "3"}).Draw(t, "id"),
			User: rapid.SampledFrom([]string{"", "u", "v"}).Draw(t, "user"),
			Time: noon.Add(-time.Duration(rapid.SampledFrom([]int{0, 7, 100, 4000, 90_000, 3_000_000}).Draw(t, "ago")) * time.Second),
		}
		if rapid.Bool().Draw(t, "path") {
			e.Properties = append(e.Properties, store.Property{Key: "ms", Value: store.Num(rapid.SampledFrom([]float64{0, -1, 0.1, 1e200}).Draw(t, "ms"))})
			e.Properties = append(e.Properties, store.Property{Key: "path", Value: rapid.SampledFrom([]store.Value{store.Text("/"), store.Text(""), store.Num(7), store.Null}).Draw(t, "value")})
		}
		return e
	}), 0, 6).Draw(t, "batch")
}

// Whatever comes when, also late and twice, however far rollups followed, and
// whichever process did it: a view that begins with rollups reads what all kept
// events say.
func TestAViewReadsTheSameWithRollupsAndWithout(t *testing.T) {
	dir := t.TempDir()
	s := openIn(t, dir, lockTimeout)
	run := 0
	rapid.Check(t, func(rt *rapid.T) {
		run++
		tenant := newTenant(t, s, store.Slug(fmt.Sprintf("t%d", run)))
		other := newTenant(t, s, store.Slug(fmt.Sprintf("o%d", run)))
		d, v := drawBoard(rt)
		check := func(err error) {
			if err != nil {
				rt.Fatal(err)
			}
		}
		check(s.ApplyDashboards(t.Context(), tenant, []store.Dashboard{d}))
		for range rapid.IntRange(1, 12).Draw(rt, "steps") {
			switch rapid.SampledFrom([]string{"record", "record", "other", "trickle", "follow", "merge", "define", "restart", "redefine"}).Draw(rt, "what") {
			case "record":
				_, err := s.Record(t.Context(), tenant, drawBatch(rt), noon)
				check(err)
			case "other":
				_, err := s.Record(t.Context(), other, drawBatch(rt), noon)
				check(err)
			case "trickle":
				for range rapid.IntRange(1, 2*mergeAfter).Draw(rt, "batches") {
					_, err := s.Record(t.Context(), tenant, []store.Event{event("a", "", noon)}, noon)
					check(err)
				}
			case "merge":
				check(s.mergePacks(t.Context(), tenant))
			case "follow":
				_, err := s.FollowRollups(t.Context(), tenant)
				check(err)
			case "define":
				check(s.DefineRollups(t.Context(), tenant))
			case "restart":
				check(s.Close())
				s = openIn(t, dir, lockTimeout)
			case "redefine":
				d, v = drawBoard(rt)
				check(s.ApplyDashboards(t.Context(), tenant, []store.Dashboard{d}))
			}
			window, err := v.Range.Window(noon)
			check(err)
			f, all := fold.New(d, v, window), fold.New(d, v, window)
			head, err := s.FoldView(t.Context(), tenant, f, time.Time{})
			check(err)
			allHead, err := s.ScanEvents(t.Context(), tenant, store.Scan{}, func(e *store.Event) error {
				all.Add(e)
				return nil
			})
			check(err)
			if head != allHead {
				rt.Fatalf("head %d, want %d", head, allHead)
			}
			for i, want := range all.Readings() {
				if got := f.Readings()[i]; string(got.Picture()) != string(want.Picture()) {
					rt.Fatalf("%v: %s, want %s", d.Widgets[i].Metric, got.Picture(), want.Picture())
				}
			}
		}
	})
}

func TestRollupsFollowInBitesAndAreDroppedWhenUnused(t *testing.T) {
	s := newStore(t)
	tenant := newTenant(t, s, "acme")
	d := store.Dashboard{ID: "d", Title: "D", Widgets: []store.Widget{{Key: "n", Kind: store.Stat, Metric: store.Metric{Measure: store.Count}}}}
	apply(t, s, tenant, d)
	batch := make([]store.Event, 10_000)
	for i := range batch {
		batch[i] = store.Event{Name: "a", Time: noon.Add(-time.Duration(i) * time.Minute)}
	}
	const events = 2*bite + 10_000
	for range events / len(batch) {
		record(t, s, tenant, noon, batch...)
	}
	if err := s.DefineRollups(t.Context(), tenant); err != nil {
		t.Fatal(err)
	}
	rounds := 0
	for behind := store.EventSeq(1); behind > 0; rounds++ {
		var err error
		if behind, err = s.FollowRollups(t.Context(), tenant); err != nil {
			t.Fatal(err)
		}
	}
	if rounds < 3 {
		t.Errorf("it took %d rounds: a bite is to be small", rounds)
	}
	r, _ := store.ParseRange("now-30d", "now")
	window, _ := r.Window(noon)
	f := fold.New(d, store.View{Range: r}, window)
	if _, err := s.FoldView(t.Context(), tenant, f, time.Time{}); err != nil {
		t.Fatal(err)
	}
	if got := string(f.Readings()[0].JSON()); got != fmt.Sprint(events) || f.Upto() == 0 {
		t.Errorf("it reads %s, from a rollup up to %d", got, f.Upto())
	}
	apply(t, s, tenant, store.Dashboard{ID: "d", Title: "D"})
	if err := s.DefineRollups(t.Context(), tenant); err != nil {
		t.Fatal(err)
	}
	var left int
	if err := s.reader.GetContext(t.Context(), &left, `SELECT (SELECT count(*) FROM rollups) + (SELECT count(*) FROM rollup_steps)`); err != nil || left > 0 {
		t.Errorf("%d rows are left, %v", left, err)
	}
}

// followAll lets a tenant's rollups follow all events.
func followAll(t testing.TB, s *Store, tenant store.TenantID) {
	t.Helper()
	for behind := store.EventSeq(1); behind > 0; {
		var err error
		if behind, err = s.FollowRollups(t.Context(), tenant); err != nil {
			t.Fatal(err)
		}
	}
}

// count gives how many events of the month before a moment a stat says there are.
func count(t testing.TB, s *Store, tenant store.TenantID, now time.Time) float64 {
	t.Helper()
	r, err := store.ParseRange("now-30d", "now")
	if err != nil {
		t.Fatal(err)
	}
	window, err := r.Window(now)
	if err != nil {
		t.Fatal(err)
	}
	d := store.Dashboard{ID: "d", Widgets: []store.Widget{{Key: "n", Kind: store.Stat, Metric: store.Metric{Measure: store.Count}}}}
	f := fold.New(d, store.View{Dashboard: "d", Range: r}, window)
	if _, err := s.FoldView(t.Context(), tenant, f, time.Time{}); err != nil {
		t.Fatal(err)
	}
	return f.Readings()[0].Reading.(store.Number).Value
}

// A bite in which nearly everything is new ends before it takes much memory, and all is counted
// in the end.
func TestABiteThatTakesMuchMemoryEndsEarly(t *testing.T) {
	s := newStore(t)
	tenant := newTenant(t, s, "acme")
	d := store.Dashboard{ID: "d", Title: "D", Widgets: []store.Widget{{Key: "n", Kind: store.Stat, Metric: store.Metric{Measure: store.Count}}}}
	for i := range 12 {
		d.Widgets = append(d.Widgets, store.Widget{Key: store.WidgetKey(fmt.Sprint("w", i)), Kind: store.Bars,
			Metric: store.Metric{Measure: store.Count, By: "path", Where: []store.Condition{condition(t, fmt.Sprintf("ms >= %d", i))}}})
	}
	apply(t, s, tenant, d)
	batch := make([]store.Event, 10_000)
	const events = 40_000
	for n := range events / len(batch) {
		for i := range batch {
			path := fmt.Sprint("/", n, "/", i)
			batch[i] = store.Event{Name: "a", Time: noon.Add(-time.Duration(i%2_000) * time.Second),
				Properties: store.Properties{{Key: "ms", Value: store.Num(100)}, {Key: "path", Value: store.Text(path)}}}
		}
		record(t, s, tenant, noon, batch...)
	}
	if err := s.DefineRollups(t.Context(), tenant); err != nil {
		t.Fatal(err)
	}
	behind, err := s.FollowRollups(t.Context(), tenant)
	if err != nil || behind < events/4 {
		t.Errorf("the first bite leaves %d of %d events, %v", behind, events, err)
	}
	followAll(t, s, tenant)
	if got := count(t, s, tenant, noon); got != events {
		t.Errorf("%v events are counted", got)
	}
}

func condition(t testing.TB, text string) store.Condition {
	t.Helper()
	c, err := store.ParseCondition(text)
	if err != nil {
		t.Fatal(err)
	}
	return c
}
