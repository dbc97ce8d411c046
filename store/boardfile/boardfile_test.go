package boardfile

import (
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"pulseboard/store"
)

const example = `
id: web                      # letters, digits, '-'
title: Web traffic
range: now-1h
variables:
  - {name: host, property: host}
widgets:
  - key: event_count
    title: Requests
    kind: stat
    measure: count
    event: request
  - key: unique_users
    kind: stat
    measure: uniques
  - key: error_rate
    kind: gauge
    measure: ratio
    of: ["status >= 500"]
    thresholds: [{above: 0.01, state: warning}, {above: 0.05, state: critical}]
  - key: latency
    kind: line
    measure: p95
    property: duration_ms
    unit: ms
  - key: top_pages
    kind: bars
    measure: count
    by: path
    limit: 10
    where: ["status < 400", "path starts-with /docs"]
`

func TestTheExampleOfTheContractIsRead(t *testing.T) {
	dashboards, err := Parse("web.yaml", []byte(example))
	if err != nil {
		t.Fatal(err)
	}
	d := dashboards[0]
	if d.ID != "web" || len(d.Widgets) != 5 || d.Widgets[2].Metric.Of[0].String() != "status >= 500" ||
		d.Widgets[2].Thresholds[1] != (store.Threshold{Above: 0.05, State: store.Critical}) || len(d.Widgets[4].Metric.Where) != 2 {
		t.Errorf("%+v", d)
	}
}

func TestJSONAndSeveralDocumentsAreRead(t *testing.T) {
	dashboards, err := Parse("x", []byte("\ufeff"+`{"id":"a","widgets":[{"key":"n","kind":"stat","measure":"count","where":"status = 1"}]}`+"\n---\nid: b\n"))
	if err != nil || len(dashboards) != 2 || len(dashboards[0].Widgets[0].Metric.Where) != 1 {
		t.Errorf("%+v, %v", dashboards, err)
	}
}

func TestAnErrorNamesThePlaceAndWhatWouldBeRight(t *testing.T) {
	for text, want := range map[string]string{
		"":                               "f:1:1: the file is empty",
		"id: a\ntitel: x\n":              `f:2:1: unknown field "titel" of a dashboard: did you mean title?`,
		"title: x\n":                     `f:1:1: id: "" can't be a dashboard id`,
		"id: [a]\n":                      "f:1:5: id should be a text, not a list",
		"id: a\nrange: soon\n":           "f:2:8: range: time \"soon\" is unknown",
		"id: a\nwidgets: x\n":            "f:2:10: widgets should be a list",
		"id: a\nwidgets:\n  - kind: pie": `f:3:11: unknown kind "pie": use one of stat, line`,
		"id: a\nwidgets:\n  - key: k\n":  "f:3:5: kind is missing",
		"id: a\nwidgets:\n  - {key: k, kind: stat, measure: mean}":                                   `f:3:35: unknown measure "mean"`,
		"id: a\nwidgets:\n  - {key: k, kind: stat, measure: ratio, of: [\"x ~ 1\"]}":                 `f:3:47: condition "x ~ 1": unknown operator "~"`,
		"id: a\nwidgets:\n  - {key: k, kind: bars, measure: count}":                                  "f:3:6: widgets[0].by: is missing",
		"id: a\nwidgets:\n  - {key: k, kind: bars, measure: count, by: x, limit: many}":              "f:3:56: limit should be a whole number",
		"id: a\nwidgets:\n  - {key: k, kind: gauge, measure: count, thresholds: [{state: warning}]}": "above is missing",
		"id: a\nid: b\n":              "id",
		"id: a\n---\nid: a\n":         `f:3:5: dashboard "a" stands in this file twice`,
		"id: &x a\n":                  "is not used in dashboards",
		"id: a\n  b: c\n d":           "not valid YAML",
		strings.Repeat("- ", 10_000):  "nests too deep",
		strings.Repeat("[", 10_000):   "nests too deep",
		strings.Repeat("- ", 300_000): "nests too deep",
		strings.Repeat("? ", 300_000): "nests too deep",
		"id: a\ntitle: \xff\n":        "f:2:1: the line is not valid UTF-8",
		"id: a\nwidgets:\n  - {key: k, kind: stat, measure: count, thresholds: [{above: null, state: warning}]}": "above is missing",
		strings.Repeat("x", MaxSize+1):                 "f:1:1: the file is larger than 1048576 bytes",
		strings.Repeat("- x\n", MaxSize/4) + "- x":     "f:262145:1: the file is larger than 1048576 bytes",
		strings.Repeat("---\n# x\n", maxDocuments+1):   "f:2001:1: the file has more than 1000 documents",
		strings.Repeat("x\n...\n", maxDocuments+1):     "f:2001:1: the file has more than 1000 documents",
		"id: a\n---\nid: b\n...\nid: b\n":              `f:5:5: dashboard "b" stands in this file twice`,
		"id: a\n---\n- \"x\n":                          "f:3:3: not valid YAML",
		"%YAML 1.2\n---\nid: a\n":                      "f:1:1: directives are not used in dashboards",
		"id: a\ntitle: %d\n":                           "f:2:8: a text that begins with % must stand in quotes",
		strings.Repeat("- x\n", maxTokens/2) + "- x\n": "f:10001:1: the dashboard is too large",
		"id: a\n" + strings.Repeat("x", 201) + ": 1\n": "f:2:1: the name of a field is longer than 200 bytes",
	} {
		_, err := Parse("f", []byte(text))
		var e *Error
		if !errors.As(err, &e) || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%.80q: got %v, want %q", text, err, want)
		}
	}
}

