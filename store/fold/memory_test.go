package fold

import (
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"testing"
	"time"

	"pgregory.net/rapid"

	"pulseboard/store"
)

// boardOf makes a board with one widget a metric.
func boardOf(kind store.Kind, limit int, metrics ...store.Metric) store.Dashboard {
	d := store.Dashboard{ID: "d"}
	for i, m := range metrics {
		d.Widgets = append(d.Widgets, store.Widget{Key: store.WidgetKey(fmt.Sprint("w", i)), Kind: kind, Metric: m, Limit: limit})
	}
	return d
}

func hourAt(now time.Time) (store.Range, store.Window) {
	r, err := store.ParseRange("now-1h", "now")
	if err != nil {
		panic(err)
	}
	window, err := r.Window(now)
	if err != nil {
		panic(err)
	}
	return r, window
}

// pageview is event i of many, whose path and user are drawn from so many.
func pageview(random *rand.Rand, paths, users int) *store.Event {
	return &store.Event{
		Time: epoch.Add(-time.Duration(random.IntN(3_500)) * time.Second), User: fmt.Sprint("user-", random.IntN(users)),
		Properties: store.Properties{{Key: "path", Value: store.Text(fmt.Sprint("/shop/articles/", random.IntN(paths)))}, {Key: "ms", Value: store.Num(random.ExpFloat64() * 100)}},
	}
}

func heapAlloc() int {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int(m.HeapAlloc)
}

// What a fold says it takes is what the heap grew by, so that a budget of memory holds.
func TestAFoldKnowsWhatItTakes(t *testing.T) {
	if testing.Short() {
		t.Skip("takes seconds")
	}
	r, window := hourAt(epoch)
	for name, d := range map[string]store.Dashboard{
		"counts by path":      boardOf(store.Bars, 10, store.Metric{Measure: store.Count, By: "path"}),
		"percentiles by path": boardOf(store.Line, 10, store.Metric{Measure: store.P95, Property: "ms", By: "path"}),
		"averages by path":    boardOf(store.Table, 10, store.Metric{Measure: store.Avg, Property: "ms", By: "path"}),
		"users by path":       boardOf(store.Table, 10, store.Metric{Measure: store.Uniques, By: "path"}),
		"users":               boardOf(store.Stat, 0, store.Metric{Measure: store.Uniques}),
		"percentiles":         boardOf(store.Line, 0, store.Metric{Measure: store.P95, Property: "ms"}),
	} {
		for _, read := range []bool{false, true} {
			random := rand.New(rand.NewPCG(1, 2))
			before := heapAlloc()
			fold := New(d, store.View{Range: r}, window)
			for range 50_000 {
				_ = fold.Add(pageview(random, 5_000, 50_000)) // no meter that could refuse
			}
			if read {
				for range 3 { // the second and third pack what was idle since
					fold.widgets[0].stale = true
					fold.Readings()
				}
			}
			grown, says := heapAlloc()-before, fold.Size()
			if ratio := float64(grown) / float64(says); ratio < 0.6 || ratio > 1.4 {
				t.Errorf("%s, read %t: the heap grew by %d kB, the fold says %d kB (%.2f)", name, read, grown>>10, says>>10, ratio)
			}
			runtime.KeepAlive(fold)
		}
	}
}

// What is counted step by step is what counting anew gives.
func TestAFoldCountsItsBytesRight(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		d, v := drawBoard(t)
		now := epoch
		window, err := v.Range.Window(now)
		if err != nil {
			t.Fatal(err)
		}
		fold := drawPacking(t, New(d, v, window))
		for range rapid.IntRange(1, 6).Draw(t, "rounds") {
			for range rapid.IntRange(0, 12).Draw(t, "events") {
				e := drawEvent(t)
				_ = fold.Add(&e)
			}
			if rapid.Bool().Draw(t, "read") {
				fold.Readings()
			}
			says := fold.Size()
			for _, w := range fold.widgets {
				w.measure()
			}
			// Slices have room to spare, which reading may take or leave.
			if is := fold.Size(); says-is > is/20 || is-says > is/20 {
				t.Fatalf("it says %d bytes, and counted anew %d", says, is)
			}
		}
	})
}

// sumOf adds up the values of a ranking's JSON.
func sumOf(t *testing.T, reading store.WidgetReading) (sum float64) {
	t.Helper()
	var groups []struct{ Value float64 }
	if err := json.Unmarshal(reading.JSON(), &groups); err != nil {
		t.Fatal(err)
	}
	for _, g := range groups {
		sum += g.Value
	}
	return sum
}

