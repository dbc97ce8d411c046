package house

import (
	"go/ast"
	"go/token"
	"slices"
	"strings"
	"testing"
	"unicode"
)

// TestAWordNamesOneType reads README's table of words: one with a capital is the name of one exported
// type, and none is the name of two, be it in the plural.
func TestAWordNamesOneType(t *testing.T) {
	types := exportedTypes(t)
	words := wordsOfREADME(t)
	if len(words) < 10 {
		t.Fatalf("README.md, Words: read only %q", words)
	}
	for _, word := range words {
		named := types[strings.ToLower(word)]
		slices.Sort(named)
		switch capital := unicode.IsUpper([]rune(word)[0]); {
		case len(named) > 1:
			t.Errorf("README.md: the word %s names %s", word, strings.Join(named, " and "))
		case capital && len(named) == 0:
			t.Errorf("README.md: there is no exported type %s", word)
		}
	}
}

// wordsOfREADME returns the words that the table under "Words" explains.
func wordsOfREADME(t *testing.T) (words []string) {
	_, text, _ := strings.Cut(read(t, "README.md"), "### Words\n")
	text, _, _ = strings.Cut(text, "\n#")
	for line := range strings.Lines(text) {
		if cells := strings.Split(line, "|"); len(cells) > 2 && cells[1] != "---" && strings.TrimSpace(cells[1]) != "word" {
			words = append(words, split(cells[1])...)
		}
	}
	return words
}

// exportedTypes returns where each exported type of the program is declared, by its name in small letters. The
// plural counts as the same name. Types that differ by operating system are one.
func exportedTypes(t *testing.T) map[string][]string {
	types := map[string][]string{}
	for folder, sources := range sources(t, token.NewFileSet()) {
		for _, s := range sources {
			ast.Inspect(s.File, func(n ast.Node) bool {
				spec, is := n.(*ast.TypeSpec)
				if !is || !spec.Name.IsExported() {
					return true
				}
				key := strings.TrimSuffix(strings.ToLower(spec.Name.Name), "s")
				if at := folder + "." + spec.Name.Name; !slices.Contains(types[key], at) {
					types[key] = append(types[key], at)
				}
				return true
			})
		}
	}
	return types
}
