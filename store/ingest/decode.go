package ingest

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"

	"pulseboard/store"
)

// Decode reads the events of a request: a JSON object, an array of them, or with
// lines NDJSON, an object a line. An event without a time has the zero time. The
// error is an *Unreadable or a *TooMany; then nothing may be kept.
func Decode(data []byte, lines bool, now time.Time) (Batch, error) {
	if lines {
		return decodeLines(data, now)
	}
	if !utf8.Valid(data) {
		return Batch{}, &Unreadable{codeUTF8, "The body is not valid UTF-8. Send it as UTF-8."}
	}
	values, err := splitJSON(data)
	if err != nil {
		return Batch{}, err
	}
	d := decoders.Get().(*decoder)
	defer d.release()
	var b Batch
	for i, value := range values {
		b.add(i, d.reset(value), now)
	}
	return b, nil
}

// splitJSON gives the values of an array, or the one value that is no array.
func splitJSON(data []byte) ([]jsontext.Value, error) {
	d := newDecoder(data)
	var values []jsontext.Value
	switch d.PeekKind() {
	case '{':
		value, err := d.ReadValue()
		if err != nil {
			return nil, unreadable(err)
		}
		values = append(values, value.Clone())
	case '[':
		if _, err := d.ReadToken(); err != nil {
			return nil, unreadable(err)
		}
		for d.PeekKind() != ']' {
			value, err := d.ReadValue()
			if err != nil {
				return nil, unreadable(err)
			}
			if len(values) == store.MaxBatch {
				return nil, &TooMany{}
			}
			values = append(values, value.Clone())
		}
		if _, err := d.ReadToken(); err != nil {
			return nil, unreadable(err)
		}
	default:
		if len(bytes.TrimSpace(data)) == 0 {
			return nil, &Unreadable{codeJSON, "The body is empty. Send a JSON object, an array of them, or NDJSON."}
		}
		if _, err := d.ReadValue(); err != nil {
			return nil, unreadable(err)
		}
		return nil, &Unreadable{codeJSON, "The body is no event. Send a JSON object, an array of them, or NDJSON."}
	}
	if _, err := d.ReadToken(); !errors.Is(err, io.EOF) {
		return nil, &Unreadable{codeJSON, fmt.Sprintf("There is text after the JSON, at byte %d. Send one JSON object or array, or NDJSON as application/x-ndjson.", d.InputOffset())}
	}
	return values, nil
}

func unreadable(err error) *Unreadable {
	at := int64(0)
	var syntactic *jsontext.SyntacticError
	if errors.As(err, &syntactic) {
		at = syntactic.ByteOffset
	}
	return &Unreadable{codeJSON, fmt.Sprintf("The body is not valid JSON, at byte %d. Send a JSON object, an array of them, or NDJSON as application/x-ndjson.", at)}
}

func decodeLines(data []byte, now time.Time) (Batch, error) {
	d := decoders.Get().(*decoder)
	defer d.release()
	b := Batch{Events: make([]store.Event, 0, min(bytes.Count(data, []byte{'\n'})+1, store.MaxBatch))}
	index, readable := 0, false
	for len(data) > 0 {
		line := data
		if end := bytes.IndexByte(data, '\n'); end >= 0 {
			line, data = data[:end], data[end+1:]
		} else {
			data = nil
		}
		line = bytes.TrimSpace(line)
		if len(line) == 0 {
			continue
		}
		if index == store.MaxBatch {
			return Batch{}, &TooMany{}
		}
		if err := checkLine(d, line); err != nil {
			b.reject(index, err)
		} else {
			readable = true
			b.add(index, d.reset(line), now)
		}
		index++
	}
	if !readable {
		if len(b.Rejected) > 0 {
			return Batch{}, &Unreadable{b.Rejected[0].Code, "No line could be read. The first: " + b.Rejected[0].Message}
		}
		return Batch{}, &Unreadable{codeJSON, "The body is empty. Send a JSON object a line."}
	}
	return b, nil
}

// checkLine says whether a line is one JSON object.
func checkLine(d *decoder, line []byte) *fault {
	if !utf8.Valid(line) {
		return faultf(codeUTF8, "The line is not valid UTF-8. Send it as UTF-8.")
	}
	if d.reset(line).PeekKind() != '{' {
		return faultf(codeJSON, "The line is no JSON object. Send an object a line.")
	}
	if err := d.SkipValue(); err != nil {
		return faultf(codeJSON, "The line is not valid JSON, at byte %d.", unreadableAt(err))
	}
	if _, err := d.ReadToken(); !errors.Is(err, io.EOF) {
		return faultf(codeJSON, "There is text after the JSON of the line, at byte %d.", d.InputOffset())
	}
	return nil
}

func unreadableAt(err error) int64 {
	var syntactic *jsontext.SyntacticError
	if errors.As(err, &syntactic) {
		return syntactic.ByteOffset
	}
	return 0
}

func (b *Batch) add(index int, value *decoder, now time.Time) {
	event, err := decodeEvent(value, now)
	if err != nil {
		b.reject(index, err)
		return
	}
	b.Events = append(b.Events, event)
}

func (b *Batch) reject(index int, err *fault) {
	b.Rejected = append(b.Rejected, Rejection{index, err.code, err.message})
}

