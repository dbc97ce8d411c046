package store

import (
	"encoding/json"
	"math"
	"strconv"
)

// MaxNumber bounds the numbers an event may carry, so that no sum of them can
// leave the finite numbers.
const MaxNumber = 1e200

type valueKind uint8

const (
	nullValue valueKind = iota
	boolValue
	numberValue
	textValue
)

// Value is what a property holds: a text, a number, true, false or null. The
// zero Value is null.
type Value struct {
	kind   valueKind
	number float64 // for booleans 0 or 1
	text   string
}

// Text is a Value that holds s.
func Text(s string) Value { return Value{kind: textValue, text: s} }

// Num is a Value that holds f, which must be finite.
func Num(f float64) Value { return Value{kind: numberValue, number: f} }

// Bool is a Value that holds b.
func Bool(b bool) Value {
	if b {
		return Value{kind: boolValue, number: 1}
	}
	return Value{kind: boolValue}
}

// Null is the Value that holds nothing. Conditions and groupings treat a
// property that is null like one that is missing.
var Null = Value{}

// IsNull reports whether v holds nothing.
func (v Value) IsNull() bool { return v.kind == nullValue }

// IsText reports whether v holds a text.
func (v Value) IsText() bool { return v.kind == textValue }

// Number returns the number v holds; ok is false when v is no number.
func (v Value) Number() (f float64, ok bool) { return v.number, v.kind == numberValue }

// Bool returns what v holds; ok is false when v is neither true nor false.
func (v Value) Bool() (b, ok bool) { return v.number != 0, v.kind == boolValue }

// String returns v as the text that conditions compare and groups are named by:
// a number in its shortest decimal form (200, 0.5, 1e+30), true, false, null.
func (v Value) String() string {
	switch v.kind {
	case textValue:
		return v.text
	case numberValue:
		return string(appendNumber(nil, v.number))
	case boolValue:
		return strconv.FormatBool(v.number != 0)
	}
	return "null"
}

// Size is about how many bytes v takes.
func (v Value) Size() int { return 8 + len(v.text) }

// appendNumber writes f the way ECMAScript and encoding/json do: the shortest
// digits that read back as f, with an exponent only below 1e-6 and from 1e21.
func appendNumber(b []byte, f float64) []byte {
	if f == 0 {
		return append(b, '0') // also for −0, which is no other group than 0
	}
	if abs := math.Abs(f); abs < 1e-6 || abs >= 1e21 {
		return strconv.AppendFloat(b, f, 'e', -1, 64)
	}
	return strconv.AppendFloat(b, f, 'f', -1, 64)
}

// appendJSON writes v as JSON.
func (v Value) appendJSON(b []byte) []byte {
	switch v.kind {
	case textValue:
		return appendJSONText(b, v.text)
	default:
		return append(b, v.String()...)
	}
}

// appendJSONText writes s as a JSON string that is also safe inside HTML and
// inside one line of text.
func appendJSONText(b []byte, s string) []byte {
	quoted, err := json.Marshal(s)
	if err != nil { // cannot happen: every string marshals
		return append(b, `""`...)
	}
	return append(b, quoted...)
}
