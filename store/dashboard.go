package store

import (
	"fmt"
	"strings"
)

// Measure is what a metric computes.
type Measure string

// The measures. The percentiles are nearest-rank.
const (
	Count   Measure = "count"   // events
	Uniques Measure = "uniques" // distinct users; events without a user don't count
	Ratio   Measure = "ratio"   // of the events counted, the share that also fulfils Of
	Sum     Measure = "sum"     // sum, avg, min, max, p50…p99: of a property's numbers
	Avg     Measure = "avg"
	Min     Measure = "min"
	Max     Measure = "max"
	P50     Measure = "p50"
	P90     Measure = "p90"
	P95     Measure = "p95"
	P99     Measure = "p99"
)

// Measures are all measures, in the order they are explained in.
var Measures = []Measure{Count, Uniques, Ratio, Sum, Avg, Min, Max, P50, P90, P95, P99}

// percentile gives p as a whole number of percent, 0 for other measures.
func (m Measure) percentile() int {
	switch m {
	case P50:
		return 50
	case P90:
		return 90
	case P95:
		return 95
	case P99:
		return 99
	}
	return 0
}

// OfProperty says whether the measure looks at the numbers of a property.
func (m Measure) OfProperty() bool {
	switch m {
	case Sum, Avg, Min, Max, P50, P90, P95, P99:
		return true
	}
	return false
}

// Metric is how events fold into a reading: a measure, filters, perhaps a grouping.
type Metric struct {
	Measure  Measure
	Event    string      // only events of this name; empty means any
	Where    []Condition // all must hold
	Of       []Condition // for Ratio: what the counted share fulfils besides
	Property string      // for the measures of a property
	By       string      // the field to group by; empty means no grouping
}

// counts says whether an event is one of those that the metric folds.
func (m *Metric) counts(e *Event) bool {
	return (m.Event == "" || e.Name == m.Event) && allHold(m.Where, e)
}

// groupOf gives the group of an event; without a grouping there is one, named "".
func (m *Metric) groupOf(e *Event) string {
	if m.By == "" {
		return ""
	}
	if v, ok := e.Field(m.By); ok {
		return v.String()
	}
	return NoGroup
}

// Kind is how a widget shows its metric.
type Kind string

// The kinds of widgets.
const (
	Stat     Kind = "stat"
	Line     Kind = "line"
	Bars     Kind = "bars"
	Table    Kind = "table"
	Gauge    Kind = "gauge"
	TextKind Kind = "text" // words of the dashboard's author; has no metric and is not streamed
)

// Kinds are all kinds of widgets.
var Kinds = []Kind{Stat, Line, Bars, Table, Gauge, TextKind}

// State is how a reading stands to its thresholds.
type State string

// The states, mildest first.
const (
	Normal   State = "normal"
	Warning  State = "warning"
	Critical State = "critical"
)

// Threshold puts a reading above a number into a state.
type Threshold struct {
	Above float64
	State State
}

// DefaultLimit is the number of groups shown where a widget says nothing.
const DefaultLimit = 10

// MaxLimit bounds the groups a widget may ask for.
const MaxLimit = 1_000

// Widget is how one metric is shown.
type Widget struct {
	Key        WidgetKey
	Title      string
	Kind       Kind
	Metric     Metric
	Limit      int // groups shown; 0 means DefaultLimit
	Unit       string
	Thresholds []Threshold
	Max        float64 // end of a gauge's scale; 0 means chosen from the thresholds
	Width      int     // columns of 12; 0 means chosen by the kind
	Text       string  // Markdown, for TextKind
}

// Groups is the number of groups the widget shows.
func (w Widget) Groups() int {
	if w.Limit == 0 {
		return DefaultLimit
	}
	return w.Limit
}

// Columns is the widget's width, of 12 columns.
func (w Widget) Columns() int {
	if w.Width != 0 {
		return w.Width
	}
	switch w.Kind {
	case Line:
		return 8
	case Bars, Gauge:
		return 4
	case Table:
		return 6
	case TextKind:
		return 12
	}
	return 3
}

// StateOf gives the state of a reading: that of the highest threshold below it.
// A reading that is not there is normal.
func (w Widget) StateOf(n Number) (State, Threshold) {
	state, crossed := Normal, Threshold{}
	for _, t := range w.Thresholds {
		if n.Valid && n.Value > t.Above && (state == Normal || t.Above >= crossed.Above) {
			state, crossed = t.State, t
		}
	}
	return state, crossed
}

// Variable lets a viewer narrow a whole dashboard to some values of a property.
type Variable struct {
	Name     string
	Property string
}

// Dashboard is a named page of widgets, of one tenant.
type Dashboard struct {
	ID        DashboardID
	Title     string
	Range     string // default start of the time range, such as "now-1h"; empty means DefaultRange
	Variables []Variable
	Widgets   []Widget
}

