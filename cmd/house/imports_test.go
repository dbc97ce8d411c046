package house

import (
	"go/token"
	"maps"
	"path"
	"slices"
	"strings"
	"testing"
)

// arrows are the imports that may be, from the top of the house to its ground. "x/…" stands for
// all packages within x.
const arrows = `
cmd/pulseboard       → handlers, stream, store, store/…
cmd/loadgen          → store, store/…
cmd/house            →

handlers             → views, stream, stream/…, static, store, store/…

stream               → stream/chain, stream/turns, stream/wire, store/fold, store
stream/chain         →
stream/turns         →
stream/wire          →
views                → static, store
static               →

store/sqlite         → store/sqlite/ids, store/fold, store/pack, store/formula, store/boardfile, store/secret, store
store/sqlite/ids     → store
store/fold           → store/pack, store/formula, store
store/pack           → store
store/formula        →
store/boardfile      → store/formula, store
store/ingest         → store
store/ingest/otlp    → store/ingest, store
store/ingest/follow  → store/ingest
store/token          → store
store/secret         →
store/growth         →

store                →
`

// techniques are the libraries that only some packages may know: the others have words for what
// they need of them. A path stands for all that begin with it.
const techniques = `
database/sql, github.com/jmoiron/sqlx, github.com/mattn/go-sqlite3, github.com/pressly/goose  → store/sqlite, store/sqlite/ids
net/http        → cmd/pulseboard, handlers, static, store/ingest/otlp
github.com/a-h/templ, html, html/template  → handlers, views, stream
github.com/prometheus  → cmd/pulseboard, handlers, stream
github.com/golang-jwt  → store/token
github.com/klauspost/compress  → handlers, store/ingest, store/pack, stream/chain
hash/crc32      → store/pack
`

// table reads lines of "a, b → c, d".
func table(text string) map[string][]string {
	rows := map[string][]string{}
	for line := range strings.Lines(text) {
		left, right, found := strings.Cut(line, "→")
		if !found {
			continue
		}
		for _, name := range split(left) {
			rows[name] = split(right)
		}
	}
	return rows
}

// split returns the words between commas.
func split(list string) []string {
	var words []string
	for word := range strings.SplitSeq(list, ",") {
		if word = strings.TrimSpace(word); word != "" {
			words = append(words, word)
		}
	}
	return words
}

// allows reports whether a list of packages names one, or the folder that it stands in.
func allows(list []string, name string) bool {
	return slices.ContainsFunc(list, func(entry string) bool {
		folder, all := strings.CutSuffix(entry, "…")
		return entry == name || all && strings.HasPrefix(name, folder)
	})
}

func TestImportsPointOneWay(t *testing.T) {
	allowed := table(arrows)
	packages := sources(t, token.NewFileSet())
	for folder, sources := range packages {
		list, known := allowed[folder]
		if !known {
			t.Errorf("package %s has no line in the table of arrows", folder)
		}
		for _, s := range sources {
			for _, imported := range s.imports() {
				name, ours := strings.CutPrefix(imported, module+"/")
				if ours && !allows(list, name) {
					t.Errorf("%s imports %s: %s may import %s of ours", s.name, name, folder, nothingOr(list))
				}
			}
		}
	}
	for folder := range allowed {
		if packages[folder] == nil {
			t.Errorf("the table of arrows names %s, and there is no such package", folder)
		}
	}
}

// nothingOr names the packages of a list.
func nothingOr(list []string) string {
	if len(list) == 0 {
		return "nothing"
	}
	return strings.Join(list, ", ")
}

func TestOnlySomePackagesKnowATechnique(t *testing.T) {
	allowed := table(techniques)
	for folder, sources := range sources(t, token.NewFileSet()) {
		if folder == "cmd/loadgen" {
			continue // it speaks to rivals in their own ways
		}
		for _, s := range sources {
			for _, imported := range s.imports() {
				for library, list := range allowed {
					if (imported == library || strings.HasPrefix(imported, library+"/")) && !allows(list, folder) {
						t.Errorf("%s imports %s, which is for %s", s.name, imported, strings.Join(list, ", "))
					}
				}
			}
		}
	}
}

// TestREADMENamesEachPackage reads README's list of the house. A line there begins with packages; a
// name without a folder stands in that of the name before it.
func TestREADMENamesEachPackage(t *testing.T) {
	_, house, _ := strings.Cut(read(t, "README.md"), "## The house\n")
	house, _, _ = strings.Cut(house, "\nImports point")
	words := strings.FieldsFunc(house, func(r rune) bool { return strings.ContainsRune(" ,;\n", r) })
	for _, folder := range slices.Sorted(maps.Keys(sources(t, token.NewFileSet()))) {
		if !slices.Contains(words, folder) && !slices.Contains(words, path.Base(folder)) {
			t.Errorf("README.md, The house: package %s is missing", folder)
		}
	}
}
