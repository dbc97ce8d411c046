package boardfile

import (
	"fmt"
	"strings"
	"testing"

	"pulseboard/store/growth"
)

// again repeats a text up to a length.
func again(s string) func(n int) string {
	return func(n int) string { return strings.Repeat(s, n/len(s)) }
}

// numbered repeats a text with numbers up to a length.
func numbered(format string) func(n int) string {
	return func(n int) string {
		var b strings.Builder
		for i := 0; b.Len() < n; i++ {
			fmt.Fprintf(&b, format, i)
		}
		return b.String()
	}
}

func between(before string, middle func(n int) string, after string) func(n int) string {
	return func(n int) string { return before + middle(n) + after }
}

const oneWidget = "id: a\nwidgets:\n  - key: k\n    kind: stat\n    measure: count\n"

// long are files that go on with the same for as long as they may be.
var long = map[string]func(n int) string{
	"documents":             again("---\n"),
	"documents with boards": numbered("---\nid: a%d\n"),
	"documents with ends":   again("a: 1\n...\n"),
	"ends":                  again("...\n"),
	"directives":            again("%YAML 1.2\n---\n"),
	"comments":              between("id: a\n", again("# c\n"), ""),
	"comments in a map":     numbered("# c\na%d: 1\n"),
	"comments in a list":    between("w:\n", again("  # c\n  - a # c\n"), ""),
	"anchors":               between("w:\n", numbered("  - &a%d x\n"), ""),
	"anchors in a row":      between("w: ", numbered("&a%d "), ""),
	"aliases":               between("w:\n  - &a x\n", again("  - *a\n"), ""),
	"tags":                  between("w: ", again("!a "), ""),
	"fields":                numbered("k%d: 1\n"),
	"fields with CRLF":      numbered("k%d: 1\r\n"),
	"fields without values": numbered("k%d:\n"),
	"fields with blocks":    numbered("k%d: |\n  x\n"),
	"fields in quotes":      numbered("\"k%d\": 1\n"),
	"the same field":        again("k: 1\n"),
	"fields with marks":     numbered("? k%d\n: 1\n"),
	"merged fields":         between("a: &a {b: c}\nd:\n", again("  <<: *a\n"), ""),
	"fields in brackets":    between("{", numbered(`"k%d":1,`), `"z":1}`),
	"names in brackets":     between("{", numbered(`k%d,`), `z}`),
	"fields below long": func(n int) string {
		return strings.Repeat("k", n/2) + ":\n" + numbered("  k%d: 1\n")(n/2)
	},
	"fields below long marked": func(n int) string {
		return "? " + strings.Repeat("k", n/2) + " # c\n:\n" + numbered("  k%d: 1\n")(n/2)
	},
	"a staircase":         numbered("a%d:\n b:\n  c:\n   d: 1\n"),
	"a list":              between("a:\n", again("- 1\n"), ""),
	"a list of nothing":   between("a:\n", again("-\n"), ""),
	"a list of maps":      again("- a:\n  b: 2\n"),
	"a list in brackets":  between("[", again("{a},"), "{a}]"),
	"nothing in brackets": between("[", again(","), "]"),
	"opening brackets":    again("["),
	"closing brackets":    again("]"),
	"dashes in a line":    again("- "),
	"colons":              again(": "),
	"one line":            between("a: ", again("x "), ""),
	"blank lines":         between("a: 1\n", again("  \n"), ""),
	"a carriage return":   again("a: 1\r"),
	"plain lines":         between("a: ", again("x\n  "), ""),
	"a block":             between("a: |\n", again("  x\n"), ""),
	"a folded block":      between("a: >\n", again("  x\n    y\n\n"), ""),
	"double quotes":       again(`"`),
	"single quotes":       again("' "),
	"quoted lines":        between(`a: "`, again("x\\\n  "), `"`),
	"quotes never closed": between("a:\n", again("  - \"\n"), ""),
	"escapes":             between(`a: "`, again(`\u00e9`), `"`),
	"a number":            between("a: ", again("1_"), ""),
	"widgets":             between("id: a\nwidgets:\n", numbered("  - {key: k%d, kind: stat, measure: count}\n"), ""),
	"variables":           between("id: a\nvariables:\n", numbered("  - {name: k%d, property: count}\n"), ""),
	"conditions":          between(oneWidget+"    where:\n", numbered("      - a%d = 1\n"), ""),
	"values of in":        between(oneWidget+"    where: [\"a in ", numbered("%d,"), "1\"]"),
	"quotes in in":        between(oneWidget+"    where: ['a in ", again(`"b",`), "']"),
	"backslashes":         between(oneWidget+"    where: ['a = \"", again(`\\`), "']"),
	"thresholds":          between(oneWidget+"    thresholds:\n", again("      - {above: 1, state: warning}\n"), ""),
	"a formula":           between(oneWidget+"  - {key: f, kind: stat, measure: formula, formula: 'k", again(" + k"), "'}"),
	"brackets of formula": between(oneWidget+"  - {key: f, kind: stat, measure: formula, formula: '", again("("), "'}"),
	"an unknown word":     between("id: a\nwidgets:\n  - kind: ", again("x"), ""),
	"a wrong id":          between("id: ", again("ä"), ""),
	"a wrong range":       between("id: a\nrange: now-", again("1"), ""),
}

// The parser under ours takes the square of much; what bounds its input must do.
func TestTimeGrowsWithTheFile(t *testing.T) {
	for name, build := range long {
		t.Run(name, func(t *testing.T) {
			growth.Check(t, 64<<10, 256<<10, build, func(s string) { _, _ = Parse("f", []byte(s)) })
		})
	}
}
