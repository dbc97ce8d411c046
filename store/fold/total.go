package fold

import "pulseboard/store"

// groupNumber is the number of a group, and how many events it has.
type groupNumber struct {
	store.GroupNumber
	events int64
}

// numbers returns the numbers of all groups. Where cells of users or percentiles take much, it
// does so group by group and keeps none.
func (w *widgetFold) numbers(window store.Window) []groupNumber {
	all := make([]groupNumber, 0, len(w.groups))
	note := func(name string, c *cell) {
		all = append(all, groupNumber{store.GroupNumber{Group: name, Number: w.read(c, window.To-window.From)}, c.count})
	}
	if w.totals[window] == nil && w.heavy() {
		w.eachByGroup(w.stepsOf(window), note)
		return all
	}
	for name, c := range w.total(window) {
		note(name, c)
	}
	return all
}

// heavyShare is the part of the fold's limit from which a widget keeps no totals of cells that
// grow.
const heavyShare = 8

func (w *widgetFold) heavy() bool {
	return w.grouped() && growsCells(w.widget.Metric.Measure) && w.most > 0 && w.size > w.most/heavyShare
}

// total merges the window's steps, group by group.
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
	return total
}

// stepsOf returns the steps that the widget has of a window.
func (w *widgetFold) stepsOf(window store.Window) (steps []*step) {
	for start := window.From; start < window.To; start += window.Step {
		if s := w.steps[start]; s != nil {
			steps = append(steps, s)
		}
	}
	return steps
}

// mergeSteps returns the cells of a window's steps, which stay as they are.
func (w *widgetFold) mergeSteps(window store.Window) groups {
	if w.grouped() && w.widget.Metric.Measure.Percentile() == 0 {
		return w.mergeInTurn(w.stepsOf(window))
	}
	all := make(groups, len(w.groups))
	w.eachByGroup(w.stepsOf(window), func(name string, c *cell) { all[name] = c })
	return all
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

// eachByGroup merges group by group, which is faster where cells hold percentiles: see
// mergeDistributions.
func (w *widgetFold) eachByGroup(steps []*step, fn func(name string, c *cell)) {
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
	var counts []int64
	for name, at := range places {
		cells := open[name]
		for _, p := range at {
			cells = append(cells, p.step.packed.cell(p.entry))
		}
		fn(name, mergeCells(cells, &counts))
		delete(open, name)
		w.worked(len(cells))
	}
	for name, cells := range open {
		fn(name, mergeCells(cells, &counts))
	}
}

// nameOf returns the name of a group in the memory that all its cells share.
func (w *widgetFold) nameOf(name []byte) string {
	if g := w.groups[string(name)]; g != nil {
		return g.name
	}
	return string(name)
}
