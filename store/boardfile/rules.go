package boardfile

import (
	"errors"
	"slices"
	"strings"
	"sync"

	"pulseboard/store"
	"pulseboard/store/formula"
)

// Only [store.Dashboard.Validate] knows which fields of a widget belong together. The
// functions below ask it: they validate a small widget of each kind and measure with each
// field in turn. So a new kind, or a new rule, reaches the schema without a change here.

// demands are the rules for widgets of one kind or one measure.
type demands struct {
	needs   []string          // the names of fields that must be there
	refuses map[string]string // the names of fields that must not be there, with the reason
}

// rulebook holds the rules for all widgets.
type rulebook struct {
	kinds    map[store.Kind]demands
	measures map[store.Measure]demands      // for the kinds that show measures
	measured map[store.Kind][]store.Measure // the measures that a kind can show
	partners map[string]string              // from a field to the other field that it needs beside it
}

// rules returns the rulebook. It is made once, which takes some 10 ms.
var rules = sync.OnceValue(func() rulebook {
	b := rulebook{map[store.Kind]demands{}, map[store.Measure]demands{}, map[store.Kind][]store.Measure{}, map[string]string{}}
	byMeasure := map[store.Measure][]demands{}
	for _, kind := range store.Kinds {
		var all []demands
		for _, measure := range append([]store.Measure{""}, store.Measures...) {
			d, ok := b.ask(kind, measure)
			if !ok {
				continue
			}
			all = append(all, d)
			if measure != "" {
				b.measured[kind] = append(b.measured[kind], measure)
				byMeasure[measure] = append(byMeasure[measure], d)
			}
		}
		b.kinds[kind] = inAll(all)
	}
	for measure, all := range byMeasure {
		b.measures[measure] = inAll(all)
	}
	return b
})

// ask returns the demands on widgets of a kind and a measure, where "" is no measure. ok
// is false when no such widget is valid.
func (b *rulebook) ask(kind store.Kind, measure store.Measure) (d demands, ok bool) {
	w := store.Widget{Key: "k", Kind: kind, Metric: store.Metric{Measure: measure}}
	for wrong, _ := fault(w); wrong != ""; wrong, _ = fault(w) {
		if wrong == "kind" || wrong == "measure" || slices.Contains(d.needs, wrong) {
			return d, false
		}
		d.needs = append(d.needs, wrong)
		widgetField(wrong).set(&w)
	}
	d.refuses = map[string]string{}
	for _, f := range widgetRecord.fields {
		if f.must || f.name == "measure" && measure != "" || slices.Contains(d.needs, f.name) {
			continue
		}
		with := w
		f.set(&with)
		if wrong, reason := fault(with); wrong == "" {
			continue
		} else if partner := partnerOf(with); partner != "" {
			b.partners[f.name] = partner
		} else {
			d.refuses[f.name] = reason
		}
	}
	return d, true
}

// partnerOf returns the field that makes an invalid widget valid, or "" when none does.
func partnerOf(w store.Widget) string {
	for _, f := range widgetRecord.fields {
		with := w
		f.set(&with)
		if wrong, _ := fault(with); wrong == "" && !f.must && f.name != "measure" {
			return f.name
		}
	}
	return ""
}

// neighbour is the key of a second widget on the dashboard of the widget in question. Fields
// that hold texts are set to it, because a formula has to name another widget.
const neighbour = "neighbour"

// fault returns the field of a widget that breaks a rule, and the reason; "" when none does.
func fault(w store.Widget) (name, reason string) {
	other := store.Widget{Key: neighbour, Kind: store.Stat, Metric: store.Metric{Measure: store.Count}}
	var e *store.FieldError
	if !errors.As(store.Dashboard{ID: "d", Widgets: []store.Widget{w, other}}.Validate(formula.Names), &e) {
		return "", ""
	}
	return strings.TrimPrefix(e.Path, "widgets[0]."), e.Message
}

func widgetField(name string) field[store.Widget] {
	i := slices.IndexFunc(widgetRecord.fields, func(f field[store.Widget]) bool { return f.name == name })
	return widgetRecord.fields[i]
}

// inAll returns the demands that all have in common.
func inAll(all []demands) demands {
	common := demands{refuses: map[string]string{}}
	if len(all) == 0 {
		return common
	}
	for _, name := range all[0].needs {
		if !slices.ContainsFunc(all, func(d demands) bool { return !slices.Contains(d.needs, name) }) {
			common.needs = append(common.needs, name)
		}
	}
	for name, reason := range all[0].refuses {
		if !slices.ContainsFunc(all, func(d demands) bool { return d.refuses[name] == "" }) {
			common.refuses[name] = reason
		}
	}
	return common
}

// takes reports whether widgets of a kind may have a field and do not ignore it.
func takes(kind store.Kind, f field[store.Widget]) bool {
	return rules().kinds[kind].refuses[f.name] == "" && (f.idle == nil || !f.idle(kind))
}

// kindsThatTake returns the kinds of widgets that take a field; nil means all.
func kindsThatTake(name string) []store.Kind {
	f := widgetField(name)
	kinds := slices.DeleteFunc(slices.Clone(store.Kinds), func(k store.Kind) bool { return !takes(k, f) })
	if len(kinds) == len(store.Kinds) {
		return nil
	}
	return kinds
}
