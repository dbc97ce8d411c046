package store

import (
	"fmt"
	"slices"
	"strings"
)

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

// Error returns the path and the message.
func (e *FieldError) Error() string { return e.Path + ": " + e.Message }

// Validate checks the dashboard's rules and returns the first breach as a *FieldError.
// formulaNames returns the names that a formula reads, or an error that says what is wrong
// with the formula: store/formula has it, as Names.
func (d Dashboard) Validate(formulaNames func(formula string) ([]string, error)) error {
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
			return &FieldError{path + ".name", fmt.Sprintf("%s can't name a variable: use letters, digits, '_' and '-'", Quote(v.Name))}
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
	for i, w := range d.Widgets {
		if w.Metric.Measure == Formula {
			if err := d.checkFormula(w, formulaNames); err != nil {
				return &FieldError{fmt.Sprintf("widgets[%d].formula", i), err.Error()}
			}
		}
	}
	return nil
}

// checkFormula returns an error that says what is wrong with a widget's formula.
func (d Dashboard) checkFormula(w Widget, formulaNames func(formula string) ([]string, error)) error {
	names, err := formulaNames(w.Metric.Formula)
	if err != nil {
		return err
	}
	for _, name := range names {
		i := slices.IndexFunc(d.Widgets, func(o Widget) bool { return string(o.Key) == name })
		switch {
		case i < 0:
			return fmt.Errorf("%q is no widget of this dashboard: name one by its key%s", name, d.formulaKeys(w))
		case !d.Widgets[i].Kind.Traits().Measures():
			return fmt.Errorf("widget %q is a %s and has no number", name, d.Widgets[i].Kind)
		case d.Widgets[i].Metric.Measure == Formula:
			return fmt.Errorf("widget %q is a formula itself: write out what it computes", name)
		case d.Widgets[i].Metric.By != "":
			return fmt.Errorf("widget %q shows groups, so it has no one number: name one without by", name)
		}
	}
	return nil
}

// formulaKeys returns the keys of the widgets that a formula may name, as the end of an error.
func (d Dashboard) formulaKeys(except Widget) string {
	var keys []string
	for _, w := range d.Widgets {
		if w.Key != except.Key && w.Folds() && w.Metric.By == "" && !strings.Contains(string(w.Key), "-") {
			keys = append(keys, string(w.Key))
		}
	}
	if len(keys) == 0 {
		return "; a key with '-' can't stand in a formula"
	}
	return ", one of " + strings.Join(keys, ", ") + "; a key with '-' can't stand in a formula"
}
