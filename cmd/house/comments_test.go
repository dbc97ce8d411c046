package house

import (
	"go/ast"
	"go/token"
	"strings"
	"testing"
)

// TestPackagesSayWhatTheyAreFor: once each, and what they promise to goroutines, also where there is nothing to share.
func TestPackagesSayWhatTheyAreFor(t *testing.T) {
	for folder, sources := range sources(t, token.NewFileSet()) {
		var docs []string
		for _, s := range sources {
			if text := s.Doc.Text(); text != "" && !s.generated() {
				docs = append(docs, text)
			}
		}
		all := strings.Join(docs, "\n")
		name := "Package " + sources[0].Name.Name + " "
		if sources[0].Name.Name == "main" {
			name = "Command " + folder[strings.LastIndex(folder, "/")+1:] + " "
		}
		switch {
		case strings.Count("\n"+all, "\n"+name) != 1:
			t.Errorf("package %s: its comment, in one file, should begin with %q", folder, name)
		case !strings.HasPrefix(name, "Command") && !strings.Contains(all, "goroutine") && !strings.Contains(all, "oncurren"):
			t.Errorf("package %s: its comment says nothing about goroutines: what may be used by many at once?", folder)
		}
	}
}

func TestExportedThingsHaveComments(t *testing.T) {
	fset := token.NewFileSet()
	for _, sources := range sources(t, fset) {
		for _, s := range sources {
			if s.generated() {
				continue
			}
			for _, d := range s.Decls {
				for _, id := range bare(d) {
					t.Errorf("%s: %s has no comment", fset.Position(id.Pos()), id.Name)
				}
			}
		}
	}
}

// bare returns the exported names of a declaration that no comment explains: functions, methods
// of exported types, types, the methods of interfaces, constants and variables. One comment is enough for a group of
// constants or variables.
func bare(d ast.Decl) []*ast.Ident {
	switch d := d.(type) {
	case *ast.FuncDecl:
		if d.Name.IsExported() && d.Doc == nil && (d.Recv == nil || receiver(d).IsExported()) {
			return []*ast.Ident{d.Name}
		}
	case *ast.GenDecl:
		var names []*ast.Ident
		for _, spec := range d.Specs {
			names = append(names, bareSpec(d.Doc, spec)...)
		}
		return names
	}
	return nil
}

// bareSpec does so for one line of a declaration, which has the comment doc as a whole.
func bareSpec(doc *ast.CommentGroup, spec ast.Spec) (names []*ast.Ident) {
	switch spec := spec.(type) {
	case *ast.ValueSpec:
		for _, name := range spec.Names {
			if name.IsExported() && doc == nil && spec.Doc == nil && spec.Comment == nil {
				names = append(names, name)
			}
		}
	case *ast.TypeSpec:
		if !spec.Name.IsExported() {
			return nil
		}
		if doc == nil && spec.Doc == nil && spec.Comment == nil {
			names = append(names, spec.Name)
		}
		if methods, is := spec.Type.(*ast.InterfaceType); is {
			for _, m := range methods.Methods.List {
				for _, name := range m.Names {
					if name.IsExported() && m.Doc == nil && m.Comment == nil {
						names = append(names, name)
					}
				}
			}
		}
	}
	return names
}

// receiver returns the name of a method's type.
func receiver(d *ast.FuncDecl) *ast.Ident {
	expr := d.Recv.List[0].Type
	for {
		switch e := expr.(type) {
		case *ast.StarExpr:
			expr = e.X
		case *ast.IndexExpr:
			expr = e.X
		case *ast.IndexListExpr:
			expr = e.X
		default:
			return e.(*ast.Ident)
		}
	}
}
