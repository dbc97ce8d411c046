package fold

import (
	"cmp"
	"slices"

	"pulseboard/store"
	"pulseboard/store/formula"
)

// widgetFold is the part of a Fold that one widget reads.
type widgetFold struct {
	widget     store.Widget
	traits     store.Traits // of the widget's kind
	folds      bool         // see store.Widget.Folds
	rollup     Rollup
	upto       store.EventSeq // events up to here are in steps
	compared   bool           // the period before is needed too
	gaps       []Gap          // events of these times are missing
	direct     bool           // all events are added, because the rollup has too many groups
	steps      map[int64]*step
	groups     map[string]*group       // of all steps; nil without a grouping
	totals     map[store.Window]groups // of the windows that were read, as long as they stay
	mergedUpto int64                   // groups of steps that begin before were merged, see merged; 0: none
	flat       bool                    // flatStep holds all: the widget shows no steps, and its window stays
	flatStep   int64
	most       int  // bytes that the fold may take; 0: no limit
	shown      int  // how many groups may be shown
	stale      bool // last is not what the cells say
	last       store.WidgetReading

	worked func(cells int) // see Fold.worked
	size   int             // bytes that the widget takes, about
	open   int             // of those, bytes of open cells that can be packed

	// longSteps are the lengths, by start, of those steps that are longer than the
	// window's, which only widgets have that show no steps.
	longSteps map[int64]int64

	formula  *formula.Formula // nil but for a formula, which has no cells of its own
	refs     []*widgetFold
	values   []float64 // of the refs; reused
	referred bool      // a formula computes with it, also with its steps
}

// group is one group of a widget. All cells of the group share the name's memory.
type group struct {
	name   string
	events int64 // in all steps
}

// grouped reports whether the widget keeps groups apart.
func (w *widgetFold) grouped() bool { return w.widget.Metric.By != "" }

// link finds the widgets that a formula computes with. A dashboard that was checked
// has them all.
func (w *widgetFold) link(all []*widgetFold) {
	f, err := formula.Parse(w.widget.Metric.Formula)
	if err != nil {
		return
	}
	for _, name := range f.Names() {
		i := slices.IndexFunc(all, func(o *widgetFold) bool { return string(o.widget.Key) == name && o.folds })
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

// from returns the first second that the widget needs of a window.
func (w *widgetFold) from(window store.Window) int64 {
	if w.compared {
		return previous(window).From
	}
	return window.From
}

// previous returns the window of the same length just before.
func previous(w store.Window) store.Window {
	return store.Window{From: 2*w.From - w.To, To: w.From, Step: w.Step}
}

// add folds in an event and returns by how many bytes the widget grew.
func (w *widgetFold) add(e *store.Event, start int64) (grown int) {
	m := &w.widget.Metric
	if e.Seq <= w.upto && w.upto > 0 || !w.folds || !m.Counts(e) {
		return 0
	}
	if w.flat {
		start = w.flatStep
	}
	before := w.size
	name := w.note([]byte(m.GroupOf(e)), 1)
	s := w.step(start)
	s.added = true
	if s.open == nil {
		s.open = groups{}
	}
	cells := w.addTo(s.open, name, e)
	if w.size += cells; w.grouped() {
		w.open += cells
	}
	for window, total := range w.totals {
		if start >= window.From && start < window.To {
			w.size += w.addTo(total, name, e)
		}
	}
	w.stale = true
	return w.size - before
}

// addTo folds an event into the cell of a group and returns by how many bytes the cells grew.
func (w *widgetFold) addTo(gs groups, name string, e *store.Event) (grown int) {
	m := &w.widget.Metric
	c := gs[name]
	if c == nil {
		c = gs.cell(name)
		grown = slotBytes + cellBytes
	}
	return grown + c.addSized(m, e)
}

// note counts events of a group and returns the group's name in memory that lasts. It drops
// groups when there are too many.
func (w *widgetFold) note(name []byte, events int64) string {
	if !w.grouped() {
		return ""
	}
	g := w.groups[string(name)]
	if g == nil {
		if w.groups == nil {
			w.groups = map[string]*group{}
		}
		g = &group{name: string(name)}
		w.groups[g.name] = g
		w.size += groupBytes + len(name)
	}
	g.events += events
	if len(w.groups) > manyGroups {
		w.keepLargest(manyGroups / 2)
		if w.groups[g.name] == nil { // it was among the rare ones, and its cell is still to come
			w.note([]byte(store.OtherGroup), 0)
			return store.OtherGroup
		}
	}
	return g.name
}

// forget counts the events of a step no more.
func (w *widgetFold) forget(s *step) {
	if w.groups == nil {
		return
	}
	drop := func(name []byte, events int64) {
		if g := w.groups[string(name)]; g != nil {
			if g.events -= events; g.events <= 0 {
				delete(w.groups, g.name)
			}
		}
	}
	for name, packed := range s.packed.all() {
		drop(name, packedCount(packed))
	}
	for name, c := range s.open {
		drop([]byte(name), c.count)
	}
}

// step returns the cells of a step.
func (w *widgetFold) step(start int64) *step {
	s := w.steps[start]
	if s == nil {
		s = &step{}
		w.steps[start] = s
		w.size += stepBytes
	}
	return s
}

// needsSteps reports whether the widget shows the steps of its window, or others need them.
func (w *widgetFold) needsSteps() bool {
	return w.traits.Steps() || w.compared || w.referred
}

// canDropBefore reports whether no step lies on both sides of a moment.
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
			w.forget(w.steps[step])
			delete(w.steps, step)
			delete(w.longSteps, step)
		}
	}
	if from >= w.mergedUpto {
		w.mergedUpto = 0
	}
	w.totals = nil
	w.stale = true
	w.measure()
}

