package house

import (
	"path"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"
)

const maxLines = 450

func TestFilesAreShort(t *testing.T) {
	for _, name := range files(t) {
		if !slices.Contains([]string{".go", ".templ", ".css", ".js"}, path.Ext(name)) || vendored(name) || strings.HasSuffix(name, "_templ.go") {
			continue
		}
		if lines := strings.Count(read(t, name), "\n"); lines > maxLines {
			t.Errorf("%s has %d lines, more than %d: which two things does it do?", name, lines, maxLines)
		}
	}
}

// private finds text that means something on one desk only: notes of what is still to be done, folders of
// one machine, and how the text came to be. The words stand here with a gap, so that this file
// is no exception.
var private = regexp.MustCompile(strings.ReplaceAll(strings.Join([]string{
	`\bTO~DO\b`, `\bFIX~ME\b`, `\bX~XX\b`, `\bHA~CK\b`,
	`/ho~me/\w`, `/ro~ot\b`, `/Us~ers/\w`, `/wo~rk/\w`, `/t~mp/w`, `\bC:\\Us~ers`,
	`(?i:\bcl~aude\b|\banth~ropic\b|\bopen~ai\b|\bchat~gpt\b|\bgp~t-?\d|\bco~pilot\b|\bgem~ini\b|\bL~LMs?\b)`,
	`\bA~I\b`, `(?i:\bart~ificial intelligence\b|\blanguage mo~del|\bco-auth~ored-by\b|\bthis ses~sion\b|\bas an as~sistant\b|\bpro~mpt (engineer|template))`,
}, "|"), "~", ""))

func TestFilesSayNothingPrivate(t *testing.T) {
	for _, name := range files(t) {
		text := read(t, name)
		if vendored(name) || !utf8.ValidString(text) || strings.ContainsRune(text, 0) {
			continue
		}
		for i, line := range strings.Split(text, "\n") {
			if found := private.FindString(line); found != "" {
				t.Errorf("%s:%d says %q", name, i+1, found)
			}
		}
	}
}
