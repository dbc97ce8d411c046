package views

import (
	"github.com/a-h/templ"

	"pulseboard/store"
)

// drawer says how the widgets of one kind are drawn. It holds plain functions instead of being
// an interface, because the compiler then keeps the components as lean as if they were called
// by name: behind methods, drawing a table of ten rows took 758 allocations, not 718.
type drawer struct {
	// caption stands beside the title; nil for none.
	caption func(w Widget) string
	// body is what the widget shows below its head. It is not called where there is nothing
	// to draw.
	body func(w Widget) templ.Component
	// parts are those elements of the body that change with the reading, in their order. The
	// stream replaces each by itself, so each begins with its id and can stand alone. A part
	// with data-calm moves on with time alone, and its changes are not shown by a flash. nil
	// for a body that never changes.
	parts func(w Widget) []Part
	// preview is the widget in small, as a list of dashboards shows it.
	preview func(w Widget) templ.Component
}

// drawers is the table of how each kind is drawn. The table of what kinds there are, and what
// they have in common, is in package store.
var drawers = map[store.Kind]*drawer{
	store.Stat:     &statDrawer,
	store.Line:     &lineDrawer,
	store.Bars:     &barsDrawer,
	store.Table:    &tableDrawer,
	store.Gauge:    &gaugeDrawer,
	store.Status:   &statusDrawer,
	store.TextKind: &textDrawer,
}

func (w Widget) drawer() *drawer { return drawers[w.Def.Kind] }

// caption stands beside the title; empty for none.
func (w Widget) caption() string {
	if d := w.drawer(); d.caption != nil {
		return d.caption(w)
	}
	return ""
}

// measureCaption is the caption of kinds that show a metric over the whole range.
func measureCaption(w Widget) string { return measureWords(w.Def) }
