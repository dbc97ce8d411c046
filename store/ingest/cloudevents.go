package ingest

import (
	"encoding/base64"
	"net/url"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"

	"pulseboard/store"
)

// DecodeCloudEvents reads CloudEvents in the JSON format: one or, with many, an
// array of them. Errors are like those of [Decode]. See
// https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/formats/json-format.md.
func DecodeCloudEvents(data []byte, many bool, now time.Time) (Batch, error) {
	if !utf8.Valid(data) {
		return Batch{}, &Unreadable{codeUTF8, "The body is not valid UTF-8. Send it as UTF-8."}
	}
	events, err := splitJSON(data)
	if err != nil {
		return Batch{}, err
	}
	if isArray := newDecoder(data).PeekKind() == '['; isArray != many {
		return Batch{}, &Unreadable{codeType, "Send one CloudEvent as a JSON object and application/cloudevents+json, several as an array and application/cloudevents-batch+json."}
	}
	var b Batch
	for i, event := range events {
		c := cloudEvent{now: now}
		c.draft.blame(eachMember(event, c.member))
		b.Take(i, c.finish())
	}
	return b, nil
}

// DecodeBinaryCloudEvent reads a CloudEvent whose attributes are the headers of a
// request, here by their names without "ce-" in lower case, and whose data is its
// body. See https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/bindings/http-protocol-binding.md.
func DecodeBinaryCloudEvent(attributes map[string]string, contentType string, body []byte, now time.Time) Batch {
	c := cloudEvent{now: now, bytes: body, contentType: contentType}
	for name, text := range attributes {
		if plain, err := url.PathUnescape(text); err == nil {
			text = plain
		}
		if !utf8.ValidString(name + text) {
			c.draft.Reject(codeUTF8, "ce-%q is not valid UTF-8.", name)
		}
		text, err := checkText("ce-"+name, text, store.MaxText)
		c.draft.blame(err)
		c.attribute(name, store.Text(text))
	}
	var b Batch
	b.Take(0, c.finish())
	return b
}

// cloudEvent is what is known of a CloudEvent while it is read.
type cloudEvent struct {
	draft       Draft
	now         time.Time
	version     string
	source, id  string
	contentType string         // of the data
	value       jsontext.Value // the data, if it was sent as JSON
	bytes       []byte         // the data, if it was sent as bytes
}

// member reads a member of a CloudEvent in JSON.
func (c *cloudEvent) member(name string, d *decoder) *fault {
	switch name {
	case "data":
		value, _ := d.ReadValue()
		c.value = value.Clone()
		return nil
	case "data_base64":
		value, _ := d.ReadValue()
		text, _ := jsontext.AppendUnquote(nil, value) // of no text: an error, and no bytes
		bytes, err := base64.StdEncoding.AppendDecode(nil, text)
		if value.Kind() != 'n' && (value.Kind() != '"' || err != nil) {
			return faultf(codeType, "data_base64 must be a text in base64.")
		}
		c.bytes = bytes
		return nil
	}
	v, err := decodeValue(d, name)
	c.attribute(name, v)
	return err
}

// attribute takes an attribute of the event; null is none.
func (c *cloudEvent) attribute(name string, v store.Value) {
	if v.IsNull() {
		return
	}
	switch text := v.String(); name {
	case "specversion":
		c.version = text
	case "type":
		c.draft.Name(text)
	case "source":
		c.source = text
		c.draft.Set(name, v)
	case "id":
		c.id = text
	case "time":
		at, err := parseTime(text, c.now)
		c.draft.event.Time = at
		c.draft.blame(err)
	case "user", "userid":
		c.draft.User(text)
	case "datacontenttype":
		c.contentType = text
	case "dataschema":
	default:
		c.draft.Set(name, v)
	}
}

// finish gives the event: its attributes as properties, and its data, which goes
// before them where both have a name.
func (c *cloudEvent) finish() *Draft {
	switch {
	case !strings.HasPrefix(c.version, "1."):
		c.draft.Reject(codeAttribute, "specversion is %s: send CloudEvents 1.0.", store.Quote(c.version))
	case c.id == "", c.source == "":
		c.draft.Reject(codeAttribute, "id or source is missing: a CloudEvent has both.")
	}
	c.draft.ID(c.source + " " + c.id) // a source is a URI and has no space, so pairs stay apart
	if c.value == nil && len(c.bytes) > 0 {
		c.value = c.bytesAsJSON()
	}
	if c.value != nil {
		c.draft.blame(c.spread())
	}
	return &c.draft
}

// spread makes the data properties: the members of an object, else one named data.
func (c *cloudEvent) spread() *fault {
	d := newDecoder(c.value)
	if d.PeekKind() == '{' {
		members, err := decodeProperties(d)
		c.draft.properties = append(c.draft.properties, members...)
		return err
	}
	v, err := decodeValue(d, "data")
	c.draft.setSome("data", v)
	return err
}

// bytesAsJSON gives data that was sent as bytes: JSON as it is, other text as a
// JSON text, and what is no text in base64.
func (c *cloudEvent) bytesAsJSON() jsontext.Value {
	text := string(c.bytes)
	if !utf8.ValidString(text) {
		text = base64.StdEncoding.EncodeToString(c.bytes)
	} else if value := jsontext.Value(c.bytes); isJSON(c.contentType) && value.IsValid(jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true)) {
		return value
	}
	quoted, _ := jsontext.AppendQuote(nil, text) // cannot fail: the text is valid UTF-8
	return quoted
}

// isJSON says whether a media type is JSON's, as that of data is that has none.
func isJSON(contentType string) bool {
	media, _, _ := strings.Cut(strings.ToLower(contentType), ";")
	media = strings.TrimSpace(media)
	return media == "" || media == "application/json" || media == "text/json" || strings.HasSuffix(media, "+json")
}
