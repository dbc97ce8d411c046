package store

import (
	"bytes"
	"strconv"
)

// Reading is what a widget shows at one moment: a [Number], a [Series], a
// [GroupedSeries] or a [Ranking].
type Reading interface {
	// AppendJSON writes the reading as it stands in the JSON stream.
	AppendJSON(b []byte) []byte
}

// Number is a finite number, or none where nothing happened. The kinds of [ReadsNumber],
// such as a stat, read a Number.
type Number struct {
	Value float64
	Valid bool
	About bool // it is estimated
}

// Of is a Number that holds f.
func Of(f float64) Number { return Number{Value: f, Valid: true} }

// AppendJSON writes the number, or null.
func (n Number) AppendJSON(b []byte) []byte {
	if !n.Valid {
		return append(b, "null"...)
	}
	return appendNumber(b, n.Value)
}

// Point is the number of one step. At is the step's start, in seconds since the epoch.
type Point struct {
	At int64
	Number
}

// Series is a number a step, over a whole window. A line without grouping reads it.
type Series struct {
	Step   int64 // seconds
	Points []Point
}

// AppendJSON writes {"step":60,"points":[[1739113920,12],…]}.
func (s Series) AppendJSON(b []byte) []byte {
	b = append(b, `{"step":`...)
	b = strconv.AppendInt(b, s.Step, 10)
	b = append(b, `,"points":`...)
	b = appendPoints(b, s.Points)
	return append(b, '}')
}

func appendPoints(b []byte, points []Point) []byte {
	b = append(b, '[')
	for i, p := range points {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(b, '[')
		b = strconv.AppendInt(b, p.At, 10)
		b = append(b, ',')
		b = p.Number.AppendJSON(b)
		b = append(b, ']')
	}
	return append(b, ']')
}

// GroupSeries is the series of one group.
type GroupSeries struct {
	Group  string
	Points []Point
}

// GroupedSeries is a series a group, the group with the largest reading over the
// whole window first, ties by name. A line with a grouping reads it.
type GroupedSeries struct {
	Step   int64 // seconds
	Groups []GroupSeries
}

// AppendJSON writes {"step":60,"series":[{"group":"/","points":[…]},…]}.
func (s GroupedSeries) AppendJSON(b []byte) []byte {
	b = append(b, `{"step":`...)
	b = strconv.AppendInt(b, s.Step, 10)
	b = append(b, `,"series":[`...)
	for i, g := range s.Groups {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(b, `{"group":`...)
		b = appendJSONText(b, g.Group)
		b = append(b, `,"points":`...)
		b = appendPoints(b, g.Points)
		b = append(b, '}')
	}
	return append(b, `]}`...)
}

// GroupNumber is the number of one group.
type GroupNumber struct {
	Group string
	Number
}

// Ranking is the groups with the largest numbers, largest first, ties by name.
// The kinds of [ReadsRanking], such as bars, read it.
type Ranking []GroupNumber

// AppendJSON writes [{"group":"/","value":12},…].
func (r Ranking) AppendJSON(b []byte) []byte {
	b = append(b, '[')
	for i, g := range r {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(b, `{"group":`...)
		b = appendJSONText(b, g.Group)
		b = append(b, `,"value":`...)
		b = g.Number.AppendJSON(b)
		b = append(b, '}')
	}
	return append(b, ']')
}

// Names of groups that no property gave.
const (
	NoGroup    = "(none)"  // events without the property
	OtherGroup = "(other)" // groups past MaxGroups, together
)

// MaxGroups is the number of groups a metric keeps apart.
const MaxGroups = 10_000

// WidgetReading is what one widget of a view shows.
type WidgetReading struct {
	Key     WidgetKey
	Reading Reading
	Spark   []Point // of a stat: the steps behind its number; drawn on pages, not part of the JSON reading, nor are the following

	Compared      bool // what follows is of the period before, and as long
	Previous      Number
	PreviousSpark []Point
	Direct        bool // it is read from the events, for it has too many groups to be kept folded
	Partial       bool // events of its range are missing, for what they were kept in is damaged
	Merged        bool // groups were merged into OtherGroup because they would take too much memory

	json, picture []byte // what Diff compares
}

// NewWidgetReading makes a WidgetReading, encoded once for all who need it.
func NewWidgetReading(key WidgetKey, reading Reading, spark []Point) WidgetReading {
	json := reading.AppendJSON(nil)
	picture := json
	if spark != nil {
		picture = appendPoints(append(bytes.Clone(json), ' '), spark)
	}
	return WidgetReading{Key: key, Reading: reading, Spark: spark, json: json, picture: picture}
}

// Numbers is how many numbers the reading holds, those of the period before included.
func (w WidgetReading) Numbers() int {
	n := 1 + len(w.Spark) + len(w.PreviousSpark)
	switch r := w.Reading.(type) {
	case Series:
		n += len(r.Points)
	case Ranking:
		n += len(r)
	case GroupedSeries:
		for _, g := range r.Groups {
			n += len(g.Points)
		}
	}
	return n
}

// Against returns the reading with what the period before reads.
func (w WidgetReading) Against(previous Number, spark []Point) WidgetReading {
	w.Compared, w.Previous, w.PreviousSpark = true, previous, spark
	w.picture = previous.AppendJSON(append(bytes.Clone(w.picture), " against "...))
	w.picture = appendPoints(w.picture, spark)
	return w
}

// AsDirect returns the reading as one that is read from the events.
func (w WidgetReading) AsDirect() WidgetReading {
	w.Direct = true
	w.picture = append(bytes.Clone(w.picture), " direct"...)
	return w
}

// AsMerged returns the reading as one whose groups were merged to save memory.
func (w WidgetReading) AsMerged() WidgetReading {
	w.Merged = true
	w.picture = append(bytes.Clone(w.picture), " merged"...)
	return w
}

// AsPartial returns the reading as one that lacks events.
func (w WidgetReading) AsPartial() WidgetReading {
	w.Partial = true
	w.picture = append(bytes.Clone(w.picture), " partial"...)
	return w
}

// JSON is the reading as it stands in the JSON stream. Not to be changed.
func (w WidgetReading) JSON() []byte { return w.json }

// Picture is an encoding of all that the widget draws: equal pictures look the
// same. Not to be changed.
func (w WidgetReading) Picture() []byte { return w.picture }
