package store

import (
	"errors"
	"strings"
	"testing"
)

func TestAFormulaIsCheckedAndSaysWhatWouldBeRight(t *testing.T) {
	d := Dashboard{ID: "web", Widgets: []Widget{
		{Key: "a", Kind: Stat, Metric: Metric{Measure: Count}},
		{Key: "b-c", Kind: Stat, Metric: Metric{Measure: Count}},
		{Key: "groups", Kind: Line, Metric: Metric{Measure: Count, By: "path"}},
		{Key: "words", Kind: TextKind},
		{Key: "g", Kind: Stat, Metric: Metric{Measure: Formula, Formula: "a"}},
		{Key: "f", Kind: Stat, Metric: Metric{Measure: Formula}},
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
		var fault *FieldError
		if err := d.Validate(Names); !errors.As(err, &fault) || fault.Path != "widgets[5].formula" || !strings.Contains(fault.Message, want) {
			t.Errorf("%q: %v, want %q", source, err, want)
		}
	}
	d.Widgets[5].Metric.Formula = "let x = a * 2; max(x, 1) / min(a, 3)"
	if err := d.Validate(Names); err != nil {
		t.Error(err)
	}
}
