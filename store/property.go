package store

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
)

// Property is one named value of an event.
type Property struct {
	Key   string
	Value Value
}

// Properties are an event's properties, sorted by key, each key once.
type Properties []Property

// NewProperties sorts properties and keeps the last of those with equal keys.
func NewProperties(properties []Property) Properties {
	slices.SortStableFunc(properties, func(a, b Property) int { return cmp.Compare(a.Key, b.Key) })
	kept := properties[:0]
	for i, p := range properties {
		if i+1 < len(properties) && properties[i+1].Key == p.Key {
			continue
		}
		kept = append(kept, p)
	}
	return Properties(kept)
}

// Get returns the value of a property; ok is false when there is none or it is null.
func (ps Properties) Get(key string) (v Value, ok bool) {
	for i := range ps {
		if ps[i].Key == key {
			return ps[i].Value, !ps[i].Value.IsNull()
		}
	}
	return Null, false
}

// AppendJSON writes the properties as one JSON object, keys in order.
func (ps Properties) AppendJSON(b []byte) []byte {
	b = append(b, '{')
	for i, p := range ps {
		if i > 0 {
			b = append(b, ',')
		}
		b = appendJSONText(b, p.Key)
		b = append(b, ':')
		b = p.Value.appendJSON(b)
	}
	return append(b, '}')
}

// ParseProperties reads what [Properties.AppendJSON] wrote.
func ParseProperties(object []byte) (Properties, error) {
	p := propertyParser{rest: object}
	ps, err := p.object()
	if err != nil {
		return nil, fmt.Errorf("properties %s: %w", Quote(string(object)), err)
	}
	return ps, nil
}

// propertyParser reads the flat JSON objects that AppendJSON writes: no spaces,
// no nesting. Stores of old versions hold them.
type propertyParser struct{ rest []byte }

func (p *propertyParser) object() (Properties, error) {
	if string(p.rest) == "{}" {
		return nil, nil
	}
	if !p.take('{') {
		return nil, fmt.Errorf("no object")
	}
	ps := make(Properties, 0, 8)
	for {
		key, err := p.text()
		if err != nil {
			return nil, err
		}
		if !p.take(':') {
			return nil, fmt.Errorf("no ':' after %q", key)
		}
		value, err := p.value()
		if err != nil {
			return nil, err
		}
		ps = append(ps, Property{key, value})
		if p.take(',') {
			continue
		}
		if p.take('}') && len(p.rest) == 0 {
			return ps, nil
		}
		return nil, fmt.Errorf("no end after %q", key)
	}
}

func (p *propertyParser) take(c byte) bool {
	if len(p.rest) == 0 || p.rest[0] != c {
		return false
	}
	p.rest = p.rest[1:]
	return true
}

func (p *propertyParser) text() (string, error) {
	if len(p.rest) == 0 || p.rest[0] != '"' {
		return "", fmt.Errorf("no string")
	}
	escaped := false
	for i := 1; i < len(p.rest); i++ {
		switch p.rest[i] {
		case '\\':
			escaped = true
			i++
		case '"':
			quoted := p.rest[:i+1]
			p.rest = p.rest[i+1:]
			if !escaped {
				return string(quoted[1 : len(quoted)-1]), nil
			}
			var s string
			err := json.Unmarshal(quoted, &s)
			return s, err
		}
	}
	return "", fmt.Errorf("a string without end")
}

func (p *propertyParser) value() (Value, error) {
	if len(p.rest) > 0 && p.rest[0] == '"' {
		s, err := p.text()
		return Text(s), err
	}
	end := 0
	for end < len(p.rest) && p.rest[end] != ',' && p.rest[end] != '}' {
		end++
	}
	word := string(p.rest[:end])
	p.rest = p.rest[end:]
	switch word {
	case "null":
		return Null, nil
	case "true", "false":
		return Bool(word == "true"), nil
	}
	f, ok := parseNumber(word)
	if !ok {
		return Null, fmt.Errorf("%q is no value", word)
	}
	return Num(f), nil
}
