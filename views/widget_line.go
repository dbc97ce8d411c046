package views

import (
	"fmt"
	"strings"

	"pulseboard/store"
)

// lineDrawer draws a number a step, or several, over time.
var lineDrawer = drawer{caption: lineCaption, body: lineChart, parts: lineParts, preview: miniLine}

func lineCaption(w Widget) string {
	if m := w.Def.Metric.Measure; m == store.Rate || m == store.Formula {
		return measureWords(w.Def) + ", by " + stepOf(w.Window)
	}
	return measureWords(w.Def) + " per " + stepOf(w.Window)
}

func lineParts(w Widget) []Part {
	d := w.drawing()
	return []Part{
		{w.part("legend"), legend(w, d)}, {w.part("scale"), plotScale(w, d)}, {w.part("grid"), plotGrid(w, d)}, {w.part("lines"), plotLines(w, d)},
		{w.part("now"), plotRunning(w, d)}, {w.part("times"), plotTimes(w)}, {w.part("summary"), plotSummary(w)},
	}
}

// stepOf says how long the steps are and, where a viewer's clock may count other ones,
// that they are those of UTC.
func stepOf(w store.Window) string {
	words := stepWords(w.Step)
	if w.Step >= 86400 {
		words += " (UTC)"
	}
	return words
}

// shapes are the markers of series, the second channel beside colour. They are
// drawn around 0,0, about 9 wide.
var shapes = []string{
	"M-4.5 0a4.5 4.5 0 1 0 9 0a4.5 4.5 0 1 0-9 0z", // circle
	"M-4-4h8v8h-8z",              // square
	"M0-5.5L5.5 0L0 5.5L-5.5 0z", // diamond
	"M0-5L5 4H-5z",               // triangle
	"M0 5L-5-4H5z",               // triangle, down
	"M-1.75-5h3.5v3.25H5v3.5H1.75V5h-3.5V1.75H-5v-3.5h3.25z", // cross
}

// line is one series as it is drawn.
type line struct {
	Class   string   // colour
	Shape   string   // of its marker
	Name    string   // empty without a grouping
	Latest  string   // last number whose step is over
	Path    string   // the steps that are over
	Running *running // towards the step that is running; nil without one
	Mark    *mark    // at the end; nil without a number
}

// running is the way from the last full step to the running one, as heights.
type running struct{ From, To string }

type mark struct {
	Y    string
	Open bool // the step is still running
}

// drawing is a widget's series as they are drawn, on one scale.
type drawing struct {
	Lines []line
	Scale scale
	Ticks []float64 // values with a line across the plot
	Width int       // of the lines' own coordinates
}

func (w Widget) drawing() drawing {
	groups := w.groups()
	var d drawing
	var all [][]store.Point
	for _, g := range groups {
		all = append(all, g.Points)
		d.Width = plotWidth(len(g.Points))
	}
	low, high, _ := bounds(all...)
	for _, t := range w.Def.Thresholds {
		if t.Above <= high*1.5 { // one far above would flatten the line
			high = max(high, t.Above)
		}
	}
	d.Scale, d.Ticks = ticks(low, high)
	for i, g := range groups {
		l := line{Class: seriesClass(i), Shape: shapes[min(i, len(shapes)-1)], Name: g.Group}
		l.Latest = figureOf(w.Def, w.current(g.Points), true).String()
		l.Path = linePath(w.full(g.Points), d.Scale, plotHeight)
		if r := w.running(g.Points); r != nil && r[0].Valid && r[1].Valid {
			l.Running = &running{d.Scale.percentY(r[0].Value), d.Scale.percentY(r[1].Value)}
		}
		if end := g.Points[len(g.Points)-1]; end.Valid {
			l.Mark = &mark{d.Scale.percentY(end.Value), w.Live}
		}
		d.Lines = append(d.Lines, l)
	}
	return d
}

// seriesClass names the colour of a series: six of their own, then one for all others.
func seriesClass(i int) string {
	if i >= len(shapes) {
		return "s-other"
	}
	return fmt.Sprintf("s%d", i+1)
}

// groups gives the series of a line, one without a name where it has no grouping.
func (w Widget) groups() []store.GroupSeries {
	switch r := w.Reading.Reading.(type) {
	case store.Series:
		return []store.GroupSeries{{Points: r.Points}}
	case store.GroupedSeries:
		return r.Groups
	}
	return nil
}

// bandShare is the part of the plot's width that the running step takes.
func (w Widget) bandShare() float64 {
	if n := w.Window.Len(); n > 1 {
		return 1 / float64(n-1)
	}
	return 1
}

// summary says in words what a plot shows.
func (w Widget) summary() string {
	var b strings.Builder
	for _, g := range w.groups() {
		low, high, any := bounds(g.Points)
		if !any {
			continue
		}
		if g.Group != "" {
			fmt.Fprintf(&b, "%s: ", g.Group)
		}
		fmt.Fprintf(&b, "last %s, lowest %s, highest %s. ",
			figureOf(w.Def, w.current(g.Points), false),
			figureOf(w.Def, store.Of(low), false), figureOf(w.Def, store.Of(high), false))
	}
	return strings.TrimSpace(b.String())
}

// gridClass sets the line of zero apart from the others.
func gridClass(v float64) string {
	if v == 0 {
		return "zero"
	}
	return "grid"
}

func markClass(l line) string {
	if l.Mark.Open {
		return "mark mark-open " + l.Class
	}
	return "mark " + l.Class
}

func labelClass(l timeLabel) string {
	switch {
	case l.Last:
		return "label-last"
	case l.Odd:
		return "label-odd"
	}
	return "label"
}
