package store

import (
	"reflect"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

func drawSnapshot(t *rapid.T, label string) Snapshot {
	s := Snapshot{ID: Seq(rapid.Int64Range(1, 9).Draw(t, label)), Window: Window{0, 60, 15}}
	keys := rapid.SliceOfNDistinct(rapid.SampledFrom([]WidgetKey{"a", "b", "c", "d"}), 0, 4, func(k WidgetKey) WidgetKey { return k }).Draw(t, label+" keys")
	for _, k := range keys {
		n := Number{}
		if rapid.Bool().Draw(t, "valid") {
			n = Of(float64(rapid.IntRange(0, 2).Draw(t, "value")))
		}
		var spark []Point
		if rapid.Bool().Draw(t, "spark") {
			spark = []Point{{0, Of(float64(rapid.IntRange(0, 1).Draw(t, "spark value")))}}
		}
		s.Widgets = append(s.Widgets, NewWidgetReading(k, n, spark))
	}
	return s
}

func TestASnapshotAndItsDeltaMakeTheNextSnapshot(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		before, next := drawSnapshot(t, "before"), drawSnapshot(t, "next")
		delta := before.Diff(next)
		if got := before.Apply(delta); !reflect.DeepEqual(got, next) {
			t.Fatalf("got %+v, want %+v", got, next)
		}
		for _, w := range delta.Changed {
			i := slices.IndexFunc(before.Widgets, func(b WidgetReading) bool { return b.Key == w.Key })
			if i >= 0 && string(before.Widgets[i].Picture()) == string(w.Picture()) {
				t.Fatalf("%s did not change and is in the delta", w.Key)
			}
		}
		if same := next.Diff(next); !same.Empty() {
			t.Fatalf("a snapshot differs from itself: %+v", same)
		}
	})
}
