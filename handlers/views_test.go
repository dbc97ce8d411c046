package handlers_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"pulseboard/handlers"
	"pulseboard/store"
)

// hoursAgo is the query of a range that nobody else looks at.
func hoursAgo(i int) string {
	from := time.Now().Add(-time.Duration(i) * time.Hour)
	return url.Values{"from": {from.Format(time.RFC3339)}, "to": {from.Add(30 * time.Minute).Format(time.RFC3339)}}.Encode()
}

// Whoever looks through ranges is told to wait in the end, in the form that they read; those who
// look at what is open are not.
func TestNewViewsOfAViewerAndOfATokenAreBounded(t *testing.T) {
	w := newWorldWith(t, httptest.NewServer, func(c *handlers.Config) { c.Limits.ViewsPerMinute = 5 })
	ann, anybody := w.signIn("ann@example.com"), http.DefaultClient
	bearer := []string{"Authorization", "Bearer " + w.token(nil)}
	for i := range 5 {
		if a := w.page(ann, "/dashboards/web?"+hoursAgo(i+1)); a.status != http.StatusOK {
			t.Fatalf("page %d: %d", i, a.status)
		}
		if a := w.get(anybody, "/api/dashboards/web/snapshot?"+hoursAgo(i+10), bearer...); a.status != http.StatusOK {
			t.Fatalf("snapshot %d: %d", i, a.status)
		}
	}
	if a := w.page(ann, "/dashboards/web?"+hoursAgo(20)); a.status != http.StatusTooManyRequests || a.header.Get("Retry-After") == "" || !strings.Contains(a.body, "wait and try again") {
		t.Errorf("a sixth page: %d, Retry-After %q, %s", a.status, a.header.Get("Retry-After"), a.body)
	}
	if a := w.get(anybody, "/api/dashboards/web/snapshot?"+hoursAgo(21), bearer...); a.status != http.StatusTooManyRequests || a.code(t) != "too_many_views" || a.header.Get("Retry-After") == "" {
		t.Errorf("a sixth snapshot: %d %s", a.status, a.body)
	}
	if l := w.stream(anybody, hoursAgo(22), bearer...); l.status != http.StatusTooManyRequests {
		t.Errorf("a stream of a sixth view: %d", l.status)
	}
	for range 10 {
		if a := w.page(ann, "/dashboards/web?"+hoursAgo(1)); a.status != http.StatusOK {
			t.Fatalf("a page that was open: %d", a.status)
		}
	}
}

// What a viewer may narrow a board to is as long as what an event may hold.
func TestValuesOfVariablesAreBounded(t *testing.T) {
	w := newWorld(t)
	w.apply(w.tenant, "id: web\nvariables:\n  - {name: path, property: path}\nwidgets:\n  - {key: n, kind: stat, measure: count}\n")
	ann := w.signIn("ann@example.com")
	long := strings.Repeat("ä", store.MaxText)
	for _, path := range []string{"/dashboards/web", "/api/dashboards/web/snapshot"} {
		if a := w.get(ann, path+"?var-path="+url.QueryEscape(long)); a.status != http.StatusOK {
			t.Errorf("%s with a value of %d characters: %d %s", path, store.MaxText, a.status, a.body)
		}
		a := w.get(ann, path+"?var-path="+url.QueryEscape(long+"x"))
		if a.status != http.StatusBadRequest || !strings.Contains(a.body, "2000 characters at most") {
			t.Errorf("%s with one more: %d %s", path, a.status, a.body)
		}
		many := url.Values{}
		for i := range store.MaxVarValues + 1 {
			many.Add("var-path", fmt.Sprint(i))
		}
		if a := w.get(ann, path+"?"+many.Encode()); a.status != http.StatusBadRequest || !strings.Contains(a.body, "100 at most") {
			t.Errorf("%s with %d values: %d %s", path, store.MaxVarValues+1, a.status, a.body)
		}
	}
}

// Without room for a view its page and its snapshot say so, and those who watch go on watching.
func TestAViewThatHasNoRoomIsRefusedAndWatchersStay(t *testing.T) {
	w := newWorldWith(t, httptest.NewServer, func(c *handlers.Config) { c.ViewMemory = 200 << 10 })
	ann := w.signIn("ann@example.com")
	watching := w.stream(ann, "from=now-2h&refresh=live")
	watching.next("metric_update")
	var batch strings.Builder
	for i := range 5_000 {
		fmt.Fprintf(&batch, `{"event":"request","user":"u%d","properties":{"path":"/%d","status":200,"ms":%d}}`+"\n", i, i, i)
	}
	if a := w.send(batch.String(), "Content-Type", "application/x-ndjson"); a.status != http.StatusAccepted {
		t.Fatal(a.body)
	}
	watching.next("metric_update")
	refused := false
	for i := range 50 {
		query := fmt.Sprintf("?from=now-%dm", 60+i)
		a := w.get(ann, "/api/dashboards/web/snapshot"+query)
		if a.status == http.StatusOK {
			continue
		}
		refused = true
		if a.status != http.StatusServiceUnavailable || a.code(t) != "memory_full" || a.header.Get("Retry-After") == "" {
			t.Fatalf("a snapshot without room: %d %s", a.status, a.body)
		}
		if p := w.page(ann, "/dashboards/web"+query); p.status != http.StatusServiceUnavailable || !strings.Contains(p.body, "--view-memory") {
			t.Fatalf("a page without room: %d %s", p.status, p.body)
		}
		break
	}
	if !refused {
		t.Error("nothing was refused")
	}
	w.send(`{"event":"request","user":"new"}`)
	watching.next("metric_update")
}
