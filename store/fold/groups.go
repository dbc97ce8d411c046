package fold

// groups are the cells of one step by name of group; without a grouping there
// is one, named "".
type groups map[string]*cell

// cell returns the cell of a group, and makes it if there is none.
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

// slotBytes is what a cell takes in a map by group, see Fold.Size.
const slotBytes = 48

// size is how many bytes the cells take. Their names are counted where the groups are.
func (gs groups) size() int {
	n := 0
	for _, c := range gs {
		n += slotBytes + c.size()
	}
	return n
}

// limit keeps n groups apart, those with the most events, and merges the others into
// OtherGroup.
