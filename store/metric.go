package store

// Measure is what a metric computes.
type Measure string

// The measures. The percentiles are nearest-rank.
const (
	Count   Measure = "count"   // events
	Uniques Measure = "uniques" // distinct users; events without a user don't count
	Ratio   Measure = "ratio"   // of the events counted, the share that also fulfils Of
	Sum     Measure = "sum"     // sum, avg, min, max, p50…p99: of a property's numbers
	Avg     Measure = "avg"
	Min     Measure = "min"
	Max     Measure = "max"
	P50     Measure = "p50"
	P90     Measure = "p90"
	P95     Measure = "p95"
	P99     Measure = "p99"
	Rate    Measure = "rate"    // events a second, minute or hour
	Formula Measure = "formula" // computed from other widgets of the dashboard
)

// Measures are all measures, in the order they are explained in.
var Measures = []Measure{Count, Uniques, Ratio, Sum, Avg, Min, Max, P50, P90, P95, P99, Rate, Formula}

// Percentile returns which percentile the measure is, in percent, and 0 for other measures.
func (m Measure) Percentile() int {
	switch m {
	case P50:
		return 50
	case P90:
		return 90
	case P95:
		return 95
	case P99:
		return 99
	}
	return 0
}

// OfProperty reports whether the measure looks at the numbers of a property.
func (m Measure) OfProperty() bool {
	switch m {
	case Sum, Avg, Min, Max, P50, P90, P95, P99:
		return true
	}
	return false
}

// Metric is how events fold into a reading: a measure, filters, perhaps a grouping.
type Metric struct {
	Measure  Measure
	Event    string      // only events of this name; empty means any
	Where    []Condition // all must hold
	Of       []Condition // for Ratio: what the counted share fulfils besides
	Property string      // for the measures of a property
	By       string      // the field to group by; empty means no grouping
	Per      Per         // for Rate; empty means PerSecond
	Formula  string      // for Formula, with the keys of widgets as names
}

// Per is the unit of time of a rate.
type Per string

// The units of time.
const (
	PerSecond Per = "1s"
	PerMinute Per = "1m"
	PerHour   Per = "1h"
)

// Pers are all units of time.
var Pers = []Per{PerSecond, PerMinute, PerHour}

// Seconds is the length of the unit.
func (p Per) Seconds() float64 {
	switch p {
	case PerMinute:
		return 60
	case PerHour:
		return 3600
	}
	return 1
}

// Counts reports whether an event is one of those that the metric folds.
func (m *Metric) Counts(e *Event) bool {
	return (m.Event == "" || e.Name == m.Event) && allHold(m.Where, e)
}

// InShare reports whether an event that the metric counts is one of the share of a Ratio.
func (m *Metric) InShare(e *Event) bool { return allHold(m.Of, e) }

// GroupOf returns the group of an event; without a grouping there is one, named "".
func (m *Metric) GroupOf(e *Event) string {
	if m.By == "" {
		return ""
	}
	if v, ok := e.Field(m.By); ok {
		return v.String()
	}
	return NoGroup
}
