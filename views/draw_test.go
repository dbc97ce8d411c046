package views

import (
	"fmt"
	"maps"
	"slices"
	"testing"

	"pulseboard/store"
)

// sized gives a widget of each kind with a metric that shows n groups, or n steps where it has none.
func sized(n int) map[store.Kind]Widget {
	series := func(salt int) []store.Point {
		points := make([]store.Point, 120)
		for i := range points {
			points[i] = store.Point{At: int64(i) * 60, Number: store.Of(float64((i*salt)%97 + 1))}
		}
		return points
	}
	ranking := make(store.Ranking, n)
	grouped := store.GroupedSeries{Step: 60}
	for i := range n {
		name := fmt.Sprintf("/a/path/of/some/length/%d", i)
		ranking[i] = store.GroupNumber{Group: name, Number: store.Of(float64(n - i))}
		grouped.Groups = append(grouped.Groups, store.GroupSeries{Group: name, Points: series(i + 7)})
	}
	widgets := map[store.Kind]Widget{}
	readings := map[store.Reads]store.Reading{store.ReadsNumber: store.Of(float64(n)), store.ReadsSeries: grouped, store.ReadsRanking: ranking}
	for _, kind := range store.Kinds {
		reading := readings[kind.Traits().Reads]
		if reading == nil {
			continue
		}
		var spark []store.Point
		if kind.Traits().Sparks {
			spark = series(11)
		}
		widgets[kind] = Widget{
			Def:     store.Widget{Key: "w", Kind: kind, Metric: store.Metric{Measure: store.Count, By: "path"}, Limit: n},
			Reading: store.NewWidgetReading("w", reading, spark),
			Window:  store.Window{From: 0, To: 7200, Step: 60}, Live: true,
		}
	}
	return widgets
}

// drawAll draws a widget as the stream needs it: whole, its shell, and each part.
func drawAll(tb testing.TB, w Widget) (bytes int) {
	bytes = len(markup(tb, w.Whole())) + len(w.Shell())
	for _, part := range w.Parts() {
		bytes += len(markup(tb, part.Component))
	}
	return bytes
}

// Allocations stand for work here, because they are the same on every machine: four
// times as many groups take four times as many, not sixteen times.
func TestDrawingIsLinear(t *testing.T) {
	few, many := sized(100), sized(400)
	for kind := range few {
		a := testing.AllocsPerRun(1, func() { drawAll(t, few[kind]) })
		b := testing.AllocsPerRun(1, func() { drawAll(t, many[kind]) })
		if b > 4.5*a {
			t.Errorf("%s: %.0f allocations for 100 groups, %.0f for 400", kind, a, b)
		}
	}
}

// BenchmarkDraw draws each kind with ever more groups. Time per group stays the same.
func BenchmarkDraw(b *testing.B) {
	for _, kind := range slices.Sorted(maps.Keys(sized(1))) {
		for _, n := range []int{10, 100, 1000} {
			w := sized(n)[kind]
			b.Run(fmt.Sprintf("%s/groups=%d", kind, n), func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					drawAll(b, w)
				}
			})
		}
	}
}
