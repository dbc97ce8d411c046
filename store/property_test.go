package store

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestPropertiesReadBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var properties []Property
		for key := range rapid.MapOfN(rapid.String(), rapid.Bool(), 0, 6).Draw(t, "keys") {
			value := rapid.OneOf(rapid.Just(Null), rapid.Custom(func(t *rapid.T) Value { return Text(rapid.String().Draw(t, "text")) }),
				rapid.Custom(func(t *rapid.T) Value { return Num(rapid.Float64Range(-MaxNumber, MaxNumber).Draw(t, "number")) }),
				rapid.Custom(func(t *rapid.T) Value { return Bool(rapid.Bool().Draw(t, "bool")) })).Draw(t, "value")
			if f, ok := value.Number(); ok && f == 0 {
				value = Num(0) // −0 is written as 0
			}
			properties = append(properties, Property{strings.ToValidUTF8(key, "x"), value})
		}
		ps := NewProperties(properties)
		text := ps.AppendJSON(nil)
		if !json.Valid(text) || strings.ContainsAny(string(text), "\n\r\x00<>\u2028") {
			t.Fatalf("%q", text)
		}
		again, err := ParseProperties(text)
		if err != nil || len(again) != len(ps) || (len(ps) > 0 && !reflect.DeepEqual(again, ps)) {
			t.Fatalf("%s reads back as %v (%v)", text, again, err)
		}
	})
}

func FuzzParseProperties(f *testing.F) {
	for _, s := range []string{`{}`, `{"a":1}`, `{"a":"\u0000","b":null,"c":true,"d":-1e-7}`, `{"a"`, `{"a":{}}`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		ps, err := ParseProperties(text)
		if err == nil && !json.Valid(ps.AppendJSON(nil)) {
			t.Fatalf("%q gives %q", text, ps.AppendJSON(nil))
		}
	})
}
