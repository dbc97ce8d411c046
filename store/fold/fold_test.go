package fold

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"pulseboard/store"
	"pulseboard/store/formula"
)

func same(a, b []store.WidgetReading) error {
	if len(a) != len(b) {
		return fmt.Errorf("%d readings, want %d", len(a), len(b))
	}
	for i := range a {
		if a[i].Key != b[i].Key || string(a[i].Picture()) != string(b[i].Picture()) {
			return fmt.Errorf("%s:\n got %s\nwant %s", a[i].Key, a[i].Picture(), b[i].Picture())
		}
	}
	return nil
}

// A fold that follows events as they come, in any order, while its window moves
// on, reads what a recount of all events says.
func TestAFoldAgreesWithARecount(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		d, v := drawBoard(t)
		now := epoch
		window, err := v.Range.Window(now)
		if err != nil {
			t.Fatal(err)
		}
		fold := drawPacking(t, New(d, v, window))
		var events []store.Event
		for range rapid.IntRange(1, 8).Draw(t, "rounds") {
			for range rapid.IntRange(0, 12).Draw(t, "events") {
				e := drawEvent(t)
				events = append(events, e)
				fold.Add(&e)
			}
			if rapid.Bool().Draw(t, "time passes") {
				now = now.Add(time.Duration(rapid.IntRange(1, 3000).Draw(t, "seconds")) * time.Second)
				if window, err = v.Range.Window(now); err != nil {
					t.Fatal(err)
				}
				if !fold.Slide(window) {
					t.Fatalf("a fold could not slide on to %v", window)
				}
			}
			if err := same(fold.Readings(), recount(d, v, window, events)); err != nil {
				t.Fatal(err)
			}
		}
	})
}

// drawPacking lets a fold pack its cells as early as it can, or as it does by itself.
func drawPacking(t *rapid.T, f *Fold) *Fold {
	if rapid.Bool().Draw(t, "packs early") {
		f.packAt, f.fewOpen = 0, 0
	}
	return f
}

func TestAFoldDoesNotSlideBack(t *testing.T) {
	r, err := store.ParseRange("now-1h", "now")
	if err != nil {
		t.Fatal(err)
	}
	window, _ := r.Window(epoch)
	earlier, _ := r.Window(epoch.Add(-time.Hour))
	fold := New(store.Dashboard{}, store.View{Range: r}, window)
	if fold.Slide(earlier) {
		t.Error("it slid back, to steps it never kept")
	}
	other := window
	other.Step = 300
	if fold.Slide(other) {
		t.Error("it slid to steps of another length")
	}
}

func TestAVariableThatIsGoneLetsNothingPass(t *testing.T) {
	r, _ := store.ParseRange("now-1h", "now")
	window, _ := r.Window(epoch)
	d := store.Dashboard{Widgets: []store.Widget{{Key: "n", Kind: store.Stat, Metric: store.Metric{Measure: store.Count}}}}
	fold := New(d, store.View{Range: r, Vars: store.Vars{"customer": {"acme"}}}, window)
	fold.Add(&store.Event{Name: "a", Time: epoch})
	if got := string(fold.Readings()[0].JSON()); got != "0" {
		t.Errorf("counted %s events past a pinned variable", got)
	}
}

func TestGroupsBeyondTheLimitAreSummed(t *testing.T) {
	r, _ := store.ParseRange("now-1h", "now")
	window, _ := r.Window(epoch)
	d := store.Dashboard{Widgets: []store.Widget{{Key: "n", Kind: store.Bars, Limit: 3, Metric: store.Metric{Measure: store.Count, By: "id"}}}}
	fold := New(d, store.View{Range: r}, window)
	add := func(id string) {
		fold.Add(&store.Event{Name: "a", Time: epoch, Properties: store.Properties{{Key: "id", Value: store.Text(id)}}})
	}
	for i := range store.MaxGroups + 500 {
		add(fmt.Sprint(i))
	}
	for range 3 {
		add("7")
	}
	if got := string(fold.Readings()[0].JSON()); !strings.HasPrefix(got, `[{"group":"(other)","value":500},{"group":"7","value":4},`) {
		t.Errorf("got %s", got)
	}
}

func TestASumIsExactInAnyOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		numbers := rapid.SliceOfN(rapid.OneOf(rapid.Float64Range(-store.MaxNumber, store.MaxNumber), rapid.Float64Range(-10, 10), rapid.SampledFrom([]float64{0.1, 1e16, -1e16, 1e-300})), 0, 60).Draw(t, "numbers")
		var left, right exactSum
		cut := rapid.IntRange(0, len(numbers)).Draw(t, "cut")
		for i, f := range numbers {
			if i < cut {
				left.add(f)
			} else {
				right.add(f)
			}
		}
		left.merge(right)
		want, _ := bigSum(numbers).Float64()
		if got := left.value(); got != want {
			t.Fatalf("the sum of %v is %v, want %v", numbers, got, want)
		}
	})
}

