package pack

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"slices"
	"sync"
	"time"

	"github.com/klauspost/compress/zstd"

	"pulseboard/store"
)

// A pack is some events of a tenant, in the order of their seqs, in the form they are kept
// in: a byte that names the form, a body, and a checksum (CRC-32C) of both. The body is
// compressed where that is worth it. It holds one column after the other, because values that
// are alike compress well side by side: the texts that occur, each once; the sets of property
// keys that occur; then of each event the seq, the time, the name, the user, the id, its set
// of keys, and the values.

// Forms of a pack.
const (
	formPlain      = 1
	formCompressed = 2 // compressed with zstd
)

// plainSize is the size, in bytes, up to which compressing is not worth it.
const plainSize = 512

var errPack = fmt.Errorf("a pack of events can't be read: %w", store.ErrDamaged)

// Kinds of values in a pack. From kindWhole on, a number is a whole one over a
// power of ten.
const (
	kindNull = iota
	kindFalse
	kindTrue
	kindText
	kindFloat
	kindWhole
	kindTenths
	kindHundredths
	kindThousandths
)

// Encoders and decoders are safe for concurrent use and made once.
var (
	encoder = newEncoder()
	decoder = newDecoder()
)

func newEncoder() *zstd.Encoder {
	e, err := zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1), zstd.WithLowerEncoderMem(true), zstd.WithEncoderCRC(false), zstd.WithEncoderLevel(zstd.SpeedFastest))
	if err != nil {
		panic(err) // only for options that don't fit together
	}
	return e
}

// maxUnpacked bounds the unpacked size of a pack, in bytes, against damaged ones.
const maxUnpacked = 256 << 20

func newDecoder() *zstd.Decoder {
	d, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(2), zstd.WithDecoderMaxMemory(maxUnpacked))
	if err != nil {
		panic(err) // only for options that don't fit together
	}
	return d
}

// AppendEvents packs events, whose seqs must grow, and appends them to b. Times are
// kept to the microsecond.
func AppendEvents(b []byte, events []store.Event) []byte {
	start := len(b)
	p := packers.Get().(*packer)
	defer packers.Put(p)
	body := p.pack(events)
	if len(body) <= plainSize {
		b = append(append(b, formPlain), body...)
	} else {
		b = encoder.EncodeAll(body, append(b, formCompressed))
	}
	return Seal(b, start)
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

// numberOf does the same as number, and copies a word only if it is new.
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

// packer is what packing needs, made once and used again.
type packer struct {
	texts, keySets                               dictionary // keySets: by the numbers of the keys, packed
	seqs, times, names, users, ids, sets, values []byte
	keys, body                                   []byte
}

var packers = sync.Pool{New: func() any { return newPacker() }}

func newPacker() *packer {
	return &packer{texts: dictionary{index: map[string]uint64{}}, keySets: dictionary{index: map[string]uint64{}}}
}

// pack returns the body of a pack, which is valid until the next call.
func (p *packer) pack(events []store.Event) []byte {
	p.texts.clear()
	p.keySets.clear()
	columns := []*[]byte{&p.seqs, &p.times, &p.names, &p.users, &p.ids, &p.sets, &p.values}
	for _, column := range columns {
		*column = (*column)[:0]
	}
	lastSeq, lastTime := store.EventSeq(0), int64(0)
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
			p.values = appendValue(p.values, property.Value, &p.texts)
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
		b = AppendBytes(b, *column)
	}
	p.body = b
	return b
}

func appendValue(b []byte, v store.Value, texts *dictionary) []byte {
	if v.IsText() {
		return binary.AppendUvarint(append(b, kindText), texts.number(v.String()))
	}
	if f, ok := v.Number(); ok {
		return appendNumber(b, f)
	}
	holds, ok := v.Bool()
	switch {
	case !ok:
		return append(b, kindNull)
	case holds:
		return append(b, kindTrue)
	}
	return append(b, kindFalse)
}

var powersOfTen = [...]float64{1, 10, 100, 1000}

// appendNumber writes a number as a short whole one where that gives back the
// same, as for prices and durations.
func appendNumber(b []byte, f float64) []byte {
	if math.Abs(f) < 1e12 && !(f == 0 && math.Signbit(f)) {
		for places, power := range powersOfTen {
			if n := math.Round(f * power); n/power == f {
				return binary.AppendVarint(append(b, byte(kindWhole+places)), int64(n))
			}
		}
	}
	return AppendFloats(append(b, kindFloat), f)
}

