package store

import (
	"cmp"
	"maps"
	"slices"
)

// widgetFold is the part of a Fold that one widget reads.
type widgetFold struct {
	widget   Widget
	rollup   Rollup
	upto     EventSeq // events up to here are in steps
	compared bool     // the period before is needed too
	gaps     []Gap    // events of these times are missing
	direct   bool     // all events are added, for the rollup has too many groups
	steps    map[int64]groups
	counts   map[string]int64  // events of all steps by group; nil without a grouping
	totals   map[Window]groups // of the windows that were read, as long as they stay
	stale    bool              // last is not what the cells say
	last     WidgetReading

	// longSteps are the lengths, by start, of those steps that are longer than the
	// window's, which only widgets have that show no steps.
	longSteps map[int64]int64

	formula  *formula // nil but for a formula, which has no cells of its own
	refs     []*widgetFold
	referred bool // a formula computes with it, also with its steps
}

// link finds the widgets that a formula computes with. A dashboard that was checked
// has them all.
func (w *widgetFold) link(all []*widgetFold) {
	f, err := parseFormula(w.widget.Metric.Formula)
	if err != nil {
		return
	}
	for _, name := range f.names {
		i := slices.IndexFunc(all, func(o *widgetFold) bool { return o.widget.Key == name && o.widget.folds() })
		if i < 0 {
			w.refs = nil
			return
		}
		all[i].compared = all[i].compared || w.compared
		all[i].referred = true
		w.refs = append(w.refs, all[i])
	}
	w.formula = f
}

// from gives the first second that the widget needs of a window.
func (w *widgetFold) from(window Window) int64 {
	if w.compared {
		return previous(window).From
	}
	return window.From
}

// previous gives the window of the same length just before.
func previous(w Window) Window { return Window{2*w.From - w.To, w.From, w.Step} }

func (w *widgetFold) add(e *Event, step int64) {
	m := &w.widget.Metric
	if e.Seq <= w.upto && w.upto > 0 || !w.widget.folds() || !m.counts(e) {
		return
	}
	group := m.groupOf(e)
	w.step(step).cell(group).add(m, e)
	w.noteGroup(group, 1)
	for window, total := range w.totals {
		if step >= window.From && step < window.To {
			total.cell(group).add(m, e)
		}
	}
	w.stale = true
}

// manyGroups is the number of groups from which only the half with the most events is
// kept apart, so that a property with another value for each event takes no memory
// without end. It is far above MaxGroups: what is dropped was not among those for long.
const manyGroups = 4 * MaxGroups

// noteGroup counts events of a group, and drops groups when there are too many.
func (w *widgetFold) noteGroup(group string, events int64) {
	if w.widget.Metric.By == "" {
		return
	}
	if w.counts == nil {
		w.counts = map[string]int64{}
	}
	w.counts[group] += events
	if len(w.counts) > manyGroups {
		w.dropRareGroups()
	}
}

// forgetGroups counts the events of a step no more.
func (w *widgetFold) forgetGroups(gs groups) {
	if w.counts == nil {
		return
	}
	for group, c := range gs {
		if w.counts[group] -= c.count; w.counts[group] <= 0 {
			delete(w.counts, group)
		}
	}
}

// dropRareGroups merges the rarer half of the groups into OtherGroup.
func (w *widgetFold) dropRareGroups() {
	names := slices.SortedFunc(maps.Keys(w.counts), func(a, b string) int {
		return cmp.Or(cmp.Compare(w.counts[b], w.counts[a]), cmp.Compare(a, b))
	})
	for _, name := range names[manyGroups/2:] {
		if name != OtherGroup {
			w.counts[OtherGroup] += w.counts[name]
			delete(w.counts, name)
		}
	}
	for _, gs := range w.steps {
		for name, c := range gs {
			if _, kept := w.counts[name]; !kept {
				gs.cell(OtherGroup).merge(c)
				delete(gs, name)
			}
		}
	}
	w.totals = nil
}

// step gives the cells of a step.
func (w *widgetFold) step(start int64) groups {
	gs := w.steps[start]
	if gs == nil {
		gs = groups{}
		w.steps[start] = gs
	}
	return gs
}

// needsSteps says whether the widget shows the steps of its window, or others need them.
func (w *widgetFold) needsSteps() bool {
	return w.widget.Kind == Line || w.widget.Kind == Stat || w.compared || w.referred
}

// canDropBefore says whether no step lies on both sides of a moment.
func (w *widgetFold) canDropBefore(from int64) bool {
	for start, length := range w.longSteps {
		if start < from && from < start+length {
			return false
		}
	}
	return true
}

