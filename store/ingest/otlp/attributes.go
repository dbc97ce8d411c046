package otlp

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"hash"
	"math"
	"slices"
	"strconv"

	common "go.opentelemetry.io/proto/otlp/common/v1"
	resource "go.opentelemetry.io/proto/otlp/resource/v1"
	"google.golang.org/protobuf/proto"

	"pulseboard/store"
	"pulseboard/store/ingest"
)

// origin is who sends: a resource, and a scope within it.
type origin struct {
	properties []store.Property // of the resource
	size       int              // bytes that an item repeats of it, and work
	digest     hash.Cloner      // of what tells it from others
}

// propertyCost is what a property costs an item beside its bytes.
const propertyCost = 32

func newOrigin(from *resource.Resource) *origin {
	o := (&origin{digest: sha256.New().(hash.Cloner)}).with(attributesKey(from.GetAttributes()))
	for _, a := range from.GetAttributes() {
		p := store.Property{Key: a.Key, Value: value(a.Value)}
		o.properties = append(o.properties, p)
		o.size += len(p.Key) + len(p.Value.String()) + propertyCost
	}
	return o
}

// in gives the origin within a scope.
func (o *origin) in(scope *common.InstrumentationScope) *origin {
	return o.with(joined([]byte(scope.GetName()), []byte(scope.GetVersion()), attributesKey(scope.GetAttributes())))
}

// with gives an origin that more parts tell from others. They are digested once for all
// the items that have them in common: there may be many items, and the parts may be long.
func (o *origin) with(parts ...[]byte) *origin {
	within := *o
	digest, err := o.digest.Clone()
	if err != nil { // cannot happen: SHA-256 can be cloned
		panic(err)
	}
	digest.Write(joined(parts...)) // never fails
	within.digest = digest
	return &within
}

// sum gives the digest of the parts that tell the origin from others.
func (o *origin) sum() []byte { return o.digest.Sum(nil) }

// setAttributes gives an event its attributes.
func setAttributes(draft *ingest.Draft, attributes []*common.KeyValue) {
	for _, a := range attributes {
		draft.Set(a.Key, value(a.Value))
	}
}

// setUser gives an event the user that one of its attributes names.
func setUser(draft *ingest.Draft, attributes []*common.KeyValue) {
	for _, key := range []string{"enduser.id", "user.id"} {
		if user := find(attributes, key); !user.IsNull() {
			draft.User(user.String())
			return
		}
	}
}

// find gives the value of an attribute, null when there is none.
func find(attributes []*common.KeyValue, key string) store.Value {
	for _, a := range attributes {
		if a.Key == key {
			return value(a.Value)
		}
	}
	return store.Null
}

// value gives an attribute's value as a property holds it.
func value(v *common.AnyValue) store.Value {
	switch of := v.GetValue().(type) {
	case *common.AnyValue_StringValue:
		return store.Text(ingest.Cut(of.StringValue))
	case *common.AnyValue_BoolValue:
		return store.Bool(of.BoolValue)
	case *common.AnyValue_IntValue:
		return store.Num(float64(of.IntValue))
	case *common.AnyValue_DoubleValue:
		if text, odd := oddNumber(of.DoubleValue); odd {
			return store.Text(text)
		}
		return store.Num(of.DoubleValue)
	case *common.AnyValue_BytesValue:
		return store.Text(ingest.Cut(base64.StdEncoding.EncodeToString(of.BytesValue)))
	case *common.AnyValue_ArrayValue, *common.AnyValue_KvlistValue:
		return store.Text(ingest.Cut(string(appendJSON(nil, v))))
	}
	return store.Null
}

// oddNumber gives a number that JSON can't write as text.
func oddNumber(f float64) (text string, odd bool) {
	if math.IsNaN(f) || math.IsInf(f, 0) {
		return strconv.FormatFloat(f, 'g', -1, 64), true
	}
	return "", false
}

// enoughJSON is how many bytes hold a property's text for sure, so that the rest
// of a deep value need not be written.
const enoughJSON = 4 * store.MaxText

// appendJSON writes a value as JSON, as far as a property can hold it.
func appendJSON(b []byte, v *common.AnyValue) []byte {
	if len(b) > enoughJSON {
		return b
	}
	switch of := v.GetValue().(type) {
	case *common.AnyValue_ArrayValue:
		b = append(b, '[')
		for i, item := range of.ArrayValue.GetValues() {
			if i > 0 {
				b = append(b, ',')
			}
			if b = appendJSON(b, item); len(b) > enoughJSON {
				return b
			}
		}
		return append(b, ']')
	case *common.AnyValue_KvlistValue:
		b = append(b, '{')
		for i, member := range of.KvlistValue.GetValues() {
			if i > 0 {
				b = append(b, ',')
			}
			b = append(appendJSONText(b, member.Key), ':')
			if b = appendJSON(b, member.Value); len(b) > enoughJSON {
				return b
			}
		}
		return append(b, '}')
	case *common.AnyValue_IntValue:
		return strconv.AppendInt(b, of.IntValue, 10)
	}
	if plain := value(v); !plain.IsText() {
		return append(b, plain.String()...)
	} else {
		return appendJSONText(b, plain.String())
	}
}

func appendJSONText(b []byte, s string) []byte {
	quoted, _ := json.Marshal(s) // every string marshals
	return append(b, quoted...)
}

// attributesKey gives what tells attributes from others, in whatever order they are sent.
func attributesKey(attributes []*common.KeyValue) []byte {
	keys := make([][]byte, 0, len(attributes))
	for _, a := range attributes {
		keys = append(keys, canonical(a))
	}
	slices.SortFunc(keys, bytes.Compare)
	return joined(keys...)
}

// canonical writes equal messages as equal bytes.
func canonical(m proto.Message) []byte {
	b, err := proto.MarshalOptions{Deterministic: true}.Marshal(m)
	if err != nil { // cannot happen: it was read as one
		panic(err)
	}
	return b
}

// joined writes parts so that no others give the same bytes.
func joined(parts ...[]byte) (b []byte) {
	for _, part := range parts {
		b = binary.AppendUvarint(b, uint64(len(part)))
		b = append(b, part...)
	}
	return b
}
