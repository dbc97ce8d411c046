package ingest

import (
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"pulseboard/store"
)

// DecodeSegment reads a request of the SDKs of Segment and RudderStack: a batch of
// calls, or one. A call that doesn't say its type is of the kind of the address:
// track, page, screen, identify, group or alias. See
// https://segment.com/docs/connections/sources/catalog/libraries/server/http-api/.
// Errors are like those of [Decode].
func DecodeSegment(data []byte, kind string, now time.Time) (Sent, error) {
	e, err := openEnvelope(data)
	if err != nil {
		return Sent{}, err
	}
	var b Batch
	for i, item := range e.items {
		e.take(&b, i, item, segmentCall(item, kind, now))
	}
	return e.keys.sent(b)
}

// segmentFields are those of a call that more than one type has.
type segmentFields struct {
	kind, event, user, anonymous string
	name, category               store.Value
	group, previous              store.Value
	timestamp, originalTimestamp time.Time
	properties, traits           store.Properties
}

// segmentCall gives a track call as the event it names and other calls as events
// named like their type. A call's context, integrations and options are left out.
func segmentCall(call jsontext.Value, kind string, now time.Time) *Draft {
	draft := &Draft{}
	f := segmentFields{kind: kind}
	draft.blame(eachMember(call, func(name string, d *decoder) (err *fault) {
		var text string
		switch name {
		case "type":
			if text, err = decodeOptional(d, name); text != "" {
				f.kind = text
			}
		case "event":
			f.event, err = decodeOptional(d, name)
		case "name":
			f.name, err = decodeValue(d, name)
		case "category":
			f.category, err = decodeValue(d, name)
		case "messageId":
			text, err = decodeOptional(d, name)
			draft.ID(text)
		case "userId":
			f.user, err = decodeOptional(d, name)
		case "anonymousId":
			f.anonymous, err = decodeOptional(d, name)
		case "groupId":
			f.group, err = decodeValue(d, name)
		case "previousId":
			f.previous, err = decodeValue(d, name)
		case "timestamp":
			f.timestamp, err = decodeLooseTime(d, now)
		case "originalTimestamp":
			f.originalTimestamp, err = decodeLooseTime(d, now)
		case "properties":
			f.properties, err = decodeProperties(d)
		case "traits":
			f.traits, err = decodeProperties(d)
		default:
			_ = d.SkipValue()
		}
		return err
	}))
	f.fill(draft)
	return draft
}

// fill makes the event of what a call says.
func (f *segmentFields) fill(draft *Draft) {
	draft.event.User = f.user
	if f.user == "" {
		draft.event.User = f.anonymous
	}
	draft.event.Time = f.timestamp
	if f.timestamp.IsZero() {
		draft.event.Time = f.originalTimestamp
	}
	draft.event.Name = f.kind
	switch f.kind {
	case "track":
		draft.event.Name = f.event
		draft.properties = f.properties
	case "page", "screen":
		draft.properties = f.properties
		draft.setSome("name", f.name)
		draft.setSome("category", f.category)
	case "identify", "group", "alias":
		draft.properties = f.traits
		draft.setSome("group_id", f.group)
		draft.setSome("previous_id", f.previous)
	default:
		draft.Reject(codeType, "type %s is not known: send track, page, screen, identify, group or alias.", store.Quote(f.kind))
	}
}
