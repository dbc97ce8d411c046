package fold

import (
	"fmt"
	"math"
	"math/big"
	"slices"
	"sort"

	"pulseboard/store"
)

// The recount below says by itself what a reading must be: it looks at every
// event anew, without steps that merge, without cells and without a sketch.

func recount(d store.Dashboard, v store.View, w store.Window, events []store.Event) []store.WidgetReading {
	var readings []store.WidgetReading
	for _, widget := range d.Widgets {
		m := widget.Metric
		of := func(m store.Metric, from, to int64, group *string) store.Number {
			var counted []store.Event
			for _, e := range events {
				if e.Time.Unix() >= from && e.Time.Unix() < to && matches(d, v, m, e) && (group == nil || groupOf(m, e) == *group) {
					counted = append(counted, e)
				}
			}
			return measured(m, counted, to-from)
		}
		at := func(from, to int64, group *string) store.Number {
			if m.Measure != store.Formula {
				return of(m, from, to, group)
			}
			return computed(d, m.Formula, func(m store.Metric) store.Number { return of(m, from, to, nil) })
		}
		pointsOf := func(w store.Window, group *string) (points []store.Point) {
			for step := w.From; step < w.To; step += w.Step {
				points = append(points, store.Point{At: step, Number: at(step, step+w.Step, group)})
			}
			return points
		}
		points := func(group *string) []store.Point { return pointsOf(w, group) }
		switch widget.Kind {
		case store.Stat:
			r := store.NewWidgetReading(widget.Key, at(w.From, w.To, nil), points(nil))
			if widget.Compare == store.Previous {
				before := store.Window{From: w.From - (w.To - w.From), To: w.From, Step: w.Step}
				r = r.Against(at(before.From, before.To, nil), pointsOf(before, nil))
			}
			readings = append(readings, r)
		case store.Gauge:
			readings = append(readings, store.NewWidgetReading(widget.Key, at(w.From, w.To, nil), nil))
		default:
			ranking := store.Ranking{}
			for _, group := range groupsOf(d, v, m, w, events) {
				ranking = append(ranking, store.GroupNumber{Group: group, Number: at(w.From, w.To, &group)})
			}
			sort.SliceStable(ranking, func(i, j int) bool { return ranking[i].Group < ranking[j].Group })
			sort.SliceStable(ranking, func(i, j int) bool {
				a, b := ranking[i], ranking[j]
				return a.Valid && (!b.Valid || a.Value > b.Value)
			})
			ranking = ranking[:min(len(ranking), widget.Groups())]
			switch {
			case widget.Kind != store.Line:
				readings = append(readings, store.NewWidgetReading(widget.Key, ranking, nil))
			case m.By == "":
				readings = append(readings, store.NewWidgetReading(widget.Key, store.Series{Step: w.Step, Points: points(nil)}, nil))
			default:
				series := store.GroupedSeries{Step: w.Step}
				for _, g := range ranking {
					series.Groups = append(series.Groups, store.GroupSeries{Group: g.Group, Points: points(&g.Group)})
				}
				readings = append(readings, store.NewWidgetReading(widget.Key, series, nil))
			}
		}
	}
	return readings
}

func matches(d store.Dashboard, v store.View, m store.Metric, e store.Event) bool {
	for name, values := range v.Vars {
		value, ok := e.Field(d.PropertyOf(name))
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

func groupOf(m store.Metric, e store.Event) string {
	if v, ok := e.Field(m.By); ok {
		return v.String()
	}
	return "(none)"
}

func groupsOf(d store.Dashboard, v store.View, m store.Metric, w store.Window, events []store.Event) []string {
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
	source func(a, b store.WidgetKey) string
	result func(a, b float64) float64
}{
	{func(a, b store.WidgetKey) string { return string(a + " / " + b) }, func(a, b float64) float64 { return a / b }},
	{func(a, b store.WidgetKey) string { return fmt.Sprintf("100 * (%s - %s)", a, b) }, func(a, b float64) float64 { return 100 * (a - b) }},
	{func(a, b store.WidgetKey) string { return fmt.Sprintf("max(%s, 1) ** %s", a, b) }, func(a, b float64) float64 { return math.Pow(max(a, 1), b) }},
	{func(a, b store.WidgetKey) string { return fmt.Sprintf("%s > 2 ? %s : 7", a, b) }, func(a, b float64) float64 {
		if a > 2 {
			return b
		}
		return 7
	}},
}

// computed finds the formula that a source was made of, and computes it.
func computed(d store.Dashboard, source string, of func(store.Metric) store.Number) store.Number {
	for _, f := range formulas {
		for _, a := range d.Widgets {
			for _, b := range d.Widgets {
				if f.source(a.Key, b.Key) != source {
					continue
				}
				x, y := of(a.Metric), of(b.Metric)
				if r := f.result(x.Value, y.Value); x.Valid && y.Valid && !math.IsInf(r, 0) && !math.IsNaN(r) {
					return store.Of(r)
				}
				return store.Number{}
			}
		}
	}
	panic(source)
}

func measured(m store.Metric, events []store.Event, seconds int64) store.Number {
	users := map[string]bool{}
	of := 0
	var numbers []float64
	for _, e := range events {
		if e.User != "" {
			users[e.User] = true
		}
		if m.Measure == store.Ratio && !slices.ContainsFunc(m.Of, func(c store.Condition) bool { return !c.Holds(&e) }) {
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
	case store.Count:
		return store.Of(float64(len(events)))
	case store.Rate:
		return store.Of(float64(len(events)) * map[store.Per]float64{"": 1, "1s": 1, "1m": 60, "1h": 3600}[m.Per] / float64(seconds))
	case store.Uniques:
		return store.Of(float64(len(users)))
	case store.Sum:
		return store.Of(sum)
	case store.Ratio:
		if len(events) == 0 {
			return store.Number{}
		}
		return store.Of(float64(of) / float64(len(events)))
	}
	if len(numbers) == 0 {
		return store.Number{}
	}
	slices.Sort(numbers)
	rank := func(p float64) store.Number { return store.Of(numbers[int(math.Ceil(p/100*float64(len(numbers))))-1]) }
	switch m.Measure {
	case store.Avg:
		return store.Of(sum / float64(len(numbers)))
	case store.Min:
		return store.Of(numbers[0])
	case store.Max:
		return store.Of(numbers[len(numbers)-1])
	case store.P50:
		return rank(50)
	case store.P90:
		return rank(90)
	case store.P95:
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
