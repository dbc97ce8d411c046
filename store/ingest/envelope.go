package ingest

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"

	"pulseboard/store"
)

// Sent is what was read of a request of an SDK.
type Sent struct {
	Batch
	Key string // the ingest key that the body names; empty when it names none
}

// envelope is a request of an SDK: an event, an array of events, or an object
// whose member batch is such an array and whose other members hold for all.
type envelope struct {
	items []jsontext.Value
	keys  keys
	seen  map[[32]byte]int // how often an item without an id came
}

func openEnvelope(data []byte) (e envelope, err error) {
	if !utf8.Valid(data) {
		return e, &Unreadable{codeUTF8, "The body is not valid UTF-8. Send it as UTF-8."}
	}
	if e.items, err = splitJSON(data); err != nil || bytes.TrimLeft(data, " \t\r\n")[0] != '{' {
		return e, err
	}
	_ = eachMember(e.items[0], func(name string, d *decoder) *fault {
		if name != "batch" {
			e.keys.read(name, d)
			return nil
		}
		batch, _ := d.ReadValue()
		if batch.Kind() != '[' {
			err = &Unreadable{codeType, "batch must be an array of events."}
			return nil
		}
		e.items, err = splitJSON(batch)
		return nil
	})
	return e, err
}

// keys is the ingest key that a request names, perhaps at several places.
type keys struct {
	key     string
	claimed bool // it stood among the properties of an event
	differs bool // there is another
}

// read reads a member of an object; some are the key.
func (k *keys) read(name string, d *decoder) {
	value, _ := d.ReadValue()
	switch name {
	case "writeKey", "api_key", "token":
		if value.Kind() == '"' {
			text, _ := jsontext.AppendUnquote(nil, value)
			k.add(string(text))
		}
	}
}

// add notes a key of the request.
func (k *keys) add(key string) {
	if k.key != "" && key != "" && k.key != key {
		k.differs = true
	}
	if k.key == "" {
		k.key = key
	}
}

// sent gives a batch with its key. The events of several keys can't be kept
// together: they may be several tenants'.
func (k *keys) sent(b Batch) (Sent, error) {
	if k.differs {
		return Sent{}, &Unreadable{codeKeys, "The body names several keys. Send the events of each key in a request of their own."}
	}
	return Sent{b, k.key}, nil
}

// take adds the event of an item. One that says when it happened, to less than a
// second, but has no id gets one made of its text and of how many equal ones came
// before it. So a request that is sent again holds duplicates. A coarser time tells
// too little: equal items may be several that happened.
func (e *envelope) take(b *Batch, index int, item jsontext.Value, draft *Draft) {
	if draft.event.ID == "" && draft.event.Time.Nanosecond() != 0 && !draft.reckoned {
		digest := sha256.Sum256(item)
		if e.seen == nil {
			e.seen = map[[32]byte]int{}
		}
		e.seen[digest]++
		draft.event.ID = fmt.Sprintf("%x-%d", digest, e.seen[digest])
	}
	b.Take(index, draft)
}

// eachMember calls fn for each member of a value that is known to be valid JSON;
// fn must read the member's value. The first fault ends it.
func eachMember(object jsontext.Value, fn func(name string, d *decoder) *fault) *fault {
	d := newDecoder(object)
	if d.PeekKind() != '{' {
		return faultf(codeType, "An event must be a JSON object.")
	}
	_, _ = d.ReadToken()
	for d.PeekKind() != '}' {
		if err := fn(d.text(), d); err != nil {
			return err
		}
	}
	return nil
}

// looseTimes are the forms in which SDKs and databases write times without a zone: UTC is meant.
var looseTimes = []string{"2006-01-02T15:04:05.999999999", "2006-01-02 15:04:05.999999999", "2006-01-02 15:04:05.999999999Z07:00", "2006-01-02"}

// decodeLooseTime reads a time like decodeTime, and also in the forms of looseTimes.
func decodeLooseTime(d *decoder, now time.Time) (time.Time, *fault) {
	if d.PeekKind() != '"' {
		return decodeTime(d, now)
	}
	return parseLooseTime(d.text(), now)
}

func parseLooseTime(text string, now time.Time) (time.Time, *fault) {
	if strings.ContainsAny(text, "Zz+") && strings.ContainsAny(text, "Tt") { // most times by far
		return parseTime(text, now)
	}
	for _, form := range looseTimes {
		if at, err := time.Parse(form, text); err == nil {
			return checkTime(at, now)
		}
	}
	return parseTime(text, now)
}

// setSome gives the event a property, unless it is null or an empty text.
func (d *Draft) setSome(key string, v store.Value) {
	if !v.IsNull() && v != store.Text("") {
		d.Set(key, v)
	}
}