// awkward are texts that a careless writer of YAML gets wrong.
var awkward = []string{"", "a", "my key", "500", "1_000", "0x1f", "1e3", "true", "null", "~", "# x", "é\"'", "a: b", "- x", "|", "{{", "@x", "%d", ".inf", "<<",
	"---", "...", "2026-02-09", " a ", "\ta", "\t!", "line\nbreak", "a\n\nb\n", "a\n\n", "\n a\n", "a \nb", "\u0000", "\r\n", "\u2028", "\ufeff", strings.Repeat("[", 3*maxDepth)}

func drawDashboard(t *rapid.T) store.Dashboard {
	word := rapid.OneOf(rapid.SampledFrom(awkward), rapid.String(), rapid.StringMatching(`[ \n#:\-\[\]{}"'|>&*!%a-c0-2\t]{0,12}`),
		rapid.StringMatching(`[a-c#:-][ \na-c#:-]{0,20}[a-c\n]`))
	d := store.Dashboard{ID: "d-1", Title: word.Draw(t, "title"), Range: rapid.SampledFrom([]string{"", "now-6h"}).Draw(t, "range")}
	d.Widgets = append(d.Widgets, store.Widget{Key: "base", Kind: store.Stat, Metric: store.Metric{Measure: store.Count}})
	for i := range rapid.IntRange(0, 3).Draw(t, "widgets") {
		w := store.Widget{Key: store.WidgetKey(fmt.Sprintf("w_%d", i)), Title: word.Draw(t, "title"), Unit: word.Draw(t, "unit"), Width: rapid.IntRange(0, 12).Draw(t, "width")}
		switch rapid.IntRange(0, 4).Draw(t, "kind") {
		case 3:
			w.Kind, w.Metric = store.Line, store.Metric{Measure: store.Rate, Per: rapid.SampledFrom(store.Pers).Draw(t, "per")}
		case 4:
			w.Kind, w.Compare, w.Better = store.Stat, store.Previous, rapid.SampledFrom([]store.Direction{"", store.Lower}).Draw(t, "better")
			w.Metric = store.Metric{Measure: store.Formula, Formula: rapid.SampledFrom([]string{"base / 2", "- base * 100", "base > 1 ? -1 : 2", "(base)", "base\n+ 1", "!(base > 1) ? 1 : base"}).Draw(t, "formula")}
		case 0:
			w.Kind, w.Text = store.TextKind, word.Draw(t, "text")
		case 1:
			w.Kind, w.Metric = store.Gauge, store.Metric{Measure: store.Ratio, Event: word.Draw(t, "event")}
			w.Max = rapid.Float64().Draw(t, "max")
			for range rapid.IntRange(1, 2).Draw(t, "of") {
				c, err := store.ParseCondition(rapid.SampledFrom([]string{"a >= 0.5", `b = "5"`, `"my key" in [x, y]`, `c != ""`}).Draw(t, "condition"))
				if err != nil {
					t.Fatal(err)
				}
				w.Metric.Of = append(w.Metric.Of, c)
			}
			w.Thresholds = []store.Threshold{{Above: rapid.Float64().Draw(t, "above"), State: store.Warning}}
		case 2:
			w.Kind, w.Limit = store.Bars, rapid.IntRange(0, 20).Draw(t, "limit")
			w.Metric = store.Metric{Measure: store.P99, Property: "500", By: "true"}
		}
		d.Widgets = append(d.Widgets, w)
	}
	return d
}

