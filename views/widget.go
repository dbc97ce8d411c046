package views

import (
	"fmt"
	"math"
	"strconv"
	"strings"

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
	if w.empty() {
		return nil
	}
	switch w.Def.Kind {
	case store.Stat:
		parts := []Part{{w.part("value"), statValue(w)}, {w.part("spark"), spark(w)}}
		if w.Reading.Compared {
			parts = append(parts, Part{w.part("change"), statChange(w)})
		}
		return parts
	case store.Gauge:
		return []Part{{w.part("dial"), dial(w)}}
	case store.Line:
		d := w.drawing()
		return []Part{
			{w.part("legend"), legend(w, d)}, {w.part("scale"), plotScale(w, d)}, {w.part("grid"), plotGrid(w, d)}, {w.part("lines"), plotLines(w, d)},
			{w.part("now"), plotRunning(w, d)}, {w.part("times"), plotTimes(w)}, {w.part("summary"), plotSummary(w)},
		}
	}
	var parts []Part
	for _, r := range w.rows() {
		switch w.Def.Kind {
		case store.Bars:
			parts = append(parts, Part{r.ID, barRow(r)})
		case store.Table:
			parts = append(parts, Part{r.ID + "-group", tableGroup(r)}, Part{r.ID + "-bar", tableBar(r)}, Part{r.ID + "-value", tableNumber(r)})
		}
	}
	return parts
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
	return w.Def.Kind != store.TextKind
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

// stepOf says how long the steps are and, where a viewer's clock may count other ones,
// that they are those of UTC.
func stepOf(w store.Window) string {
	words := stepWords(w.Step)
	if w.Step >= 86400 {
		words += " (UTC)"
	}
	return words
}

// caption stands beside the title.
func (w Widget) caption() string {
	switch w.Def.Kind {
	case store.Line:
		if m := w.Def.Metric.Measure; m == store.Rate || m == store.Formula {
			return measureWords(w.Def) + ", by " + stepOf(w.Window)
		}
		return measureWords(w.Def) + " per " + stepOf(w.Window)
	case store.Bars, store.Table:
		return measureWords(w.Def)
	}
	return ""
}

// change is how a number stands to that of the period before.
type change struct {
	Icon, Class string // none where there is nothing to compare
	Amount      string
	Words       string
}

func (w Widget) change() change {
	period := "previous " + periodWords(w.Window.To-w.Window.From)
	now, before := w.number(), w.Reading.Previous
	switch {
	case !now.Valid:
		return change{Words: "nothing to compare"}
	case !before.Valid || before.Value == 0:
		return change{Words: "nothing in the " + period}
	}
	by := (now.Value - before.Value) / math.Abs(before.Value) * 100
	amount := figure{Digits: decimals(math.Abs(by), 1), Unit: "%"}.String()
	if math.Abs(by) >= 1e6 {
		amount = "over " + figure{Digits: decimals(1e6, 0), Unit: "%"}.String()
	}
	switch {
	case math.Abs(by) < 0.05:
		return change{Words: "same as " + period}
	case by > 0:
		return change{"up", changeClass(w.Def.Better != store.Lower), "Up " + amount, "vs " + period}
	}
	return change{"down", changeClass(w.Def.Better == store.Lower), "Down " + amount, "vs " + period}
}

func changeClass(good bool) string {
	if good {
		return "change-good"
	}
	return "change-bad"
}

func (w Widget) number() store.Number {
	n, _ := w.Reading.Reading.(store.Number)
	return n
}

func (w Widget) figure() figure { return figureOf(w.Def, w.number(), true) }

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

// row is one group of bars or of a table.
type row struct {
	ID    string // of a row of bars; the ids of a table's cells begin with it
	Group string
	Value string
	Width string // of its bar
	State store.State
}

func (w Widget) rows() []row {
	ranking, _ := w.Reading.Reading.(store.Ranking)
	most := 0.0
	for _, g := range ranking {
		if g.Valid {
			most = max(most, g.Value)
		}
	}
	rows := make([]row, len(ranking))
	for i, g := range ranking {
		state, _ := w.Def.StateOf(g.Number)
		rows[i] = row{ID: w.part("row" + strconv.Itoa(i)), Group: g.Group, Value: figureOf(w.Def, g.Number, false).String(), Width: "0%", State: state}
		if most > 0 && g.Valid && g.Value > 0 {
			rows[i].Width = percent(max(0.004, g.Value/most))
		}
	}
	return rows
}

// groupHead is the head of a table's first column.
func (w Widget) groupHead() string {
	return store.Capitalized(strings.ReplaceAll(w.Def.Metric.By, "_", " "))
}

// gaugeArc is a stretch of a gauge's scale.
type gaugeArc struct{ Class, Path string }

// gaugeMax is the end of a gauge's scale: as defined, else a round number above
// the thresholds and the reading.
func (w Widget) gaugeMax() float64 {
	if w.Def.Max > 0 {
		return w.Def.Max
	}
	high := w.number().Value
	for _, t := range w.Def.Thresholds {
		high = max(high, t.Above*4/3)
	}
	if w.Def.Metric.Measure == store.Ratio && len(w.Def.Thresholds) == 0 {
		return 1
	}
	s, _ := ticks(0, high)
	if w.Def.Metric.Measure == store.Ratio {
		return min(1, s.high)
	}
	return s.high
}

// gaugeArcs are the scale of a gauge, its value and its thresholds.
func (w Widget) gaugeArcs() []gaugeArc {
	s := scale{0, w.gaugeMax()}
	arcs := []gaugeArc{{"gauge-track", arc(gaugeRadius, 0, 1)}}
	if f := s.fraction(w.number().Value); f > 0.003 {
		arcs = append(arcs, gaugeArc{"gauge-value", arc(gaugeRadius, 0, f)})
	}
	for i, t := range w.Def.Thresholds {
		end := s.high
		if i+1 < len(w.Def.Thresholds) && w.Def.Thresholds[i+1].Above > t.Above {
			end = w.Def.Thresholds[i+1].Above
		}
		if from, to := s.fraction(t.Above), s.fraction(end); to-from > 0.01 {
			arcs = append(arcs, gaugeArc{"gauge-" + string(t.State), arc(gaugeRadius+13, from+0.004, to-0.004)})
		}
	}
	return arcs
}
