package store

import (
	"encoding/json"
	"errors"
	"math"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func drawSnapshot(t *rapid.T, label string) Snapshot {
	s := Snapshot{ID: Seq(rapid.Int64Range(1, 9).Draw(t, label)), Window: Window{0, 60, 15}}
	keys := rapid.SliceOfNDistinct(rapid.SampledFrom([]WidgetKey{"a", "b", "c", "d"}), 0, 4, func(k WidgetKey) WidgetKey { return k }).Draw(t, label+" keys")
	for _, k := range keys {
		n := Number{}
		if rapid.Bool().Draw(t, "valid") {
			n = Of(float64(rapid.IntRange(0, 2).Draw(t, "value")))
		}
		var spark []Point
		if rapid.Bool().Draw(t, "spark") {
			spark = []Point{{0, Of(float64(rapid.IntRange(0, 1).Draw(t, "spark value")))}}
		}
		s.Widgets = append(s.Widgets, NewWidgetReading(k, n, spark))
	}
	return s
}

func TestASnapshotAndItsDeltaMakeTheNextSnapshot(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		before, next := drawSnapshot(t, "before"), drawSnapshot(t, "next")
		delta := before.Diff(next)
		if got := before.Apply(delta); !reflect.DeepEqual(got, next) {
			t.Fatalf("got %+v, want %+v", got, next)
		}
		for _, w := range delta.Changed {
			i := slices.IndexFunc(before.Widgets, func(b WidgetReading) bool { return b.Key == w.Key })
			if i >= 0 && string(before.Widgets[i].Picture()) == string(w.Picture()) {
				t.Fatalf("%s did not change and is in the delta", w.Key)
			}
		}
		if same := next.Diff(next); !same.Empty() {
			t.Fatalf("a snapshot differs from itself: %+v", same)
		}
	})
}

func TestAWindowIsTheRangeInTheSmallestStepsThatFit(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		now := time.Unix(rapid.Int64Range(1_000_000_000, 2_000_000_000).Draw(t, "now"), 0)
		seconds := rapid.Int64Range(1, 120*604800).Draw(t, "length")
		r := Range{Bound{at: now.Add(-time.Duration(seconds) * time.Second)}, Bound{relative: true}}
		w, err := r.Window(now)
		if err != nil { // just beyond the longest range, once widened
			if seconds < 119*604800 {
				t.Fatal(err)
			}
			return
		}
		if w.From%w.Step != 0 || w.To%w.Step != 0 || w.Len() < 1 || w.Len() > MaxSteps {
			t.Fatalf("%+v", w)
		}
		if w.From > r.From.at.Unix() || w.To <= now.Unix() || w.To > now.Unix()+w.Step {
			t.Fatalf("%+v does not just cover %v to %v", w, r.From.at.Unix(), now.Unix())
		}
		for _, smaller := range Steps {
			if smaller >= w.Step {
				break
			}
			from := StepStart(r.From.at.Unix(), smaller)
			if end := StepStart(now.Unix(), smaller) + smaller; end-from <= MaxSteps*smaller {
				t.Fatalf("steps of %d s would do; it has %d s", smaller, w.Step)
			}
		}
	})
}

func TestRanges(t *testing.T) {
	now := time.Date(2026, 2, 9, 15, 12, 7, 0, time.UTC)
	for _, c := range []struct {
		from, to string
		steps    int
		step     int64
		end      string
	}{
		{"now-1h", "now", 60, 60, "2026-02-09T15:13:00Z"},
		{"now-30m", "now", 120, 15, "2026-02-09T15:12:15Z"},
		{"now-24h", "now", 96, 900, "2026-02-09T15:15:00Z"},
		{"now-7d", "now", 84, 7200, "2026-02-09T16:00:00Z"},
		{"now-30d", "now", 120, 21600, "2026-02-09T18:00:00Z"},
		{"2015-05-17T00:00:00Z", "2015-05-19T00:00:00Z", 48, 3600, "2015-05-19T00:00:00Z"},
		{"1431820800000", "1431993600000", 48, 3600, "2015-05-19T00:00:00Z"},
		{"2026-02-09T16:00:10+01:00", "2026-02-09T15:01:00Z", 4, 15, "2026-02-09T15:01:00Z"},
	} {
		r, err := ParseRange(c.from, c.to)
		if err != nil {
			t.Fatal(err)
		}
		w, err := r.Window(now)
		if end := time.Unix(w.To, 0).UTC().Format(time.RFC3339); err != nil || w.Len() != c.steps || w.Step != c.step || end != c.end {
			t.Errorf("%s to %s: %d steps of %d s to %s (%v)", c.from, c.to, w.Len(), w.Step, end, err)
		}
		again, err := ParseRange(r.From.String(), r.To.String())
		if err != nil || again != r {
			t.Errorf("%s does not read back: %v %v", r, again, err)
		}
	}
	for _, bad := range [][2]string{{"now", "now"}, {"now", "now-1h"}, {"now-3y", "now"}, {"x", "now"}, {"now-1", "now"}, {"now-1h", ""}, {"-1", "now"}, {"now/d", "now"}} {
		if _, err := ParseRange(bad[0], bad[1]); err == nil {
			t.Errorf("%s to %s is taken", bad[0], bad[1])
		}
	}
}

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

func TestPropertiesReadBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var properties []Property
		for key := range rapid.MapOfN(rapid.String(), rapid.Bool(), 0, 6).Draw(t, "keys") {
			value := rapid.OneOf(rapid.Just(Null), rapid.Custom(func(t *rapid.T) Value { return Text(rapid.String().Draw(t, "text")) }),
				rapid.Custom(func(t *rapid.T) Value { return Num(rapid.Float64Range(-MaxNumber, MaxNumber).Draw(t, "number")) }),
				rapid.Custom(func(t *rapid.T) Value { return Bool(rapid.Bool().Draw(t, "bool")) })).Draw(t, "value")
			if f, ok := value.Number(); ok && f == 0 {
				value = Num(0) // −0 is written as 0
			}
			properties = append(properties, Property{strings.ToValidUTF8(key, "x"), value})
		}
		ps := NewProperties(properties)
		text := ps.AppendJSON(nil)
		if !json.Valid(text) || strings.ContainsAny(string(text), "\n\r\x00<>\u2028") {
			t.Fatalf("%q", text)
		}
		again, err := ParseProperties(text)
		if err != nil || len(again) != len(ps) || (len(ps) > 0 && !reflect.DeepEqual(again, ps)) {
			t.Fatalf("%s reads back as %v (%v)", text, again, err)
		}
	})
}

func FuzzParseProperties(f *testing.F) {
	for _, s := range []string{`{}`, `{"a":1}`, `{"a":"\u0000","b":null,"c":true,"d":-1e-7}`, `{"a"`, `{"a":{}}`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		ps, err := ParseProperties(text)
		if err == nil && !json.Valid(ps.AppendJSON(nil)) {
			t.Fatalf("%q gives %q", text, ps.AppendJSON(nil))
		}
	})
}

func TestReadingsAreFiniteJSON(t *testing.T) {
	for _, f := range []float64{0, math.Copysign(0, -1), 1e21, 1e-7, 0.012, 1523, -1e200, math.MaxFloat64, 5e-324} {
		text := Of(f).AppendJSON(nil)
		var back float64
		if err := json.Unmarshal(text, &back); err != nil || back != f {
			t.Errorf("%v is written %s (%v)", f, text, err)
		}
	}
	if got := string(Number{}.AppendJSON(nil)); got != "null" {
		t.Errorf("no number is %s", got)
	}
}

