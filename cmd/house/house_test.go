package house

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"
	"testing"
)

const (
	root   = "../.." // of the repository
	module = "pulseboard"
)

// read returns a file of the repository.
func read(t *testing.T, name string) string {
	t.Helper()
	b, err := fs.ReadFile(os.DirFS(root), name)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// files returns the names of all files of the repository but those that .gitignore leaves out.
// They are found by walking and not by asking git, so that go test knows when a kept result is
// out of date.
func files(t *testing.T) []string {
	t.Helper()
	var names []string
	err := fs.WalkDir(os.DirFS(root), ".", func(name string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && (slices.Contains([]string{".git", "bin", "data"}, name) || strings.HasSuffix(name, "testdata/rapid")):
			return fs.SkipDir
		case d.Type().IsRegular() && !slices.Contains([]string{".git", module}, name) && path.Ext(name) != ".test" && path.Ext(name) != ".prof":
			names = append(names, name)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return names
}

// vendored reports whether a file was written elsewhere.
func vendored(name string) bool {
	return strings.HasPrefix(name, "static/vendor/") || path.Base(name) == "go.sum"
}

// A source is a Go file that is part of the program: no test.
type source struct {
	name string // from the root
	*ast.File
}

// generated reports whether a program wrote the file.
func (s source) generated() bool { return ast.IsGenerated(s.File) }

// imports returns the paths that the file imports.
func (s source) imports() []string {
	var paths []string
	for _, i := range s.Imports {
		paths = append(paths, strings.Trim(i.Path.Value, `"`))
	}
	return paths
}

// sources returns the files of each package, by its folder.
func sources(t *testing.T, fset *token.FileSet) map[string][]source {
	t.Helper()
	packages := map[string][]source{}
	for _, name := range files(t) {
		if path.Ext(name) != ".go" || strings.HasSuffix(name, "_test.go") {
			continue
		}
		f, err := parser.ParseFile(fset, name, read(t, name), parser.ParseComments)
		if err != nil {
			t.Fatal(err)
		}
		packages[path.Dir(name)] = append(packages[path.Dir(name)], source{name, f})
	}
	return packages
}
