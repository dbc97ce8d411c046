package fold

import (
	"testing"
	"time"

	"pulseboard/store"
)

func TestAGapIsShownAsLongAsItLiesInTheWindow(t *testing.T) {
	d := store.Dashboard{ID: "d", Widgets: []store.Widget{
		{Key: "count", Kind: store.Stat, Metric: store.Metric{Measure: store.Count}},
		{Key: "other", Kind: store.Gauge, Metric: store.Metric{Measure: store.Uniques}},
		{Key: "twice", Kind: store.Gauge, Metric: store.Metric{Measure: store.Formula, Formula: "2 * count"}},
		{Key: "compared", Kind: store.Stat, Compare: store.Previous, Metric: store.Metric{Measure: store.Count}},
	}}
	r, err := store.ParseRange("now-1h", "now")
	if err != nil {
		t.Fatal(err)
	}
	now := time.Unix(1_770_000_000, 0)
	window, err := r.Window(now)
	if err != nil {
		t.Fatal(err)
	}
	fold := New(d, store.View{Dashboard: "d", Range: r}, window)
	shown := func() (keys string) {
		for _, w := range fold.Readings() {
			if w.Partial {
				keys += string(w.Key) + " "
			}
		}
		return keys
	}
	if got := shown(); got != "" {
		t.Errorf("without a gap %q lack events", got)
	}
	whole := fold.Readings()[0]
	key := RollupOf(d, d.Widgets[0].Metric).Key()
	fold.Lack(key, Gap{window.From + 600, window.From + 660})
	if got := shown(); got != "count twice compared " {
		t.Errorf("with a gap %q lack events", got)
	}
	if delta := (store.Snapshot{Widgets: []store.WidgetReading{whole}}).Diff(store.Snapshot{Widgets: fold.Readings()[:1]}); len(delta.Changed) != 1 {
		t.Error("a gap changes nothing on screens")
	}
	slide := func(by time.Duration) {
		t.Helper()
		next, err := r.Window(now.Add(by))
		if err != nil || !fold.Slide(next) {
			t.Fatalf("it can't slide: %v", err)
		}
	}
	slide(10 * time.Minute)
	if got := shown(); got != "count twice compared " {
		t.Errorf("with a gap in the first step %q lack events", got)
	}
	slide(12 * time.Minute)
	if got := shown(); got != "compared " { // with the period before
		t.Errorf("after the gap %q lack events", got)
	}
	slide(80 * time.Minute)
	if got := shown(); got != "" {
		t.Errorf("long after the gap %q lack events", got)
	}
}