// ReadEvents returns the events of a pack, in order. They share texts, and nothing
// with the packed bytes. The error says what is wrong with the pack and is store.ErrDamaged.
func ReadEvents(packed []byte) ([]store.Event, error) {
	content, ok := Unseal(packed)
	if !ok {
		return nil, fmt.Errorf("%w: its checksum is wrong", errPack)
	}
	body := content[1:]
	switch content[0] {
	case formPlain:
	case formCompressed:
		var err error
		if body, err = decoder.DecodeAll(body, nil); err != nil {
			return nil, fmt.Errorf("%w: %w", errPack, err)
		}
	default:
		return nil, fmt.Errorf("%w: form %d", errPack, content[0])
	}
	return unpackEvents(body)
}

func unpackEvents(body []byte) ([]store.Event, error) {
	r := &Reader{Rest: body}
	events := make([]store.Event, r.Length(1))
	texts := make([]string, r.Length(1))
	for i := range texts {
		texts[i] = string(r.Bytes())
	}
	text := func(number uint64) string {
		if number >= uint64(len(texts)) {
			r.Fail(errors.New("no such text"))
			return ""
		}
		return texts[number]
	}
	keySets := make([][]string, r.Length(1))
	for i := range keySets {
		set := &Reader{Rest: r.Bytes()}
		for set.err == nil && len(set.Rest) > 0 {
			keySets[i] = append(keySets[i], text(set.Uvarint()))
		}
	}
	var columns [7]Reader
	for i := range columns {
		columns[i].Rest = r.Bytes()
	}
	seqs, times, names, users, ids, sets, values := &columns[0], &columns[1], &columns[2], &columns[3], &columns[4], &columns[5], &columns[6]
	seq, at := store.EventSeq(0), int64(0)
	properties := make([]store.Property, 0, propertiesIn(sets.Rest, keySets, len(values.Rest)))
	allIDs := string(ids.Rest)
	for i := range events {
		seq += store.EventSeq(seqs.Varint())
		at += times.Varint()
		e := &events[i]
		e.Seq, e.Time, e.Name = seq, time.UnixMicro(at).UTC(), text(names.Uvarint())
		if user := users.Uvarint(); user > 0 {
			e.User = text(user - 1)
		}
		if n := ids.Length(1); n > 0 {
			at := len(allIDs) - len(ids.Rest)
			e.ID = allIDs[at : at+n]
			ids.Take(n)
		}
		set := sets.Uvarint()
		if set >= uint64(len(keySets)) {
			r.Fail(errors.New("no such set of keys"))
			break
		}
		first := len(properties)
		for _, key := range keySets[set] {
			properties = append(properties, store.Property{Key: key, Value: readValue(values, text)})
			if values.err != nil {
				break
			}
		}
		if len(properties) > first {
			e.Properties = properties[first:len(properties):len(properties)]
		}
	}
	for i := range columns {
		if c := &columns[i]; r.err == nil && (c.err != nil || len(c.Rest) > 0) {
			r.Fail(fmt.Errorf("column %d does not fit", i))
		}
	}
	if r.err != nil {
		return nil, fmt.Errorf("%w: %w", errPack, r.err)
	}
	return slices.Clip(events), nil
}

// propertiesIn returns how many properties events have with these sets of keys, but no more than most.
func propertiesIn(sets []byte, keySets [][]string, most int) (n int) {
	r := &Reader{Rest: sets}
	for len(r.Rest) > 0 && n < most {
		if set := r.Uvarint(); set < uint64(len(keySets)) {
			n += len(keySets[set])
		}
	}
	return min(n, most)
}

func readValue(r *Reader, text func(uint64) string) store.Value {
	switch kind := r.Byte(); kind {
	case kindNull:
		return store.Null
	case kindFalse, kindTrue:
		return store.Bool(kind == kindTrue)
	case kindText:
		return store.Text(text(r.Uvarint()))
	case kindFloat:
		return store.Num(r.Float())
	case kindWhole, kindTenths, kindHundredths, kindThousandths:
		return store.Num(float64(r.Varint()) / powersOfTen[kind-kindWhole])
	default:
		r.Fail(fmt.Errorf("kind %d of a value", kind))
		return store.Null
	}
}
