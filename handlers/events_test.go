package handlers_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"
)

func mustURL(t *testing.T, text string) *url.URL {
	t.Helper()
	u, err := url.Parse(text)
	must(t, err)
	return u
}

type taken struct {
	Accepted  int
	Duplicate int
	Rejected  []struct {
		Index         int
		Code, Message string
	}
}

func (a answer) taken(t *testing.T) taken {
	t.Helper()
	var got taken
	if err := json.Unmarshal([]byte(a.body), &got); a.status != http.StatusAccepted || err != nil {
		t.Fatalf("%d %s (%v)", a.status, a.body, err)
	}
	return got
}

// count is what the board counts now.
func (w *world) count(client *http.Client) string {
	w.t.Helper()
	var snapshot struct{ Readings map[string]json.RawMessage }
	must(w.t, json.Unmarshal([]byte(w.get(client, "/api/dashboards/web/snapshot").body), &snapshot))
	return string(snapshot.Readings["count"])
}

func TestEventsInEveryFormAreCountedWhenAnswered(t *testing.T) {
	w := newWorld(t)
	client := w.signIn("ann@example.com")
	gzipped := &bytes.Buffer{}
	z := gzip.NewWriter(gzipped)
	_, _ = z.Write([]byte(`{"event":"a"}`))
	z.Close()
	packer, _ := zstd.NewWriter(nil)
	total := 0
	for _, c := range []struct {
		name, body string
		headers    []string
		events     int
	}{
		{"an object", `{"event":"a"}`, nil, 1},
		{"an array", `[{"event":"a"},{"event":"b","time":1700000000000},{"event":"c"}]`, []string{"Content-Type", "application/json"}, 3},
		{"NDJSON", "{\"event\":\"a\"}\n\n{\"event\":\"b\"}\r\n", []string{"Content-Type", "application/x-ndjson"}, 2},
		{"NDJSON without its name", "{\"event\":\"a\"}\n{\"event\":\"b\"}\n", []string{"Content-Type", "application/x-www-form-urlencoded"}, 2},
		{"gzip", gzipped.String(), []string{"Content-Encoding", "gzip"}, 1},
		{"zstd", string(packer.EncodeAll([]byte(`[{"event":"a"}]`), nil)), []string{"Content-Encoding", "zstd"}, 1},
		{"no events", `[]`, nil, 0},
	} {
		got := w.send(c.body, c.headers...).taken(t)
		if got.Accepted != c.events || len(got.Rejected) != 0 {
			t.Errorf("%s: %+v", c.name, got)
		}
		total += c.events
		want := total
		if total >= 4 {
			want-- // one of the array lies in 2023
		}
		if got := w.count(client); got != fmt.Sprint(want) {
			t.Errorf("%s: the board counts %s, want %d", c.name, got, want)
		}
	}
}

func TestWhatCannotBeReadIsRefusedWhole(t *testing.T) {
	w := newWorld(t)
	bomb := &bytes.Buffer{}
	z := gzip.NewWriter(bomb)
	_, _ = z.Write([]byte(`[{"event":"` + strings.Repeat("a", 9<<20) + `"}]`))
	z.Close()
	for _, c := range []struct {
		name, body string
		status     int
		headers    []string
	}{
		{"text after the JSON", `{"event":"a"}}`, 400, nil},
		{"more after the JSON", `{"event":"a"} {"event":"b"}`, 400, []string{"Content-Type", "application/json"}},
		{"half an array", `[{"event":"a"}`, 400, nil},
		{"nothing", ``, 400, nil},
		{"no object", `"a"`, 400, nil},
		{"invalid UTF-8", "{\"event\":\"a\xff\"}", 400, nil},
		{"no gzip", `{"event":"a"}`, 400, []string{"Content-Encoding", "gzip"}},
		{"brotli", `{"event":"a"}`, 415, []string{"Content-Encoding", "br"}},
		{"a bomb", bomb.String(), 413, []string{"Content-Encoding", "gzip"}},
		{"too large", `[` + strings.Repeat(" ", 8<<20) + `]`, 413, nil},
		{"too many", `[` + strings.Repeat(`{"event":"a"},`, 10_000) + `{"event":"a"}]`, 413, nil},
	} {
		a := w.send(c.body, c.headers...)
		if a.status != c.status || a.code(t) == "" {
			t.Errorf("%s: %d %.200s, want %d", c.name, a.status, a.body, c.status)
		}
	}
	if got := w.count(w.signIn("ann@example.com")); got != "0" {
		t.Errorf("%s events were kept", got)
	}
}

