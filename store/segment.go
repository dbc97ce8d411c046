package store

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"math"
	"slices"
	"time"

	"github.com/klauspost/compress/zstd"
)

// A segment is some events of a tenant, in the order of their seqs, packed into the
// form they are kept in: a byte that names the form, a body, and a checksum (CRC-32C)
// of both. The body is compressed where that is worth it. It holds one column after
// the other, for what is alike compresses well side by side: the texts that occur, each
// once; the sets of property keys that occur; then of each event the seq, the time, the
// name, the user, the id, its set of keys, and the values.

// Forms of a segment.
const (
	segmentPlain  = 1
	segmentPacked = 2 // compressed with zstd
)

// plainSegment is the size, in bytes, up to which compressing is not worth it.
const plainSegment = 512

var errSegment = errors.New("a segment of events can't be read")

// Kinds of values in a segment. From segmentWhole on, a number is a whole one over a
// power of ten.
const (
	segmentNull = iota
	segmentFalse
	segmentTrue
	segmentText
	segmentFloat
	segmentWhole
	segmentTenths
	segmentHundredths
	segmentThousandths
)

// Encoders and decoders are safe for concurrent use and made once.
var (
	segmentEncoder = newSegmentEncoder()
	segmentDecoder = newSegmentDecoder()
)

func newSegmentEncoder() *zstd.Encoder {
	e, err := zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1), zstd.WithLowerEncoderMem(true), zstd.WithEncoderCRC(false))
	if err != nil {
		panic(err) // only for options that don't fit together
	}
	return e
}

// maxSegment bounds the unpacked size of a segment, in bytes, against damaged ones.
const maxSegment = 256 << 20

func newSegmentDecoder() *zstd.Decoder {
	d, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(2), zstd.WithDecoderMaxMemory(maxSegment))
	if err != nil {
		panic(err) // only for options that don't fit together
	}
	return d
}

// AppendSegment packs events, whose seqs must grow, and appends them to b. Times are
// kept to the microsecond.
func AppendSegment(b []byte, events []Event) []byte {
	start := len(b)
	body := packEvents(events)
	if len(body) <= plainSegment {
		b = append(append(b, segmentPlain), body...)
	} else {
		b = segmentEncoder.EncodeAll(body, append(b, segmentPacked))
	}
	return binary.LittleEndian.AppendUint32(b, crc32.Checksum(b[start:], castagnoli))
}

// dictionary numbers things in the order they first occur.
type dictionary struct {
	index map[string]uint64
	words []string
}

func (d *dictionary) number(word string) uint64 {
	if n, ok := d.index[word]; ok {
		return n
	}
	n := uint64(len(d.words))
	d.index[word] = n
	d.words = append(d.words, word)
	return n
}

func packEvents(events []Event) []byte {
	texts := dictionary{index: map[string]uint64{}}
	keySets := dictionary{index: map[string]uint64{}} // by the numbers of the keys, packed
	var seqs, times, names, users, ids, sets, values, keys []byte
	lastSeq, lastTime := EventSeq(0), int64(0)
	for i := range events {
		e := &events[i]
		at := e.Time.UnixMicro()
		seqs = binary.AppendVarint(seqs, int64(e.Seq-lastSeq))
		times = binary.AppendVarint(times, at-lastTime)
		lastSeq, lastTime = e.Seq, at
		names = binary.AppendUvarint(names, texts.number(e.Name))
		user := uint64(0)
		if e.User != "" {
			user = texts.number(e.User) + 1
		}
		users = binary.AppendUvarint(users, user)
		ids = appendBytes(ids, []byte(e.ID))
		keys = keys[:0]
		for _, p := range e.Properties {
			keys = binary.AppendUvarint(keys, texts.number(p.Key))
			values = appendSegmentValue(values, p.Value, &texts)
		}
		sets = binary.AppendUvarint(sets, keySets.number(string(keys)))
	}
	b := binary.AppendUvarint(nil, uint64(len(events)))
	for _, d := range []dictionary{texts, keySets} {
		b = binary.AppendUvarint(b, uint64(len(d.words)))
		for _, word := range d.words {
			b = appendBytes(b, []byte(word))
		}
	}
	for _, column := range [][]byte{seqs, times, names, users, ids, sets, values} {
		b = appendBytes(b, column)
	}
	return b
}

func appendSegmentValue(b []byte, v Value, texts *dictionary) []byte {
	switch v.kind {
	case boolValue:
		if v.number != 0 {
			return append(b, segmentTrue)
		}
		return append(b, segmentFalse)
	case textValue:
		return binary.AppendUvarint(append(b, segmentText), texts.number(v.text))
	case numberValue:
		return appendSegmentNumber(b, v.number)
	}
	return append(b, segmentNull)
}

