package store

import "time"

// Limits of one event.
const (
	MaxEventName   = 200   // characters in a name, a user id or an id
	MaxProperties  = 100   // properties of an event
	MaxPropertyKey = 100   // characters in a property's key
	MaxText        = 2_000 // characters in a property's text
	MaxBatch       = 10_000
	MaxBatchBytes  = 8 << 20        // of a request, unpacked
	MaxFuture      = 24 * time.Hour // how far ahead of the server's clock an event may lie
	DuplicateSpan  = 48 * time.Hour // how long an id alone marks a duplicate
)

// Event is one thing that happened. Events are kept and never changed.
type Event struct {
	Seq        EventSeq // place in the order of commits; 0 until kept
	Name       string
	ID         string    // the sender's, for idempotence; empty when it gave none
	Time       time.Time // when it happened, UTC, to the microsecond
	User       string    // empty when unknown
	Properties Properties
	Counter    *Counter // totals that the kept properties are differences of; nil for most events
}

// Recorded is what became of a batch of events.
type Recorded struct {
	Duplicate []bool   // by the event's place in the batch; the others were kept
	Head      EventSeq // of the tenant, after the batch
}

// AppendJSON writes the event in the form that POST /api/events takes, without what it
// has not. It reads back as the same event; Seq and Counter are not written.
func (e *Event) AppendJSON(b []byte) []byte {
	b = appendJSONText(append(b, `{"event":`...), e.Name)
	if e.ID != "" {
		b = appendJSONText(append(b, `,"id":`...), e.ID)
	}
	if !e.Time.IsZero() {
		b = append(e.Time.AppendFormat(append(b, `,"time":"`...), time.RFC3339Nano), '"')
	}
	if e.User != "" {
		b = appendJSONText(append(b, `,"user":`...), e.User)
	}
	if len(e.Properties) > 0 {
		b = e.Properties.AppendJSON(append(b, `,"properties":`...))
	}
	return append(b, '}')
}

// Field returns what a condition or a grouping calls name: the event's name for
// "event", its user for "user", else a property. ok is false when it is missing.
func (e *Event) Field(name string) (v Value, ok bool) {
	switch name {
	case "event":
		return Text(e.Name), true
	case "user":
		return Text(e.User), e.User != ""
	}
	return e.Properties.Get(name)
}
