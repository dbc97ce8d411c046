package store

import (
	"cmp"
	"fmt"
	"iter"
	"math"
	"slices"
)

// Fold holds the events of one view, folded: for each widget, step and group
// just enough to give the widget's reading. Events are added one by one, in any
// order, and a window that moves on drops the steps it leaves behind. So a
// refresh costs what is new, not what is kept.
//
// The law is that readings depend on the set of events added alone: a Fold that
// followed the stream and one that just read everything agree.
//
// A Fold belongs to one goroutine at a time.
type Fold struct {
	window  Window
	open    bool // events past the window's end are kept, for the window will get there
	filters []variableFilter
	widgets []*widgetFold
}

// variableFilter lets the events of some values pass. One of a variable that the
// dashboard does not have has no field and lets nothing pass: a value that a
// token pins must not be dropped when the dashboard changes.
type variableFilter struct {
	field  string
	values []string
}

func (f variableFilter) passes(e *Event) bool {
	if f.field == "" {
		return false
	}
	v, ok := e.Field(f.field)
	return ok && slices.Contains(f.values, v.String())
}

// NewFold makes an empty fold of a view on a dashboard. window is the view's at
// this moment.
func NewFold(d Dashboard, v View, window Window) *Fold {
	f := &Fold{window: window, open: v.Range.Moves()}
	for name, values := range v.Vars {
		f.filters = append(f.filters, variableFilter{d.propertyOf(name), values})
	}
	for _, w := range d.Widgets {
		if w.Kind != TextKind {
			f.widgets = append(f.widgets, &widgetFold{widget: w, rollup: d.RollupOf(w.Metric), steps: map[int64]groups{}, stale: true})
		}
	}
	return f
}

// Rollups gives the rollups that the fold can begin with, see Restore; none for a
// window whose steps are too short.
func (f *Fold) Rollups() (keys []RollupKey, tier int64) {
	tier, ok := TierOf(f.window.Step)
	if !ok {
		return nil, 0
	}
	for _, w := range f.widgets {
		keys = append(keys, w.rollup.Key())
	}
	slices.Sort(keys)
	return slices.Compact(keys), tier
}

// Restore takes over the events up to a seq from a rollup: blocks are its steps of
// the tier, from the window's start on, by their starts. Those events are not
// counted when they are added. The error says that a block can't be read; then the
// fold is of no use.
func (f *Fold) Restore(key RollupKey, upto EventSeq, blocks iter.Seq2[int64, []byte]) error {
	var readers []*widgetFold
	for _, w := range f.widgets {
		if w.rollup.Key() == key {
			readers = append(readers, w)
		}
	}
	for start, block := range blocks {
		if start < f.window.From || (!f.open && start >= f.window.To) {
			continue
		}
		cells, err := readBlock(block)
		if err != nil {
			return err
		}
		for _, w := range readers {
			if err := w.restore(f, floor(start, f.window.Step), cells); err != nil {
				return err
			}
		}
	}
	for _, w := range readers {
		w.upto = upto
	}
	return nil
}

func (w *widgetFold) restore(f *Fold, step int64, cells groups) error {
	for name, c := range cells {
		values, group, ok := w.rollup.split(name)
		if !ok {
			return fmt.Errorf("%w: a group has no name", errBlock)
		}
		if w.passes(f.filters, values) {
			w.cell(step, group).merge(c)
			w.stale = true
		}
	}
	return nil
}

// passes says whether events whose fields have these values pass the filters.
func (w *widgetFold) passes(filters []variableFilter, values []Value) bool {
	for _, filter := range filters {
		i := slices.Index(w.rollup.dims, filter.field)
		if i < 0 || values[i].IsNull() || !slices.Contains(filter.values, values[i].String()) {
			return false
		}
	}
	return true
}

// Upto gives the seq up to which no event has to be added any more.
func (f *Fold) Upto() EventSeq {
	least := EventSeq(math.MaxInt64)
	for _, w := range f.widgets {
		least = min(least, w.upto)
	}
	if len(f.widgets) == 0 {
		return 0
	}
	return least
}

// Window is the window that readings are of.
func (f *Fold) Window() Window { return f.window }

// Add folds in an event. The event may be reused by the caller afterwards.
func (f *Fold) Add(e *Event) {
	second := e.Time.Unix()
	if second < f.window.From || (!f.open && second >= f.window.To) {
		return
	}
	for _, filter := range f.filters {
		if !filter.passes(e) {
			return
		}
	}
	step := f.window.StepOf(e.Time)
	for _, w := range f.widgets {
		w.add(e, step)
	}
}

