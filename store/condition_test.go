package store

import (
	"reflect"
	"testing"
)

func TestConditions(t *testing.T) {
	e := Event{Name: "request", User: "u1", Properties: NewProperties([]Property{
		{"status", Num(500)}, {"text", Text("500")}, {"path", Text("/docs/a b")}, {"yes", Bool(true)}, {"null", Null}, {"my key", Num(1)},
	})}
	for text, want := range map[string]bool{
		"status >= 500": true, "status>499": true, "status > 500": false, "status = 500": true, "status = 500.0": true, "status != 500": false,
		`status = "500"`: true, `status = "500.0"`: false, "status contains 0": true, "status < x": false,
		"text = 500": true, "text >= 500": false, "text = 500.0": false, "text in 1, 500": true,
		"path starts-with /docs": true, "path contains a b": true, `path = "/docs/a b"`: true, "path in (/docs/a b, /x)": true,
		"yes = true": true, "yes != true": false, "yes = 1": false,
		"null = null": false, "null != x": true, "missing != x": true, "missing = x": false, "missing < 1": false, "missing contains x": false,
		"event = request": true, "user = u1": true, "user != u2": true, `"my key" = 1`: true, `path != ""`: true,
	} {
		c, err := ParseCondition(text)
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		if got := c.Holds(&e); got != want {
			t.Errorf("%s is %v", text, got)
		}
	}
	for _, bad := range []string{"", "status", "status >=", "status ~ 1", "status is 1", `path = "open`, `path = "a" b`, "= 1", "x in a,,b"} {
		if c, err := ParseCondition(bad); err == nil {
			t.Errorf("%q is taken as %v", bad, c)
		}
	}
}

func FuzzParseCondition(f *testing.F) {
	for _, s := range []string{"status >= 500", `a = " x"`, "a in [b, c]", `"a b" != "\""`, `a in "x,y", z`, "a<b", `a = "500"`} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		c, err := ParseCondition(s)
		if err != nil {
			return
		}
		again, err := ParseCondition(c.String())
		if err != nil || !reflect.DeepEqual(again, c) {
			t.Fatalf("%q is written %q and reads back as %+v, not %+v (%v)", s, c.String(), again, c, err)
		}
	})
}
