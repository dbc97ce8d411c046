package views

import (
	"bytes"
	"context"
	"regexp"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/a-h/templ"
	"pgregory.net/rapid"

	"pulseboard/store"
)

func markup(t testing.TB, c templ.Component) string {
	t.Helper()
	var b bytes.Buffer
	if err := c.Render(t.Context(), &b); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

const hostile = "<script>alert(1)</script>\"' onload=x \u2028"

var window = store.Window{From: 1739113200, To: 1739113500, Step: 60}

func points(numbers ...float64) []store.Point {
	ps := make([]store.Point, len(numbers))
	for i, f := range numbers {
		ps[i] = store.Point{At: window.From + int64(i)*60, Number: store.Of(f)}
	}
	return ps
}

// widgets is one widget of each kind and state.
func widgets() map[string]Widget {
	make := func(kind store.Kind, reading store.Reading, spark []store.Point, thresholds ...store.Threshold) Widget {
		def := store.Widget{Key: "error_rate", Kind: kind, Title: hostile, Unit: "ms", Thresholds: thresholds,
			Metric: store.Metric{Measure: store.Avg, Property: "ms", By: "path"}}
		w := Widget{Def: def, Window: window, Live: true}
		if reading != nil {
			w.Reading = store.NewWidgetReading(def.Key, reading, spark)
		}
		return w
	}
	gap := points(1, 2, 3, 4, 5)
	gap[2].Number = store.Number{}
	compared := make(store.Stat, store.Of(1523), points(1, 2, 3, 2, 1))
	compared.Reading.Compared, compared.Reading.Previous, compared.Reading.PreviousSpark = true, store.Of(1400), points(2, 2, 2, 2, 2)
	words := make(store.TextKind, nil, nil)
	words.Def.Text = "# Title\n**bold** <img src=x onerror=alert(1)> [x](javascript:alert(1)) [y](https://example.com)"
	return map[string]Widget{
		"stat":           make(store.Stat, store.Of(1523), points(1, 2, 3, 2, 1)),
		"stat, warning":  make(store.Stat, store.Of(1523), points(1, 2, 3, 2, 1), store.Threshold{Above: 1000, State: store.Warning}),
		"stat, critical": make(store.Stat, store.Of(1523), nil, store.Threshold{Above: 1, State: store.Warning}, store.Threshold{Above: 2, State: store.Critical}),
		"stat, compared": compared,
		"stat, empty":    make(store.Stat, store.Number{}, points()),
		"gauge":          make(store.Gauge, store.Of(184), nil, store.Threshold{Above: 250, State: store.Warning}, store.Threshold{Above: 350, State: store.Critical}),
		"line":           make(store.Line, store.Series{Step: 60, Points: gap}, nil, store.Threshold{Above: 3, State: store.Warning}),
		"line, empty":    make(store.Line, store.Series{Step: 60, Points: []store.Point{{At: 1}, {At: 61}}}, nil),
		"grouped":        make(store.Line, store.GroupedSeries{Step: 60, Groups: []store.GroupSeries{{Group: hostile, Points: gap}, {Group: "b", Points: points(0, 0, 0, 0, 0)}}}, nil),
		"bars":           make(store.Bars, store.Ranking{{Group: hostile, Number: store.Of(10)}, {Group: "b", Number: store.Of(5)}, {Group: "c"}}, nil, store.Threshold{Above: 7, State: store.Warning}),
		"table":          make(store.Table, store.Ranking{{Group: hostile, Number: store.Of(10)}}, nil),
		"bars, empty":    make(store.Bars, store.Ranking{}, nil),
		"status":         make(store.Status, store.Ranking{{Group: hostile, Number: store.Of(10)}, {Group: "b", Number: store.Of(5)}, {Group: "c", Number: store.Of(1)}, {Group: "d"}}, nil, store.Threshold{Above: 3, State: store.Warning}, store.Threshold{Above: 7, State: store.Critical}),
		"status, calm":   make(store.Status, store.Ranking{{Group: "b", Number: store.Of(5)}}, nil),
		"text":           words,
	}
}

var (
	beginsWithID = regexp.MustCompile(`^<(section|div|span|p|ul|ol|li|svg) id="[^"]+"`)
	forbidden    = regexp.MustCompile(`(?i)<script|\sstyle=|<img|javascript:|NaN|Inf\b`)
)

// The stream replaces parts of widgets by id: a part must stand in the whole as
// it stands alone, and both must begin with their id.
func TestThePartsOfAWidgetStandInTheWhole(t *testing.T) {
	for name, w := range widgets() {
		whole := markup(t, w.Whole())
		if whole != markup(t, w.Whole()) {
			t.Errorf("%s is drawn in two ways", name)
		}
		if !strings.HasPrefix(whole, `<section id="widget-error_rate" class="widget widget-`+string(w.Def.Kind)) {
			t.Errorf("%s begins %.80s", name, whole)
		}
		outside := whole
		for _, part := range w.Parts() {
			html := markup(t, part.Component)
			if !beginsWithID.MatchString(html) || !strings.HasPrefix(part.ID, "widget-error_rate--") || !strings.Contains(html, `id="`+part.ID+`"`) {
				t.Errorf("%s: part %s begins %.80s", name, part.ID, html)
			}
			if strings.Count(whole, html) != 1 {
				t.Errorf("%s: part %s does not stand in the whole", name, part.ID)
			}
			outside = strings.Replace(outside, html, "", 1)
		}
		if found := forbidden.FindString(whole); found != "" {
			t.Errorf("%s holds %q", name, found)
		}
	}
}

// What differs outside the parts must show in the shell, or a screen would keep it.
func TestTheShellTellsWhenTheWholeHasToBeReplaced(t *testing.T) {
	all := widgets()
	outside := func(w Widget) string {
		html := markup(t, w.Whole())
		for _, part := range w.Parts() {
			html = strings.Replace(html, markup(t, part.Component), "", 1)
		}
		return html
	}
	for a, one := range all {
		for b, other := range all {
			if outside(one) != outside(other) && one.Shell() == other.Shell() {
				t.Errorf("%s and %s differ outside their parts and share a shell", a, b)
			}
		}
	}
	calm, same := all["stat"], all["stat"]
	same.Reading = store.NewWidgetReading("error_rate", store.Of(7), points(3, 2, 1, 1, 1))
	if calm.Shell() != same.Shell() || outside(calm) != outside(same) {
		t.Error("another number changes the shell")
	}
}

func TestNumbersAreWrittenForPeople(t *testing.T) {
	for _, c := range []struct {
		unit    string
		measure store.Measure
		f       float64
		want    string
	}{
		{"", store.Count, 1523, "1,523"}, {"", store.Count, 12400, "12.4k"}, {"", store.Count, 1_234_567, "1.2M"}, {"", store.Count, 999_960, "1M"},
		{"", store.Avg, 0.126, "0.13"}, {"", store.Avg, -5.5, "−5.5"}, {"", store.Avg, 0, "0"}, {"", store.Avg, 1e200, "1e+200"}, {"", store.Avg, 0.00012, "0.00012"},
		{"ms", store.P95, 184.26, "184.3 ms"}, {"ms", store.P95, 1400, "1.4 s"}, {"bytes", store.Sum, 838782701, "838.8 MB"},
		{"€", store.Sum, 36.03, "€36.03"}, {"€", store.Sum, 4612.4, "€4,612"}, {"EUR", store.Sum, 12400, "€12.4k"}, {"", store.Ratio, 0.012, "1.2 %"}, {"jobs", store.Count, 3, "3 jobs"},
	} {
		w := store.Widget{Unit: c.unit, Metric: store.Metric{Measure: c.measure}}
		if got := figureOf(w, store.Of(c.f), true).String(); got != c.want {
			t.Errorf("%v %s is %q, want %q", c.f, c.unit, got, c.want)
		}
	}
	if got := figureOf(store.Widget{}, store.Number{}, true).String(); got != "—" {
		t.Errorf("no number is %q", got)
	}
	if got := figureOf(store.Widget{}, store.Number{Value: 12_400, Valid: true, About: true}, true).String(); got != "about 12.4k" {
		t.Errorf("an estimated number is %q", got)
	}
}

func TestTicksAreRoundAndCoverWhatIsDrawn(t *testing.T) {
	for _, c := range [][2]float64{{0, 0}, {0, 1}, {0, 7}, {0, 99}, {0, 101}, {-3, 8}, {-50, -1}, {0, 1e200}, {0, 1e-9}, {0.4, 0.5}} {
		s, values := ticks(c[0], c[1])
		if s.low > c[0] || s.high < c[1] || len(values) < 2 || len(values) > 6 {
			t.Errorf("%v: %v, %v", c, s, values)
		}
	}
}

func TestASparkOfNearlyEqualNumbersIsNearlyFlat(t *testing.T) {
	s := sparkScale(points(83_333, 83_334, 83_333))
	if part := 1 / (s.high - s.low); part > 0.001 {
		t.Errorf("a difference of 1 takes %v of the height", part)
	}
	if s := sparkScale(points(10, 20)); s.low != 10 || s.high > 21 {
		t.Errorf("from 10 to 20 the scale is %v", s)
	}
}

func TestAPathBreaksAtAGapAndKeepsALonePointVisible(t *testing.T) {
	ps := points(0, 10, 10, 5)
	ps[2].Number = store.Number{}
	if got := linePath(ps, scale{0, 10}, 100); got != "M0 100l10-100m20 50h0" {
		t.Errorf("%s", got)
	}
}

func TestTimeLabelsAreRoundAndEndNow(t *testing.T) {
	labels := timeLabels(store.Window{From: 1739113200, To: 1739116800, Step: 60})
	if n := len(labels); n < 4 || n > maxLabels+1 || labels[0].Text != "15:10" || !labels[n-1].Last || labels[n-1].Text != "15:59" {
		t.Errorf("%+v", labels)
	}
}

func TestPagesSayWhatTheyShow(t *testing.T) {
	r, err := store.ParseRange("now-1h", "now")
	if err != nil {
		t.Fatal(err)
	}
	page := BoardPage{Page: Page{Title: hostile, UserEmail: "ann@example.com", Demo: true}, ID: "web", Title: hostile, Range: r, Window: window,
		Refresh: store.Every15s, Cursor: "7", StreamURL: "/api/stream/dashboard/web?from=now-1h", AsOf: time.Unix(0, 0), PollSeconds: 30}
	for _, w := range widgets() {
		page.Widgets = append(page.Widgets, w)
	}
	html := markup(t, Board(page))
	for _, want := range []string{`data-live="connecting"`, `data-cursor="7"`, `sse-connect="/api/stream/dashboard/web?from=now-1h"`, `sse-swap="metric_update"`,
		`value="15s" aria-pressed="true"`, `value="5s" aria-pressed="false"`, "Demo data", "Last 1 hour", `<noscript><meta http-equiv="refresh" content="30">`, `role="status" id="announcer"`} {
		if !strings.Contains(html, want) {
			t.Errorf("the board lacks %s", want)
		}
	}
	if strings.Contains(html, "<script>alert") {
		t.Error("text of an event is markup")
	}
	page.Refresh = store.Off
	if !strings.Contains(markup(t, Board(page)), `data-live="paused"`) {
		t.Error("a board whose refresh is off does not begin paused")
	}
	page.Polling = true
	if html := markup(t, Board(page)); strings.Contains(html, "sse-connect") || strings.Contains(html, "<script") || !strings.Contains(html, `<meta http-equiv="refresh" content="30">`) {
		t.Error("the polling page has scripts, or does not poll")
	}
	embed := markup(t, Embed(page))
	if strings.Contains(embed, "/logout") || !strings.Contains(embed, "data-embed") {
		t.Error("an embed has chrome, or does not know it is one")
	}
	first := markup(t, Dashboards(DashboardsPage{TenantSlug: "acme", BaseURL: "https://x.example"}))
	if !strings.Contains(first, "No dashboards yet") || !strings.Contains(first, "pulseboard dashboard apply --tenant acme") {
		t.Error("an empty list does not say what to do")
	}
	if !strings.Contains(markup(t, Error(ErrorPage{Status: 404, Message: "x", RequestID: "R1"})), "R1") {
		t.Error("an error page does not name its request")
	}
}

func TestAChangeIsSaidInWordsAndColour(t *testing.T) {
	hour := store.Window{From: 0, To: 3600, Step: 60}
	for _, c := range []struct {
		now, before store.Number
		better      store.Direction
		class, want string
	}{
		{store.Of(112), store.Of(100), "", "change-good", "Up 12 % vs previous hour"},
		{store.Of(112), store.Of(100), store.Lower, "change-bad", "Up 12 % vs previous hour"},
		{store.Of(50), store.Of(100), "", "change-bad", "Down 50 % vs previous hour"},
		{store.Of(50), store.Of(100), store.Lower, "change-good", "Down 50 % vs previous hour"},
		{store.Of(-1), store.Of(-2), "", "change-good", "Up 50 % vs previous hour"},
		{store.Of(100), store.Of(100), "", "", "same as previous hour"},
		{store.Of(100), store.Of(0), "", "", "nothing in the previous hour"},
		{store.Of(100), store.Number{}, "", "", "nothing in the previous hour"},
		{store.Number{}, store.Of(100), "", "", "nothing to compare"},
		{store.Of(1e200), store.Of(1e-200), "", "change-good", "Up over 1,000,000 % vs previous hour"},
	} {
		w := Widget{Def: store.Widget{Key: "n", Kind: store.Stat, Better: c.better}, Window: hour,
			Reading: store.WidgetReading{Reading: c.now, Compared: true, Previous: c.before}}
		got := w.change()
		if text := strings.TrimSpace(strings.ReplaceAll(got.Amount, "\u202f", " ") + " " + got.Words); text != c.want || got.Class != c.class {
			t.Errorf("%v against %v: %q %s, want %q %s", c.now, c.before, text, got.Class, c.want, c.class)
		}
	}
}

func TestARateNamesItsUnitOfTime(t *testing.T) {
	for per, want := range map[store.Per]string{"": "2 /s", store.PerMinute: "2 /min", store.PerHour: "2 /h"} {
		w := store.Widget{Metric: store.Metric{Measure: store.Rate, Per: per}}
		if got := strings.ReplaceAll(figureOf(w, store.Of(2), true).String(), "\u202f", " "); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

// A text in any script stays whole: no letter is cut in two on its way into a page.
func TestPagesAreUTF8(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		word := rapid.OneOf(rapid.SampledFrom([]string{"ähnlich", "日本", "👩‍👩‍👧‍👦", "e\u0301", "🇩🇪"}), rapid.StringN(1, 5, -1))
		w := widgets()["table"]
		w.Def.Metric.By, w.Def.Title = word.Draw(t, "by"), ""
		ranking := store.Ranking{{Group: word.Draw(t, "group"), Number: store.Of(1)}}
		w.Reading = store.NewWidgetReading(w.Def.Key, ranking, nil)
		page := BoardPage{Page: Page{Title: word.Draw(t, "title"), UserEmail: word.Draw(t, "email") + "." + word.Draw(t, "email") + "@example.com"}, Widgets: []Widget{w}}
		var b bytes.Buffer
		if err := Board(page).Render(context.Background(), &b); err != nil {
			t.Fatal(err)
		}
		if !utf8.Valid(b.Bytes()) {
			t.Fatal("the page is no UTF-8")
		}
	})
}

func TestInitialsAreWholeLetters(t *testing.T) {
	for email, want := range map[string]string{"ann.lee@example.com": "AL", "ann@example.com": "A", "a.b.c@example.com": "AB", "e\u0301va@example.com": "E\u0301", "@": ""} {
		if got := initials(email); got != want {
			t.Errorf("initials of %s are %q, want %q", email, got, want)
		}
	}
}
