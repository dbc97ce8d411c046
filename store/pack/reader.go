package pack

import (
	"encoding/binary"
	"errors"
	"hash/crc32"
	"math"
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// Seal appends the checksum (CRC-32C) of what stands in b from start on.
func Seal(b []byte, start int) []byte {
	return binary.LittleEndian.AppendUint32(b, crc32.Checksum(b[start:], castagnoli))
}

// Unseal returns what stands before the checksum of sealed bytes. ok is false when nothing
// does or the checksum is wrong.
func Unseal(sealed []byte) (b []byte, ok bool) {
	end := len(sealed) - 4
	if end < 1 || crc32.Checksum(sealed[:end], castagnoli) != binary.LittleEndian.Uint32(sealed[end:]) {
		return nil, false
	}
	return sealed[:end], true
}

// AppendBytes appends bytes behind their number, as [Reader.Bytes] reads them.
func AppendBytes(b, bytes []byte) []byte {
	return append(binary.AppendUvarint(b, uint64(len(bytes))), bytes...)
}

// AppendFloats appends numbers of 64 bits, as [Reader.Float] reads them.
func AppendFloats(b []byte, floats ...float64) []byte {
	for _, f := range floats {
		b = binary.LittleEndian.AppendUint64(b, math.Float64bits(f))
	}
	return b
}

// Reader reads bytes from their beginning. After an error there is nothing left, and all that
// it reads is zero.
type Reader struct {
	Rest []byte // what is left to read
	err  error
}

// Err returns the first error, which says what is wrong with the bytes.
func (r *Reader) Err() error { return r.err }

// End returns what went wrong, also if the bytes were not read to their end.
func (r *Reader) End() error {
	if r.err == nil && len(r.Rest) > 0 {
		r.Fail(errors.New("bytes after its end"))
	}
	return r.err
}

// Fail ends reading with an error, unless there was one before.
func (r *Reader) Fail(err error) {
	if r.err == nil {
		r.err = err
	}
	r.Rest = nil
}

// Take reads n bytes, which share their memory with what is read.
func (r *Reader) Take(n int) []byte {
	if n > len(r.Rest) {
		r.Fail(errors.New("it ends too soon"))
		return make([]byte, n)
	}
	b := r.Rest[:n]
	r.Rest = r.Rest[n:]
	return b
}

// Byte reads one byte.
func (r *Reader) Byte() byte { return r.Take(1)[0] }

// Uint64 reads 64 bits, little-endian.
func (r *Reader) Uint64() uint64 { return binary.LittleEndian.Uint64(r.Take(8)) }

// Float reads a number of 64 bits.
func (r *Reader) Float() float64 { return math.Float64frombits(r.Uint64()) }

// Uvarint reads a varint without a sign.
func (r *Reader) Uvarint() uint64 {
	n, size := binary.Uvarint(r.Rest)
	if size <= 0 {
		r.Fail(errors.New("no number"))
		return 0
	}
	r.Rest = r.Rest[size:]
	return n
}

// Varint reads a varint with a sign.
func (r *Reader) Varint() int64 {
	n, size := binary.Varint(r.Rest)
	if size <= 0 {
		r.Fail(errors.New("no number"))
		return 0
	}
	r.Rest = r.Rest[size:]
	return n
}

// Length reads how many things of at least size bytes each follow.
func (r *Reader) Length(size int) int {
	n := r.Uvarint()
	if n > uint64(len(r.Rest)/size) {
		r.Fail(errors.New("it ends too soon"))
		return 0
	}
	return int(n)
}

// Bytes reads bytes that stand behind their number.
func (r *Reader) Bytes() []byte { return r.Take(r.Length(1)) }
