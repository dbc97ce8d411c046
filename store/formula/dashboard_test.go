package formula_test

import (
	"errors"
	"strings"
	"testing"

	"pulseboard/store"
	"pulseboard/store/formula"
)

func TestAFormulaIsCheckedAndSaysWhatWouldBeRight(t *testing.T) {
	d := store.Dashboard{ID: "web", Widgets: []store.Widget{
		{Key: "a", Kind: store.Stat, Metric: store.Metric{Measure: store.Count}},
		{Key: "b-c", Kind: store.Stat, Metric: store.Metric{Measure: store.Count}},
		{Key: "groups", Kind: store.Line, Metric: store.Metric{Measure: store.Count, By: "path"}},
		{Key: "words", Kind: store.TextKind},
		{Key: "g", Kind: store.Stat, Metric: store.Metric{Measure: store.Formula, Formula: "a"}},
		{Key: "f", Kind: store.Stat, Metric: store.Metric{Measure: store.Formula}},
	}}
	for source, want := range map[string]string{
		"":                        "is missing",
		"1 + 2":                   "name one by its key",
		"a +":                     "unexpected token",
		"a / visits":              `"visits" is no widget of this dashboard: name one by its key, one of a`,
		"b-c":                     "a key with '-' can't stand in a formula",
		"a / groups":              "shows groups",
		"a + words":               "is a text",
		"g * 2":                   "is a formula itself",
		"f * 2":                   "is a formula itself",
		"a > 2":                   "float64",
		"sum(1..1000000) + a":     "at character",
		`a + "x"`:                 "character 5 does not compute",
		"visits(a)":               "does not compute",
		"max(a, 1":                "unexpected token",
		strings.Repeat("a+", 600): "at most",
	} {
		d.Widgets[5].Metric.Formula = source
		var fault *store.FieldError
		if err := d.Validate(formula.Names); !errors.As(err, &fault) || fault.Path != "widgets[5].formula" || !strings.Contains(fault.Message, want) {
			t.Errorf("%q: %v, want %q", source, err, want)
		}
	}
	d.Widgets[5].Metric.Formula = "let x = a * 2; max(x, 1) / min(a, 3)"
	if err := d.Validate(formula.Names); err != nil {
		t.Error(err)
	}
}