func TestWhatIsWrittenReadsBackTheSame(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		d := drawDashboard(t)
		text, err := YAML(d)
		if err != nil {
			t.Fatal(err)
		}
		again, err := Parse("x", text)
		if err != nil {
			t.Fatalf("%v\n%s", err, text)
		}
		if len(again) != 1 || !reflect.DeepEqual(again[0], d) {
			t.Fatalf("got %+v\nwant %+v\n%s", again[0], d, text)
		}
	})
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{example, "id: a", `{"id":"a"}`, "a: &x [*x]", "? a\n: b", "!!int x", "- - -", "id: |\n  a\n"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		dashboards, err := Parse("x", data)
		if err != nil {
			var e *Error
			if !errors.As(err, &e) || e.Line < 1 || strings.Contains(err.Error(), "\n") {
				t.Fatalf("%q gives %v", data, err)
			}
			return
		}
		for _, d := range dashboards {
			text, err := YAML(d)
			if err != nil {
				t.Fatal(err)
			}
			if again, err := Parse("x", text); err != nil || len(again) != 1 || !reflect.DeepEqual(again[0], d) {
				t.Fatalf("%q\n%s\n%v", data, text, err)
			}
		}
	})
}

// A dashboard may be larger as YAML than in the file that it came in.
func TestWhatCouldNotBeReadAgainIsNotWritten(t *testing.T) {
	words := `{"id":"a","widgets":[{"key":"k","kind":"text","text":"` + strings.Repeat("\u0085", MaxSize/3) + `"}]}`
	dashboards, err := Parse("f", []byte(words))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := YAML(dashboards[0]); err == nil || !strings.Contains(err.Error(), "1048576 are the most: shorten its texts") {
		t.Errorf("%v", err)
	}
}

// Those who write JSON are told what would be right in JSON, in its words.
func TestAnErrorInJSONIsAsGoodAsOneInYAML(t *testing.T) {
	for text, want := range map[string]string{
		"{\n  \"id\": \"a\"\n  \"title\": \"b\"\n}\n":                           "f:3:3: not valid JSON: ',' or '}' must be specified: put a comma before this",
		"{\n  \"id\": \"a\",\n  \"title\": \"b\"\n":                             "f:1:1: not valid JSON: could not find flow mapping end token '}': close what this { opens",
		"{\n  \"id\": \"a\",\n  \"title\" \"b\"\n}\n":                           `f:3:3: not valid JSON: could not find flow map content: fields read "NAME": VALUE`,
		"{\n  \"id\": \"a\", // mine\n  \"title\": \"b\"\n}\n":                  `f:2:14: not valid JSON: could not find flow map content: fields read "NAME": VALUE, with commas between them, and JSON has no comments`,
		"{\n  \"id\": \"a\",\n  \"title\": \"b\n}\n":                            "f:3:12: not valid JSON: could not find end character of double-quoted text: close the text",
		"{\"id\": \"a\", \"widgets\": [{\"key\": \"k\", \"kind\": \"text\"}\n}": "f:2:1: not valid JSON: ',' or ']' must be specified: put a comma before this, or close the [",
		`{"id": "a", "title": "C:\dir\q"}`:                                      `not valid JSON: found unknown escape character 'd': write \\ for a backslash`,
		`{"id": "a"} {"id": "b"}`:                                               "f:1:13: not valid JSON: value is not allowed in this context: leave it out",
		`{"id": "a", "id": "b"}`:                                                `f:1:13: "id" stands here twice: leave one out`,
		"{\n\t\"id\": \"a\",\n\t\"titel\": \"b\"\n}":                            `f:3:2: unknown field "titel" of a dashboard: did you mean title?`,
		"{\r\n  \"id\": \"a\",\r\n  \"range\": \"1h\"\r\n}":                     `f:3:12: range: time "1h" is unknown`,
		"[{\"id\": \"a\"}]":                                                     "f:1:1: a dashboard should stand here, with the fields id, title, range, variables, widgets; this is a list",
		"id: a\ntitle: {x: 1 y: 2}\n":                                           "f:2:",
		"id: a\n\ttitle: b\n":                                                   "not valid YAML: found character '\\t' that cannot start any token: indent with spaces",
		"id: a\nid: b\n":                                                        `f:2:1: "id" stands here twice: leave one out`,
	} {
		_, err := Parse("f", []byte(text))
		var e *Error
		if !errors.As(err, &e) || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%.80q: got %v, want %q", text, err, want)
		}
	}
}

func TestEachNumberOfJSONIsANumber(t *testing.T) {
	for text, want := range map[string]float64{"1e3": 1000, "1E3": 1000, "2e+1": 20, "-5e-1": -0.5, "1.5e2": 150, "1.5E+2": 150, "0": 0, "-7": -7, "0.25": 0.25} {
		boards, err := Parse("f", []byte(`{"id":"a","title":`+text+`,"widgets":[{"key":"k","kind":"gauge","measure":"count","max":`+text+`}]}`))
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		if d := boards[0]; d.Widgets[0].Max != want || d.Title != text {
			t.Errorf("%s is %v, and %q as a text", text, d.Widgets[0].Max, d.Title)
		}
	}
	// What no number holds is a text, for it may be the name of something.
	if boards, err := Parse("f", []byte("id: a\ntitle: 1e999\n")); err != nil || boards[0].Title != "1e999" {
		t.Errorf("%+v, %v", boards, err)
	}
}
