package ingest

import (
	"slices"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"pulseboard/store"
)

// DecodePostHog reads a request of PostHog's SDKs: an event, an array of events,
// or an object with a batch of them. See https://posthog.com/docs/api/capture.
// Errors are like those of [Decode].
func DecodePostHog(data []byte, now time.Time) (Sent, error) {
	e, err := openEnvelope(data)
	if err != nil {
		return Sent{}, err
	}
	var b Batch
	for i, item := range e.items {
		e.take(&b, i, item, posthogEvent(item, &e.keys, now))
	}
	return e.keys.sent(b)
}

// posthogEvent gives an event with its properties, but for those that are its
// user and its key. Who it is stands beside the properties or among them.
func posthogEvent(item jsontext.Value, keys *keys, now time.Time) *Draft {
	draft := &Draft{}
	var (
		offset     float64
		properties store.Properties
	)
	draft.blame(eachMember(item, func(name string, d *decoder) (err *fault) {
		var text string
		switch name {
		case "event":
			draft.event.Name, err = decodeOptional(d, name)
		case "distinct_id":
			draft.event.User, err = decodeOptional(d, name)
		case "uuid":
			text, err = decodeOptional(d, name)
			draft.ID(text)
		case "timestamp":
			draft.event.Time, err = decodeLooseTime(d, now)
		case "offset":
			offset, err = decodeOffset(d)
		case "properties":
			properties, err = decodeProperties(d)
		case "$set", "$set_once":
			var v store.Value
			v, err = decodeValue(d, name)
			draft.Set(name, v)
		default:
			keys.read(name, d)
		}
		return err
	}))
	if draft.event.Time.IsZero() && offset > 0 {
		draft.reckoned = true
		draft.Time(now.Add(-time.Duration(offset*float64(time.Millisecond))), now)
	}
	draft.properties = append(draft.properties, properties...)
	if v, ok := properties.Get("token"); ok && keys.claim(v.String()) {
		draft.drop("token")
	}
	if v, ok := properties.Get("distinct_id"); ok && draft.event.User == "" {
		draft.User(v.String())
	}
	draft.drop("distinct_id")
	if v, ok := properties.Get("$insert_id"); ok && draft.event.ID == "" {
		draft.ID(v.String())
	}
	return draft
}

// claim says whether a token among the properties is the key, as browsers send it,
// and not a property of that name beside a key that is named elsewhere.
func (k *keys) claim(token string) bool {
	if k.key == "" {
		k.key, k.claimed = token, true
	}
	if k.claimed {
		k.add(token)
	}
	return k.key == token
}

func (d *Draft) drop(key string) {
	d.properties = slices.DeleteFunc(d.properties, func(p store.Property) bool { return p.Key == key })
}

// longestOffset is how many milliseconds an event may have waited: some ten years.
const longestOffset = 3e11

// decodeOffset reads how many milliseconds ago an event happened.
func decodeOffset(d *decoder) (float64, *fault) {
	if d.PeekKind() != '0' {
		_ = d.SkipValue()
		return 0, nil
	}
	token, _ := d.ReadToken()
	ms := token.Float()
	if ms < 0 || ms > longestOffset {
		return 0, faultf(codeTime, "offset %g is out of range: send the milliseconds since the event.", ms)
	}
	return ms, nil
}