// DefaultRange is where the time range of a dashboard begins that says nothing.
const DefaultRange = "now-1h"

// MaxWidgets bounds the widgets of one dashboard.
const MaxWidgets = 100

// FieldError is an error in one field of a dashboard. Path locates the field as
// in "widgets[2].measure", so that a reader of files can find its line.
type FieldError struct {
	Path    string
	Message string // what is wrong, and what would be right
}

func (e *FieldError) Error() string { return e.Path + ": " + e.Message }

// Validate checks the dashboard's rules and gives the first breach as a *FieldError.
func (d Dashboard) Validate() error {
	if _, err := ParseDashboardID(string(d.ID)); err != nil {
		return &FieldError{"id", err.Error()}
	}
	if d.Range != "" {
		if _, err := ParseRange(d.Range, "now"); err != nil {
			return &FieldError{"range", err.Error()}
		}
	}
	if len(d.Widgets) > MaxWidgets {
		return &FieldError{"widgets", fmt.Sprintf("a dashboard holds at most %d widgets; this one has %d", MaxWidgets, len(d.Widgets))}
	}
	names := map[string]bool{}
	for i, v := range d.Variables {
		path := fmt.Sprintf("variables[%d]", i)
		if _, err := ParseWidgetKey(v.Name); err != nil {
			return &FieldError{path + ".name", fmt.Sprintf("%q can't name a variable: use letters, digits, '_' and '-'", v.Name)}
		}
		if v.Property == "" {
			return &FieldError{path + ".property", "is missing: name the property that the variable narrows"}
		}
		if names[v.Name] {
			return &FieldError{path + ".name", fmt.Sprintf("%q is already another variable of this dashboard", v.Name)}
		}
		names[v.Name] = true
	}
	keys := map[WidgetKey]bool{}
	for i, w := range d.Widgets {
		path := fmt.Sprintf("widgets[%d]", i)
		if err := w.validate(path); err != nil {
			return err
		}
		if keys[w.Key] {
			return &FieldError{path + ".key", fmt.Sprintf("%q is already another widget of this dashboard: keys are unique", w.Key)}
		}
		keys[w.Key] = true
	}
	return nil
}

func (w Widget) validate(path string) error {
	fail := func(field, format string, args ...any) error {
		return &FieldError{path + "." + field, fmt.Sprintf(format, args...)}
	}
	if _, err := ParseWidgetKey(string(w.Key)); err != nil {
		return fail("key", "%v", err)
	}
	if !contains(Kinds, w.Kind) {
		return fail("kind", "unknown kind %q: use one of %s", w.Kind, join(Kinds))
	}
	if w.Width < 0 || w.Width > 12 {
		return fail("width", "%d columns: use 1 to 12", w.Width)
	}
	if w.Limit < 0 || w.Limit > MaxLimit {
		return fail("limit", "%d groups: use 1 to %d", w.Limit, MaxLimit)
	}
	for i, t := range w.Thresholds {
		if t.State != Warning && t.State != Critical {
			return fail(fmt.Sprintf("thresholds[%d].state", i), "unknown state %q: use warning or critical", t.State)
		}
	}
	m := w.Metric
	if w.Kind == TextKind {
		if m.Measure != "" {
			return fail("measure", "a text widget measures nothing: leave it out")
		}
		return nil
	}
	switch {
	case w.Text != "":
		return fail("text", "only widgets of kind text have one")
	case !contains(Measures, m.Measure):
		return fail("measure", "unknown measure %q: use one of %s", m.Measure, join(Measures))
	case m.Measure.OfProperty() && m.Property == "":
		return fail("property", "is missing: %s needs the property whose numbers it takes", m.Measure)
	case !m.Measure.OfProperty() && m.Property != "":
		return fail("property", "%s looks at no property: leave it out, or measure sum, avg, min, max or a percentile", m.Measure)
	case m.Measure == Ratio && len(m.Of) == 0:
		return fail("of", "is missing: ratio needs the conditions of the share it counts")
	case m.Measure != Ratio && len(m.Of) > 0:
		return fail("of", "only measure ratio has it; to filter use where")
	case (w.Kind == Bars || w.Kind == Table) && m.By == "":
		return fail("by", "is missing: %s shows groups, so name the property to group by", w.Kind)
	case (w.Kind == Stat || w.Kind == Gauge) && m.By != "":
		return fail("by", "a %s shows one number: leave it out, or use bars, table or line", w.Kind)
	}
	return nil
}

func contains[T comparable](all []T, one T) bool {
	for _, x := range all {
		if x == one {
			return true
		}
	}
	return false
}

func join[T ~string](all []T) string {
	words := make([]string, len(all))
	for i, x := range all {
		words[i] = string(x)
	}
	return strings.Join(words, ", ")
}