func TestGoodEventsOfABatchAreKeptAndBadOnesNamed(t *testing.T) {
	w := newWorld(t)
	long := strings.Repeat("x", 201)
	items := []struct{ json, code string }{
		{`{"event":"ok"}`, ""},
		{`{"user":"u"}`, "missing_event"},
		{`{"event":""}`, "missing_event"},
		{`{"event":1}`, "invalid_type"},
		{`17`, "invalid_type"},
		{`{"event":"` + long + `"}`, "too_long"},
		{`{"event":"a","time":"yesterday"}`, "invalid_time"},
		{`{"event":"a","time":"` + time.Now().Add(25*time.Hour).Format(time.RFC3339) + `"}`, "time_in_future"},
		{`{"event":"a","properties":{"v":1e201}}`, "number_out_of_range"},
		{`{"event":"a","properties":{"v":"` + strings.Repeat("é", 2001) + `"}}`, "too_long"},
		{`{"event":"a","properties":[]}`, "invalid_type"},
		{`{"event":"a","properties":{"deep":{"a":[1,2]},"b":true,"n":null,"f":0.5}}`, ""},
		{`{"event":"a","time":1700000000.25}`, ""},
		{`{"event":"` + strings.Repeat("é", 200) + `"}`, ""},
	}
	var batch []string
	var want []string
	good := 0
	for i, item := range items {
		batch = append(batch, item.json)
		if item.code == "" {
			good++
		} else {
			want = append(want, fmt.Sprintf("%d %s", i, item.code))
		}
	}
	got := w.send("[" + strings.Join(batch, ",") + "]").taken(t)
	var rejected []string
	for _, r := range got.Rejected {
		rejected = append(rejected, fmt.Sprintf("%d %s", r.Index, r.Code))
		if r.Message == "" {
			t.Errorf("%d has no message", r.Index)
		}
	}
	if got.Accepted != good || strings.Join(rejected, ", ") != strings.Join(want, ", ") {
		t.Errorf("accepted %d, want %d; rejected %v, want %v", got.Accepted, good, rejected, want)
	}
}

func TestAnEventSentAgainIsADuplicate(t *testing.T) {
	w := newWorld(t)
	now := time.Now().UTC()
	at := func(d time.Duration) string { return now.Add(d).Format(time.RFC3339Nano) }
	for _, c := range []struct {
		name, body string
		duplicate  int
	}{
		{"the first", `{"event":"a","id":"1","time":"` + at(0) + `"}`, 0},
		{"the same", `{"event":"a","id":"1","time":"` + at(0) + `"}`, 1},
		{"another time", `{"event":"a","id":"1","time":"` + at(-time.Hour) + `"}`, 1},
		{"no time", `{"event":"a","id":"1"}`, 1},
		{"another id", `{"event":"a","id":"2","time":"` + at(0) + `"}`, 0},
		{"another event", `{"event":"b","id":"1","time":"` + at(0) + `"}`, 0},
		{"twice in a batch", `[{"event":"c","id":"1"},{"event":"c","id":"1"}]`, 1},
		{"no id", `{"event":"a","time":"` + at(0) + `"}`, 0},
	} {
		if got := w.send(c.body).taken(t); got.Duplicate != c.duplicate {
			t.Errorf("%s: %+v", c.name, got)
		}
	}
}

func TestEventsNeedAValidKey(t *testing.T) {
	w := newWorld(t)
	for _, authorization := range []string{"", "Bearer", "Bearer pb_nothing", "Basic " + w.key, w.key} {
		a := w.do(http.DefaultClient, "POST", "/api/events", `{"event":"a"}`, "Authorization", authorization)
		if a.status != http.StatusUnauthorized || a.code(t) != "unauthorized" {
			t.Errorf("%q: %d", authorization, a.status)
		}
	}
}

func TestAStoreThatIsHeldByAnotherProcessGives503AndLosesNothing(t *testing.T) {
	slow(t)
	w := newWorld(t)
	var file string
	must(t, w.store.Writer().QueryRow(`SELECT file FROM pragma_database_list WHERE name = 'main'`).Scan(&file))
	other, err := sql.Open("sqlite3", "file:"+file)
	must(t, err)
	defer other.Close()
	conn, err := other.Conn(context.Background())
	must(t, err)
	_, err = conn.ExecContext(context.Background(), "BEGIN IMMEDIATE")
	must(t, err)
	a := w.send(`{"event":"a","id":"1"}`)
	if a.status != http.StatusServiceUnavailable || a.header.Get("Retry-After") == "" {
		t.Errorf("%d %s", a.status, a.body)
	}
	_, err = conn.ExecContext(context.Background(), "ROLLBACK")
	must(t, err)
	conn.Close()
	if got := w.send(`{"event":"a","id":"1"}`).taken(t); got.Accepted != 1 {
		t.Errorf("sent again: %+v", got)
	}
}

func TestHostileTextStaysText(t *testing.T) {
	slow(t)
	w := newWorld(t)
	client := w.signIn("ann@example.com")
	updates := w.stream(client, "format=html")
	updates.next("metric_update")
	hostile, err := json.Marshal("<script>alert(1)</script>\"'\r\nevent: goodbye\n\ndata: x\x00\u2028&amp;")
	must(t, err)
	w.send(`{"event":"a","properties":{"path":` + string(hostile) + `}}`).taken(t)
	e := updates.next("metric_update")
	page := w.page(client, "/dashboards/web")
	for name, text := range map[string]string{"the fragment": e.data, "the page": page.body} {
		if strings.Contains(text, "<script>alert") || strings.Contains(text, "\x00") {
			t.Errorf("%s holds it as markup", name)
		}
		if !strings.Contains(text, "&lt;script&gt;alert(1)&lt;/script&gt;&#34;&#39;��event: goodbye��data: x�") {
			t.Errorf("%s lost the text", name)
		}
	}
}
