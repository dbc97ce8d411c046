package boardfile

import (
	"bytes"
	"encoding/json"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/goccy/go-yaml"
	"github.com/santhosh-tekuri/jsonschema/v6"
	"pgregory.net/rapid"

	"pulseboard/store"
)

// validator reads the schema, and so checks that it is one.
var validator = sync.OnceValue(func() *jsonschema.Schema {
	document, err := jsonschema.UnmarshalJSON(bytes.NewReader(Schema()))
	if err != nil {
		panic(err)
	}
	compiler := jsonschema.NewCompiler()
	compiler.AssertVocabs()
	if err := compiler.AddResource("https://pulse.example/schema/dashboard.json", document); err != nil {
		panic(err)
	}
	return compiler.MustCompile("https://pulse.example/schema/dashboard.json")
})

// failer is a test, or a case of one that rapid draws.
type failer interface {
	Helper()
	Errorf(format string, args ...any)
	Fatalf(format string, args ...any)
	Fatal(args ...any)
}

// checkJSON gives what the schema says of a dashboard in JSON.
func checkJSON(t failer, text []byte) error {
	t.Helper()
	document, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	return validator().Validate(document)
}

// checkYAML gives what the schema says of the first dashboard in a file.
func checkYAML(t failer, text []byte) error {
	t.Helper()
	var document any
	if err := yaml.Unmarshal(text, &document); err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	asJSON, err := json.Marshal(document)
	if err != nil {
		t.Fatal(err)
	}
	return checkJSON(t, asJSON)
}

