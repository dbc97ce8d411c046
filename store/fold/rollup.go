package fold

import (
	"encoding/binary"
	"encoding/json"
	"iter"
	"slices"
	"strings"

	"pulseboard/store"
)

// Tiers are the lengths, in seconds, of the steps that rollups are kept in, each some
// of the one before. Each step of a window but the shortest is some steps of a tier.
var Tiers = []int64{60, 900, 7200, 21600, 86400}

// TierOf returns the longest tier that a step of a window is made of. ok is false
// for the shortest step, which is for ranges so short that events are read.
func TierOf(step int64) (tier int64, ok bool) {
	for _, t := range Tiers {
		if step%t == 0 {
			tier, ok = t, true
		}
	}
	return tier, ok
}

// MaxCombinations is the number of groups, counted over the values of a board's
// variables, from which a step of a rollup is too wide to be kept.
const MaxCombinations = 10_000

// Rollup is what is folded for one or more widgets: cells by step and group. A
// dashboard's variables are groups too, so that views of all their values read
// from the same cells.
type Rollup struct {
	metric store.Metric // one for all measures that read the same cells
	dims   []string     // fields that variables narrow, sorted
}

// RollupKey names a rollup inside its tenant: metrics that mean the same share one.
type RollupKey string

// RollupOf returns what a widget of a dashboard reads when it shows a metric.
func RollupOf(d store.Dashboard, m store.Metric) Rollup {
	r := Rollup{metric: m}
	switch {
	case m.Measure.Percentile() != 0:
		r.metric.Measure = store.P50
	case m.Measure == store.Avg:
		r.metric.Measure = store.Sum
	case m.Measure == store.Max:
		r.metric.Measure = store.Min
	case m.Measure == store.Rate:
		r.metric.Measure, r.metric.Per = store.Count, ""
	}
	for _, v := range d.Variables {
		r.dims = append(r.dims, v.Property)
	}
	slices.Sort(r.dims)
	r.dims = slices.Compact(r.dims)
	return r
}

// RollupsOf returns what the widgets of a dashboard read, by key.
func RollupsOf(d store.Dashboard) map[RollupKey]Rollup {
	all := map[RollupKey]Rollup{}
	for _, w := range d.Widgets {
		if w.Folds() {
			r := RollupOf(d, w.Metric)
			all[r.Key()] = r
		}
	}
	return all
}

// Key returns the rollup's name.
func (r Rollup) Key() RollupKey {
	conditions := func(all []store.Condition) []string {
		var texts []string
		for _, c := range all {
			texts = append(texts, c.String())
		}
		slices.Sort(texts) // all must hold, in any order
		return slices.Compact(texts)
	}
	m := r.metric
	text, err := json.Marshal([]any{m.Measure, m.Event, conditions(m.Where), conditions(m.Of), m.Property, m.By, r.dims})
	if err != nil {
		panic(err) // texts can be written
	}
	return RollupKey(text)
}

// String says what is folded, as it stands in a dashboard file.
func (r Rollup) String() string {
	m := r.metric
	parts := []string{string(m.Measure)}
	switch {
	case m.Measure.Percentile() != 0:
		parts[0] = "percentiles"
	case m.Measure == store.Sum:
		parts[0] = "sum, avg"
	case m.Measure == store.Min:
		parts[0] = "min, max"
	case m.Measure == store.Count:
		parts[0] = "count, rate"
	}
	add := func(word, text string) {
		if text != "" {
			parts = append(parts, word+" "+text)
		}
	}
	conditions := func(all []store.Condition) string {
		var texts []string
		for _, c := range all {
			texts = append(texts, c.String())
		}
		return strings.Join(texts, ", ")
	}
	add("of", m.Property)
	add("event", m.Event)
	add("where", conditions(m.Where))
	add("share of", conditions(m.Of))
	add("by", m.By)
	add("for each", strings.Join(r.dims, ", "))
	return strings.Join(parts, " · ")
}