func (w *widgetFold) dropBefore(from int64) {
	for step := range w.steps {
		if step < from {
			w.forgetGroups(w.steps[step])
			delete(w.steps, step)
			delete(w.longSteps, step)
		}
	}
	w.totals = nil
	w.stale = true
}

func (w *widgetFold) reading(window Window) WidgetReading {
	if !w.stale {
		return w.last
	}
	var reading Reading
	var spark []Point
	switch w.widget.Kind {
	case Stat:
		reading = w.number(window)
		spark = w.points(window, "")
	case Gauge:
		reading = w.number(window)
	case Bars, Table:
		reading = w.ranking(window)
	case Line:
		if w.widget.Metric.By == "" {
			reading = Series{window.Step, w.points(window, "")}
		} else {
			reading = w.groupedSeries(window)
		}
	}
	w.last = NewWidgetReading(w.widget.Key, reading, spark)
	if w.widget.Compare == Previous {
		before := previous(window)
		w.last = w.last.against(w.number(before), w.points(before, ""))
	}
	if w.direct {
		w.last = w.last.countedDirectly()
	}
	if w.lacks(window) {
		w.last = w.last.lacking()
	}
	w.stale = false
	return w.last
}

// number gives the one number of a window.
func (w *widgetFold) number(window Window) Number {
	if w.widget.Metric.Measure == Formula {
		if w.formula == nil {
			return Number{}
		}
		return w.formula.number(func(i int) Number { return w.refs[i].number(window) })
	}
	if window.Len() == 1 {
		return w.read(w.steps[window.From][""], window.Step)
	}
	return w.read(w.total(window)[""], window.To-window.From)
}

// read gives the number of a cell of so many seconds. A nil cell reads as nothing.
func (w *widgetFold) read(c *cell, seconds int64) Number {
	return c.number(w.widget.Metric, seconds)
}

// points gives one number a step of the window.
func (w *widgetFold) points(window Window, group string) []Point {
	points := make([]Point, 0, window.Len())
	for step := window.From; step < window.To; step += window.Step {
		if w.widget.folds() {
			points = append(points, Point{step, w.read(w.steps[step][group], window.Step)})
		} else {
			points = append(points, Point{step, w.number(Window{step, step + window.Step, window.Step})})
		}
	}
	return points
}

// total merges the window's steps, group by group. Past MaxGroups groups those
// with the fewest events are merged into OtherGroup.
func (w *widgetFold) total(window Window) groups {
	total := w.totals[window]
	if total == nil {
		total = mergeSteps(func(yield func(groups) bool) {
			for step := window.From; step < window.To && yield(w.steps[step]); step += window.Step {
			}
		})
		if w.totals == nil {
			w.totals = map[Window]groups{}
		}
		w.totals[window] = total
	}
	if len(total) <= MaxGroups {
		return total
	}
	limited := maps.Clone(total)
	limited.limit(MaxGroups)
	return limited
}

// ranking gives the groups with the largest numbers; those without a number are last.
func (w *widgetFold) ranking(window Window) Ranking {
	total := w.total(window)
	ranking := make(Ranking, 0, len(total))
	for group, c := range total {
		ranking = append(ranking, GroupNumber{group, w.read(c, window.To-window.From)})
	}
	slices.SortFunc(ranking, func(a, b GroupNumber) int {
		if a.Valid != b.Valid {
			if a.Valid {
				return -1
			}
			return 1
		}
		return cmp.Or(cmp.Compare(b.Value, a.Value), cmp.Compare(a.Group, b.Group))
	})
	return ranking[:min(len(ranking), w.widget.Groups())]
}

func (w *widgetFold) groupedSeries(window Window) GroupedSeries {
	ranking := w.ranking(window)
	series := GroupedSeries{Step: window.Step, Groups: make([]GroupSeries, 0, len(ranking))}
	for _, g := range ranking {
		points := w.points(window, g.Group)
		if g.Group == OtherGroup {
			points = w.otherPoints(window)
		}
		series.Groups = append(series.Groups, GroupSeries{g.Group, points})
	}
	return series
}

// otherPoints gives the steps of the groups that total merged into OtherGroup.
func (w *widgetFold) otherPoints(window Window) []Point {
	kept := w.total(window)
	points := make([]Point, 0, window.Len())
	for step := window.From; step < window.To; step += window.Step {
		other := &cell{}
		for group, c := range w.steps[step] {
			if kept[group] == nil || group == OtherGroup {
				other.merge(c)
			}
		}
		points = append(points, Point{step, w.read(other, window.Step)})
	}
	return points
}
