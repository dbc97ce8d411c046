package ingest

import (
	"crypto/sha256"
	"encoding/hex"
	"time"
	"unicode/utf8"

	"pulseboard/store"
)

// Draft is an event that is put together part by part. The first part that breaks
// a limit is what is wrong with it; [Batch.Take] says so.
type Draft struct {
	event      store.Event
	properties []store.Property
	reckoned   bool // its time is reckoned from when it came
	fault      *fault
}

// blame notes what is wrong, unless something was before.
func (d *Draft) blame(err *fault) {
	if d.fault == nil {
		d.fault = err
	}
}

// Reject says that there can be no such event, and why. The code is a stable word
// for programs.
func (d *Draft) Reject(code, format string, args ...any) { d.blame(faultf(code, format, args...)) }

// Name says what happened.
func (d *Draft) Name(name string) {
	name, err := checkText("event", name, store.MaxEventName)
	d.event.Name = name
	d.blame(err)
}

// User says who did it; empty is nobody known.
func (d *Draft) User(user string) {
	user, err := checkText("user", user, store.MaxEventName)
	d.event.User = user
	d.blame(err)
}

// ID makes the event one with those sent of the same name and id. One that is too
// long is kept as its digest.
func (d *Draft) ID(id string) {
	if len(id) > store.MaxEventName && utf8.RuneCountInString(id) > store.MaxEventName {
		digest := sha256.Sum256([]byte(id))
		id = hex.EncodeToString(digest[:])
	}
	d.event.ID = clean(id)
}

// Time says when it happened.
func (d *Draft) Time(at, now time.Time) {
	at, err := checkTime(at, now)
	d.event.Time = at
	d.blame(err)
}

// Counter says what totals the event reads.
func (d *Draft) Counter(c *store.Counter) {
	d.event.Counter = c
	for _, total := range []store.Value{c.Totals.Count, c.Totals.Sum} {
		if f, ok := total.Number(); ok {
			_, err := checkNumber("value", f)
			d.blame(err)
		}
	}
}

// counterProperties is how many properties an event with a counter gets besides
// its own.
const counterProperties = 3

// Set gives the event a property, in place of one that was set before.
func (d *Draft) Set(key string, v store.Value) {
	key, err := checkKey(key)
	d.blame(err)
	if f, ok := v.Number(); ok {
		v, err = checkNumber(key, f)
		d.blame(err)
	} else if v.IsText() {
		text, err := checkText("property "+key, v.String(), store.MaxText)
		v = store.Text(text)
		d.blame(err)
	}
	d.properties = append(d.properties, store.Property{Key: key, Value: v})
}

// finish gives the event, or the first thing that is wrong with it.
func (d *Draft) finish() (store.Event, *fault) {
	if d.fault != nil {
		return d.event, d.fault
	}
	if d.event.Name == "" {
		return d.event, faultf(codeMissing, "event is missing: name what happened.")
	}
	kept, err := limited(d.properties)
	if most := store.MaxProperties - counterProperties; err == nil && d.event.Counter != nil && len(kept) > most {
		err = faultf(codeProperties, "A counter may have %d attributes at most; this one has %d.", most, len(kept))
	}
	d.event.Properties = kept
	return d.event, err
}

// Take adds the event of a draft to the batch, or what is wrong with it. The index
// is its place in the request.
func (b *Batch) Take(index int, d *Draft) {
	event, err := d.finish()
	if err != nil {
		b.reject(index, err)
		return
	}
	b.Events = append(b.Events, event)
}

// Cut shortens a text to what a property may hold.
func Cut(text string) string { return store.CutCharacters(text, store.MaxText) }