var powersOfTen = [...]float64{1, 10, 100, 1000}

// appendSegmentNumber writes a number as a short whole one where that gives back the
// same, as for prices and durations.
func appendSegmentNumber(b []byte, f float64) []byte {
	if math.Abs(f) < 1e12 && !(f == 0 && math.Signbit(f)) {
		for places, power := range powersOfTen {
			if n := math.Round(f * power); n/power == f {
				return binary.AppendVarint(append(b, byte(segmentWhole+places)), int64(n))
			}
		}
	}
	return appendFloats(append(b, segmentFloat), f)
}

// ReadSegment gives the events of a segment, in order. They share texts, and nothing
// with the packed bytes. The error says that it is none.
func ReadSegment(packed []byte) ([]Event, error) {
	end := len(packed) - 4
	if end < 1 || crc32.Checksum(packed[:end], castagnoli) != binary.LittleEndian.Uint32(packed[end:]) {
		return nil, fmt.Errorf("%w: its checksum is wrong", errSegment)
	}
	body := packed[1:end]
	switch packed[0] {
	case segmentPlain:
	case segmentPacked:
		var err error
		if body, err = segmentDecoder.DecodeAll(body, nil); err != nil {
			return nil, fmt.Errorf("%w: %w", errSegment, err)
		}
	default:
		return nil, fmt.Errorf("%w: form %d", errSegment, packed[0])
	}
	return unpackEvents(body)
}

func unpackEvents(body []byte) ([]Event, error) {
	r := &blockReader{rest: body}
	events := make([]Event, r.length(1))
	texts := make([]string, r.length(1))
	for i := range texts {
		texts[i] = string(r.bytes())
	}
	text := func(number uint64) string {
		if number >= uint64(len(texts)) {
			r.fail(errors.New("no such text"))
			return ""
		}
		return texts[number]
	}
	keySets := make([][]string, r.length(1))
	for i := range keySets {
		set := &blockReader{rest: r.bytes()}
		for set.err == nil && len(set.rest) > 0 {
			keySets[i] = append(keySets[i], text(set.uvarint()))
		}
	}
	var columns [7]blockReader
	for i := range columns {
		columns[i].rest = r.bytes()
	}
	seqs, times, names, users, ids, sets, values := &columns[0], &columns[1], &columns[2], &columns[3], &columns[4], &columns[5], &columns[6]
	seq, at := EventSeq(0), int64(0)
	properties := make([]Property, 0, len(values.rest)) // a value is a byte or more
	for i := range events {
		seq += EventSeq(seqs.varint())
		at += times.varint()
		e := &events[i]
		e.Seq, e.Time, e.Name = seq, time.UnixMicro(at).UTC(), text(names.uvarint())
		if user := users.uvarint(); user > 0 {
			e.User = text(user - 1)
		}
		e.ID = string(ids.bytes())
		set := sets.uvarint()
		if set >= uint64(len(keySets)) {
			r.fail(errors.New("no such set of keys"))
			break
		}
		first := len(properties)
		for _, key := range keySets[set] {
			properties = append(properties, Property{key, values.segmentValue(text)})
			if values.err != nil {
				break
			}
		}
		if len(properties) > first {
			e.Properties = properties[first:len(properties):len(properties)]
		}
	}
	for i := range columns {
		if c := &columns[i]; r.err == nil && (c.err != nil || len(c.rest) > 0) {
			r.fail(fmt.Errorf("column %d does not fit", i))
		}
	}
	if r.err != nil {
		return nil, fmt.Errorf("%w: %w", errSegment, r.err)
	}
	return slices.Clip(events), nil
}

func (r *blockReader) varint() int64 {
	n, size := binary.Varint(r.rest)
	if size <= 0 {
		r.fail(errors.New("no number"))
		return 0
	}
	r.rest = r.rest[size:]
	return n
}

func (r *blockReader) segmentValue(text func(uint64) string) Value {
	switch kind := r.byte(); kind {
	case segmentNull:
		return Null
	case segmentFalse, segmentTrue:
		return Bool(kind == segmentTrue)
	case segmentText:
		return Text(text(r.uvarint()))
	case segmentFloat:
		return Num(r.float())
	case segmentWhole, segmentTenths, segmentHundredths, segmentThousandths:
		return Num(float64(r.varint()) / powersOfTen[kind-segmentWhole])
	default:
		r.fail(fmt.Errorf("kind %d of a value", kind))
		return Null
	}
}
