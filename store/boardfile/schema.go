package boardfile

import (
	"bytes"
	"encoding/json"
	"reflect"
	"slices"
	"strings"
	"sync"

	"pulseboard/store"
)

// schema is a JSON Schema, or a part of one.
type schema map[string]any

// The patterns of texts. Those of ids and keys say the same as the rules of store; the
// others are looser.
const (
	idPattern     = `^[A-Za-z0-9-]+$`
	keyPattern    = `^[A-Za-z0-9_]+(?:-[A-Za-z0-9_]+)*$`
	maxName       = 100
	momentPattern = `^(?:now-[0-9]{1,6}[smhdwMy]|[+-]?[0-9]+|[0-9]{4}-[0-9]{2}-[0-9]{2}T.+|)$`
)

// conditionPattern matches a field, plain or in quotes, followed by an operator.
var conditionPattern = func() string {
	var signs, names []string
	for _, operator := range operators {
		if strings.Trim(string(operator), "=!<>") == "" {
			signs = append(signs, string(operator))
		} else {
			names = append(names, string(operator))
		}
	}
	const (
		space  = `[^!-~]`
		quoted = `"(?:[^"\\]|\\.)*"`
		plain  = `[^ \t=!<>"][^ \t=!<>]*`
	)
	named := `(?:` + strings.Join(names, "|") + `) `
	return `^` + space + `*(?:(?:` + quoted + `|` + plain + `)` + space + `*(?:` + strings.Join(signs, "|") + `)|` +
		quoted + space + `*` + named + `|` + plain + `[ \t]` + space + `*` + named + `)`
}()

// Schema returns the JSON Schema (draft 2020-12) of one document of a file, for editors.
// It accepts every dashboard that Parse accepts, with one exception: it refuses fields
// that the kind of their widget ignores. It refuses what Parse refuses, except that it does not
// compare places (unique ids and keys, widgets named by formulas) and checks ranges,
// formulas and values of conditions only loosely. The caller must not change the bytes.
func Schema() []byte { return schemaText() }

var schemaText = sync.OnceValue(func() []byte {
	s := schemaOf(&dashboardRecord)
	s["$schema"] = "https://json-schema.org/draft/2020-12/schema"
	s["$id"] = "dashboard.json"
	s["title"] = "A dashboard of Pulseboard"
	widget := schemaOf(&widgetRecord)
	book := rules()
	widget["allOf"] = conditionals(book)
	needs := schema{}
	for name, partner := range book.partners {
		needs[name] = []string{partner}
	}
	widget["dependentRequired"] = needs
	s["$defs"] = schema{
		variableRecord.name:  schemaOf(&variableRecord),
		widgetRecord.name:    widget,
		thresholdRecord.name: schemaOf(&thresholdRecord),
	}
	var out bytes.Buffer
	encoder := json.NewEncoder(&out)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	if err := encoder.Encode(s); err != nil {
		panic(err) // maps, lists and texts can be written
	}
	return out.Bytes()
})

// schemaOf returns the schema of records whose fields do not depend on each other.
func schemaOf[T any](rec *record[T]) schema {
	properties := schema{}
	var required []string
	for _, f := range rec.fields {
		property := schema{"description": f.words}
		for keyword, value := range f.schema {
			property[keyword] = value
		}
		properties[f.name] = property
		if f.must {
			if len(f.empty) > 0 {
				property["not"] = schema{"enum": f.empty}
			}
			required = append(required, f.name)
		}
	}
	return schema{"type": "object", "properties": properties, "required": required, "additionalProperties": false}
}

// conditional is a part of the schema for widgets whose field has one of some values.
type conditional struct {
	field  string
	values []string
	then   schema
}

// conditionals returns the parts of the schema for each kind and each measure.
func conditionals(book rulebook) []schema {
	var all []conditional
	for _, kind := range store.Kinds {
		all = append(all, conditional{"kind", []string{string(kind)}, schemaOfKind(book, kind)})
	}
	for _, measure := range store.Measures {
		c := conditional{"measure", []string{string(measure)}, demanded(book.measures[measure])}
		if last := &all[len(all)-1]; last.field == c.field && reflect.DeepEqual(last.then, c.then) {
			last.values = append(last.values, c.values...)
			continue
		}
		all = append(all, c)
	}
	schemas := make([]schema, len(all))
	for i, c := range all {
		has := schema{"properties": schema{c.field: schema{"enum": c.values}}, "required": []string{c.field}}
		schemas[i] = schema{"if": has, "then": c.then}
	}
	return schemas
}

// schemaOfKind returns the schema of widgets of a kind: the rules, and no field that the
// kind ignores.
func schemaOfKind(book rulebook, kind store.Kind) schema {
	d := book.kinds[kind]
	s := demanded(d)
	properties := s["properties"].(schema)
	for _, f := range widgetRecord.fields {
		if d.refuses[f.name] == "" && f.idle != nil && f.idle(kind) {
			properties[f.name] = absent(f.name, "a widget of kind "+string(kind)+" ignores it: leave it out")
		}
	}
	if measured := book.measured[kind]; len(measured) > 0 {
		s["required"] = append(slices.Clone(d.needs), "measure")
		properties["measure"] = schema{"enum": measured}
	}
	return s
}

// demanded returns the schema of widgets that fulfil demands.
func demanded(d demands) schema {
	properties := schema{}
	for name, reason := range d.refuses {
		properties[name] = absent(name, reason)
	}
	for _, name := range d.needs {
		properties[name] = present(name)
	}
	s := schema{"properties": properties}
	if len(d.needs) > 0 {
		s["required"] = d.needs
	}
	return s
}

// absent returns the schema of those values of a field that mean the same as leaving it out.
func absent(name, reason string) schema {
	if empty := widgetField(name).empty; len(empty) > 0 {
		return schema{"description": reason, "enum": empty}
	}
	return schema{"description": reason, "not": schema{}}
}

// present returns the schema of all other values.
func present(name string) schema {
	if empty := widgetField(name).empty; len(empty) > 0 {
		return schema{"not": schema{"enum": empty}}
	}
	return schema{}
}
