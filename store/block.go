package store

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"maps"
	"math"
	"slices"
)

// A block is the cells of one step of a rollup, by group, as they are kept: the
// number of groups, and for each its name and its cell; last a checksum (CRC-32C) of
// what stands before it, for what a sketch makes of damaged bytes has no bounds.
// Numbers of things are varints, others little-endian.

// A block begins with its version. A partial one reads the same and says that it does not
// count all events of its step: some could not be counted anew when it was mended.
const (
	blockVersion   = 2
	partialVersion = 3
)

var errBlock = fmt.Errorf("a rollup's block can't be read: %w", ErrDamaged)

func (gs groups) append(b []byte) []byte { return gs.appendBlock(b, false) }

func (gs groups) appendBlock(b []byte, partial bool) []byte {
	version := byte(blockVersion)
	if partial {
		version = partialVersion
	}
	b = binary.AppendUvarint(append(b, version), uint64(len(gs)))
	for _, name := range slices.Sorted(maps.Keys(gs)) {
		b = gs[name].append(appendBytes(b, []byte(name)))
	}
	return binary.LittleEndian.AppendUint32(b, crc32.Checksum(b, castagnoli))
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// CheckBlock says whether a block is as it was written, and whether it is partial: whether
// its step had events that it does not count. The error is ErrDamaged.
func CheckBlock(b []byte) (partial bool, err error) {
	end := len(b) - 4
	if end < 1 || crc32.Checksum(b[:end], castagnoli) != binary.LittleEndian.Uint32(b[end:]) {
		return false, fmt.Errorf("%w: its checksum is wrong", errBlock)
	}
	if v := b[0]; v != blockVersion && v != partialVersion {
		return false, fmt.Errorf("%w: version %d", errBlock, v)
	}
	return b[0] == partialVersion, nil
}

// readBlock gives the cells of a block. The error says that it is none.
func readBlock(b []byte) (groups, error) {
	r, err := newBlockReader(b)
	if err != nil {
		return nil, err
	}
	gs := groups{}
	for range r.length(2) {
		c := &cell{}
		gs[string(r.bytes())] = c
		c.read(r)
	}
	return gs, r.end()
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
		b = appendFloats(b, c.min, c.max)
	}
	if flags&hasSum != 0 {
		b = binary.AppendUvarint(b, uint64(len(c.sum.partials)))
		b = appendFloats(b, c.sum.partials...)
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

func (c *cell) read(r *blockReader) {
	flags := r.byte()
	c.count = int64(r.uvarint())
	if flags&hasOf != 0 {
		c.of = int64(r.uvarint())
	}
	if flags&hasNumbers != 0 {
		c.numbers = int64(r.uvarint())
		c.min, c.max = r.float(), r.float()
	}
	if flags&hasSum != 0 {
		for range r.length(8) {
			c.sum.partials = append(c.sum.partials, r.float())
		}
	}
	if flags&hasValues != 0 {
		c.distribution().read(r)
	}
	if flags&hasUsers != 0 {
		c.userSet().read(r)
	}
}

func appendBytes(b, bytes []byte) []byte {
	return append(binary.AppendUvarint(b, uint64(len(bytes))), bytes...)
}

func appendFloats(b []byte, floats ...float64) []byte {
	for _, f := range floats {
		b = binary.LittleEndian.AppendUint64(b, math.Float64bits(f))
	}
	return b
}

// blockReader reads a block. After an error all it gives is zero.
type blockReader struct {
	rest []byte
	err  error
}

// newBlockReader checks a block and reads what stands before its number of groups.
func newBlockReader(b []byte) (*blockReader, error) {
	if _, err := CheckBlock(b); err != nil {
		return nil, err
	}
	return &blockReader{rest: b[1 : len(b)-4]}, nil
}

// end returns what went wrong, also if the block was not read to its end.
func (r *blockReader) end() error {
	if r.err == nil && len(r.rest) > 0 {
		r.fail(errors.New("bytes after its end"))
	}
	return r.err
}

func (r *blockReader) fail(err error) {
	if r.err == nil {
		r.err = fmt.Errorf("%w: %w", errBlock, err)
	}
	r.rest = nil
}

func (r *blockReader) take(n int) []byte {
	if n > len(r.rest) {
		r.fail(errors.New("it ends too soon"))
		return make([]byte, n)
	}
	b := r.rest[:n]
	r.rest = r.rest[n:]
	return b
}

func (r *blockReader) byte() byte     { return r.take(1)[0] }
func (r *blockReader) uint64() uint64 { return binary.LittleEndian.Uint64(r.take(8)) }
func (r *blockReader) float() float64 { return math.Float64frombits(r.uint64()) }

func (r *blockReader) uvarint() uint64 {
	n, size := binary.Uvarint(r.rest)
	if size <= 0 {
		r.fail(errors.New("no number"))
		return 0
	}
	r.rest = r.rest[size:]
	return n
}

// length reads how many things of at least size bytes each follow.
func (r *blockReader) length(size int) int {
	n := r.uvarint()
	if n > uint64(len(r.rest)/size) {
		r.fail(errors.New("it ends too soon"))
		return 0
	}
	return int(n)
}

// bytes reads bytes that stand behind their number.
func (r *blockReader) bytes() []byte { return r.take(r.length(1)) }
