package boardfile

import (
	"fmt"
	"strings"

	"pulseboard/store"
)

// The fields of a file are listed here and nowhere else, in the order they are explained
// and written in. The reader, the writer, [Fields] and [Schema] work from these lists.
// [store.Dashboard.Validate] decides which fields of a widget belong together.

var dashboardRecord = record[store.Dashboard]{"dashboard", []field[store.Dashboard]{
	at("id", identifier[store.DashboardID](idPattern), func(d *store.Dashboard) *store.DashboardID { return &d.ID },
		"names the dashboard, also in addresses: 1 to 100 letters, digits and '-'; unique in the tenant").required(),
	at("title", text[string](), func(d *store.Dashboard) *string { return &d.Title },
		"stands above the dashboard; the id where there is none"),
	at("range", moment(), func(d *store.Dashboard) *string { return &d.Range },
		"where the time range begins until a viewer picks another: now-6h (with s, m, h, d, w, M or y), RFC 3339 or epoch milliseconds; "+store.DefaultRange+" where there is none"),
	at("variables", list(&variableRecord, 0), func(d *store.Dashboard) *[]store.Variable { return &d.Variables },
		"let a viewer narrow the whole dashboard: ?var-NAME=VALUE"),
	at("widgets", list(&widgetRecord, store.MaxWidgets), func(d *store.Dashboard) *[]store.Widget { return &d.Widgets },
		fmt.Sprintf("what the dashboard shows, in this order; at most %d", store.MaxWidgets)),
}}

var variableRecord = record[store.Variable]{"variable", []field[store.Variable]{
	at("name", identifier[string](keyPattern), func(v *store.Variable) *string { return &v.Name },
		"the NAME in ?var-NAME=VALUE: letters, digits and '_', with single '-' between them").required(),
	at("property", text[string](), func(v *store.Variable) *string { return &v.Property },
		"the property of events that must have the value picked").required(),
}}

var thresholdRecord = record[store.Threshold]{"threshold", []field[store.Threshold]{
	at("above", needed(number(), "a threshold needs the number it stands at"), func(t *store.Threshold) *float64 { return &t.Above },
		"the number above which the state begins").required(),
	at("state", needed(oneOf(states), oneWordOf(states)), func(t *store.Threshold) *store.State { return &t.State },
		"how a number above it is shown: "+strings.Join(words(states), " or ")).required(),
}}

