package ingest

import (
	"bytes"
	"hash/maphash"
	"sync"

	"github.com/go-json-experiment/json/jsontext"

	"pulseboard/store"
)

// decoder reads JSON as senders write it: a name may stand twice, the last one counts,
// and half a surrogate pair reads as U+FFFD. Bytes that are no UTF-8 have been refused
// before. It belongs to one goroutine.
type decoder struct {
	*jsontext.Decoder
	buffer     bytes.Buffer
	properties []store.Property // of the event that is read

	// words are texts that were read, each at the place that its hash says. Events name
	// the same few things again and again, which so are one text in memory.
	words *[numberOfWords]string
	seed  maphash.Seed
}

const (
	numberOfWords = 512
	longestWord   = 64 // bytes
)

// newDecoder makes a decoder of one JSON text.
func newDecoder(data []byte) *decoder {
	d := &decoder{Decoder: new(jsontext.Decoder)}
	d.reset(data)
	return d
}

// decoders are for many JSON texts, one after the other.
var decoders = sync.Pool{New: func() any {
	return &decoder{Decoder: new(jsontext.Decoder), words: new([numberOfWords]string), seed: maphash.MakeSeed()}
}}

// reset lets the decoder begin another JSON text. What it gave before is not changed.
func (d *decoder) reset(data []byte) *decoder {
	d.buffer = *bytes.NewBuffer(data)
	d.Reset(&d.buffer, jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true))
	return d
}

// release gives a decoder of decoders back.
func (d *decoder) release() {
	d.reset(nil)
	clear(d.properties)
	d.properties = d.properties[:0]
	decoders.Put(d)
}

// text reads a text, or the name of a member.
func (d *decoder) text() string {
	quoted, _ := d.ReadValue()
	if len(quoted) < 2 || bytes.IndexByte(quoted, '\\') >= 0 {
		text, _ := jsontext.AppendUnquote(nil, quoted) // half a surrogate pair is an error, and U+FFFD
		return string(text)
	}
	return d.word(quoted[1 : len(quoted)-1])
}

func (d *decoder) word(text []byte) string {
	if d.words == nil || len(text) > longestWord {
		return string(text)
	}
	word := &d.words[maphash.Bytes(d.seed, text)%numberOfWords]
	if *word != string(text) {
		*word = string(text)
	}
	return *word
}
