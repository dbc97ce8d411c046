package boardfile

import (
	"errors"
	"fmt"
	"math"
	"regexp"
	"strconv"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/token"

	"pulseboard/store"
)

// hints complete the messages of the library, which say what is wrong, with a hint at what
// would be right. Each goes with the messages of one beginning.
var hints = []struct{ message, yaml, json string }{
	{"could not find flow map content", "fields in { } read NAME: VALUE, with commas between them", `fields read "NAME": VALUE, with commas between them, and JSON has no comments`},
	{"',' or '}' must be specified", "put a comma before this, or close the { before it", "put a comma before this, or close the { before it"},
	{"',' or ']' must be specified", "put a comma before this, or close the [ before it", "put a comma before this, or close the [ before it"},
	{"could not find flow mapping end token", "close what this { opens", "close what this { opens"},
	{"sequence end token ']' not found", "close what this [ opens", "close what this [ opens"},
	{"value is not allowed in this context", "leave it out, or correct the line before it", "leave it out: the dashboard ends before it, and another goes into a file of its own"},
	{"mapping value is not allowed in this context", "indent fields of a thing alike, and put texts with ': ' in quotes", ""},
	{"unexpected key name", "write the field as NAME: VALUE", `write the field as "NAME": VALUE`},
	{"non-map value is specified", "write the field as NAME: VALUE, and indent fields of a thing alike", ""},
	{"could not find end character of", "close the text with the quote that it begins with", "close the text with the quote that it begins with"},
	{"found unknown escape character", `write \\ for a backslash, or put the text in single quotes`, `write \\ for a backslash`},
	{"found a tab character", "indent with spaces", ""},
	{`found character '\t'`, "indent with spaces", ""},
	{"tab character cannot", "indent with spaces", ""},
}

// syntaxError returns the error to show for one of the library's about a document.
func syntaxError(err error, document token.Tokens) error {
	format := "YAML"
	if isJSON(document) {
		format = "JSON"
	}
	var ye yaml.Error
	if !errors.As(err, &ye) || ye.GetToken() == nil {
		return fmt.Errorf("not valid %s: %s", format, firstLine(err.Error()))
	}
	message := firstLine(ye.GetMessage())
	for _, h := range hints {
		hint := map[string]string{"YAML": h.yaml, "JSON": h.json}[format]
		if strings.HasPrefix(message, h.message) && hint != "" {
			message += ": " + hint
			break
		}
	}
	return errorAt(ye.GetToken(), "not valid "+format+": "+message)
}

// isJSON reports whether a document begins as JSON does, with { and a name in double quotes.
func isJSON(document token.Tokens) bool {
	return len(document) > 1 && document[0].Type == token.MappingStartType && document[1].Type == token.DoubleQuoteType
}

// firstLine returns the part of a library's message that an error repeats.
func firstLine(s string) string {
	first, _, _ := strings.Cut(s, "\n")
	return store.Cut(strings.ReplaceAll(first, "\t", `\t`), 200)
}

// exponential matches the numbers of JSON and YAML 1.2 that the library reads as texts,
// because YAML 1.1 wants a point in them.
var exponential = regexp.MustCompile(`^-?[0-9]+[eE][+-]?[0-9]+$`)

// exponentialNumber reads such a number. ok is false for all else, and for a number that no
// float64 holds, which may well be a name.
func exponentialNumber(t *token.Token) (f float64, ok bool) {
	if t.Type != token.StringType || !exponential.MatchString(t.Value) {
		return 0, false
	}
	f, err := strconv.ParseFloat(t.Value, 64)
	return f, err == nil && !math.IsInf(f, 0)
}