var widgetRecord = record[store.Widget]{"widget", []field[store.Widget]{
	at("key", identifier[store.WidgetKey](keyPattern), func(w *store.Widget) *store.WidgetKey { return &w.Key },
		"names the widget in streams and formulas: 1 to 100 letters, digits and '_', with single '-' between them; unique in the dashboard").required(),
	at("title", text[string](), func(w *store.Widget) *string { return &w.Title },
		"stands above the widget; the key where there is none"),
	at("kind", needed(oneOf(store.Kinds), oneWordOf(store.Kinds)), func(w *store.Widget) *store.Kind { return &w.Kind },
		"how the widget shows its metric: "+strings.Join(words(store.Kinds), ", ")).required(),
	at("measure", oneOf(store.Measures), func(w *store.Widget) *store.Measure { return &w.Metric.Measure },
		"what the metric computes: count of events; uniques, the number of users; ratio, the share of the events that also fulfil 'of'; "+
			"sum, avg, min, max, p50, p90, p95 or p99 of the numbers of 'property'; rate, events 'per' unit of time; formula, from other widgets"),
	at("event", text[string](), func(w *store.Widget) *string { return &w.Metric.Event },
		"counts events of this name only").onlyWith(store.Traits.Measures),
	at("where", conditions(), func(w *store.Widget) *[]store.Condition { return &w.Metric.Where },
		"counts events that fulfil all these conditions. A condition is FIELD OPERATOR VALUE, as in status >= 500; the field is a property, event or user; "+
			"the operator is one of "+strings.Join(words(operators), " ")+"; the values of in stand between commas").onlyWith(store.Traits.Measures),
	at("of", conditions(), func(w *store.Widget) *[]store.Condition { return &w.Metric.Of },
		"of measure ratio: the conditions, as in 'where', that the share of the events counted fulfils besides").onlyWith(store.Traits.Measures),
	at("property", text[string](), func(w *store.Widget) *string { return &w.Metric.Property },
		"of measures sum, avg, min, max and percentiles: the property whose numbers they take").onlyWith(store.Traits.Measures),
	at("by", text[string](), func(w *store.Widget) *string { return &w.Metric.By },
		"groups by a property, event or user and shows the largest groups").onlyWith(store.Traits.Measures),
	at("per", oneOf(store.Pers), func(w *store.Widget) *store.Per { return &w.Metric.Per },
		"of measure rate: its unit of time, "+strings.Join(words(store.Pers), ", ")+"; "+string(store.PerSecond)+" where there is none. "+
			"A rate is the number of events over the length of the range or, in a line, of the step").onlyWith(store.Traits.Measures),
	at("formula", text[string](), func(w *store.Widget) *string { return &w.Metric.Formula },
		"of measure formula: computes with widgets of this dashboard that show one number, by their keys, as in 100 * signups / visits. "+
			"It may use + - * / ** ( ), comparisons, ? : and abs, ceil, floor, max, min, round. Where a number is missing or the result is none, as of 1 / 0, it shows nothing").onlyWith(store.Traits.Measures),
	at("limit", whole(1, store.MaxLimit), func(w *store.Widget) *int { return &w.Limit },
		fmt.Sprintf("with 'by': the number of groups shown, 1 to %d; %d where there is none", store.MaxLimit, store.DefaultLimit)).onlyWith(store.Traits.Groups),
	at("unit", text[string](), func(w *store.Widget) *string { return &w.Unit },
		"stands behind the number, or before it: ms (from 1,000 on in seconds), bytes or B (with KB, MB …), €, $, £ or EUR, USD, GBP, or any other word"),
	at("compare", oneOf([]store.Comparison{store.Previous}), func(w *store.Widget) *store.Comparison { return &w.Compare },
		"previous shows the change against the period of the same length just before"),
	at("better", oneOf([]store.Direction{store.Higher, store.Lower}), func(w *store.Widget) *store.Direction { return &w.Better },
		"with 'compare': which change is good news, higher or lower; higher where there is none"),
	at("thresholds", list(&thresholdRecord, 0), func(w *store.Widget) *[]store.Threshold { return &w.Thresholds },
		"put numbers above them into a state, warning or critical: [{above: 0.01, state: warning}]").onlyWith(store.Traits.Measures),
	at("max", number(), func(w *store.Widget) *float64 { return &w.Max },
		"the end of the scale; chosen from the thresholds where there is none").onlyWith(func(t store.Traits) bool { return t.Scales }),
	at("width", whole(1, 12), func(w *store.Widget) *int { return &w.Width },
		"columns, of the 12 of a page; chosen by the kind where there is none"),
	at("text", markdown(), func(w *store.Widget) *string { return &w.Text },
		"Markdown. Images of other hosts stand there as links; a text of more than 64 KiB, or with more than 1,000 of one mark, is shown as it is written"),
}}

var (
	states    = []store.State{store.Warning, store.Critical}
	operators = []store.Operator{store.Equal, store.NotEqual, store.Less, store.LessOrEqual, store.Greater, store.GreaterOrEqual,
		store.Contains, store.StartsWith, store.In}
)

// Field is a field of a dashboard's file, as it is explained to people.
type Field struct {
	Record   string       // dashboard, variable, widget or threshold: the thing that has the field
	Name     string       // as it stands in the file
	Required bool         // whether every such thing must have it
	Kinds    []store.Kind // for a field of a widget, the kinds that take it; nil means all
	Values   []string     // the words that it may hold; nil where it holds something else
	Words    string       // its meaning, in plain text without a full stop at the end
}

// Fields returns the fields of a file, those of dashboards first, then those of variables,
// widgets and thresholds, each in the order they are written in.
func Fields() []Field {
	var all []Field
	all = append(all, explained(&dashboardRecord)...)
	all = append(all, explained(&variableRecord)...)
	all = append(all, explained(&widgetRecord)...)
	return append(all, explained(&thresholdRecord)...)
}

func explained[T any](rec *record[T]) []Field {
	fields := make([]Field, len(rec.fields))
	for i, f := range rec.fields {
		fields[i] = Field{Record: rec.name, Name: f.name, Required: f.must, Values: f.values, Words: f.words}
		if rec.name == widgetRecord.name {
			fields[i].Kinds = kindsThatTake(f.name)
		}
	}
	return fields
}
