package boardfile

import (
	"slices"
	"strings"

	"github.com/goccy/go-yaml"

	"pulseboard/store"
)

// record describes the set of fields that makes a T.
type record[T any] struct {
	name   string // without its article, which is "a"
	fields []field[T]
}

// field is a field of a T.
type field[T any] struct {
	name, words string
	must        bool                     // every T has it
	idle        func(k store.Kind) bool  // reports whether widgets of a kind ignore it; nil if none does
	values      []string                 // see Field
	schema      schema                   // of its value
	empty       []any                    // the values that mean the same as leaving it out
	read        func(*reader, *node, *T) // from the node of a T, which need not have the field
	write       func(*T) any             // returns nil to leave it out
	set         func(*T)                 // to an arbitrary value that is not empty
}

// at returns the field that stands in a file in the given shape, and in a T at place.
func at[T, V any](name string, s shape[V], place func(*T) *V, words string) field[T] {
	return field[T]{
		name: name, words: words, values: s.values, schema: s.schema, empty: s.empty,
		read:  func(r *reader, n *node, to *T) { *place(to) = s.read(r, n, name) },
		write: func(from *T) any { return s.write(*place(from)) },
		set:   func(to *T) { *place(to) = s.sample },
	}
}

// required marks a field that every record has. The error about a missing one comes from
// the shape of its value or from the rules of store.
func (f field[T]) required() field[T] { f.must = true; return f }

// onlyWith marks a field that widgets ignore whose kind lacks a trait.
func (f field[T]) onlyWith(trait func(store.Traits) bool) field[T] {
	f.idle = func(k store.Kind) bool { return !trait(k.Traits()) }
	return f
}

func (rec *record[T]) read(r *reader, n *node) T {
	var to T
	known := make([]string, len(rec.fields))
	for i, f := range rec.fields {
		known[i] = f.name
	}
	r.fields(n, "a "+rec.name, known)
	for _, f := range rec.fields {
		f.read(r, n, &to)
	}
	return to
}

func (rec *record[T]) write(from *T) yaml.MapSlice {
	var fields yaml.MapSlice
	for _, f := range rec.fields {
		value := f.write(from)
		if value != nil || f.must {
			fields = append(fields, yaml.MapItem{Key: f.name, Value: value})
		}
	}
	return fields
}

// shape says how values of a type stand in a file. The members mean the same as those of
// field.
type shape[V any] struct {
	read   func(r *reader, n *node, name string) V
	write  func(V) any
	schema schema
	values []string
	empty  []any
	sample V // a value that is not empty
}

// text is any text. A number or a boolean counts as a text too, as it is written.
func text[S ~string]() shape[S] {
	return shape[S]{
		read:   func(r *reader, n *node, name string) S { return S(r.text(n, name)) },
		write:  func(s S) any { return scalar(string(s)) },
		schema: schema{"type": []string{"string", "number", "boolean", "null"}},
		empty:  []any{nil, ""},
		sample: neighbour,
	}
}

// identifier is a text that the rules of store check; the schema checks it by the pattern.
func identifier[S ~string](pattern string) shape[S] {
	s := text[S]()
	s.schema = schema{"type": []string{"string", "integer", "boolean"}, "pattern": pattern, "maxLength": maxName}
	s.empty = nil
	return s
}

// moment is the start of a range. The rules of store check it; the pattern in the schema
// is looser.
func moment() shape[string] {
	s := text[string]()
	s.schema = schema{"type": []string{"string", "integer", "null"}, "pattern": momentPattern}
	s.sample = store.DefaultRange
	return s
}

// markdown is a text that may have several lines.
func markdown() shape[string] {
	s := text[string]()
	s.write = paragraphs
	return s
}

// oneOf is one of the known words.
func oneOf[S ~string](known []S) shape[S] {
	all := words(known)
	return shape[S]{
		read:   func(r *reader, n *node, name string) S { return S(r.optionalWord(n, name, all)) },
		write:  text[S]().write,
		schema: schema{"enum": all},
		values: all,
		sample: known[0],
	}
}

// needed returns the shape of a value that must be there; why ends the error when it is
// not.
func needed[V any](s shape[V], why string) shape[V] {
	read, write := s.read, s.write
	s.read = func(r *reader, n *node, name string) V {
		if r.value(n, name) == nil {
			r.fail(n.errorf("%s is missing: %s", name, why))
		}
		return read(r, n, name)
	}
	s.write = func(v V) any {
		if value := write(v); value != nil {
			return value
		}
		return v
	}
	s.empty = nil
	if types, ok := s.schema["type"].([]string); ok {
		s.schema = schema{"type": slices.DeleteFunc(slices.Clone(types), func(t string) bool { return t == "null" })}
	}
	return s
}

// number is a finite number.
func number() shape[float64] {
	return shape[float64]{
		read:   (*reader).number,
		write:  func(f float64) any { return unlessZero(f) },
		schema: schema{"type": []string{"number", "null"}},
		empty:  []any{nil, 0},
		sample: 1,
	}
}

// whole is a whole number from low, which is above 0, to high.
func whole(low, high int) shape[int] {
	return shape[int]{
		read:   func(r *reader, n *node, name string) int { return r.whole(n, name, low, high) },
		write:  func(i int) any { return unlessZero(i) },
		schema: schema{"type": []string{"integer", "null"}, "minimum": low, "maximum": high},
		empty:  []any{nil},
		sample: low,
	}
}

func unlessZero[N int | float64](n N) any {
	if n == 0 {
		return nil
	}
	return n
}

// conditions are a list of conditions; one alone may stand without a list.
func conditions() shape[[]store.Condition] {
	return shape[[]store.Condition]{
		read: (*reader).conditions,
		write: func(all []store.Condition) any {
			if len(all) == 0 {
				return nil
			}
			texts := make([]any, len(all))
			for i, c := range all {
				texts[i] = scalar(c.String())
			}
			return texts
		},
		schema: schema{"type": []string{"string", "array", "null"}, "pattern": conditionPattern,
			"items": schema{"type": "string", "pattern": conditionPattern}},
		empty:  []any{nil, []any{}},
		sample: []store.Condition{{Field: "a", Operator: store.Equal, Value: "1"}},
	}
}

// list is a list of records. The schema allows at most so many, or any number if most is 0.
func list[T any](rec *record[T], most int) shape[[]T] {
	s := schema{"type": []string{"array", "null"}, "items": schema{"$ref": "#/$defs/" + rec.name}}
	if most > 0 {
		s["maxItems"] = most
	}
	var one T
	for _, f := range rec.fields {
		f.set(&one)
	}
	return shape[[]T]{
		read: func(r *reader, n *node, name string) []T {
			var all []T
			for _, item := range r.list(n, name) {
				all = append(all, rec.read(r, item))
			}
			return all
		},
		write: func(all []T) any {
			if len(all) == 0 {
				return nil
			}
			items := make([]any, len(all))
			for i := range all {
				items[i] = rec.write(&all[i])
			}
			return items
		},
		schema: s,
		empty:  []any{nil, []any{}},
		sample: []T{one},
	}
}

func words[S ~string](all []S) []string {
	texts := make([]string, len(all))
	for i, s := range all {
		texts[i] = string(s)
	}
	return texts
}

func oneWordOf[S ~string](known []S) string { return "use one of " + strings.Join(words(known), ", ") }