func (w *widgetFold) reading(window store.Window) store.WidgetReading {
	if !w.stale {
		return w.last
	}
	var reading store.Reading
	var spark []store.Point
	switch w.traits.Reads {
	case store.ReadsNumber:
		reading = w.number(window)
	case store.ReadsRanking:
		reading = w.ranking(window)
	case store.ReadsSeries:
		if w.widget.Metric.By == "" {
			reading = store.Series{Step: window.Step, Points: w.points(window, "")}
		} else {
			reading = w.groupedSeries(window)
		}
	}
	if w.traits.Sparks {
		spark = w.points(window, "")
	}
	w.last = store.NewWidgetReading(w.widget.Key, reading, spark)
	if w.widget.Compare == store.Previous {
		before := previous(window)
		w.last = w.last.Against(w.number(before), w.points(before, ""))
	}
	if w.direct {
		w.last = w.last.AsDirect()
	}
	if w.lacks(window) {
		w.last = w.last.AsPartial()
	}
	if w.merged() || w.cutsGroups() {
		w.last = w.last.AsMerged()
	}
	w.stale = false
	return w.last
}

// number returns the one number of a window.
func (w *widgetFold) number(window store.Window) store.Number {
	if w.widget.Metric.Measure == store.Formula {
		if w.formula == nil {
			return store.Number{}
		}
		return w.compute(window)
	}
	if window.Len() == 1 {
		return w.read(w.steps[window.From].cell(""), window.Step)
	}
	return w.read(w.total(window)[""], window.To-window.From)
}

// compute returns the number of a formula. There is none where one of the numbers that it reads
// is missing or the result is not finite.
func (w *widgetFold) compute(window store.Window) store.Number {
	about := false
	w.values = w.values[:0]
	for _, ref := range w.refs {
		n := ref.number(window)
		if !n.Valid {
			return store.Number{}
		}
		about = about || n.About
		w.values = append(w.values, n.Value)
	}
	v, ok := w.formula.Value(w.values)
	if !ok {
		return store.Number{}
	}
	return store.Number{Value: v, Valid: true, About: about}
}

// read returns the number of a cell of so many seconds. A nil cell reads as nothing.
func (w *widgetFold) read(c *cell, seconds int64) store.Number {
	return c.number(w.widget.Metric, seconds)
}