// Slide moves the window on to w and says whether it could: not when the length
// of the steps changed or the window moved back, for then steps are needed that
// are gone or were never kept.
func (f *Fold) Slide(w Window) bool {
	if w == f.window {
		return true
	}
	if w.Step != f.window.Step || w.From < f.window.From || (!f.open && w.To > f.window.To) {
		return false
	}
	f.window = w
	for _, widget := range f.widgets {
		widget.dropBefore(w.From)
	}
	return true
}

// Readings gives the reading of every widget that has one, in the dashboard's
// order. Widgets that no event touched since the last call, in a window that did
// not move, cost nothing.
func (f *Fold) Readings() []WidgetReading {
	readings := make([]WidgetReading, len(f.widgets))
	for i, w := range f.widgets {
		readings[i] = w.reading(f.window)
	}
	return readings
}

// groups are the cells of one step by name of group; without a grouping there
// is one, named "".
type groups map[string]*cell

// widgetFold is the part of a Fold that one widget reads.
type widgetFold struct {
	widget Widget
	rollup Rollup
	upto   EventSeq // events up to here are in steps
	steps  map[int64]groups
	stale  bool // last is not what the cells say
	last   WidgetReading
}

func (w *widgetFold) add(e *Event, step int64) {
	m := &w.widget.Metric
	if e.Seq <= w.upto && w.upto > 0 || !m.counts(e) {
		return
	}
	w.cell(step, m.groupOf(e)).add(m, e)
	w.stale = true
}

func (w *widgetFold) cell(step int64, group string) *cell {
	gs := w.steps[step]
	if gs == nil {
		gs = groups{}
		w.steps[step] = gs
	}
	return gs.cell(group)
}

func (w *widgetFold) dropBefore(from int64) {
	for step := range w.steps {
		if step < from {
			delete(w.steps, step)
		}
	}
	w.stale = true
}

func (w *widgetFold) reading(window Window) WidgetReading {
	if !w.stale {
		return w.last
	}
	m := w.widget.Metric
	var reading Reading
	var spark []Point
	switch w.widget.Kind {
	case Stat:
		reading = w.total(window)[""].number(m)
		spark = w.points(window, "")
	case Gauge:
		reading = w.total(window)[""].number(m)
	case Bars, Table:
		reading = w.ranking(window)
	case Line:
		if m.By == "" {
			reading = Series{window.Step, w.points(window, "")}
		} else {
			reading = w.groupedSeries(window)
		}
	}
	w.last = NewWidgetReading(w.widget.Key, reading, spark)
	w.stale = false
	return w.last
}

// points gives one number a step of the window. A nil cell reads as nothing.
func (w *widgetFold) points(window Window, group string) []Point {
	points := make([]Point, 0, window.Len())
	for step := window.From; step < window.To; step += window.Step {
		points = append(points, Point{step, w.steps[step][group].number(w.widget.Metric)})
	}
	return points
}

// total merges the window's steps, group by group. Past MaxGroups groups those
// with the fewest events are merged into OtherGroup.
func (w *widgetFold) total(window Window) groups {
	total := groups{}
	for step := window.From; step < window.To; step += window.Step {
		total.merge(w.steps[step])
	}
	total.limit(MaxGroups)
	return total
}

// cell gives the cell of a group, and makes it if there is none.
func (gs groups) cell(name string) *cell {
	c := gs[name]
	if c == nil {
		c = &cell{}
		gs[name] = c
	}
	return c
}

// merge adds the cells of o, which stay as they are.
func (gs groups) merge(o groups) {
	for name, c := range o {
		gs.cell(name).merge(c)
	}
}

func (gs groups) limit(n int) {
	if len(gs) <= n {
		return
	}
	names := make([]string, 0, len(gs))
	for name := range gs {
		names = append(names, name)
	}
	slices.SortFunc(names, func(a, b string) int {
		return cmp.Or(cmp.Compare(gs[b].count, gs[a].count), cmp.Compare(a, b))
	})
	other := &cell{}
	for _, name := range names[n:] {
		other.merge(gs[name])
		delete(gs, name)
	}
	if same := gs[OtherGroup]; same != nil { // a property may say "(other)" itself
		other.merge(same)
	}
	gs[OtherGroup] = other
}

// ranking gives the groups with the largest numbers; those without a number are last.
func (w *widgetFold) ranking(window Window) Ranking {
	total := w.total(window)
	ranking := make(Ranking, 0, len(total))
	for group, c := range total {
		ranking = append(ranking, GroupNumber{group, c.number(w.widget.Metric)})
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
		points = append(points, Point{step, other.number(w.widget.Metric)})
	}
	return points
}
