package store

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"math"
	"slices"
	"sync"
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

var errSegment = fmt.Errorf("a segment of events can't be read: %w", ErrDamaged)

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
	e, err := zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1), zstd.WithLowerEncoderMem(true), zstd.WithEncoderCRC(false), zstd.WithEncoderLevel(zstd.SpeedFastest))
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
	p := segmentPackers.Get().(*segmentPacker)
	defer segmentPackers.Put(p)
	body := p.pack(events)
	if len(body) <= plainSegment {
		b = append(append(b, segmentPlain), body...)
	} else {
		b = segmentEncoder.EncodeAll(body, append(b, segmentPacked))
	}
	return binary.LittleEndian.AppendUint32(b, crc32.Checksum(b[start:], castagnoli))
}

// dictionary numbers words in the order they first occur.
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

// numberOf does the same and copies a word only if it is new.
func (d *dictionary) numberOf(word []byte) uint64 {
	if n, ok := d.index[string(word)]; ok {
		return n
	}
	return d.number(string(word))
}

func (d *dictionary) clear() {
	clear(d.index)
	clear(d.words)
	d.words = d.words[:0]
}

// segmentPacker is what packing needs, made once and used again.
type segmentPacker struct {
	texts, keySets                               dictionary // keySets: by the numbers of the keys, packed
	seqs, times, names, users, ids, sets, values []byte
	keys, body                                   []byte
}

var segmentPackers = sync.Pool{New: func() any { return newSegmentPacker() }}

func newSegmentPacker() *segmentPacker {
	return &segmentPacker{texts: dictionary{index: map[string]uint64{}}, keySets: dictionary{index: map[string]uint64{}}}
}

// pack gives the body of a segment, which is valid until the next call.
func (p *segmentPacker) pack(events []Event) []byte {
	p.texts.clear()
	p.keySets.clear()
	columns := []*[]byte{&p.seqs, &p.times, &p.names, &p.users, &p.ids, &p.sets, &p.values}
	for _, column := range columns {
		*column = (*column)[:0]
	}
	lastSeq, lastTime := EventSeq(0), int64(0)
	for i := range events {
		e := &events[i]
		at := e.Time.UnixMicro()
		p.seqs = binary.AppendVarint(p.seqs, int64(e.Seq-lastSeq))
		p.times = binary.AppendVarint(p.times, at-lastTime)
		lastSeq, lastTime = e.Seq, at
		p.names = binary.AppendUvarint(p.names, p.texts.number(e.Name))
		user := uint64(0)
		if e.User != "" {
			user = p.texts.number(e.User) + 1
		}
		p.users = binary.AppendUvarint(p.users, user)
		p.ids = append(binary.AppendUvarint(p.ids, uint64(len(e.ID))), e.ID...)
		p.keys = p.keys[:0]
		for _, property := range e.Properties {
			p.keys = binary.AppendUvarint(p.keys, p.texts.number(property.Key))
			p.values = appendSegmentValue(p.values, property.Value, &p.texts)
		}
		p.sets = binary.AppendUvarint(p.sets, p.keySets.numberOf(p.keys))
	}
	b := binary.AppendUvarint(p.body[:0], uint64(len(events)))
	for _, d := range []dictionary{p.texts, p.keySets} {
		b = binary.AppendUvarint(b, uint64(len(d.words)))
		for _, word := range d.words {
			b = append(binary.AppendUvarint(b, uint64(len(word))), word...)
		}
	}
	for _, column := range columns {
		b = appendBytes(b, *column)
	}
	p.body = b
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
	properties := make([]Property, 0, propertiesIn(sets.rest, keySets, len(values.rest)))
	allIDs := string(ids.rest)
	for i := range events {
		seq += EventSeq(seqs.varint())
		at += times.varint()
		e := &events[i]
		e.Seq, e.Time, e.Name = seq, time.UnixMicro(at).UTC(), text(names.uvarint())
		if user := users.uvarint(); user > 0 {
			e.User = text(user - 1)
		}
		if n := ids.length(1); n > 0 {
			at := len(allIDs) - len(ids.rest)
			e.ID = allIDs[at : at+n]
			ids.take(n)
		}
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

// propertiesIn gives how many properties events have with these sets of keys, at most most.
func propertiesIn(sets []byte, keySets [][]string, most int) (n int) {
	r := &blockReader{rest: sets}
	for len(r.rest) > 0 && n < most {
		if set := r.uvarint(); set < uint64(len(keySets)) {
			n += len(keySets[set])
		}
	}
	return min(n, most)
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
