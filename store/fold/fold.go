package fold

import (
	"fmt"
	"iter"
	"math"
	"slices"

	"pulseboard/store"
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
	window  store.Window
	from    int64 // the first second that any widget needs
	open    bool  // events past the window's end are kept, for the window will get there
	filters []variableFilter
	widgets []*widgetFold

	most     int   // bytes past which groups are merged; 0: no limit
	meter    Meter // may be nil
	packAt   int   // bytes of open cells that are packed
	fewOpen  int   // cells of a step that are not worth packing
	pause    func()
	unpaused int // cells that were worked on since the last pause
	ungauged int // bytes by which the fold grew since it was gauged
}

// variableFilter lets the events of some values pass. One of a variable that the
// dashboard does not have has no field and lets nothing pass: a value that a
// token pins must not be dropped when the dashboard changes.
type variableFilter struct {
	field  string
	values []string
}

func (f variableFilter) passes(e *store.Event) bool {
	if f.field == "" {
		return false
	}
	v, ok := e.Field(f.field)
	return ok && slices.Contains(f.values, v.String())
}

// NewFold makes an empty fold of a view on a dashboard. window is the view's at
// this moment.
func New(d store.Dashboard, v store.View, window store.Window) *Fold {
	f := &Fold{window: window, open: v.Range.Moves(), packAt: packAt, fewOpen: fewOpen}
	for name, values := range v.Vars {
		f.filters = append(f.filters, variableFilter{d.PropertyOf(name), values})
	}
	for _, w := range d.Widgets {
		if w.Kind != store.TextKind {
			f.widgets = append(f.widgets, &widgetFold{widget: w, worked: f.worked, rollup: RollupOf(d, w.Metric), compared: w.Compare == store.Previous, steps: map[int64]*step{}, longSteps: map[int64]int64{}, stale: true})
		}
	}
	for _, w := range f.widgets {
		if w.widget.Metric.Measure == store.Formula {
			w.link(f.widgets)
		}
	}
	f.from = f.fromAt(window)
	f.shareShown()
	return f
}

// fromAt gives the first second that any widget needs of a window.
func (f *Fold) fromAt(window store.Window) int64 {
	from := window.From
	for _, w := range f.widgets {
		from = min(from, w.from(window))
	}
	return from
}

// From is the first second whose events the fold needs: the start of the window, or
// that of the period before where a widget is compared with it.
func (f *Fold) From() int64 { return f.from }

// RollupSpan is a part of a rollup: its steps of a tier from a moment on up to, but not
// at, another.
type Span struct {
	Key            RollupKey
	Tier, From, To int64
}

// Rollups gives what the fold can begin with, see Restore; none for a window whose
// steps are too short. The spans of a rollup stand together.
func (f *Fold) Spans() (spans []Span) {
	tier, ok := TierOf(f.window.Step)
	if !ok {
		return nil
	}
	seen := map[RollupKey]bool{}
	for _, w := range f.widgets {
		if key := w.rollup.Key(); w.widget.Folds() && !seen[key] {
			seen[key] = true
			spans = append(spans, f.spansOf(key, tier)...)
		}
	}
	return spans
}

// spansOf gives the spans of a rollup that the widgets need: all in the tier of the
// window's steps when one of them shows steps, else as few as there can be.
func (f *Fold) spansOf(key RollupKey, tier int64) []Span {
	end := f.window.To
	if f.open {
		end = math.MaxInt64
	}
	readers := f.readers(key)
	from := f.window.From
	for _, w := range readers {
		from = min(from, w.from(f.window))
	}
	if slices.ContainsFunc(readers, (*widgetFold).needsSteps) {
		return []Span{{key, tier, from, end}}
	}
	spans := cover(key, slices.Index(Tiers, tier), from, f.window.To)
	if f.open {
		spans = append(spans, Span{key, tier, f.window.To, end})
	}
	return spans
}

// cover gives the spans of the longest tiers that have whole steps from from to to.
func cover(key RollupKey, tier int, from, to int64) []Span {
	if from >= to {
		return nil
	}
	if tier+1 < len(Tiers) {
		longer := Tiers[tier+1]
		if a, b := store.StepStart(from+longer-1, longer), store.StepStart(to, longer); a < b {
			return slices.Concat(cover(key, tier, from, a), cover(key, tier+1, a, b), cover(key, tier, b, to))
		}
	}
	return []Span{{key, Tiers[tier], from, to}}
}

// Restore takes over the events up to a seq from a span of a rollup: blocks are its steps
// by their starts. Those events are not counted when they are added. The error says that
// a block can't be read, or is the meter's; then the fold is of no use.
func (f *Fold) Restore(span Span, upto store.EventSeq, blocks iter.Seq2[int64, []byte]) error {
	readers := f.readers(span.Key)
	for start, block := range blocks {
		at := start
		if span.Tier < f.window.Step {
			at = store.StepStart(start, f.window.Step)
		}
		readers := slices.DeleteFunc(slices.Clone(readers), func(w *widgetFold) bool { return start < w.from(f.window) })
		if err := f.restoreStep(readers, at, block); err != nil {
			return err
		}
		for _, w := range readers {
			if span.Tier > f.window.Step {
				w.longSteps[start] = span.Tier
			}
		}
	}
	for _, w := range readers {
		w.upto = upto
		w.measure()
	}
	return nil
}

