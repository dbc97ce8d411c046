package views

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"pulseboard/store"
)

func TestEachKindIsDrawn(t *testing.T) {
	for _, kind := range store.Kinds {
		if drawers[kind] == nil {
			t.Errorf("views/kind.go does not say how %s is drawn", kind)
		}
	}
	if len(drawers) != len(store.Kinds) {
		t.Errorf("%d kinds are drawn, and there are %d", len(drawers), len(store.Kinds))
	}
}

// kindConstants gives the names of the constants of type Kind in package store.
func kindConstants(t *testing.T) []string {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), "../store/kind.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	ast.Inspect(file, func(n ast.Node) bool {
		if spec, ok := n.(*ast.ValueSpec); ok {
			if typed, ok := spec.Type.(*ast.Ident); ok && typed.Name == "Kind" {
				names = append(names, spec.Names[0].Name)
			}
		}
		return true
	})
	if len(names) != len(store.Kinds) {
		t.Fatalf("the constants are %v, and there are %d kinds", names, len(store.Kinds))
	}
	return names
}

// Code outside the two tables asks for a trait of a kind, so that one more kind changes
// nothing there.
func TestAKindIsNamedInItsTablesOnly(t *testing.T) {
	names := strings.Join(kindConstants(t), "|")
	outside := regexp.MustCompile(`\bstore\.(` + names + `)\b`)
	inside := regexp.MustCompile(`(\bcase|[!=]=) ?(` + names + `)\b`)
	exempt := map[string]bool{
		"../views/kind.go":            true,
		"../store/boardfile/rules.go": true, // needs any widget with a number, to stand beside another
	}
	read := 0
	err := filepath.WalkDir("..", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || exempt[path] {
			return err
		}
		if filepath.Ext(path) != ".templ" && filepath.Ext(path) != ".go" || strings.HasSuffix(path, "_test.go") || strings.HasSuffix(path, "_templ.go") {
			return nil
		}
		text, err := os.ReadFile(path)
		read++
		pattern := outside
		if filepath.Dir(path) == "../store" {
			pattern = inside
		}
		if found := pattern.Find(text); found != nil {
			t.Errorf("%s names a kind: %s", path, found)
		}
		return err
	})
	if err != nil || read < 100 {
		t.Errorf("%d files were read: %v", read, err)
	}
}

// The page's script flashes what changed, but for parts that are marked: it does not know them
// by name.
func TestPartsThatMoveOnWithTimeAreMarked(t *testing.T) {
	var calm []string
	for _, w := range []Widget{widgets()["stat, compared"], widgets()["gauge"], widgets()["grouped"], widgets()["bars"], widgets()["table"]} {
		for _, part := range w.Parts() {
			tag, _, _ := strings.Cut(markup(t, part.Component), ">")
			if strings.Contains(tag, " data-calm") {
				calm = append(calm, string(w.Def.Kind)+" "+strings.TrimPrefix(part.ID, w.part("")))
			}
		}
	}
	if got := strings.Join(calm, ", "); got != "stat spark, line scale, line grid, line times, line summary" {
		t.Errorf("the parts marked as calm are %s", got)
	}
	script, err := os.ReadFile("../static/js/live.js")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(script), `hasAttribute("data-calm")`) || regexp.MustCompile(`\.id\b.*(--|widget-)|(--|widget-).*\.id\b`).Match(script) {
		t.Error("the script knows parts by their ids")
	}
}
