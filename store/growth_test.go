package store

import (
	"strings"
	"testing"

	"pulseboard/store/growth"
)

func TestTimeGrowsWithTheText(t *testing.T) {
	condition := func(s string) { _, _ = ParseCondition(s) }
	bound := func(s string) { _, _ = ParseBound(s) }
	properties := func(s string) { _, _ = ParseProperties([]byte(s)) }
	for name, c := range map[string]struct {
		read                 func(string)
		before, again, after string
	}{
		"a list":                 {condition, "a in ", "b, ", "c"},
		"a list in quotes":       {condition, "a in [", `"b" , `, `"c"]`},
		"a list in brackets":     {condition, "a in ", "[", ""},
		"commas":                 {condition, "a in ", ",", ""},
		"a quote never closed":   {condition, `a = "`, `\\`, ""},
		"quotes never closed":    {condition, `a in `, `"b\",`, ""},
		"a field in quotes":      {condition, `"`, `\n`, `" = 1`},
		"a word":                 {condition, "a ", "x", ""},
		"spaces":                 {condition, "a", " ", "="},
		"a number":               {condition, "a = ", "1", ""},
		"a time":                 {bound, "", "1", ""},
		"a time from now":        {bound, "now-", "1", "h"},
		"a time of the standard": {bound, "2026-02-09T15:12:00.", "0", "Z"},
		"properties":             {properties, "{", `"a":"b",`, `"c":1}`},
		"properties, escapes":    {properties, `{"a":"`, `\n`, `"}`},
		"properties, open":       {properties, "{", `"`, ""},
		"properties, a number":   {properties, `{"a":`, "1", "}"},
	} {
		t.Run(name, func(t *testing.T) {
			growth.Check(t, 64<<10, 4<<20, func(n int) string {
				return c.before + strings.Repeat(c.again, n/len(c.again)) + c.after
			}, c.read)
		})
	}
}
