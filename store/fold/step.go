package fold

import (
	"bytes"
	"encoding/binary"
	"iter"
	"maps"
	"slices"

	"pulseboard/store"
	"pulseboard/store/pack"
)

// step is the cells of one step of a widget. Cells that events were added to lately lie
// open, by group; all others lie packed. The cell of a group is the merger of both.
//
// A packed cell of a count takes some 10 bytes and the group's name, an open one twenty
// times as much, and a view may hold a million. Cells without a grouping stay open.
type step struct {
	open   groups
	packed packedGroups
	added  bool // events were added since the last look, see widgetFold.pack
}

// cell returns the cell of a group, nil if it has none. It must not be changed.
func (s *step) cell(group string) *cell {
	if s == nil {
		return nil
	}
	open := s.open[group]
	i, ok := s.packed.find(group)
	if !ok {
		return open
	}
	c := s.packed.cell(i)
	if open != nil {
		c.merge(open)
	}
	return c
}

// pack packs what lies open.
func (s *step) pack() {
	if len(s.open) > 0 {
		s.packed = s.packed.merge(packGroups(s.open))
		s.open = nil
	}
}

// mergeInto merges the cells of all groups but some into c.
func (s *step) mergeInto(c *cell, but map[string]bool) {
	for name, packed := range s.packed.all() {
		if !but[string(name)] {
			c.mergePacked(packed)
		}
	}
	for name, open := range s.open {
		if !but[name] {
			c.merge(open)
		}
	}
}

// packedGroups is cells by group as bytes: for each group its name behind its length, and
// its cell as in a block. The groups are sorted by name. It never changes, so any number of
// steps may share it.
type packedGroups struct {
	bytes   []byte
	entries []uint32 // where each begins
}

// entryBytes is what a packed group takes besides its bytes.
const entryBytes = 4

// size is how many bytes the groups take.
func (p packedGroups) size() int { return len(p.bytes) + entryBytes*len(p.entries) }

// packGroups packs cells, which stay as they are.
func packGroups(gs groups) (p packedGroups) {
	for _, name := range slices.Sorted(maps.Keys(gs)) {
		p.append([]byte(name), gs[name].append(nil))
	}
	return p.clip()
}

// append adds a group whose name comes after all others.
func (p *packedGroups) append(name, cell []byte) {
	p.entries = append(p.entries, uint32(len(p.bytes)))
	p.bytes = append(pack.AppendBytes(p.bytes, name), cell...)
}

// clip returns the groups without the memory that appending made ready and did not use.
func (p packedGroups) clip() packedGroups {
	return packedGroups{bytes.Clone(p.bytes), slices.Clone(p.entries)}
}

// at returns the name and the packed cell of group i.
func (p packedGroups) at(i int) (name, cell []byte) {
	b := p.bytes[p.entries[i]:]
	if i+1 < len(p.entries) {
		b = b[:p.entries[i+1]-p.entries[i]]
	}
	n, size := binary.Uvarint(b)
	return b[size : size+int(n)], b[size+int(n):]
}

func (p packedGroups) find(name string) (i int, ok bool) {
	low, high := 0, len(p.entries)
	for low < high {
		middle := (low + high) / 2
		if at, _ := p.at(middle); string(at) < name {
			low = middle + 1
		} else {
			high = middle
		}
	}
	if low < len(p.entries) {
		at, _ := p.at(low)
		ok = string(at) == name
	}
	return low, ok
}

// cell unpacks the cell of group i.
func (p packedGroups) cell(i int) *cell {
	c := &cell{}
	_, b := p.at(i)
	c.unpack(b)
	return c
}

// all returns the names and the packed cells, sorted by name.
func (p packedGroups) all() iter.Seq2[[]byte, []byte] {
	return func(yield func(name, cell []byte) bool) {
		for i := range p.entries {
			if !yield(p.at(i)) {
				return
			}
		}
	}
}

// merge returns the groups of p and o. Groups that only one of them has are copied as they
// are.
func (p packedGroups) merge(o packedGroups) packedGroups {
	if len(p.entries) == 0 {
		return o
	}
	if len(o.entries) == 0 {
		return p
	}
	all := packedGroups{make([]byte, 0, len(p.bytes)+len(o.bytes)), make([]uint32, 0, len(p.entries)+len(o.entries))}
	i, j := 0, 0
	for i < len(p.entries) && j < len(o.entries) {
		a, aCell := p.at(i)
		b, bCell := o.at(j)
		switch bytes.Compare(a, b) {
		case -1:
			all.append(a, aCell)
			i++
		case 1:
			all.append(b, bCell)
			j++
		default:
			var both, other cell
			both.unpack(aCell)
			other.unpack(bCell)
			both.merge(&other)
			all.append(a, both.append(nil))
			i++
			j++
		}
	}
	for ; i < len(p.entries); i++ {
		all.append(p.at(i))
	}
	for ; j < len(o.entries); j++ {
		all.append(o.at(j))
	}
	return all.clip()
}

// keep returns the groups that kept approves of, and the others merged into OtherGroup.
func (p packedGroups) keep(kept func(name []byte) bool) packedGroups {
	var left packedGroups
	other := &cell{}
	merged := false
	for name, packed := range p.all() {
		if string(name) != store.OtherGroup && kept(name) {
			left.append(name, packed)
			continue
		}
		other.mergePacked(packed)
		merged = true
	}
	if !merged {
		return p
	}
	return left.merge(packGroups(groups{store.OtherGroup: other})).clip()
}

// mergePacked merges a packed cell. It is for a cell that many small ones are merged into:
// its users are kept so that adding a few costs no copy of all.
func (c *cell) mergePacked(packed []byte) {
	var o cell
	o.unpack(packed)
	if o.users != nil && c.users == nil {
		c.users = &userSet{hashes: map[uint64]struct{}{}}
	}
	c.merge(&o)
}

// unpack reads what append wrote.
func (c *cell) unpack(b []byte) { c.read(&pack.Reader{Rest: b}) }

// unpackBlock returns the groups of a block, packed. The error says what is wrong with the block.
func unpackBlock(b []byte) (packedGroups, error) {
	var p packedGroups
	r, _, err := openBlock(b)
	if err != nil {
		return p, err
	}
	n := r.Length(2)
	p.bytes, p.entries = make([]byte, 0, len(r.Rest)), make([]uint32, 0, n)
	var before []byte
	sorted := true
	for range n {
		name := r.Bytes()
		start := r.Rest
		new(cell).read(r) // finds its end, and whether it can be read
		if err := r.Err(); err != nil {
			return p, blockError(err)
		}
		sorted = sorted && (len(p.entries) == 0 || bytes.Compare(before, name) < 0)
		p.append(name, start[:len(start)-len(r.Rest)])
		before = name
	}
	if err := r.End(); err != nil {
		return p, blockError(err)
	}
	if !sorted {
		gs, err := readBlock(b)
		return packGroups(gs), err
	}
	return p, nil
}
