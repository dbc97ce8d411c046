// Package boardfile reads and writes dashboards as files: YAML, or JSON, which
// is YAML too. What it writes it reads back as the same dashboard.
//
// Its functions may be called by any number of goroutines.
package boardfile

import (
	"errors"
	"fmt"

	"pulseboard/store"
	"pulseboard/store/formula"
)

// MaxSize is the size a file may have, in bytes.
const MaxSize = 1 << 20

// Error is what is wrong at one place of a file, and what would be right.
type Error struct {
	File         string
	Line, Column int // from 1
	Message      string
}

func (e *Error) Error() string {
	return fmt.Sprintf("%s:%d:%d: %s", e.File, e.Line, e.Column, e.Message)
}

// Parse reads the dashboards of a file, one a YAML document. name is the file's,
// for errors, which are of type *Error.
func Parse(name string, data []byte) ([]store.Dashboard, error) {
	documents, err := splitDocuments(data)
	if err != nil {
		return nil, located(name, err)
	}
	var dashboards []store.Dashboard
	seen := map[store.DashboardID]bool{}
	for _, tokens := range documents {
		document, err := parseDocument(tokens)
		if err != nil {
			return nil, located(name, err)
		}
		if document == nil {
			continue
		}
		d, err := readDashboard(document)
		if err == nil && seen[d.ID] {
			err = document.child("id").errorf("dashboard %q stands in this file twice: ids are unique", d.ID)
		}
		if err != nil {
			return nil, located(name, err)
		}
		seen[d.ID] = true
		dashboards = append(dashboards, d)
	}
	if len(dashboards) == 0 {
		return nil, located(name, errors.New("the file is empty: it should hold a dashboard, with an id and widgets"))
	}
	return dashboards, nil
}

func located(name string, err error) error {
	var e *Error
	if !errors.As(err, &e) {
		e = &Error{Line: 1, Column: 1, Message: err.Error()}
	}
	e.File = name
	return e
}

// readDashboard makes a dashboard of a document, checked by the rules of store.
func readDashboard(n *node) (store.Dashboard, error) {
	r := reader{}
	d := store.Dashboard{}
	r.fields(n, "a dashboard", "id", "title", "range", "variables", "widgets")
	d.ID = store.DashboardID(r.text(n, "id"))
	d.Title = r.text(n, "title")
	d.Range = r.text(n, "range")
	for _, v := range r.list(n, "variables") {
		r.fields(v, "a variable", "name", "property")
		d.Variables = append(d.Variables, store.Variable{Name: r.text(v, "name"), Property: r.text(v, "property")})
	}
	for _, w := range r.list(n, "widgets") {
		d.Widgets = append(d.Widgets, r.widget(w))
	}
	if r.err != nil {
		return d, r.err
	}
	var fault *store.FieldError
	if err := d.Validate(formula.Names); errors.As(err, &fault) {
		return d, n.find(fault.Path).errorf("%s: %s", fault.Path, fault.Message)
	} else if err != nil {
		return d, n.errorf("%v", err)
	}
	return d, nil
}

func (r *reader) widget(n *node) store.Widget {
	r.fields(n, "a widget", "key", "title", "kind", "measure", "event", "where", "of", "property", "by",
		"per", "formula", "limit", "unit", "compare", "better", "thresholds", "max", "width", "text")
	w := store.Widget{
		Key:   store.WidgetKey(r.text(n, "key")),
		Title: r.text(n, "title"),
		Kind:  store.Kind(r.word(n, "kind", words(store.Kinds))),
		Metric: store.Metric{
			Measure:  store.Measure(r.optionalWord(n, "measure", words(store.Measures))),
			Event:    r.text(n, "event"),
			Where:    r.conditions(n, "where"),
			Of:       r.conditions(n, "of"),
			Property: r.text(n, "property"),
			By:       r.text(n, "by"),
			Per:      store.Per(r.optionalWord(n, "per", words(store.Pers))),
			Formula:  r.text(n, "formula"),
		},
		Limit:   r.whole(n, "limit", 1, store.MaxLimit),
		Unit:    r.text(n, "unit"),
		Compare: store.Comparison(r.optionalWord(n, "compare", []string{string(store.Previous)})),
		Better:  store.Direction(r.optionalWord(n, "better", []string{string(store.Higher), string(store.Lower)})),
		Max:     r.number(n, "max"),
		Width:   r.whole(n, "width", 1, 12),
		Text:    r.text(n, "text"),
	}
	for _, t := range r.list(n, "thresholds") {
		r.fields(t, "a threshold", "above", "state")
		if r.value(t, "above") == nil {
			r.fail(t.errorf("above is missing: a threshold needs the number it stands at"))
		}
		state := store.State(r.word(t, "state", []string{string(store.Warning), string(store.Critical)}))
		w.Thresholds = append(w.Thresholds, store.Threshold{Above: r.number(t, "above"), State: state})
	}
	return w
}

func words[T ~string](all []T) []string {
	texts := make([]string, len(all))
	for i, x := range all {
		texts[i] = string(x)
	}
	return texts
}
