package fold

import (
	"slices"

	"pulseboard/store"
)

// Fold holds the events of one view, folded: for each widget, step and group
// just enough to give the widget's reading. Events are added one by one, in any
// order, and a window that moves on drops the steps it leaves behind. So a
// refresh costs as much as what is new, not as much as what is kept.
//
// Readings depend on the set of events alone: a Fold that followed the stream and one that
// has just read everything agree. A Fold belongs to one goroutine at a time.
type Fold struct {
	window  store.Window
	from    int64 // the first second that any widget needs
	open    bool  // events past the window's end are kept, because the window will get there
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

// New returns an empty fold of a view on a dashboard. window is the view's at this moment.
func New(d store.Dashboard, v store.View, window store.Window) *Fold {
	f := &Fold{window: window, open: v.Range.Moves(), packAt: packAt, fewOpen: fewOpen}
	for name, values := range v.Vars {
		f.filters = append(f.filters, variableFilter{d.PropertyOf(name), values})
	}
	for _, w := range d.Widgets {
		if traits := w.Kind.Traits(); traits.Measures() {
			f.widgets = append(f.widgets, &widgetFold{widget: w, traits: traits, folds: w.Folds(), worked: f.worked, rollup: RollupOf(d, w.Metric), compared: w.Compare == store.Previous, steps: map[int64]*step{}, longSteps: map[int64]int64{}, stale: true})
		}
	}
	for _, w := range f.widgets {
		if w.widget.Metric.Measure == store.Formula {
			w.link(f.widgets)
		}
	}
	f.from = f.fromAt(window)
	for _, w := range f.widgets {
		if !f.open && !w.needsSteps() {
			w.flat, w.flatStep = true, window.From
			w.longSteps[window.From] = window.To - window.From
		}
	}
	f.shareShown()
	return f
}

// fromAt returns the first second that any widget needs of a window.
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

// Slide moves the window on to w and reports whether it could. It can't when the length of
// the steps changed or the window moved back, because steps are needed then that are gone or
// were never kept; nor when the window leaves a part of a long step behind, see Spans.
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

// Readings returns the reading of every widget that has one, in the dashboard's
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