// points returns one number a step of the window.
func (w *widgetFold) points(window store.Window, group string) []store.Point {
	points := make([]store.Point, 0, window.Len())
	for step := window.From; step < window.To; step += window.Step {
		if w.folds {
			points = append(points, store.Point{At: step, Number: w.read(w.steps[step].cell(group), window.Step)})
		} else {
			points = append(points, store.Point{At: step, Number: w.number(store.Window{From: step, To: step + window.Step, Step: window.Step})})
		}
	}
	return points
}

// ranking returns the groups with the largest numbers; those without a number are last. Past
// MaxGroups groups those with the fewest events are summed as OtherGroup; where fewer may be
// shown than the widget asks for, the rest is too, and stands last.
func (w *widgetFold) ranking(window store.Window) store.Ranking {
	all := w.numbers(window)
	if len(all) > store.MaxGroups {
		slices.SortFunc(all, func(a, b groupNumber) int {
			return cmp.Or(cmp.Compare(b.events, a.events), cmp.Compare(a.Group, b.Group))
		})
		all = w.withOther(window, all[:store.MaxGroups])
	}
	slices.SortFunc(all, func(a, b groupNumber) int {
		if a.Valid != b.Valid {
			if a.Valid {
				return -1
			}
			return 1
		}
		return cmp.Or(cmp.Compare(b.Value, a.Value), cmp.Compare(a.Group, b.Group))
	})
	if len(all) > w.shown && w.shown < w.widget.Groups() {
		all = slices.DeleteFunc(all, func(g groupNumber) bool { return g.Group == store.OtherGroup })
		all = w.withOther(window, all[:min(w.shown-1, len(all))])
	}
	ranking := make(store.Ranking, 0, w.widget.Groups())
	for _, g := range all[:min(len(all), w.widget.Groups())] {
		ranking = append(ranking, g.GroupNumber)
	}
	return ranking
}

// withOther appends what all groups but these have together.
func (w *widgetFold) withOther(window store.Window, apart []groupNumber) []groupNumber {
	names := make(map[string]bool, len(apart))
	for _, g := range apart {
		names[g.Group] = true
	}
	delete(names, store.OtherGroup)
	apart = slices.DeleteFunc(apart, func(g groupNumber) bool { return g.Group == store.OtherGroup })
	other := &cell{}
	for _, s := range w.stepsOf(window) {
		s.mergeInto(other, names)
	}
	return append(apart, groupNumber{store.GroupNumber{Group: store.OtherGroup, Number: w.read(other, window.To-window.From)}, other.count})
}

// cutsGroups reports whether fewer groups are shown than the widget asks for and there are.
func (w *widgetFold) cutsGroups() bool {
	return w.grouped() && w.shown < w.widget.Groups() && len(w.groups) > w.shown
}

func (w *widgetFold) groupedSeries(window store.Window) store.GroupedSeries {
	ranking := w.ranking(window)
	series := store.GroupedSeries{Step: window.Step, Groups: make([]store.GroupSeries, 0, len(ranking))}
	for _, g := range ranking {
		points := w.points(window, g.Group)
		if g.Group == store.OtherGroup {
			points = w.otherPoints(window, ranking)
		}
		series.Groups = append(series.Groups, store.GroupSeries{Group: g.Group, Points: points})
	}
	return series
}

// otherPoints returns the steps of what OtherGroup stands for in a ranking: the groups that
// are not kept apart.
func (w *widgetFold) otherPoints(window store.Window, ranking store.Ranking) []store.Point {
	apart := map[string]bool{}
	if w.cutsGroups() {
		for _, g := range ranking {
			apart[g.Group] = true
		}
	} else {
		all := w.numbers(window)
		slices.SortFunc(all, func(a, b groupNumber) int {
			return cmp.Or(cmp.Compare(b.events, a.events), cmp.Compare(a.Group, b.Group))
		})
		for _, g := range all[:min(len(all), store.MaxGroups)] {
			apart[g.Group] = true
		}
	}
	delete(apart, store.OtherGroup)
	points := make([]store.Point, 0, window.Len())
	for start := window.From; start < window.To; start += window.Step {
		other := &cell{}
		if s := w.steps[start]; s != nil {
			s.mergeInto(other, apart)
		}
		points = append(points, store.Point{At: start, Number: w.read(other, window.Step)})
	}
	return points
}