// decodeEvent reads one event of valid JSON. Fields it does not know are passed over.
func decodeEvent(d *decoder, now time.Time) (store.Event, *fault) {
	var e store.Event
	if d.PeekKind() != '{' {
		return e, faultf(codeType, "An event must be a JSON object.")
	}
	_, _ = d.ReadToken() // the JSON is known to be valid, here and below
	named := false
	for d.PeekKind() != '}' {
		var err *fault
		switch d.text() {
		case "event":
			named = true
			if e.Name, err = decodeText(d, "event"); err == nil && e.Name == "" {
				err = faultf(codeMissing, "event is empty: name what happened.")
			}
		case "id":
			e.ID, err = decodeOptional(d, "id")
		case "user":
			e.User, err = decodeOptional(d, "user")
		case "time":
			e.Time, err = decodeTime(d, now)
		case "properties":
			e.Properties, err = decodeProperties(d)
		default:
			_ = d.SkipValue()
		}
		if err != nil {
			return e, err
		}
	}
	if !named {
		return e, faultf(codeMissing, "event is missing: name what happened.")
	}
	return e, nil
}

func decodeText(d *decoder, field string) (string, *fault) {
	if d.PeekKind() != '"' {
		return "", faultf(codeType, "%s must be a text.", field)
	}
	return checkText(field, d.text(), store.MaxEventName)
}

// decodeOptional reads a text that may be null. A number is taken as it is
// written, for ids often are numbers.
func decodeOptional(d *decoder, field string) (string, *fault) {
	switch d.PeekKind() {
	case 'n':
		_ = d.SkipValue()
		return "", nil
	case '0':
		value, _ := d.ReadValue()
		return checkText(field, string(value), store.MaxEventName)
	}
	return decodeText(d, field)
}

// secondsEnd is where epoch seconds end and epoch milliseconds begin.
const secondsEnd = 1e11

func decodeTime(d *decoder, now time.Time) (time.Time, *fault) {
	switch d.PeekKind() {
	case 'n':
		_ = d.SkipValue()
		return time.Time{}, nil
	case '"':
		return parseTime(d.text(), now)
	case '0':
		token, _ := d.ReadToken()
		return epochTime(token.Float(), now)
	}
	return time.Time{}, faultf(codeType, "time must be RFC 3339 text, or a number: epoch seconds or milliseconds.")
}

func epochTime(f float64, now time.Time) (time.Time, *fault) {
	micros := f * 1e6
	if f >= secondsEnd {
		micros = f * 1e3
	}
	if !(micros >= 0 && micros < 9e18) { // also false for NaN
		return time.Time{}, faultf(codeTime, "time %g is out of range: send epoch seconds or milliseconds since 1970.", f)
	}
	return checkTime(time.UnixMicro(int64(micros+0.5)), now)
}

func parseTime(text string, now time.Time) (time.Time, *fault) {
	at, err := time.Parse(time.RFC3339Nano, upperTime(text))
	if err != nil {
		return time.Time{}, faultf(codeTime, "time %s is not understood: send RFC 3339 such as 2026-02-09T15:12:00Z, or epoch seconds or milliseconds.", store.Quote(text))
	}
	return checkTime(at, now)
}

// upperTime lets the letters of RFC 3339 be small, as it allows.
func upperTime(s string) string {
	if strings.ContainsAny(s, "tz") {
		return strings.ToUpper(s)
	}
	return s
}

func checkTime(at, now time.Time) (time.Time, *fault) {
	at = at.UTC().Truncate(time.Microsecond)
	switch {
	case at.Unix() < 0 || at.Year() > 9999:
		return time.Time{}, faultf(codeTime, "time %s is out of range: use the years 1970 to 9999.", at.Format(time.RFC3339))
	case at.After(now.Add(store.MaxFuture)):
		return time.Time{}, faultf(codeFuture, "time %s lies more than 24 hours in the future.", at.Format(time.RFC3339))
	}
	return at, nil
}

func decodeProperties(d *decoder) (store.Properties, *fault) {
	switch d.PeekKind() {
	case 'n':
		_ = d.SkipValue()
		return nil, nil
	case '{':
	default:
		return nil, faultf(codeType, "properties must be a JSON object.")
	}
	_, _ = d.ReadToken()
	d.properties = d.properties[:0]
	for d.PeekKind() != '}' {
		key, err := checkKey(d.text())
		if err != nil {
			return nil, err
		}
		value, err := decodeValue(d, key)
		if err != nil {
			return nil, err
		}
		d.properties = append(d.properties, store.Property{Key: key, Value: value})
	}
	_, _ = d.ReadToken()
	return limited(slices.Clone(d.properties))
}

// decodeValue reads a property. What is deeper than a value is kept as its JSON text.
func decodeValue(d *decoder, key string) (store.Value, *fault) {
	switch d.PeekKind() {
	case 'n':
		_ = d.SkipValue()
		return store.Null, nil
	case 't', 'f':
		token, _ := d.ReadToken()
		return store.Bool(token.Bool()), nil
	case '0':
		token, _ := d.ReadToken()
		return checkNumber(key, token.Float())
	case '"':
		text, err := checkText("property "+key, d.text(), store.MaxText)
		return store.Text(text), err
	}
	value, _ := d.ReadValue()
	value = value.Clone()
	_ = value.Compact()
	text, err := checkText("property "+key, string(value), store.MaxText)
	return store.Text(text), err
}
