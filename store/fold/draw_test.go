package fold

import (
	"fmt"
	"slices"
	"time"

	"pgregory.net/rapid"

	"pulseboard/store"
	"pulseboard/store/formula"
)

var epoch = time.Date(2026, 2, 9, 15, 0, 0, 0, time.UTC)

func drawValue(t *rapid.T) store.Value {
	switch rapid.IntRange(0, 5).Draw(t, "kind of value") {
	case 0:
		return store.Null
	case 1:
		return store.Bool(rapid.Bool().Draw(t, "bool"))
	case 2, 3:
		return store.Num(rapid.SampledFrom([]float64{0, 1, -1, 200, 404, 500, 0.1, 0.2, 1e200, -1e200, 1e-9, 3}).Draw(t, "number"))
	}
	return store.Text(rapid.SampledFrom([]string{"", "/", "/docs", "/docs/a", "500", "DE", "true", "(none)", "a,b"}).Draw(t, "text"))
}

var fields = []string{"path", "status", "host"}

func drawEvent(t *rapid.T) store.Event {
	e := store.Event{
		Name: rapid.SampledFrom([]string{"request", "signup"}).Draw(t, "name"),
		User: rapid.SampledFrom([]string{"", "u1", "u2", "u3"}).Draw(t, "user"),
		Time: epoch.Add(time.Duration(rapid.Int64Range(-3*3600*1e6, 2*3600*1e6).Draw(t, "µs")) * time.Microsecond),
	}
	var properties []store.Property
	for _, key := range fields {
		if rapid.Bool().Draw(t, "has "+key) {
			properties = append(properties, store.Property{Key: key, Value: drawValue(t)})
		}
	}
	e.Properties = store.NewProperties(properties)
	return e
}

func drawConditions(t *rapid.T, label string, least int) []store.Condition {
	texts := rapid.SliceOfN(rapid.SampledFrom([]string{
		"status >= 404", "status = 500", `status = "500"`, "status != 500", "status < 1", "status in 200, 404, 500", "path starts-with /docs",
		"path contains o", "path != /", "event = request", "user = u1", "user != u1", "host in [DE, true]", "nothing != 1", "nothing = 1", "status <= 0.1", "path > 3",
	}), least, 2).Draw(t, label)
	var conditions []store.Condition
	for _, text := range texts {
		c, err := store.ParseCondition(text)
		if err != nil {
			t.Fatal(err)
		}
		conditions = append(conditions, c)
	}
	return conditions
}

// kindsWith gives the kinds of widgets that have a trait.
func kindsWith(trait func(store.Traits) bool) []store.Kind {
	return slices.DeleteFunc(slices.Clone(store.Kinds), func(k store.Kind) bool { return !trait(k.Traits()) })
}

func drawWidget(t *rapid.T, i int) store.Widget {
	w := store.Widget{Key: store.WidgetKey(fmt.Sprintf("w%d", i)), Kind: rapid.SampledFrom(kindsWith(store.Traits.Measures)).Draw(t, "kind")}
	w.Metric = store.Metric{
		Measure: rapid.SampledFrom(store.Measures[:len(store.Measures)-1]).Draw(t, "measure"), // but Formula
		Event:   rapid.SampledFrom([]string{"", "request"}).Draw(t, "event"),
		Where:   drawConditions(t, "where", 0),
	}
	if w.Metric.Measure == store.Ratio {
		w.Metric.Of = drawConditions(t, "of", 1)
	}
	if w.Metric.Measure.OfProperty() {
		w.Metric.Property = rapid.SampledFrom(fields).Draw(t, "property")
	}
	if w.Metric.Measure == store.Rate {
		w.Metric.Per = rapid.SampledFrom(append(store.Pers, "")).Draw(t, "per")
	}
	if w.Kind.Traits().Compares && rapid.Bool().Draw(t, "compared") {
		w.Compare = store.Previous
	}
	if reads := w.Kind.Traits().Reads; reads == store.ReadsRanking || (reads == store.ReadsSeries && rapid.Bool().Draw(t, "grouped")) {
		w.Metric.By = rapid.SampledFrom([]string{"path", "status", "host", "event", "user"}).Draw(t, "by")
		w.Limit = rapid.IntRange(0, 4).Draw(t, "limit")
	}
	return w
}

// drawFormula draws a widget that computes with others of a dashboard, if it has any
// that show one number.
func drawFormula(t *rapid.T, d store.Dashboard) (w store.Widget, ok bool) {
	var keys []store.WidgetKey
	for _, w := range d.Widgets {
		if w.Metric.By == "" {
			keys = append(keys, w.Key)
		}
	}
	if len(keys) == 0 {
		return w, false
	}
	formula := rapid.SampledFrom(formulas).Draw(t, "formula")
	key := rapid.SampledFrom(keys)
	w = store.Widget{Key: "f", Kind: rapid.SampledFrom(kindsWith(store.Traits.Computes)).Draw(t, "kind")}
	w.Metric = store.Metric{Measure: store.Formula, Formula: formula.source(key.Draw(t, "a"), key.Draw(t, "b"))}
	if w.Kind.Traits().Compares && rapid.Bool().Draw(t, "compared") {
		w.Compare = store.Previous
	}
	return w, true
}

func drawBoard(t *rapid.T) (store.Dashboard, store.View) {
	d := store.Dashboard{ID: "d"}
	if rapid.Bool().Draw(t, "variable") {
		d.Variables = []store.Variable{{Name: "host", Property: "host"}}
	}
	for i := range rapid.IntRange(1, 4).Draw(t, "widgets") {
		d.Widgets = append(d.Widgets, drawWidget(t, i))
	}
	if f, ok := drawFormula(t, d); ok {
		d.Widgets = slices.Insert(d.Widgets, rapid.IntRange(0, len(d.Widgets)).Draw(t, "place"), f)
	}
	if err := d.Validate(formula.Names); err != nil {
		t.Fatal(err)
	}
	from := rapid.SampledFrom([]string{"now-15m", "now-1h", "now-2h", "now-6h"}).Draw(t, "from")
	r, err := store.ParseRange(from, "now")
	if err != nil {
		t.Fatal(err)
	}
	v := store.View{Dashboard: "d", Range: r}
	if d.Variables != nil && rapid.Bool().Draw(t, "picked") {
		v.Vars = store.Vars{"host": {rapid.SampledFrom([]string{"DE", "500", "true"}).Draw(t, "value")}}
	}
	return d, v
}
