package fold

import (
	"fmt"
	"iter"
	"math"
	"slices"

	"pulseboard/store"
)

// Span is a part of a rollup: its steps of a tier from a moment on up to, but not
// at, another.
type Span struct {
	Key            RollupKey
	Tier, From, To int64
}

// Spans returns what the fold can begin with, see Restore: none for a window whose steps are
// too short. The spans of a rollup stand together.
func (f *Fold) Spans() (spans []Span) {
	tier, ok := TierOf(f.window.Step)
	if !ok {
		return nil
	}
	seen := map[RollupKey]bool{}
	for _, w := range f.widgets {
		if key := w.rollup.Key(); w.folds && !seen[key] {
			seen[key] = true
			spans = append(spans, f.spansOf(key, tier)...)
		}
	}
	return spans
}

// RollupsRead returns the rollups that the fold's widgets read, by key, also those of a
// window whose steps are too short for them.
func (f *Fold) RollupsRead() map[RollupKey]Rollup {
	all := map[RollupKey]Rollup{}
	for _, w := range f.widgets {
		if w.folds {
			all[w.rollup.Key()] = w.rollup
		}
	}
	return all
}

// spansOf returns the spans of a rollup that the widgets need: all in the tier of the
// window's steps when one of them shows steps, else as few as there can be.
func (f *Fold) spansOf(key RollupKey, tier int64) []Span {
	end := f.window.To
	if f.open {
		end = math.MaxInt64
	}
	readers := f.readers(key)
	from := f.window.From
	for _, w := range readers {
		from = min(from, w.from(f.window))
	}
	if slices.ContainsFunc(readers, (*widgetFold).needsSteps) {
		return []Span{{key, tier, from, end}}
	}
	spans := cover(key, slices.Index(Tiers, tier), from, f.window.To)
	if f.open {
		spans = append(spans, Span{key, tier, f.window.To, end})
	}
	return spans
}

// cover returns the spans of the longest tiers that have whole steps from from to to.
func cover(key RollupKey, tier int, from, to int64) []Span {
	if from >= to {
		return nil
	}
	if tier+1 < len(Tiers) {
		longer := Tiers[tier+1]
		if a, b := store.StepStart(from+longer-1, longer), store.StepStart(to, longer); a < b {
			return slices.Concat(cover(key, tier, from, a), cover(key, tier+1, a, b), cover(key, tier, b, to))
		}
	}
	return []Span{{key, Tiers[tier], from, to}}
}

// Restore takes over the events up to a seq from a span of a rollup: blocks are its steps
// by their starts. Those events are not counted again when they are added. The error says
// that a block can't be read, or is the meter's; the fold is of no use then.
func (f *Fold) Restore(span Span, upto store.EventSeq, blocks iter.Seq2[int64, []byte]) error {
	readers := f.readers(span.Key)
	for start, block := range blocks {
		at := start
		if span.Tier < f.window.Step {
			at = store.StepStart(start, f.window.Step)
		}
		readers := slices.DeleteFunc(slices.Clone(readers), func(w *widgetFold) bool { return start < w.from(f.window) })
		if err := f.restoreStep(readers, at, block); err != nil {
			return err
		}
		for _, w := range readers {
			if span.Tier > f.window.Step {
				w.longSteps[start] = span.Tier
			}
		}
	}
	for _, w := range readers {
		w.upto = upto
		w.measure()
	}
	return nil
}

// restoreStep adds a block to a step of widgets that read the same rollup.
func (f *Fold) restoreStep(readers []*widgetFold, at int64, block []byte) error {
	if len(readers) == 0 {
		return nil
	}
	if w := readers[0]; w.grouped() {
		packed, err := unpackBlock(block)
		if err == nil && len(w.rollup.dims) > 0 {
			packed, err = w.narrow(packed, f.filters)
		}
		if err != nil {
			return err
		}
		for _, w := range readers {
			w.restorePacked(at, packed)
		}
		f.worked(len(readers) * len(packed.entries))
		return f.grew(len(readers) * packed.size())
	}
	cells, err := readBlock(block)
	if err != nil {
		return err
	}
	for i, w := range readers {
		grown, err := w.restore(f.filters, at, cells, i == len(readers)-1)
		if err != nil {
			return err
		}
		if err := f.grew(grown); err != nil {
			return err
		}
	}
	return nil
}

// CountDirectly tells the fold that a rollup has too many groups to be kept, so that its
// events have to be added, all of them, at every new fold.
func (f *Fold) CountDirectly(key RollupKey) {
	for _, w := range f.readers(key) {
		w.direct = true
	}
}

// readers returns the widgets that read a rollup.
func (f *Fold) readers(key RollupKey) (readers []*widgetFold) {
	for _, w := range f.widgets {
		if w.folds && w.rollup.Key() == key {
			readers = append(readers, w)
		}
	}
	return readers
}

// restore adds cells without a grouping to a step and returns by how many bytes the widget
// grew. The cells are left as they are unless they are its own.
func (w *widgetFold) restore(filters []variableFilter, at int64, cells groups, own bool) (grown int, err error) {
	before := w.size
	for name, c := range cells {
		values, group, ok := w.rollup.split(name)
		if !ok {
			return 0, fmt.Errorf("%w: a group has no name", errBlock)
		}
		if !w.passes(filters, values) {
			continue
		}
		w.stale = true
		if w.flat {
			at = w.flatStep
		}
		s := w.step(at)
		if s.open == nil {
			s.open = groups{}
		}
		if have := s.open[group]; have != nil {
			w.size -= have.size()
			have.merge(c)
			w.size += have.size()
			continue
		}
		if !own {
			copied := &cell{}
			copied.merge(c)
			c = copied
		}
		s.open[group] = c
		w.size += slotBytes + c.size()
	}
	return w.size - before, nil
}

// narrow returns the groups of a rollup's block that pass the filters, by their own names.
func (w *widgetFold) narrow(block packedGroups, filters []variableFilter) (packedGroups, error) {
	passing := groups{}
	for name, packed := range block.all() {
		values, group, ok := w.rollup.split(string(name))
		if !ok {
			return packedGroups{}, fmt.Errorf("%w: a group has no name", errBlock)
		}
		if w.passes(filters, values) {
			c := &cell{}
			c.unpack(packed)
			passing.cell(group).merge(c)
		}
	}
	return packGroups(passing), nil
}

// restorePacked adds groups to a step.
func (w *widgetFold) restorePacked(at int64, block packedGroups) {
	if w.flat {
		at = w.flatStep
	}
	if len(block.entries) == 0 {
		return
	}
	w.stale = true
	for name, packed := range block.all() {
		w.note(name, packedCount(packed))
	}
	if w.merged() { // the groups that were dropped stay dropped, or come back as a whole
		block = block.keep(func(name []byte) bool { return w.groups[string(name)] != nil })
	}
	s := w.step(at)
	s.packed = s.packed.merge(block)
	w.size += block.size()
}

// passes reports whether events whose fields have these values pass the filters.
func (w *widgetFold) passes(filters []variableFilter, values []store.Value) bool {
	for _, filter := range filters {
		i := slices.Index(w.rollup.dims, filter.field)
		if i < 0 || values[i].IsNull() || !slices.Contains(filter.values, values[i].String()) {
			return false
		}
	}
	return true
}

// Upto returns the seq up to which no event has to be added any more.
func (f *Fold) Upto() store.EventSeq {
	least := store.EventSeq(math.MaxInt64)
	for _, w := range f.widgets {
		if w.folds {
			least = min(least, w.upto)
		}
	}
	if least == math.MaxInt64 {
		return 0
	}
	return least
}
