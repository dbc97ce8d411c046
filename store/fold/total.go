package fold

import (
	"maps"

	"pulseboard/store"
)

// total merges the window's steps, group by group. Past MaxGroups groups those
// with the fewest events are merged into OtherGroup.
func (w *widgetFold) total(window store.Window) groups {
	total := w.totals[window]
	if total == nil {
		total = w.mergeSteps(window)
		if w.totals == nil {
			w.totals = map[store.Window]groups{}
		}
		w.totals[window] = total
		w.size += total.size()
	}
	if len(total) <= store.MaxGroups {
		return total
	}
	limited := maps.Clone(total)
	limited.limit(store.MaxGroups)
	return limited
}

// mergeSteps returns the cells of a window's steps, which stay as they are.
func (w *widgetFold) mergeSteps(window store.Window) groups {
	var steps []*step
	for start := window.From; start < window.To; start += window.Step {
		if s := w.steps[start]; s != nil {
			steps = append(steps, s)
		}
	}
	if w.grouped() && w.widget.Metric.Measure.Percentile() == 0 {
		return w.mergeInTurn(steps)
	}
	return w.mergeByGroup(steps)
}

// mergeInTurn merges step by step, so that one packed cell is unpacked at a time.
func (w *widgetFold) mergeInTurn(steps []*step) groups {
	all := make(groups, len(w.groups))
	for _, s := range steps {
		for name, packed := range s.packed.all() {
			c := all[string(name)]
			if c == nil {
				c = all.cell(w.nameOf(name))
				c.unpack(packed)
				continue
			}
			var other cell
			other.unpack(packed)
			c.merge(&other)
		}
		all.merge(s.open)
		w.worked(len(s.packed.entries) + len(s.open))
	}
	return all
}

// mergeByGroup merges group by group, which is faster where cells hold percentiles: see
// mergeDistributions.
func (w *widgetFold) mergeByGroup(steps []*step) groups {
	type place struct {
		step  *step
		entry int
	}
	places, open := map[string][]place{}, map[string][]*cell{}
	for _, s := range steps {
		for i := range s.packed.entries {
			bytes, _ := s.packed.at(i)
			name := w.nameOf(bytes)
			places[name] = append(places[name], place{s, i})
		}
		for name, c := range s.open {
			open[name] = append(open[name], c)
		}
	}
	all := make(groups, max(len(places), len(open)))
	var counts []int64
	for name, at := range places {
		cells := open[name]
		for _, p := range at {
			cells = append(cells, p.step.packed.cell(p.entry))
		}
		all[name] = mergeCells(cells, &counts)
		delete(open, name)
		w.worked(len(cells))
	}
	for name, cells := range open {
		all[name] = mergeCells(cells, &counts)
	}
	return all
}

// nameOf returns the name of a group in the memory that all its cells share.
func (w *widgetFold) nameOf(name []byte) string {
	if g := w.groups[string(name)]; g != nil {
		return g.name
	}
	return string(name)
}
