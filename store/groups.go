package store

import (
	"cmp"
	"iter"
	"slices"
)

// groups are the cells of one step by name of group; without a grouping there
// is one, named "".
type groups map[string]*cell

// cell gives the cell of a group, and makes it if there is none.
func (gs groups) cell(name string) *cell {
	c := gs[name]
	if c == nil {
		c = &cell{}
		gs[name] = c
	}
	return c
}

// merge adds the cells of o, which stay as they are.
func (gs groups) merge(o groups) {
	for name, c := range o {
		gs.cell(name).merge(c)
	}
}

// mergeSteps gives the cells of some steps, which stay as they are.
func mergeSteps(steps iter.Seq[groups]) groups {
	cells := map[string][]*cell{}
	for gs := range steps {
		for name, c := range gs {
			cells[name] = append(cells[name], c)
		}
	}
	all := make(groups, len(cells))
	var counts []int64
	for name, some := range cells {
		all[name] = mergeCells(some, &counts)
	}
	return all
}

func (gs groups) limit(n int) {
	if len(gs) <= n {
		return
	}
	names := make([]string, 0, len(gs))
	for name := range gs {
		names = append(names, name)
	}
	slices.SortFunc(names, func(a, b string) int {
		return cmp.Or(cmp.Compare(gs[b].count, gs[a].count), cmp.Compare(a, b))
	})
	other := &cell{}
	for _, name := range names[n:] {
		other.merge(gs[name])
		delete(gs, name)
	}
	if same := gs[OtherGroup]; same != nil { // a property may say "(other)" itself
		other.merge(same)
	}
	gs[OtherGroup] = other
}
