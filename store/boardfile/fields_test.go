package boardfile

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"pulseboard/store"
)

// parsed gives the syntax of the Go files of a folder, without tests.
func parsed(t *testing.T, folder string) []*ast.File {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(folder, "*.go"))
	if err != nil {
		t.Fatal(err)
	}
	var files []*ast.File
	for _, name := range names {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, file)
	}
	return files
}

// constants gives the texts of the constants that are declared with a type.
func constants(files []*ast.File, typeName string) []string {
	var all []string
	for _, file := range files {
		ast.Inspect(file, func(n ast.Node) bool {
			spec, ok := n.(*ast.ValueSpec)
			if !ok {
				return true
			}
			if declared, ok := spec.Type.(*ast.Ident); ok && declared.Name == typeName {
				all = append(all, texts(spec.Values)...)
			}
			return true
		})
	}
	return all
}

// texts gives the literals among some expressions.
func texts(all []ast.Expr) []string {
	var values []string
	for _, e := range all {
		if literal, ok := e.(*ast.BasicLit); ok && literal.Kind == token.STRING {
			if text, err := strconv.Unquote(literal.Value); err == nil {
				values = append(values, text)
			}
		}
	}
	return values
}

// units gives the units that numbers are drawn with in a way of their own: the cases of
// switches over a unit.
func units(files []*ast.File) []string {
	var all []string
	for _, file := range files {
		ast.Inspect(file, func(n ast.Node) bool {
			s, ok := n.(*ast.SwitchStmt)
			if !ok {
				return true
			}
			if tag, ok := s.Tag.(*ast.Ident); ok && tag.Name == "unit" {
				for _, c := range s.Body.List {
					all = append(all, texts(c.(*ast.CaseClause).List)...)
				}
			}
			return true
		})
	}
	return all
}

// mentions reports whether a text holds a word by itself.
func mentions(text, word string) bool {
	if !regexp.MustCompile(`^\w`).MatchString(word) {
		return slices.Contains(strings.FieldsFunc(text, func(r rune) bool { return strings.ContainsRune(" ,;", r) }), word)
	}
	return regexp.MustCompile(`(^|[^\w-])` + regexp.QuoteMeta(word) + `($|[^\w-])`).MatchString(text)
}

func TestTheFieldsMentionAllThatTheCodeKnows(t *testing.T) {
	byField := map[string]string{} // by field
	for _, f := range Fields() {
		if len(f.Words) < 10 || strings.ContainsAny(f.Words, "`\n") || strings.HasSuffix(f.Words, ".") {
			t.Errorf("%s of a %s: %q", f.Name, f.Record, f.Words)
		}
		byField[f.Name] += f.Words + "\n"
	}
	files := parsed(t, "..")
	known := map[string][]string{
		"kind":    constants(files, "Kind"),
		"measure": constants(files, "Measure"),
		"where":   constants(files, "Operator"),
		"per":     constants(files, "Per"),
		"compare": constants(files, "Comparison"),
		"better":  constants(files, "Direction"),
		"state":   slices.DeleteFunc(constants(files, "State"), func(s string) bool { return s == string(store.Normal) }),
		"unit":    units(parsed(t, "../../views")),
	}
	if !slices.Equal(slices.Sorted(slices.Values(known["where"])), slices.Sorted(slices.Values(words(operators)))) {
		t.Errorf("the operators are %v, not %v", known["where"], operators)
	}
	for name, all := range known {
		if len(all) == 0 {
			t.Errorf("no values of %s were found in the code", name)
		}
		for _, value := range all {
			if !mentions(byField[name], value) {
				t.Errorf("the words of %s don't mention %q", name, value)
			}
		}
	}
}

func TestEachFieldSaysWhichKindsTakeIt(t *testing.T) {
	all := map[string]Field{}
	for _, f := range Fields() {
		if f.Record == "widget" {
			all[f.Name] = f
		}
	}
	for name, want := range map[string][]store.Kind{
		"key":     nil,
		"kind":    nil,
		"compare": {store.Stat},
		"text":    {store.TextKind},
		"max":     {store.Gauge},
	} {
		if got := all[name].Kinds; !slices.Equal(got, want) {
			t.Errorf("%s: %v, want %v", name, got, want)
		}
	}
	for name, not := range map[string]store.Kind{"by": store.Stat, "limit": store.Gauge, "measure": store.TextKind, "event": store.TextKind, "better": store.Line} {
		if kinds := all[name].Kinds; len(kinds) == 0 || slices.Contains(kinds, not) {
			t.Errorf("%s: %v", name, kinds)
		}
	}
	if !all["kind"].Required || all["title"].Required || !slices.Contains(all["kind"].Values, "gauge") {
		t.Errorf("%+v", all["kind"])
	}
}

func TestTheExampleOfThePackageIsRight(t *testing.T) {
	file, err := parser.ParseFile(token.NewFileSet(), "boardfile.go", nil, parser.ParseComments|parser.PackageClauseOnly)
	if err != nil {
		t.Fatal(err)
	}
	var example strings.Builder
	for line := range strings.Lines(file.Doc.Text()) {
		if code, found := strings.CutPrefix(line, "\t"); found {
			example.WriteString(code)
		}
	}
	boards, err := Parse("example", []byte(example.String()))
	if err != nil || len(boards) != 1 || len(boards[0].Widgets) != 3 {
		t.Fatalf("%+v, %v\n%s", boards, err, example.String())
	}
	if err := checkYAML(t, []byte(example.String())); err != nil {
		t.Error(err)
	}
}
