package house

import (
	"go/ast"
	"go/token"
	"path"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/tools/go/packages"
)

// layers returns the height of each file of a package, 0 for the lowest, as its doc.go lists
// them under "The files, from the bottom up:"; nil when it doesn't. Files of one line may use
// each other. Names that end with a comma go on in the next line.
func layers(doc string) map[string]int {
	_, list, found := strings.Cut(doc, "// The files, from the bottom up:\n//\n")
	if !found {
		return nil
	}
	heights, height := map[string]int{}, 0
	for line := range strings.Lines(list) {
		row, indented := strings.CutPrefix(line, "//\t")
		if !indented {
			break
		}
		names, _, _ := strings.Cut(row, "  ")
		for _, name := range split(names) {
			heights[name] = height
		}
		if !strings.HasSuffix(names, ",") {
			height++
		}
	}
	return heights
}

func TestFilesUseWhatIsBelowThem(t *testing.T) {
	heights := map[string]map[string]int{} // by package, by file
	var paths []string
	for folder, sources := range sources(t, token.NewFileSet()) {
		for _, s := range sources {
			if path.Base(s.name) != "doc.go" {
				continue
			}
			if h := layers(read(t, s.name)); h != nil {
				heights[module+"/"+folder] = h
				paths = append(paths, module+"/"+folder)
			}
		}
	}
	if heights[module+"/store/fold"] == nil {
		t.Fatal("store/fold/doc.go lists no files from the bottom up")
	}
	loaded, err := packages.Load(&packages.Config{
		Dir:  root,
		Mode: packages.NeedName | packages.NeedImports | packages.NeedExportFile | packages.NeedTypes | packages.NeedTypesInfo | packages.NeedSyntax,
	}, paths...)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range loaded {
		for _, e := range p.Errors {
			t.Error(e)
		}
		lookDown(t, p, heights[p.PkgPath])
	}
}

// lookDown looks for uses, in each file of a package, of what a higher one declares.
func lookDown(t *testing.T, p *packages.Package, heights map[string]int) {
	fileOf := func(n token.Pos) string { return filepath.Base(p.Fset.Position(n).Filename) }
	seen := map[string]bool{}
	for _, f := range p.Syntax {
		name := fileOf(f.FileStart)
		if name == "doc.go" {
			continue
		}
		if _, listed := heights[name]; !listed {
			t.Errorf("%s: the list of files in doc.go lacks %s", p.PkgPath, name)
			continue
		}
		ast.Inspect(f, func(n ast.Node) bool {
			id, is := n.(*ast.Ident)
			if !is {
				return true
			}
			used := p.TypesInfo.Uses[id]
			if used == nil || used.Pkg() != p.Types || !used.Pos().IsValid() {
				return true
			}
			if in := fileOf(used.Pos()); heights[in] > heights[name] && !seen[name+in+id.Name] {
				seen[name+in+id.Name] = true
				t.Errorf("%s: %s uses %s of %s, which stands above it", p.Fset.Position(id.Pos()), name, id.Name, in)
			}
			return true
		})
	}
	for name := range heights {
		if !strings.Contains(strings.Join(p.GoFiles, "\n")+"\n", "/"+name+"\n") && len(p.GoFiles) > 0 {
			t.Errorf("%s: doc.go lists %s, and there is no such file", p.PkgPath, name)
		}
	}
}
