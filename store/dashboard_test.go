package store

import (
	"errors"
	"testing"
)

func TestADashboardIsCheckedWithAPathToTheFault(t *testing.T) {
	names := func(string) ([]string, error) { return []string{"a", "e"}, nil } // of the one formula
	good := func() Dashboard {
		of, _ := ParseCondition("status = 500")
		return Dashboard{ID: "web", Variables: []Variable{{"host", "host"}}, Widgets: []Widget{
			{Key: "a", Kind: Stat, Metric: Metric{Measure: Count}},
			{Key: "b", Kind: Gauge, Metric: Metric{Measure: Ratio, Of: []Condition{of}}},
			{Key: "c", Kind: Bars, Metric: Metric{Measure: P95, Property: "ms", By: "path"}},
			{Key: "d", Kind: TextKind, Text: "words"},
			{Key: "e", Kind: Line, Metric: Metric{Measure: Rate, Per: PerHour}},
			{Key: "f", Kind: Stat, Compare: Previous, Better: Lower, Metric: Metric{Measure: Formula, Formula: "round(100 * a / e)"}},
		}}
	}
	if err := good().Validate(names); err != nil {
		t.Fatal(err)
	}
	for path, change := range map[string]func(*Dashboard){
		"id":                             func(d *Dashboard) { d.ID = "a b" },
		"range":                          func(d *Dashboard) { d.Range = "soon" },
		"variables[0].property":          func(d *Dashboard) { d.Variables[0].Property = "" },
		"widgets[0].key":                 func(d *Dashboard) { d.Widgets[0].Key = "a--b" },
		"widgets[1].key":                 func(d *Dashboard) { d.Widgets[1].Key = "a" },
		"widgets[0].kind":                func(d *Dashboard) { d.Widgets[0].Kind = "pie" },
		"widgets[0].measure":             func(d *Dashboard) { d.Widgets[0].Metric.Measure = "mean" },
		"widgets[0].by":                  func(d *Dashboard) { d.Widgets[0].Metric.By = "path" },
		"widgets[1].of":                  func(d *Dashboard) { d.Widgets[1].Metric.Of = nil },
		"widgets[2].by":                  func(d *Dashboard) { d.Widgets[2].Metric.By = "" },
		"widgets[2].property":            func(d *Dashboard) { d.Widgets[2].Metric.Property = "" },
		"widgets[0].property":            func(d *Dashboard) { d.Widgets[0].Metric.Property = "x" },
		"widgets[3].measure":             func(d *Dashboard) { d.Widgets[3].Metric.Measure = Count },
		"widgets[0].per":                 func(d *Dashboard) { d.Widgets[0].Metric.Per = PerHour },
		"widgets[4].per":                 func(d *Dashboard) { d.Widgets[4].Metric.Per = "1d" },
		"widgets[4].compare":             func(d *Dashboard) { d.Widgets[4].Compare = Previous },
		"widgets[5].compare":             func(d *Dashboard) { d.Widgets[5].Compare = "last" },
		"widgets[5].better":              func(d *Dashboard) { d.Widgets[5].Better = "up" },
		"widgets[0].better":              func(d *Dashboard) { d.Widgets[0].Better = Higher },
		"widgets[0].formula":             func(d *Dashboard) { d.Widgets[0].Metric.Formula = "e" },
		"widgets[5].event":               func(d *Dashboard) { d.Widgets[5].Metric.Event = "request" },
		"widgets[5].kind":                func(d *Dashboard) { d.Widgets[5].Kind, d.Widgets[5].Compare, d.Widgets[5].Better = Bars, "", "" },
		"widgets[0].limit":               func(d *Dashboard) { d.Widgets[0].Limit = MaxLimit + 1 },
		"widgets[0].thresholds[0].state": func(d *Dashboard) { d.Widgets[0].Thresholds = []Threshold{{1, "bad"}} },
	} {
		d := good()
		change(&d)
		var fault *FieldError
		if err := d.Validate(names); !errors.As(err, &fault) || fault.Path != path {
			t.Errorf("want a fault at %s, got %v", path, err)
		}
	}
}
