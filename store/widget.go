package store

import (
	"fmt"
	"strings"
)

// State is how a reading stands to its thresholds.
type State string

// The states, mildest first.
const (
	Normal   State = "normal"
	Warning  State = "warning"
	Critical State = "critical"
)

// Comparison is what a stat is compared with.
type Comparison string

// Previous is the period of the same length just before.
const Previous Comparison = "previous"

// Direction is where a number should go.
type Direction string

// The directions.
const (
	Higher Direction = "higher"
	Lower  Direction = "lower"
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
	Compare    Comparison // of a kind that compares; empty means with nothing
	Better     Direction  // where a compared number should go; empty means Higher
	Thresholds []Threshold
	Max        float64 // end of the scale, of a kind that has one; 0 means chosen from the thresholds
	Width      int     // columns of 12; 0 means chosen by the kind
	Text       string  // Markdown, of a kind without a metric
}

// Folds reports whether the widget has a metric of its own that events fold into.
func (w Widget) Folds() bool { return w.Metric.Measure != Formula && w.Kind.Traits().Measures() }

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
	return w.Kind.Traits().Columns
}

// StateOf returns the state of a reading: that of the highest threshold below it.
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
	traits := w.Kind.Traits()
	switch {
	case w.Compare != "" && w.Compare != Previous:
		return fail("compare", "unknown comparison %q: use previous", w.Compare)
	case w.Compare != "" && !traits.Compares:
		return fail("compare", "only widgets of kind %s are compared", kindsThat(func(t Traits) bool { return t.Compares }))
	case w.Better != "" && w.Better != Higher && w.Better != Lower:
		return fail("better", "unknown direction %q: use higher or lower", w.Better)
	case w.Better != "" && w.Compare == "":
		return fail("better", "says in which colour a change is shown: add compare: previous, or leave it out")
	}
	m := w.Metric
	if !traits.Measures() {
		if m.Measure != "" {
			return fail("measure", "a %s widget measures nothing: leave it out", w.Kind)
		}
		return nil
	}
	if w.Text != "" {
		return fail("text", "only widgets of kind %s have one", kindsThat(func(t Traits) bool { return !t.Measures() }))
	}
	if m.Measure == Formula {
		return w.validateFormula(fail)
	}
	switch {
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
	case m.Per != "" && m.Measure != Rate:
		return fail("per", "only measure rate has it")
	case m.Per != "" && !contains(Pers, m.Per):
		return fail("per", "unknown unit of time %q: use one of %s", m.Per, join(Pers))
	case m.Formula != "":
		return fail("formula", "only measure formula has one")
	case traits.Reads == ReadsRanking && m.By == "":
		return fail("by", "is missing: %s shows groups, so name the property to group by", w.Kind)
	case traits.Reads == ReadsNumber && m.By != "":
		return fail("by", "a %s shows one number: leave it out, or use %s", w.Kind, kindsThat(Traits.Groups))
	}
	return nil
}

// validateFormula checks what is known of a formula without the other widgets.
func (w Widget) validateFormula(fail func(field, format string, args ...any) error) error {
	m := w.Metric
	own := map[string]bool{"event": m.Event != "", "where": len(m.Where) > 0, "of": len(m.Of) > 0, "property": m.Property != "", "by": m.By != "", "per": m.Per != ""}
	for _, field := range []string{"event", "where", "of", "property", "by", "per"} {
		if own[field] {
			return fail(field, "a formula computes with other widgets: let those have it")
		}
	}
	switch {
	case m.Formula == "":
		return fail("formula", "is missing: write it with the keys of other widgets, as in signups / visits")
	case !w.Kind.Traits().Computes():
		return fail("kind", "a formula gives one number: use %s", kindsThat(Traits.Computes))
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