func TestADashboardIsCheckedWithAPathToTheFault(t *testing.T) {
	names := func(string) ([]string, error) { return []string{"a", "e"}, nil } // of the one formula
	good := func() Dashboard {
		of, _ := ParseCondition("status = 500")
		return Dashboard{ID: "web", Variables: []Variable{{"host", "host"}}, Widgets: []Widget{
			{Key: "a", Kind: Stat, Metric: Metric{Measure: Count}},
			{Key: "b", Kind: Gauge, Metric: Metric{Measure: Ratio, Of: []Condition{of}}},
			{Key: "c", Kind: Bars, Metric: Metric{Measure: P95, Property: "ms", By: "path"}},
			{Key: "d", Kind: TextKind, Text: "words"},
			{Key: "e", Kind: Line, Metric: Metric{Measure: Rate, Per: PerHour}},
			{Key: "f", Kind: Stat, Compare: Previous, Better: Lower, Metric: Metric{Measure: Formula, Formula: "round(100 * a / e)"}},
		}}
	}
	if err := good().Validate(names); err != nil {
		t.Fatal(err)
	}
	for path, change := range map[string]func(*Dashboard){
		"id":                             func(d *Dashboard) { d.ID = "a b" },
		"range":                          func(d *Dashboard) { d.Range = "soon" },
		"variables[0].property":          func(d *Dashboard) { d.Variables[0].Property = "" },
		"widgets[0].key":                 func(d *Dashboard) { d.Widgets[0].Key = "a--b" },
		"widgets[1].key":                 func(d *Dashboard) { d.Widgets[1].Key = "a" },
		"widgets[0].kind":                func(d *Dashboard) { d.Widgets[0].Kind = "pie" },
		"widgets[0].measure":             func(d *Dashboard) { d.Widgets[0].Metric.Measure = "mean" },
		"widgets[0].by":                  func(d *Dashboard) { d.Widgets[0].Metric.By = "path" },
		"widgets[1].of":                  func(d *Dashboard) { d.Widgets[1].Metric.Of = nil },
		"widgets[2].by":                  func(d *Dashboard) { d.Widgets[2].Metric.By = "" },
		"widgets[2].property":            func(d *Dashboard) { d.Widgets[2].Metric.Property = "" },
		"widgets[0].property":            func(d *Dashboard) { d.Widgets[0].Metric.Property = "x" },
		"widgets[3].measure":             func(d *Dashboard) { d.Widgets[3].Metric.Measure = Count },
		"widgets[0].per":                 func(d *Dashboard) { d.Widgets[0].Metric.Per = PerHour },
		"widgets[4].per":                 func(d *Dashboard) { d.Widgets[4].Metric.Per = "1d" },
		"widgets[4].compare":             func(d *Dashboard) { d.Widgets[4].Compare = Previous },
		"widgets[5].compare":             func(d *Dashboard) { d.Widgets[5].Compare = "last" },
		"widgets[5].better":              func(d *Dashboard) { d.Widgets[5].Better = "up" },
		"widgets[0].better":              func(d *Dashboard) { d.Widgets[0].Better = Higher },
		"widgets[0].formula":             func(d *Dashboard) { d.Widgets[0].Metric.Formula = "e" },
		"widgets[5].event":               func(d *Dashboard) { d.Widgets[5].Metric.Event = "request" },
		"widgets[5].kind":                func(d *Dashboard) { d.Widgets[5].Kind, d.Widgets[5].Compare, d.Widgets[5].Better = Bars, "", "" },
		"widgets[0].limit":               func(d *Dashboard) { d.Widgets[0].Limit = MaxLimit + 1 },
		"widgets[0].thresholds[0].state": func(d *Dashboard) { d.Widgets[0].Thresholds = []Threshold{{1, "bad"}} },
	} {
		d := good()
		change(&d)
		var fault *FieldError
		if err := d.Validate(names); !errors.As(err, &fault) || fault.Path != path {
			t.Errorf("want a fault at %s, got %v", path, err)
		}
	}
}

func TestNamesAreChecked(t *testing.T) {
	for text, ok := range map[string]bool{"acme": true, "a-1": true, "": false, "-a": false, "A": false, "a b": false, "../x": false} {
		if _, err := ParseSlug(text); (err == nil) != ok {
			t.Errorf("slug %q: %v", text, err)
		}
	}
	for text, ok := range map[string]bool{"a@b": true, " Ann@Example.COM ": true, "a": false, "@b": false, "a@": false, "a@b@c": false, "a b@c": false} {
		if _, err := ParseEmail(text); (err == nil) != ok {
			t.Errorf("e-mail %q: %v", text, err)
		}
	}
	for text, ok := range map[string]bool{"1": true, "0": false, "-1": false, "+1": false, "01": false, "": false, " 1": false, "1.0": false, "9223372036854775808": false} {
		if _, got := ParseSeq(text); got != ok {
			t.Errorf("cursor %q: %v", text, got)
		}
	}
	if Every15s.Interval(20*time.Second) != 20*time.Second || Live.Interval(time.Second) != time.Second || Off.Interval(time.Second) != 0 {
		t.Error("an interval is no shorter than the cycle, and off has none")
	}
}

// A cursor is what String writes, and nothing else, whatever a client sends.
func FuzzParseSeq(f *testing.F) {
	for _, text := range []string{"1", "0", "-1", "+1", "01", "1e3", "9223372036854775807", "9223372036854775808", "１", "1\x00"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if seq, ok := ParseSeq(text); ok != (seq > 0) || ok && seq.String() != text {
			t.Errorf("%q is read as %d, %v", text, seq, ok)
		}
	})
}

func TestViewsThatLookAtTheSameShareAKey(t *testing.T) {
	r, _ := ParseRange("now-1h", "now")
	a := View{Dashboard: "d", Range: r, Vars: Vars{"x": {"2", "1", "2"}}}
	b := View{Dashboard: "d", Range: r, Vars: Vars{"x": {"1", "2"}}}
	if a.Key() != b.Key() {
		t.Errorf("%s and %s", a.Key(), b.Key())
	}
	b.Vars["x"] = []string{"1"}
	if a.Key() == b.Key() {
		t.Error("other values share a key")
	}
}
