package store

import (
	"fmt"
	"math"
	"math/big"
	"slices"
	"sort"
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