// group names the cell that an event belongs to: the values of the variables'
// fields, each behind its length plus one, 0 standing for none; then the group.
func (r Rollup) group(b []byte, e *store.Event) []byte {
	for _, field := range r.dims {
		v, ok := e.Field(field)
		if !ok {
			b = append(b, 0)
			continue
		}
		text := v.String()
		b = append(binary.AppendUvarint(b, uint64(len(text))+1), text...)
	}
	return append(b, r.metric.GroupOf(e)...)
}

// split takes the name of a group apart. ok is false when it is not one.
func (r Rollup) split(name string) (values []store.Value, group string, ok bool) {
	b := []byte(name)
	for range r.dims {
		n, size := binary.Uvarint(b)
		if size <= 0 || n > uint64(len(b)-size)+1 {
			return nil, "", false
		}
		b = b[size:]
		if n == 0 {
			values = append(values, store.Null)
			continue
		}
		values = append(values, store.Text(string(b[:n-1])))
		b = b[n-1:]
	}
	return values, string(b), true
}

// VerifyBlock reads a block of the rollup to its end. The error is store.ErrDamaged
// when no fold could read it.
func (r Rollup) VerifyBlock(block []byte) error {
	cells, err := readBlock(block)
	for name := range cells {
		if _, _, ok := r.split(name); !ok {
			return errBlock
		}
	}
	return err
}

// RollupStep is the cells of one step of a tier, and what to do with them.
type RollupStep struct {
	Tier  int64 // seconds
	Start int64 // seconds since the epoch
	cells groups
}

// Merge returns the block of this step and of a block kept before, nil if there was
// none. wide reports whether it holds more groups than are kept. The error is store.ErrDamaged when
// the block can't be read.
func (s RollupStep) Merge(kept []byte) (block []byte, wide bool, err error) {
	all, partial := s.cells, false
	if kept != nil {
		if all, err = readBlock(kept); err != nil {
			return nil, false, err
		}
		partial = kept[0] == partialVersion
		all.merge(s.cells)
	}
	return all.appendBlock(nil, partial), len(all) > MaxCombinations, nil
}

// RollupBuilder folds some events into steps of a rollup. It belongs to one goroutine at a time.
type RollupBuilder struct {
	rollup Rollup
	steps  map[int64]groups // of the shortest tier
	name   []byte           // reused

	// The step of the event before, and its cell where there are no groups: most events
	// come soon after the one before.
	last      groups
	lastStart int64
	lastCell  *cell
}

// NewRollupBuilder returns a builder without events.
func NewRollupBuilder(r Rollup) *RollupBuilder {
	return &RollupBuilder{rollup: r, steps: map[int64]groups{}}
}

// Add folds in an event and returns by about how many bytes the builder grew. The event may be
// reused by the caller afterwards.
func (b *RollupBuilder) Add(e *store.Event) (grown int) {
	m := &b.rollup.metric
	if !m.Counts(e) {
		return 0
	}
	if start := store.StepStart(e.Time.Unix(), Tiers[0]); b.last == nil || start != b.lastStart {
		b.last, b.lastStart, b.lastCell = b.steps[start], start, nil
		if b.last == nil {
			b.last = groups{}
			b.steps[start] = b.last
		}
	}
	c := b.lastCell
	if m.By != "" || len(b.rollup.dims) > 0 {
		b.name = b.rollup.group(b.name[:0], e)
		c = b.last[string(b.name)] // makes no string of the name, as nearly every event finds its cell
	}
	if c == nil {
		c = b.last.cell(string(b.name))
		grown = slotBytes + cellBytes + len(b.name)
		if len(b.name) == 0 {
			b.lastCell = c
		}
	}
	return grown + c.addSized(m, e)
}

// Steps returns the steps of all tiers that hold anything.
func (b *RollupBuilder) Steps() iter.Seq[RollupStep] {
	return func(yield func(RollupStep) bool) {
		finer := b.steps
		for i, tier := range Tiers {
			steps := finer
			if i > 0 {
				steps = map[int64]groups{}
				for start, gs := range finer {
					at := store.StepStart(start, tier)
					if steps[at] == nil {
						steps[at] = groups{}
					}
					steps[at].merge(gs)
				}
			}
			for start, gs := range steps {
				if !yield(RollupStep{tier, start, gs}) {
					return
				}
			}
			finer = steps
		}
	}
}
