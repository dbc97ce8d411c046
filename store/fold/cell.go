package fold

import (
	"math"
	"unsafe"

	"pulseboard/store"
)

// cell is some events of one metric, folded. Cells merge: the merger of two
// cells reads like the cell of all their events.
//
// Only what the metric's measure needs is kept, so that a cell of a count is small:
// a view may hold a million of them.
type cell struct {
	count int64 // events that fulfil the metric's filters
	of    int64 // Ratio: those of them that fulfil Of besides

	numbers  int64 // those whose property is a number
	sum      exactSum
	min, max float64
	values   *distribution // of a percentile, from the first number on
	users    *userSet      // of Uniques, from the first user on
}

// cellBytes is what a cell takes, without what it points to.
const cellBytes = int(unsafe.Sizeof(cell{}))

// size is about how many bytes the cell takes.
func (c *cell) size() int {
	n := cellBytes + 8*cap(c.sum.partials)
	if c.values != nil {
		n += c.values.bytes()
	}
	if c.users != nil {
		n += c.users.bytes()
	}
	return n
}

func (c *cell) add(m *store.Metric, e *store.Event) {
	c.count++
	switch {
	case m.Measure == store.Uniques:
		if e.User != "" {
			c.userSet().add(hashUser(e.User))
		}
	case m.Measure == store.Ratio:
		if m.InShare(e) {
			c.of++
		}
	case m.Measure.OfProperty():
		v, _ := e.Field(m.Property)
		if f, ok := v.Number(); ok {
			c.addNumber(m.Measure, f)
		}
	}
}

func (c *cell) addNumber(measure store.Measure, f float64) {
	c.widen(f, f)
	c.numbers++
	switch {
	case measure.Percentile() != 0:
		c.distribution().add(f)
	case measure == store.Sum || measure == store.Avg:
		c.sum.add(f)
	}
}

func (c *cell) distribution() *distribution {
	if c.values == nil {
		c.values = &distribution{}
	}
	return c.values
}

func (c *cell) userSet() *userSet {
	if c.users == nil {
		c.users = &userSet{}
	}
	return c.users
}

// growsCells reports whether a cell of the measure takes more memory the more events it
// folds.
func growsCells(m store.Measure) bool {
	return m == store.Uniques || m == store.Sum || m == store.Avg || m.Percentile() != 0
}

// widen lets min and max include two more numbers. Call it before
// the count of numbers grows, because min and max mean nothing while that is 0.
func (c *cell) widen(low, high float64) {
	if c.numbers == 0 {
		c.min, c.max = low, high
		return
	}
	c.min, c.max = math.Min(c.min, low), math.Max(c.max, high)
}

func (c *cell) merge(o *cell) {
	c.mergeButValues(o)
	if o.values != nil {
		c.distribution().merge(o.values)
	}
}

func (c *cell) mergeButValues(o *cell) {
	c.count += o.count
	c.of += o.of
	if o.numbers > 0 {
		c.widen(o.min, o.max)
		c.numbers += o.numbers
		c.sum.merge(o.sum)
	}
	if o.users != nil {
		c.userSet().merge(o.users)
	}
}

// mergeCells returns all events of some cells, which stay as they are. counts is reused
// from call to call.
func mergeCells(all []*cell, counts *[]int64) *cell {
	c := &cell{}
	var values []*distribution
	for _, o := range all {
		c.mergeButValues(o)
		if o.values != nil {
			values = append(values, o.values)
		}
	}
	if len(values) > 0 {
		merged := mergeDistributions(values, counts)
		c.values = &merged
	}
	return c
}

// number reads the cell of so many seconds. A nil cell reads like one of no events.
func (c *cell) number(m store.Metric, seconds int64) store.Number {
	if c == nil {
		c = &cell{}
	}
	switch m.Measure {
	case store.Count:
		return store.Of(float64(c.count))
	case store.Rate:
		return store.Of(float64(c.count) * m.Per.Seconds() / float64(seconds))
	case store.Uniques:
		if c.users == nil {
			return store.Of(0)
		}
		n, about := c.users.size()
		return store.Number{Value: float64(n), Valid: true, About: about}
	case store.Sum:
		return store.Of(c.sum.value())
	case store.Ratio:
		if c.count == 0 {
			return store.Number{}
		}
		return store.Of(float64(c.of) / float64(c.count))
	}
	if c.numbers == 0 {
		return store.Number{}
	}
	switch m.Measure {
	case store.Avg:
		return store.Of(c.sum.value() / float64(c.numbers))
	case store.Min:
		return store.Of(c.min)
	case store.Max:
		return store.Of(c.max)
	}
	if c.values == nil {
		return store.Number{}
	}
	// A bin may reach beyond the numbers in it.
	return store.Of(min(max(c.values.percentile(m.Measure.Percentile()), c.min), c.max))
}

// addSized folds in an event and returns by how many bytes the cell grew.
func (c *cell) addSized(m *store.Metric, e *store.Event) (grown int) {
	if !growsCells(m.Measure) {
		c.add(m, e)
		return 0
	}
	before := c.size()
	c.add(m, e)
	return c.size() - before
}