// boardsOf gives the texts below a folder that are dashboards: YAML files, and literals
// of Go files.
func boardsOf(t *testing.T, folder string) map[string][]byte {
	t.Helper()
	found := map[string][]byte{}
	keep := func(name string, text []byte) {
		if boards, err := Parse(name, text); err == nil && len(boards) == 1 {
			found[name] = text
		}
	}
	err := filepath.WalkDir(folder, func(path string, _ fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		switch filepath.Ext(path) {
		case ".yaml":
			text, err := os.ReadFile(path)
			keep(path, text)
			return err
		case ".go":
			files := token.NewFileSet()
			file, err := parser.ParseFile(files, path, nil, 0)
			if err != nil {
				return err
			}
			ast.Inspect(file, func(n ast.Node) bool {
				if literal, ok := n.(*ast.BasicLit); ok && literal.Kind == token.STRING && strings.Contains(literal.Value, "id") {
					text, err := strconv.Unquote(literal.Value)
					if err == nil {
						keep(files.Position(literal.Pos()).String(), []byte(text))
					}
				}
				return true
			})
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

func TestTheSchemaTakesEachBoardOfThisRepository(t *testing.T) {
	boards := boardsOf(t, "../..")
	for name, text := range boards {
		if err := checkYAML(t, text); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	demo := 0
	for name := range boards {
		if strings.Contains(name, "demo") && strings.HasSuffix(name, ".yaml") {
			demo++
		}
	}
	if demo < 4 || len(boards) < 20 {
		t.Errorf("only %d boards were found, and %d of the demo", len(boards), demo)
	}
}

func TestTheSchemaTakesWhatIsWritten(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		d := drawDashboard(rt)
		text, err := YAML(d)
		if err != nil {
			rt.Fatal(err)
		}
		if err := checkYAML(t, text); err != nil {
			rt.Fatalf("%v\n%s", err, text)
		}
	})
}

// values are what a field of a widget may hold in the next test, right and wrong.
var values = map[string][]any{
	"key":  {"k", 7, "a-b", "a--b", "-a", "", nil, true, strings.Repeat("k", 100), strings.Repeat("k", 101), []any{}},
	"kind": {nil, 1, "Stat"}, "measure": {nil, 1, []any{}},
	"title": {"", "a", 500, true, nil, []any{}}, "event": {"", "a", 1, nil, map[string]any{}},
	"where": {"a = 1", []any{}, []any{"a>=1", `"my key" in [x, y]`}, "a ~ 1", "", nil, 1, []any{1}, "admin x", "a contains b", "a containsb"},
	"of":    {"a = 1", []any{}, []any{`""= x`}, nil, "a"}, "property": {"", "a", 7, nil}, "by": {"", "a", false, nil},
	"per": {"1s", "1m", "1d", "", nil, 1}, "formula": {"", "base / 2", nil},
	"limit": {1, 1000, 1001, 0, 2.5, "1", nil}, "unit": {"ms", nil, 1},
	"compare": {"previous", "next", nil, ""}, "better": {"higher", "lower", "more", nil},
	"thresholds": {nil, []any{}, []any{map[string]any{"above": 0, "state": "warning"}}, []any{map[string]any{"state": "critical"}}, "x",
		[]any{map[string]any{"above": "1", "state": "critical"}}, []any{map[string]any{"above": 1, "state": "normal"}}},
	"max": {0, 1.5, -1, "1", nil}, "width": {1, 12, 13, 3.0, nil}, "text": {"", "a\nb", nil},
	"unknown": {1}, "Title": {"x"},
}

// compare reports where the schema and Parse part over a widget. Where a field means nothing
// to the kind, the schema is to refuse what Parse takes. taken is whether both take it.
func compare(t failer, w map[string]any) (taken bool) {
	t.Helper()
	base := map[string]any{"key": "base", "kind": "stat", "measure": "count"}
	text, err := json.Marshal(map[string]any{"id": "a", "widgets": []any{w, base}})
	if err != nil {
		t.Fatal(err)
	}
	_, parsed := Parse("f", text)
	checked := checkJSON(t, text)
	if want := parsed == nil && !hasIdleField(w); want != (checked == nil) {
		t.Errorf("%s\nParse: %v\nthe schema: %v", text, parsed, checked)
	}
	return parsed == nil && checked == nil
}

// wholeWidget gives a widget of a kind and a measure with the fields that it needs.
func wholeWidget(kind store.Kind, measure string) map[string]any {
	w := map[string]any{"key": "k", "kind": string(kind)}
	if measure != "" {
		w["measure"] = measure
	}
	switch m := store.Measure(measure); {
	case m.OfProperty():
		w["property"] = "a"
	case m == store.Ratio:
		w["of"] = "a = 1"
	case m == store.Formula:
		w["formula"] = "base / 2"
	}
	if kind.Traits().Reads == store.ReadsRanking {
		w["by"] = "a"
	}
	return w
}

func TestTheSchemaRefusesWhatParseRefuses(t *testing.T) {
	taken, all := 0, 0
	for _, kind := range append([]store.Kind{"pie"}, store.Kinds...) {
		for _, measure := range append([]string{"", "mean"}, words(store.Measures)...) {
			for name, choices := range values {
				for _, value := range choices {
					w := wholeWidget(kind, measure)
					w[name] = value
					all++
					if compare(t, w) {
						taken++
					}
				}
			}
			for name := range wholeWidget(kind, measure) {
				w := wholeWidget(kind, measure)
				delete(w, name)
				compare(t, w)
			}
			w := wholeWidget(kind, measure)
			w["compare"], w["better"] = "previous", "lower"
			compare(t, w)
		}
	}
	if taken < 500 || taken > all-500 {
		t.Errorf("of %d widgets %d were right", all, taken)
	}
}

func TestTheSchemaRefusesWhatParseRefusesOfSeveralFields(t *testing.T) {
	names := slices.Sorted(maps.Keys(values))
	rapid.Check(t, func(rt *rapid.T) {
		w := wholeWidget(rapid.SampledFrom(store.Kinds).Draw(rt, "kind"), rapid.SampledFrom(words(store.Measures)).Draw(rt, "measure"))
		for range rapid.IntRange(1, 4).Draw(rt, "fields") {
			name := rapid.SampledFrom(names).Draw(rt, "field")
			w[name] = rapid.SampledFrom(values[name]).Draw(rt, name)
		}
		compare(rt, w)
	})
}

// hasIdleField reports whether a widget has a field, with a value, that means nothing to its kind.
func hasIdleField(w map[string]any) bool {
	for _, f := range widgetRecord.fields {
		value := w[f.name]
		list, isList := value.([]any)
		if value == nil || value == "" || isList && len(list) == 0 || f.name == "max" && value == 0 {
			continue
		}
		kind, _ := w["kind"].(string)
		if f.idle != nil && f.idle(store.Kind(kind)) {
			return true
		}
	}
	return false
}

func TestTheSchemaMarks(t *testing.T) {
	widget := func(fields string) string { return `{"id":"a","widgets":[{"key":"k",` + fields + `}]}` }
	widgets := func(n int) string {
		return `{"id":"a","widgets":[` + strings.Repeat(`{"key":"k","kind":"text"},`, n-1) + `{"key":"k","kind":"text"}]}`
	}
	for what, c := range map[string]struct{ right, wrong string }{
		"an unknown field":                {`{"id":"a","title":"x"}`, `{"id":"a","titel":"x"}`},
		"an unknown field of a widget":    {widget(`"kind":"stat","measure":"count"`), widget(`"kind":"stat","mesure":"count"`)},
		"an unknown field of a variable":  {`{"id":"a","variables":[{"name":"v","property":"p"}]}`, `{"id":"a","variables":[{"name":"v","property":"p","x":1}]}`},
		"an unknown field of a threshold": {widget(`"kind":"stat","measure":"count","thresholds":[{"above":1,"state":"warning"}]`), widget(`"kind":"stat","measure":"count","thresholds":[{"above":1,"state":"warning","below":1}]`)},
		"an unknown kind":                 {widget(`"kind":"line","measure":"count"`), widget(`"kind":"pie","measure":"count"`)},
		"an unknown measure":              {widget(`"kind":"line","measure":"rate"`), widget(`"kind":"line","measure":"mean"`)},
		"an unknown operator":             {widget(`"kind":"stat","measure":"count","where":"a starts-with b"`), widget(`"kind":"stat","measure":"count","where":"a like b"`)},
		"a wrong type":                    {widget(`"kind":"stat","measure":"count","width":3`), widget(`"kind":"stat","measure":"count","width":"3"`)},
		"a wrong id":                      {`{"id":"a-B-1"}`, `{"id":"a_b"}`},
		"no id":                           {`{"id":"a"}`, `{}`},
		"a wrong key":                     {widget(`"kind":"text"`), `{"id":"a","widgets":[{"key":"a--b","kind":"text"}]}`},
		"a wrong name of a variable":      {`{"id":"a","variables":[{"name":"v","property":"p"}]}`, `{"id":"a","variables":[{"name":"v v","property":"p"}]}`},
		"a variable without property":     {`{"id":"a","variables":[{"name":"v","property":"p"}]}`, `{"id":"a","variables":[{"name":"v","property":""}]}`},
		"a wrong range":                   {`{"id":"a","range":"now-6h"}`, `{"id":"a","range":"6h"}`},
		"a range that is an instant":      {`{"id":"a","range":"2026-02-09T15:12:00Z"}`, `{"id":"a","range":"2026-02-09 15:12"}`},
		"a measure without its property":  {widget(`"kind":"stat","measure":"p95","property":"ms"`), widget(`"kind":"stat","measure":"p95"`)},
		"a property without its measure":  {widget(`"kind":"stat","measure":"sum","property":"ms"`), widget(`"kind":"stat","measure":"count","property":"ms"`)},
		"groups that are not named":       {widget(`"kind":"bars","measure":"count","by":"path"`), widget(`"kind":"bars","measure":"count"`)},
		"groups of one number":            {widget(`"kind":"line","measure":"count","by":"path"`), widget(`"kind":"stat","measure":"count","by":"path"`)},
		"a text with a measure":           {widget(`"kind":"text","text":"x"`), widget(`"kind":"text","text":"x","measure":"count"`)},
		"words of what is no text":        {widget(`"kind":"text","text":"x"`), widget(`"kind":"stat","measure":"count","text":"x"`)},
		"a comparison of a line":          {widget(`"kind":"stat","measure":"count","compare":"previous"`), widget(`"kind":"line","measure":"count","compare":"previous"`)},
		"a direction without comparison":  {widget(`"kind":"stat","measure":"count","compare":"previous","better":"lower"`), widget(`"kind":"stat","measure":"count","better":"lower"`)},
		"the end of no scale":             {widget(`"kind":"gauge","measure":"count","max":9`), widget(`"kind":"line","measure":"count","max":9`)},
		"more widgets than a page holds":  {widgets(store.MaxWidgets), widgets(store.MaxWidgets + 1)},
		"bars of a formula":               {widget(`"kind":"line","measure":"formula","formula":"1 / k"`), widget(`"kind":"bars","by":"x","measure":"formula","formula":"1 / k"`)},
	} {
		if err := checkJSON(t, []byte(c.right)); err != nil {
			t.Errorf("%s: what is right is marked: %v", what, err)
		}
		if err := checkJSON(t, []byte(c.wrong)); err == nil {
			t.Errorf("%s is not marked: %s", what, c.wrong)
		}
	}
}

func TestTheSchemaKnowsTheRulesOfNames(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		s := rapid.OneOf(rapid.StringMatching(`[a-cA-C0-2_\-]{0,8}`), rapid.StringMatching(`[a-]{98,102}`), rapid.String()).Draw(rt, "name")
		_, noID := store.ParseDashboardID(s)
		_, noKey := store.ParseWidgetKey(s)
		id, err := json.Marshal(map[string]any{"id": s})
		if err != nil {
			rt.Fatal(err)
		}
		key, err := json.Marshal(map[string]any{"id": "a", "widgets": []any{map[string]any{"key": s, "kind": "text"}}})
		if err != nil {
			rt.Fatal(err)
		}
		if marked := checkJSON(t, id); (marked == nil) != (noID == nil) {
			rt.Fatalf("id %q: %v, the schema: %v", s, noID, marked)
		}
		if marked := checkJSON(t, key); (marked == nil) != (noKey == nil) {
			rt.Fatalf("key %q: %v, the schema: %v", s, noKey, marked)
		}
	})
}

// The pattern is looser than the rules, and never stricter.
func TestTheSchemaTakesEachCondition(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		s := rapid.OneOf(rapid.StringMatching(`[ \ta"é\x{a0}\x{85}]{0,3}[a-c"]{0,3}[ \t\x{a0}]{0,2}(=|!=|<|<=|>|>=|in|contains|starts-with|~|is)[ \t]?[a-c" ,\[\]]{0,5}`), rapid.String()).Draw(rt, "condition")
		if _, err := store.ParseCondition(s); err != nil {
			return
		}
		text, err := json.Marshal(map[string]any{"id": "a", "widgets": []any{map[string]any{"key": "k", "kind": "stat", "measure": "count", "where": s}}})
		if err != nil {
			rt.Fatal(err)
		}
		if err := checkJSON(t, text); err != nil {
			rt.Fatalf("%q: %v", s, err)
		}
	})
}
