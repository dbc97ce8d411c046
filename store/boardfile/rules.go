package boardfile

import (
	"errors"
	"slices"
	"strings"
	"sync"

	"pulseboard/store"
)

// Which of a widget's fields belong together is known to [store.Dashboard.Validate] alone.
// What is said of it elsewhere is found out by asking: small widgets of each kind and
// measure, with each field in turn.

// demands are what the rules ask of widgets of some kind or measure.
type demands struct {
	needs   []string          // fields that must be there, by name
	refuses map[string]string // fields that must not, with the reason
}

// rulebook is what the rules ask of widgets.
type rulebook struct {
	kinds    map[store.Kind]demands
	measures map[store.Measure]demands      // of the kinds that have measures
	measured map[store.Kind][]store.Measure // those that go with a kind
	partners map[string]string              // a field that stands beside another only, with the other
}

// rules asks for them once: it takes some milliseconds.
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

// ask finds what is asked of widgets of a kind and a measure, "" for none. ok is false where the two do
// not go together.
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

// partnerOf gives the field that makes a wrong widget right; "" when none does.
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

// neighbour is the key of another widget on the dashboard of a widget that is asked about.
// It is what fields that hold texts are set to, because a formula has to name a widget.
const neighbour = "neighbour"

// fault gives the field of a widget that the rules find wrong, and why; "" for none.
func fault(w store.Widget) (name, reason string) {
	other := store.Widget{Key: neighbour, Kind: store.Stat, Metric: store.Metric{Measure: store.Count}}
	var e *store.FieldError
	if !errors.As(store.Dashboard{ID: "d", Widgets: []store.Widget{w, other}}.Validate(), &e) {
		return "", ""
	}
	return strings.TrimPrefix(e.Path, "widgets[0]."), e.Message
}

func widgetField(name string) field[store.Widget] {
	i := slices.IndexFunc(widgetRecord.fields, func(f field[store.Widget]) bool { return f.name == name })
	return widgetRecord.fields[i]
}

// inAll gives what all of some demands have in common.
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

// takes reports whether a field means something to widgets of a kind.
func takes(kind store.Kind, f field[store.Widget]) bool {
	return rules().kinds[kind].refuses[f.name] == "" && (f.idle == nil || !f.idle(kind))
}

// kindsThatTake gives the kinds of widgets that take a field; nil when all do.
func kindsThatTake(name string) []store.Kind {
	f := widgetField(name)
	kinds := slices.DeleteFunc(slices.Clone(store.Kinds), func(k store.Kind) bool { return !takes(k, f) })
	if len(kinds) == len(store.Kinds) {
		return nil
	}
	return kinds
}
