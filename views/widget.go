package views

import (
	"fmt"

	"github.com/a-h/templ"

	"pulseboard/store"
)

// Widget is one widget with what it shows.
type Widget struct {
	Def     store.Widget
	Reading store.WidgetReading
	Window  store.Window
	Live    bool // the window's last step is still running
}

// Part is an element inside a widget that can be replaced alone.
type Part struct {
	ID        string
	Component templ.Component
}

// id is the id of the widget's element.
func (w Widget) id() string { return "widget-" + string(w.Def.Key) }

// part is the id of one of its parts. No key holds "--".
func (w Widget) part(name string) string { return w.id() + "--" + name }

// Whole is the widget's element.
func (w Widget) Whole() templ.Component { return whole(w) }

// Parts are the elements inside the widget that change with its reading, as
// they stand in the whole.
func (w Widget) Parts() []Part {
	if parts := w.drawer().parts; parts != nil && !w.empty() {
		return parts(w)
	}
	return nil
}

// Shell differs when anything of the widget outside its parts does.
func (w Widget) Shell() string {
	state, crossed := w.state()
	ranking, _ := w.Reading.Reading.(store.Ranking)
	return fmt.Sprintf("%t %t %t %t %s %v %d %d %+v", w.empty(), w.Reading.Direct, w.Reading.Merged, w.Reading.Partial, state, crossed, w.Window.Step, len(ranking), w.Def)
}

// empty says whether there is nothing to draw.
func (w Widget) empty() bool {
	switch r := w.Reading.Reading.(type) {
	case store.Number:
		return !r.Valid
	case store.Ranking:
		return len(r) == 0
	case store.Series:
		_, _, any := bounds(r.Points)
		return !any
	case store.GroupedSeries:
		return len(r.Groups) == 0
	}
	return w.Def.Kind.Traits().Measures()
}

// state gives the worst state of what the widget shows now, and the threshold
// it crossed.
func (w Widget) state() (store.State, store.Threshold) {
	worst, crossed := store.Normal, store.Threshold{}
	look := func(n store.Number) {
		state, t := w.Def.StateOf(n)
		if state == store.Critical && worst != store.Critical || state == store.Warning && worst == store.Normal {
			worst, crossed = state, t
		}
	}
	switch r := w.Reading.Reading.(type) {
	case store.Number:
		look(r)
	case store.Ranking:
		for _, g := range r {
			look(g.Number)
		}
	case store.Series:
		look(w.current(r.Points))
	case store.GroupedSeries:
		for _, g := range r.Groups {
			look(w.current(g.Points))
		}
	}
	return worst, crossed
}

// current gives the last number of a series whose step is over.
func (w Widget) current(points []store.Point) store.Number {
	if n := len(w.full(points)); n > 0 {
		return points[n-1].Number
	}
	return store.Number{}
}

// full gives the points whose steps are over.
func (w Widget) full(points []store.Point) []store.Point {
	if w.Live && len(points) > 1 {
		return points[:len(points)-1]
	}
	return points
}

// running gives the last two points where the last step is still running.
func (w Widget) running(points []store.Point) []store.Point {
	if w.Live && len(points) > 1 {
		return points[len(points)-2:]
	}
	return nil
}

// titled reports whether the widget has a head. One without a metric has none unless its
// author names it.
func (w Widget) titled() bool { return w.Def.Kind.Traits().Measures() || w.Def.Title != "" }

func (w Widget) classes() string {
	return fmt.Sprintf("widget widget-%s w%d", w.Def.Kind, w.Def.Columns())
}

func (w Widget) stateName() string {
	if w.empty() {
		return "empty"
	}
	state, _ := w.state()
	return string(state)
}

// badge says which threshold was crossed.
func (w Widget) badge() string {
	_, crossed := w.state()
	return "Above " + figureOf(w.Def, store.Of(crossed.Above), true).String()
}

func (w Widget) number() store.Number {
	n, _ := w.Reading.Reading.(store.Number)
	return n
}

func (w Widget) figure() figure { return figureOf(w.Def, w.number(), true) }
