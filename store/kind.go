package store

import "strings"

// Kind is how a widget shows its metric.
type Kind string

// The kinds of widgets.
const (
	Stat     Kind = "stat"
	Line     Kind = "line"
	Bars     Kind = "bars"
	Table    Kind = "table"
	Gauge    Kind = "gauge"
	Status   Kind = "status"
	TextKind Kind = "text" // words of the dashboard's author; has no metric and is not streamed
)

// kinds is the table of kinds, in the order in which errors and the manual list them. The rules
// for widgets, how events fold into one, and which fields it takes follow from its traits;
// package views has the other table, of how each kind is drawn.
var kinds = []struct {
	kind   Kind
	traits Traits
}{
	{Stat, Traits{Reads: ReadsNumber, Sparks: true, Compares: true, Columns: 3}},
	{Line, Traits{Reads: ReadsSeries, Columns: 8}},
	{Bars, Traits{Reads: ReadsRanking, Columns: 4}},
	{Table, Traits{Reads: ReadsRanking, Columns: 6}},
	{Gauge, Traits{Reads: ReadsNumber, Scales: true, Columns: 4}},
	{Status, Traits{Reads: ReadsRanking, Columns: 6}},
	{TextKind, Traits{Reads: ReadsNothing, Columns: 12}},
}

// Kinds are all kinds of widgets.
var Kinds = func() []Kind {
	all := make([]Kind, len(kinds))
	for i, k := range kinds {
		all[i] = k.kind
	}
	return all
}()

// Traits are what the widgets of a kind have in common, apart from how they are drawn.
type Traits struct {
	Reads    Reads
	Sparks   bool // shows the steps behind its number too
	Compares bool // can be compared with the period before
	Scales   bool // has a scale, whose end a dashboard may set
	Columns  int  // width where the dashboard sets none, of 12 columns
}

// Reads is the form of a widget's reading.
type Reads uint8

// The forms of readings.
const (
	ReadsNothing Reads = iota // the widget has no metric, but a text
	ReadsNumber               // a [Number]
	ReadsSeries               // a [Series] or, with a grouping, a [GroupedSeries]
	ReadsRanking              // a [Ranking], so the widget must have a grouping
)

// Measures reports whether the kind has a metric.
func (t Traits) Measures() bool { return t.Reads != ReadsNothing }

// Groups reports whether the kind can show groups.
func (t Traits) Groups() bool { return t.Reads == ReadsSeries || t.Reads == ReadsRanking }

// Computes reports whether the kind can show a formula, which gives one number at a time.
func (t Traits) Computes() bool { return t.Reads == ReadsNumber || t.Reads == ReadsSeries }

// Steps reports whether the kind shows each step of the window.
func (t Traits) Steps() bool { return t.Reads == ReadsSeries || t.Sparks }

// Traits returns the traits of the kind. An unknown kind has none.
func (k Kind) Traits() Traits {
	for i := range kinds {
		if kinds[i].kind == k {
			return kinds[i].traits
		}
	}
	return Traits{}
}

// kindsThat lists the kinds that have a trait, as an error offers them: "bars, table or line".
func kindsThat(have func(Traits) bool) string {
	var all []string
	for _, reads := range []Reads{ReadsRanking, ReadsNumber, ReadsSeries, ReadsNothing} {
		for _, k := range kinds {
			if k.traits.Reads == reads && have(k.traits) {
				all = append(all, string(k.kind))
			}
		}
	}
	if len(all) < 2 {
		return strings.Join(all, "")
	}
	last := len(all) - 1
	return strings.Join(all[:last], ", ") + " or " + all[last]
}