// restoreStep adds a block to a step of widgets that read the same rollup.
func (f *Fold) restoreStep(readers []*widgetFold, at int64, block []byte) error {
	if len(readers) == 0 {
		return nil
	}
	if w := readers[0]; w.grouped() {
		packed, err := unpackBlock(block)
		if err == nil && len(w.rollup.dims) > 0 {
			packed, err = w.narrow(packed, f.filters)
		}
		if err != nil {
			return err
		}
		for _, w := range readers {
			w.restorePacked(at, packed)
		}
		f.worked(len(readers) * len(packed.entries))
		return f.grew(len(readers) * packed.size())
	}
	cells, err := readBlock(block)
	if err != nil {
		return err
	}
	for i, w := range readers {
		grown, err := w.restore(f.filters, at, cells, i == len(readers)-1)
		if err != nil {
			return err
		}
		if err := f.grew(grown); err != nil {
			return err
		}
	}
	return nil
}

// CountDirectly says that a rollup has too many groups to be kept, so that its
// events have to be added, all of them, at every new fold.
func (f *Fold) CountDirectly(key RollupKey) {
	for _, w := range f.readers(key) {
		w.direct = true
	}
}

// readers gives the widgets that read a rollup.
func (f *Fold) readers(key RollupKey) (readers []*widgetFold) {
	for _, w := range f.widgets {
		if w.widget.Folds() && w.rollup.Key() == key {
			readers = append(readers, w)
		}
	}
	return readers
}

// restore adds cells without a grouping to a step and returns by how many bytes the widget
// grew. The cells are left as they are unless they are its own.
func (w *widgetFold) restore(filters []variableFilter, at int64, cells groups, own bool) (grown int, err error) {
	before := w.size
	for name, c := range cells {
		values, group, ok := w.rollup.split(name)
		if !ok {
			return 0, fmt.Errorf("%w: a group has no name", errBlock)
		}
		if !w.passes(filters, values) {
			continue
		}
		w.stale = true
		s := w.step(at)
		if s.open == nil {
			s.open = groups{}
		}
		if have := s.open[group]; have != nil {
			w.size -= have.size()
			have.merge(c)
			w.size += have.size()
			continue
		}
		if !own {
			copied := &cell{}
			copied.merge(c)
			c = copied
		}
		s.open[group] = c
		w.size += slotBytes + c.size()
	}
	return w.size - before, nil
}

// narrow returns the groups of a rollup's block that pass the filters, by their own names.
func (w *widgetFold) narrow(block packedGroups, filters []variableFilter) (packedGroups, error) {
	passing := groups{}
	for name, packed := range block.all() {
		values, group, ok := w.rollup.split(string(name))
		if !ok {
			return packedGroups{}, fmt.Errorf("%w: a group has no name", errBlock)
		}
		if w.passes(filters, values) {
			c := &cell{}
			c.unpack(packed)
			passing.cell(group).merge(c)
		}
	}
	return packGroups(passing), nil
}

// restorePacked adds groups to a step.
func (w *widgetFold) restorePacked(at int64, block packedGroups) {
	if len(block.entries) == 0 {
		return
	}
	w.stale = true
	for name, packed := range block.all() {
		w.note(name, packedCount(packed))
	}
	if w.merged { // the groups that were dropped stay dropped, or come back as a whole
		block = block.keep(func(name []byte) bool { return w.groups[string(name)] != nil })
	}
	s := w.step(at)
	s.packed = s.packed.merge(block)
	w.size += block.size()
}

// passes says whether events whose fields have these values pass the filters.
func (w *widgetFold) passes(filters []variableFilter, values []store.Value) bool {
	for _, filter := range filters {
		i := slices.Index(w.rollup.dims, filter.field)
		if i < 0 || values[i].IsNull() || !slices.Contains(filter.values, values[i].String()) {
			return false
		}
	}
	return true
}

// Upto gives the seq up to which no event has to be added any more.
func (f *Fold) Upto() store.EventSeq {
	least := store.EventSeq(math.MaxInt64)
	for _, w := range f.widgets {
		if w.widget.Folds() {
			least = min(least, w.upto)
		}
	}
	if least == math.MaxInt64 {
		return 0
	}
	return least
}

// Window is the window that readings are of.
func (f *Fold) Window() store.Window { return f.window }

// Add folds in an event. The event may be reused by the caller afterwards. The error is the
// meter's, see [Fold.Limit].
func (f *Fold) Add(e *store.Event) error {
	second := e.Time.Unix()
	if second < f.from || (!f.open && second >= f.window.To) {
		return nil
	}
	for _, filter := range f.filters {
		if !filter.passes(e) {
			return nil
		}
	}
	start, grown := f.window.StepOf(e.Time), 0
	for _, w := range f.widgets {
		if start >= w.from(f.window) {
			grown += w.add(e, start)
		}
	}
	f.worked(len(f.widgets))
	if grown == 0 {
		return nil
	}
	return f.grew(grown)
}

// Slide moves the window on to w and says whether it could: not when the length
// of the steps changed or the window moved back, for then steps are needed that
// are gone or were never kept; nor when it leaves a part of a long step behind, see
// Rollups.
func (f *Fold) Slide(w store.Window) bool {
	if w == f.window {
		return true
	}
	if w.Step != f.window.Step || w.From < f.window.From || f.fromAt(w) < f.from || (!f.open && w.To > f.window.To) {
		return false
	}
	for _, widget := range f.widgets {
		if !widget.canDropBefore(widget.from(w)) {
			return false
		}
	}
	f.window, f.from = w, f.fromAt(w)
	for _, widget := range f.widgets {
		widget.dropBefore(widget.from(w))
	}
	return true
}

// Readings gives the reading of every widget that has one, in the dashboard's
// order. Widgets that no event touched since the last call, in a window that did
// not move, cost nothing.
func (f *Fold) Readings() []store.WidgetReading {
	for _, w := range f.widgets {
		for _, ref := range w.refs {
			w.stale = w.stale || ref.stale
		}
	}
	readings := make([]store.WidgetReading, len(f.widgets))
	for i, w := range f.widgets {
		readings[i] = w.reading(f.window)
	}
	f.pack(true)
	return readings
}