func TestPercentilesOfManyNumbersAreWithinOnePercent(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		number := rapid.OneOf(rapid.Float64Range(-1e6, 1e6), rapid.Float64Range(-1, 1), rapid.Just(0.0), rapid.Float64Range(1e-9, 1e150))
		some := rapid.SliceOfN(number, 50, 200).Draw(t, "numbers")
		var d distribution
		var all []float64
		for len(all) <= exactValues {
			for _, f := range some {
				all = append(all, f)
				d.add(f)
			}
		}
		slices.Sort(all)
		for _, p := range []int{50, 90, 95, 99} {
			want := all[nearestRank(p, len(all))-1]
			// Numbers below 1e-300 count as 0.
			if got := d.percentile(p); math.Abs(got-want) > 0.01*math.Abs(want)+1e-300 {
				t.Fatalf("p%d is %v, want %v", p, got, want)
			}
		}
	})
}

func BenchmarkFoldAdd(b *testing.B) {
	r, _ := store.ParseRange("now-1h", "now")
	window, _ := r.Window(epoch)
	d := store.Dashboard{}
	for i, m := range []store.Metric{{Measure: store.Count}, {Measure: store.Uniques}, {Measure: store.P95, Property: "status"}, {Measure: store.Count, By: "path"}} {
		d.Widgets = append(d.Widgets, store.Widget{Key: store.WidgetKey(fmt.Sprint(i)), Kind: store.Line, Metric: m})
	}
	fold := New(d, store.View{Range: r}, window)
	e := store.Event{Name: "request", User: "u1", Time: epoch, Properties: store.Properties{{Key: "path", Value: store.Text("/")}, {Key: "status", Value: store.Num(200)}}}
	for b.Loop() {
		fold.Add(&e)
	}
}

// A property with another value for each event takes memory for the groups kept apart
// only; those with many events are counted as ever, and none is lost.
func TestManyGroupsAreBoundedAndTheLargestExact(t *testing.T) {
	r, _ := store.ParseRange("now-1h", "now")
	window, _ := r.Window(epoch)
	d := store.Dashboard{ID: "d", Widgets: []store.Widget{{Key: "w", Kind: store.Bars, Metric: store.Metric{Measure: store.Count, By: "path"}, Limit: 3}}}
	fold := New(d, store.View{Range: r}, window)
	const events = 5 * manyGroups
	for i := range events {
		path := fmt.Sprint("/", i)
		if i%10 == 0 {
			path = []string{"/a", "/b"}[i%20/10]
		}
		fold.Add(&store.Event{Time: epoch.Add(-time.Duration(i%3_000) * time.Second), Properties: store.Properties{{Key: "path", Value: store.Text(path)}}})
	}
	cells := 0
	for _, s := range fold.widgets[0].steps {
		cells += len(s.open) + len(s.packed.entries)
	}
	if cells > manyGroups+3*60 {
		t.Errorf("%d cells are kept", cells)
	}
	want := `[{"group":"(other)","value":` + fmt.Sprint(events-events/10-store.MaxGroups+3) + `},{"group":"/a","value":` + fmt.Sprint(events/20) + `},{"group":"/b","value":` + fmt.Sprint(events/20) + `}]`
	if got := string(fold.Readings()[0].JSON()); got != want {
		t.Errorf("got %s\nwant %s", got, want)
	}
	window, _ = r.Window(epoch.Add(2 * time.Hour))
	if fold.Slide(window); len(fold.widgets[0].groups) > 0 {
		t.Errorf("%d groups are left of a window that was left behind", len(fold.widgets[0].groups))
	}
}

// A grid of groups reads what bars of the same metric read, in the same form.
func TestAStatusReadsAsBars(t *testing.T) {
	d := store.Dashboard{ID: "d"}
	for _, kind := range []store.Kind{store.Status, store.Bars} {
		d.Widgets = append(d.Widgets, store.Widget{Key: store.WidgetKey(kind), Kind: kind, Metric: store.Metric{Measure: store.Count, By: "path"}})
	}
	if err := d.Validate(formula.Names); err != nil {
		t.Fatal(err)
	}
	r, err := store.ParseRange("now-1h", "now")
	if err != nil {
		t.Fatal(err)
	}
	window, err := r.Window(epoch)
	if err != nil {
		t.Fatal(err)
	}
	f := New(d, store.View{Range: r}, window)
	for _, path := range []string{"/a", "/b", "/b"} {
		if err := f.Add(&store.Event{Time: epoch.Add(-time.Minute), Properties: store.Properties{{Key: "path", Value: store.Text(path)}}}); err != nil {
			t.Fatal(err)
		}
	}
	want := `[{"group":"/b","value":2},{"group":"/a","value":1}]`
	for _, reading := range f.Readings() {
		if string(reading.JSON()) != want {
			t.Errorf("%s reads %s, want %s", reading.Key, reading.JSON(), want)
		}
	}
}
