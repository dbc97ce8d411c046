package fold

import (
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"slices"

	"pulseboard/store"
	"pulseboard/store/pack"
)

// A block is the cells of one step of a rollup, by group, as they are kept: its version, the
// number of groups, for each group its name and its cell, and a checksum of all that. The
// checksum is needed because a sketch that reads damaged bytes may say anything. Numbers of
// things are varints, others little-endian.

// Versions of a block. A partial one reads the same and does not count all events of its
// step, because some could not be counted anew when it was mended.
const (
	blockVersion   = 2
	partialVersion = 3
)

var errBlock = fmt.Errorf("a rollup's block can't be read: %w", store.ErrDamaged)

func (gs groups) append(b []byte) []byte { return gs.appendBlock(b, false) }

func (gs groups) appendBlock(b []byte, partial bool) []byte {
	version := byte(blockVersion)
	if partial {
		version = partialVersion
	}
	b = binary.AppendUvarint(append(b, version), uint64(len(gs)))
	for _, name := range slices.Sorted(maps.Keys(gs)) {
		b = gs[name].append(pack.AppendBytes(b, []byte(name)))
	}
	return pack.Seal(b, 0)
}

// CheckBlock returns an error if a block is not as it was written, and reports whether it is
// partial: whether its step had events that it does not count. The error is store.ErrDamaged.
func CheckBlock(b []byte) (partial bool, err error) {
	_, partial, err = openBlock(b)
	return partial, err
}

// openBlock returns a reader of a block that stands at its number of groups.
func openBlock(b []byte) (r *pack.Reader, partial bool, err error) {
	content, ok := pack.Unseal(b)
	if !ok {
		return nil, false, blockError(errors.New("its checksum is wrong"))
	}
	version := content[0]
	if version != blockVersion && version != partialVersion {
		return nil, false, blockError(fmt.Errorf("version %d", version))
	}
	return &pack.Reader{Rest: content[1:]}, version == partialVersion, nil
}

// blockError says what is wrong with a block; nil when nothing is.
func blockError(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%w: %w", errBlock, err)
}

// readBlock returns the cells of a block. The error says what is wrong with the block.
func readBlock(b []byte) (groups, error) {
	r, _, err := openBlock(b)
	if err != nil {
		return nil, err
	}
	gs := groups{}
	for range r.Length(2) {
		c := &cell{}
		gs[string(r.Bytes())] = c
		c.read(r)
	}
	return gs, blockError(r.End())
}

// Parts of a cell that are there.
const (
	hasOf = 1 << iota
	hasNumbers
	hasSum
	hasValues
	hasUsers
)

func (c *cell) append(b []byte) []byte {
	flags := byte(0)
	note := func(flag byte, has bool) {
		if has {
			flags |= flag
		}
	}
	note(hasOf, c.of > 0)
	note(hasNumbers, c.numbers > 0)
	note(hasSum, len(c.sum.partials) > 0)
	note(hasValues, c.values != nil)
	note(hasUsers, c.users != nil && !c.users.isEmpty())
	b = binary.AppendUvarint(append(b, flags), uint64(c.count))
	if flags&hasOf != 0 {
		b = binary.AppendUvarint(b, uint64(c.of))
	}
	if flags&hasNumbers != 0 {
		b = binary.AppendUvarint(b, uint64(c.numbers))
		b = pack.AppendFloats(b, c.min, c.max)
	}
	if flags&hasSum != 0 {
		b = binary.AppendUvarint(b, uint64(len(c.sum.partials)))
		b = pack.AppendFloats(b, c.sum.partials...)
	}
	if flags&hasValues != 0 {
		b = c.values.append(b)
	}
	if flags&hasUsers != 0 {
		b = c.users.append(b)
	}
	return b
}

// packedCount returns the number of events of a cell that append wrote.
func packedCount(b []byte) int64 {
	n, _ := binary.Uvarint(b[1:])
	return int64(n)
}

func (c *cell) read(r *pack.Reader) {
	flags := r.Byte()
	c.count = int64(r.Uvarint())
	if flags&hasOf != 0 {
		c.of = int64(r.Uvarint())
	}
	if flags&hasNumbers != 0 {
		c.numbers = int64(r.Uvarint())
		c.min, c.max = r.Float(), r.Float()
	}
	if flags&hasSum != 0 {
		for range r.Length(8) {
			c.sum.partials = append(c.sum.partials, r.Float())
		}
	}
	if flags&hasValues != 0 {
		c.distribution().read(r)
	}
	if flags&hasUsers != 0 {
		c.userSet().read(r)
	}
}
