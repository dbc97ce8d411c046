package store

import (
	"fmt"
	"math"
	"math/big"
	"slices"
	"sort"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// The recount below says by itself what a reading must be: it looks at every
// event anew, without steps that merge, without cells and without a sketch.

func recount(d Dashboard, v View, w Window, events []Event) []WidgetReading {
	var readings []WidgetReading
	for _, widget := range d.Widgets {
		m := widget.Metric
		of := func(m Metric, from, to int64, group *string) Number {
			var counted []Event
			for _, e := range events {
				if e.Time.Unix() >= from && e.Time.Unix() < to && matches(d, v, m, e) && (group == nil || groupOf(m, e) == *group) {
					counted = append(counted, e)
				}
			}
			return measured(m, counted, to-from)
		}
		at := func(from, to int64, group *string) Number {
			if m.Measure != Formula {
				return of(m, from, to, group)
			}
			return computed(d, m.Formula, func(m Metric) Number { return of(m, from, to, nil) })
		}
		pointsOf := func(w Window, group *string) (points []Point) {
			for step := w.From; step < w.To; step += w.Step {
				points = append(points, Point{step, at(step, step+w.Step, group)})
			}
			return points
		}
		points := func(group *string) []Point { return pointsOf(w, group) }
		switch widget.Kind {
		case Stat:
			r := NewWidgetReading(widget.Key, at(w.From, w.To, nil), points(nil))
			if widget.Compare == Previous {
				before := Window{w.From - (w.To - w.From), w.From, w.Step}
				r = r.against(at(before.From, before.To, nil), pointsOf(before, nil))
			}
			readings = append(readings, r)
		case Gauge:
			readings = append(readings, NewWidgetReading(widget.Key, at(w.From, w.To, nil), nil))
		default:
			ranking := Ranking{}
			for _, group := range groupsOf(d, v, m, w, events) {
				ranking = append(ranking, GroupNumber{group, at(w.From, w.To, &group)})
			}
			sort.SliceStable(ranking, func(i, j int) bool { return ranking[i].Group < ranking[j].Group })
			sort.SliceStable(ranking, func(i, j int) bool {
				a, b := ranking[i], ranking[j]
				return a.Valid && (!b.Valid || a.Value > b.Value)
			})
			ranking = ranking[:min(len(ranking), widget.Groups())]
			switch {
			case widget.Kind != Line:
				readings = append(readings, NewWidgetReading(widget.Key, ranking, nil))
			case m.By == "":
				readings = append(readings, NewWidgetReading(widget.Key, Series{w.Step, points(nil)}, nil))
			default:
				series := GroupedSeries{Step: w.Step}
				for _, g := range ranking {
					series.Groups = append(series.Groups, GroupSeries{g.Group, points(&g.Group)})
				}
				readings = append(readings, NewWidgetReading(widget.Key, series, nil))
			}
		}
	}
	return readings
}

func matches(d Dashboard, v View, m Metric, e Event) bool {
	for name, values := range v.Vars {
		value, ok := e.Field(d.propertyOf(name))
		if !ok || !slices.Contains(values, value.String()) {
			return false
		}
	}
	if m.Event != "" && m.Event != e.Name {
		return false
	}
	for _, c := range m.Where {
		if !c.Holds(&e) {
			return false
		}
	}
	return true
}

func groupOf(m Metric, e Event) string {
	if v, ok := e.Field(m.By); ok {
		return v.String()
	}
	return "(none)"
}

func groupsOf(d Dashboard, v View, m Metric, w Window, events []Event) []string {
	seen := map[string]bool{}
	var groups []string
	for _, e := range events {
		if g := groupOf(m, e); m.By != "" && w.Covers(e.Time) && matches(d, v, m, e) && !seen[g] {
			seen[g] = true
			groups = append(groups, g)
		}
	}
	return groups
}

// formulas are what formulas in tests compute with two numbers.
var formulas = []struct {
	source func(a, b WidgetKey) string
	result func(a, b float64) float64
}{
	{func(a, b WidgetKey) string { return string(a + " / " + b) }, func(a, b float64) float64 { return a / b }},
	{func(a, b WidgetKey) string { return fmt.Sprintf("100 * (%s - %s)", a, b) }, func(a, b float64) float64 { return 100 * (a - b) }},
	{func(a, b WidgetKey) string { return fmt.Sprintf("max(%s, 1) ** %s", a, b) }, func(a, b float64) float64 { return math.Pow(max(a, 1), b) }},
	{func(a, b WidgetKey) string { return fmt.Sprintf("%s > 2 ? %s : 7", a, b) }, func(a, b float64) float64 {
		if a > 2 {
			return b
		}
		return 7
	}},
}

// computed finds the formula that a source was made of, and computes it.
func computed(d Dashboard, source string, of func(Metric) Number) Number {
	for _, f := range formulas {
		for _, a := range d.Widgets {
			for _, b := range d.Widgets {
				if f.source(a.Key, b.Key) != source {
					continue
				}
				x, y := of(a.Metric), of(b.Metric)
				if r := f.result(x.Value, y.Value); x.Valid && y.Valid && !math.IsInf(r, 0) && !math.IsNaN(r) {
					return Of(r)
				}
				return Number{}
			}
		}
	}
	panic(source)
}

func measured(m Metric, events []Event, seconds int64) Number {
	users := map[string]bool{}
	of := 0
	var numbers []float64
	for _, e := range events {
		if e.User != "" {
			users[e.User] = true
		}
		if m.Measure == Ratio && !slices.ContainsFunc(m.Of, func(c Condition) bool { return !c.Holds(&e) }) {
			of++
		}
		if v, ok := e.Properties.Get(m.Property); ok {
			if f, ok := v.Number(); ok {
				numbers = append(numbers, f)
			}
		}
	}
	sum, _ := bigSum(numbers).Float64()
	switch m.Measure {
	case Count:
		return Of(float64(len(events)))
	case Rate:
		return Of(float64(len(events)) * map[Per]float64{"": 1, "1s": 1, "1m": 60, "1h": 3600}[m.Per] / float64(seconds))
	case Uniques:
		return Of(float64(len(users)))
	case Sum:
		return Of(sum)
	case Ratio:
		if len(events) == 0 {
			return Number{}
		}
		return Of(float64(of) / float64(len(events)))
	}
	if len(numbers) == 0 {
		return Number{}
	}
	slices.Sort(numbers)
	rank := func(p float64) Number { return Of(numbers[int(math.Ceil(p/100*float64(len(numbers))))-1]) }
	switch m.Measure {
	case Avg:
		return Of(sum / float64(len(numbers)))
	case Min:
		return Of(numbers[0])
	case Max:
		return Of(numbers[len(numbers)-1])
	case P50:
		return rank(50)
	case P90:
		return rank(90)
	case P95:
		return rank(95)
	}
	return rank(99)
}

func bigSum(numbers []float64) *big.Float {
	sum := new(big.Float).SetPrec(4096)
	for _, f := range numbers {
		sum.Add(sum, new(big.Float).SetFloat64(f))
	}
	return sum
}

// Generators.

var epoch = time.Date(2026, 2, 9, 15, 0, 0, 0, time.UTC)

func drawValue(t *rapid.T) Value {
	switch rapid.IntRange(0, 5).Draw(t, "kind of value") {
	case 0:
		return Null
	case 1:
		return Bool(rapid.Bool().Draw(t, "bool"))
	case 2, 3:
		return Num(rapid.SampledFrom([]float64{0, 1, -1, 200, 404, 500, 0.1, 0.2, 1e200, -1e200, 1e-9, 3}).Draw(t, "number"))
	}
	return Text(rapid.SampledFrom([]string{"", "/", "/docs", "/docs/a", "500", "DE", "true", "(none)", "a,b"}).Draw(t, "text"))
}

var fields = []string{"path", "status", "host"}

func drawEvent(t *rapid.T) Event {
	e := Event{
		Name: rapid.SampledFrom([]string{"request", "signup"}).Draw(t, "name"),
		User: rapid.SampledFrom([]string{"", "u1", "u2", "u3"}).Draw(t, "user"),
		Time: epoch.Add(time.Duration(rapid.Int64Range(-3*3600*1e6, 2*3600*1e6).Draw(t, "µs")) * time.Microsecond),
	}
	var properties []Property
	for _, key := range fields {
		if rapid.Bool().Draw(t, "has "+key) {
			properties = append(properties, Property{key, drawValue(t)})
		}
	}
	e.Properties = NewProperties(properties)
	return e
}

func drawConditions(t *rapid.T, label string, least int) []Condition {
	texts := rapid.SliceOfN(rapid.SampledFrom([]string{
		"status >= 404", "status = 500", `status = "500"`, "status != 500", "status < 1", "status in 200, 404, 500", "path starts-with /docs",
		"path contains o", "path != /", "event = request", "user = u1", "user != u1", "host in [DE, true]", "nothing != 1", "nothing = 1", "status <= 0.1", "path > 3",
	}), least, 2).Draw(t, label)
	var conditions []Condition
	for _, text := range texts {
		c, err := ParseCondition(text)
		if err != nil {
			t.Fatal(err)
		}
		conditions = append(conditions, c)
	}
	return conditions
}

func drawWidget(t *rapid.T, i int) Widget {
	w := Widget{Key: WidgetKey(fmt.Sprintf("w%d", i)), Kind: rapid.SampledFrom([]Kind{Stat, Line, Bars, Table, Gauge}).Draw(t, "kind")}
	w.Metric = Metric{
		Measure: rapid.SampledFrom(Measures[:len(Measures)-1]).Draw(t, "measure"), // but Formula
		Event:   rapid.SampledFrom([]string{"", "request"}).Draw(t, "event"),
		Where:   drawConditions(t, "where", 0),
	}
	if w.Metric.Measure == Ratio {
		w.Metric.Of = drawConditions(t, "of", 1)
	}
	if w.Metric.Measure.OfProperty() {
		w.Metric.Property = rapid.SampledFrom(fields).Draw(t, "property")
	}
	if w.Metric.Measure == Rate {
		w.Metric.Per = rapid.SampledFrom(append(Pers, "")).Draw(t, "per")
	}
	if w.Kind == Stat && rapid.Bool().Draw(t, "compared") {
		w.Compare = Previous
	}
	if w.Kind == Bars || w.Kind == Table || (w.Kind == Line && rapid.Bool().Draw(t, "grouped")) {
		w.Metric.By = rapid.SampledFrom([]string{"path", "status", "host", "event", "user"}).Draw(t, "by")
		w.Limit = rapid.IntRange(0, 4).Draw(t, "limit")
	}
	return w
}

// drawFormula draws a widget that computes with others of a dashboard, if it has any
// that show one number.
func drawFormula(t *rapid.T, d Dashboard) (w Widget, ok bool) {
	var keys []WidgetKey
	for _, w := range d.Widgets {
		if w.Metric.By == "" {
			keys = append(keys, w.Key)
		}
	}
	if len(keys) == 0 {
		return w, false
	}
	formula := rapid.SampledFrom(formulas).Draw(t, "formula")
	key := rapid.SampledFrom(keys)
	w = Widget{Key: "f", Kind: rapid.SampledFrom([]Kind{Stat, Gauge, Line}).Draw(t, "kind")}
	w.Metric = Metric{Measure: Formula, Formula: formula.source(key.Draw(t, "a"), key.Draw(t, "b"))}
	if w.Kind == Stat && rapid.Bool().Draw(t, "compared") {
		w.Compare = Previous
	}
	return w, true
}

func drawBoard(t *rapid.T) (Dashboard, View) {
	d := Dashboard{ID: "d"}
	if rapid.Bool().Draw(t, "variable") {
		d.Variables = []Variable{{"host", "host"}}
	}
	for i := range rapid.IntRange(1, 4).Draw(t, "widgets") {
		d.Widgets = append(d.Widgets, drawWidget(t, i))
	}
	if f, ok := drawFormula(t, d); ok {
		d.Widgets = slices.Insert(d.Widgets, rapid.IntRange(0, len(d.Widgets)).Draw(t, "place"), f)
	}
	if err := d.Validate(); err != nil {
		t.Fatal(err)
	}
	from := rapid.SampledFrom([]string{"now-15m", "now-1h", "now-2h", "now-6h"}).Draw(t, "from")
	r, err := ParseRange(from, "now")
	if err != nil {
		t.Fatal(err)
	}
	v := View{Dashboard: "d", Range: r}
	if d.Variables != nil && rapid.Bool().Draw(t, "picked") {
		v.Vars = Vars{"host": {rapid.SampledFrom([]string{"DE", "500", "true"}).Draw(t, "value")}}
	}
	return d, v
}

func same(a, b []WidgetReading) error {
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
		fold := drawPacking(t, NewFold(d, v, window))
		var events []Event
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
	r, err := ParseRange("now-1h", "now")
	if err != nil {
		t.Fatal(err)
	}
	window, _ := r.Window(epoch)
	earlier, _ := r.Window(epoch.Add(-time.Hour))
	fold := NewFold(Dashboard{}, View{Range: r}, window)
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
	r, _ := ParseRange("now-1h", "now")
	window, _ := r.Window(epoch)
	d := Dashboard{Widgets: []Widget{{Key: "n", Kind: Stat, Metric: Metric{Measure: Count}}}}
	fold := NewFold(d, View{Range: r, Vars: Vars{"customer": {"acme"}}}, window)
	fold.Add(&Event{Name: "a", Time: epoch})
	if got := string(fold.Readings()[0].JSON()); got != "0" {
		t.Errorf("counted %s events past a pinned variable", got)
	}
}

func TestGroupsBeyondTheLimitAreSummed(t *testing.T) {
	r, _ := ParseRange("now-1h", "now")
	window, _ := r.Window(epoch)
	d := Dashboard{Widgets: []Widget{{Key: "n", Kind: Bars, Limit: 3, Metric: Metric{Measure: Count, By: "id"}}}}
	fold := NewFold(d, View{Range: r}, window)
	add := func(id string) {
		fold.Add(&Event{Name: "a", Time: epoch, Properties: Properties{{"id", Text(id)}}})
	}
	for i := range MaxGroups + 500 {
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
		numbers := rapid.SliceOfN(rapid.OneOf(rapid.Float64Range(-MaxNumber, MaxNumber), rapid.Float64Range(-10, 10), rapid.SampledFrom([]float64{0.1, 1e16, -1e16, 1e-300})), 0, 60).Draw(t, "numbers")
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
	r, _ := ParseRange("now-1h", "now")
	window, _ := r.Window(epoch)
	d := Dashboard{}
	for i, m := range []Metric{{Measure: Count}, {Measure: Uniques}, {Measure: P95, Property: "status"}, {Measure: Count, By: "path"}} {
		d.Widgets = append(d.Widgets, Widget{Key: WidgetKey(fmt.Sprint(i)), Kind: Line, Metric: m})
	}
	fold := NewFold(d, View{Range: r}, window)
	e := Event{Name: "request", User: "u1", Time: epoch, Properties: Properties{{"path", Text("/")}, {"status", Num(200)}}}
	for b.Loop() {
		fold.Add(&e)
	}
}

// A property with another value for each event takes memory for the groups kept apart
// only; those with many events are counted as ever, and none is lost.
func TestManyGroupsAreBoundedAndTheLargestExact(t *testing.T) {
	r, _ := ParseRange("now-1h", "now")
	window, _ := r.Window(epoch)
	d := Dashboard{ID: "d", Widgets: []Widget{{Key: "w", Kind: Bars, Metric: Metric{Measure: Count, By: "path"}, Limit: 3}}}
	fold := NewFold(d, View{Range: r}, window)
	const events = 5 * manyGroups
	for i := range events {
		path := fmt.Sprint("/", i)
		if i%10 == 0 {
			path = []string{"/a", "/b"}[i%20/10]
		}
		fold.Add(&Event{Time: epoch.Add(-time.Duration(i%3_000) * time.Second), Properties: Properties{{"path", Text(path)}}})
	}
	cells := 0
	for _, s := range fold.widgets[0].steps {
		cells += len(s.open) + len(s.packed.entries)
	}
	if cells > manyGroups+3*60 {
		t.Errorf("%d cells are kept", cells)
	}
	want := `[{"group":"(other)","value":` + fmt.Sprint(events-events/10-MaxGroups+3) + `},{"group":"/a","value":` + fmt.Sprint(events/20) + `},{"group":"/b","value":` + fmt.Sprint(events/20) + `}]`
	if got := string(fold.Readings()[0].JSON()); got != want {
		t.Errorf("got %s\nwant %s", got, want)
	}
	window, _ = r.Window(epoch.Add(2 * time.Hour))
	if fold.Slide(window); len(fold.widgets[0].groups) > 0 {
		t.Errorf("%d groups are left of a window that was left behind", len(fold.widgets[0].groups))
	}
}