func TestAFoldStaysBelowItsLimitAndLosesNothing(t *testing.T) {
	r, window := hourAt(epoch)
	const events, limit = 60_000, 3 << 20
	d := boardOf(store.Bars, store.MaxLimit, store.Metric{Measure: store.Count, By: "path"}, store.Metric{Measure: store.Uniques, By: "path"}, store.Metric{Measure: store.Count, By: "user"})
	fold := New(d, store.View{Range: r}, window)
	most := 0
	fold.Limit(limit, func(bytes int) error {
		most = max(most, bytes)
		return nil
	})
	random := rand.New(rand.NewPCG(3, 4))
	for i := range events {
		e := pageview(random, 20_000, 100_000)
		if i%10 == 0 {
			e.Properties[0].Value = store.Text("/largest")
		}
		if err := fold.Add(e); err != nil {
			t.Fatal(err)
		}
	}
	if most > limit || most < limit/2 {
		t.Errorf("its meter saw %d bytes at most; the limit is %d", most, limit)
	}
	readings := fold.Readings()
	for i, w := range readings {
		if !w.Merged {
			t.Errorf("widget %d does not say that groups were merged", i)
		}
	}
	ranking := readings[0].Reading.(store.Ranking)
	if ranking[0].Group != store.OtherGroup || ranking[1].Group != "/largest" || ranking[1].Value != events/10 {
		t.Errorf("it begins with %v", ranking[:2])
	}
	total := 0.0
	for _, c := range fold.widgets[0].total(window) {
		total += float64(c.count)
	}
	if total != events {
		t.Errorf("%v of %d events are counted", total, events)
	}
}

func TestAMeterThatRefusesEndsAFold(t *testing.T) {
	r, window := hourAt(epoch)
	full := errors.New("no room")
	fold := New(boardOf(store.Bars, 10, store.Metric{Measure: store.Count, By: "path"}), store.View{Range: r}, window)
	fold.Limit(64<<20, func(bytes int) error {
		if bytes > 2<<20 {
			return full
		}
		return nil
	})
	random := rand.New(rand.NewPCG(5, 6))
	for range 100_000 {
		if err := fold.Add(pageview(random, 50_000, 10)); err != nil {
			if !errors.Is(err, full) || fold.Size() > 4<<20 {
				t.Errorf("%v at %d bytes", err, fold.Size())
			}
			return
		}
	}
	t.Error("it was never asked")
}

// A board may ask for more than anybody can look at. What it shows is bounded, and what is
// not shown is summed.
func TestWhatAViewShowsIsBounded(t *testing.T) {
	r, window := hourAt(epoch)
	var metrics []store.Metric
	for range 100 {
		metrics = append(metrics, store.Metric{Measure: store.Count, By: "path"})
	}
	d := boardOf(store.Line, store.MaxLimit, metrics...)
	d.Widgets[0].Limit = 5 // asks for less than its share
	fold := New(d, store.View{Range: r}, window)
	const paths = 1_200
	for i := range paths {
		_ = fold.Add(&store.Event{Time: epoch.Add(-time.Duration(i%3_000) * time.Second), Properties: store.Properties{{Key: "path", Value: store.Text(fmt.Sprint("/", i))}}})
	}
	points := 0
	for i, reading := range fold.Readings() {
		groups := reading.Reading.(store.GroupedSeries).Groups
		sum := 0.0
		for _, g := range groups {
			points += len(g.Points)
			for _, p := range g.Points {
				sum += p.Value
			}
		}
		switch {
		case i == 0 && (len(groups) != 5 || reading.Merged):
			t.Errorf("a widget that asks for 5 groups shows %d", len(groups))
		case i > 0 && (!reading.Merged || groups[len(groups)-1].Group != store.OtherGroup || sum != paths):
			t.Fatalf("widget %d shows %d groups of %v events in all, merged %t", i, len(groups), sum, reading.Merged)
		}
	}
	if points > shownPoints || points < shownPoints/2 {
		t.Errorf("%d points are shown", points)
	}
	tables := boardOf(store.Table, store.MaxLimit, metrics...)
	fold = New(tables, store.View{Range: r}, window)
	for i := range paths {
		_ = fold.Add(&store.Event{Time: epoch, Properties: store.Properties{{Key: "path", Value: store.Text(fmt.Sprint("/", i))}}})
	}
	for _, reading := range fold.Readings() {
		if n := len(reading.Reading.(store.Ranking)); n > shownPoints/shownRow/100 || sumOf(t, reading) != paths {
			t.Fatalf("a table shows %d rows of %v events", n, sumOf(t, reading))
		}
	}
}
