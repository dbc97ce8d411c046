package handlers_test

import (
	"compress/gzip"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"pulseboard/store/token"
)

func TestAStreamBeginsWithTheSnapshotAndAHeartbeat(t *testing.T) {
	w := newWorld(t)
	s := w.stream(w.signIn("ann@example.com"), "")
	for name, want := range map[string]string{"Content-Type": "text/event-stream", "X-Accel-Buffering": "no"} {
		if got := s.header.Get(name); got != want {
			t.Errorf("%s is %q", name, got)
		}
	}
	if got := s.header.Values("Cache-Control"); len(got) != 1 || got[0] != "no-store" {
		t.Errorf("Cache-Control is %q", got)
	}
	var readings map[string]json.RawMessage
	must(t, json.Unmarshal([]byte(s.next("metric_update").data), &readings))
	if string(readings["count"]) != "0" || string(readings["pages"]) != "[]" || len(readings) != 3 {
		t.Errorf("the snapshot is %s", readings)
	}
	var beat struct{ Timestamp time.Time }
	must(t, json.Unmarshal([]byte(s.next("heartbeat").data), &beat))
	if since := time.Since(beat.Timestamp); since < -time.Second || since > time.Minute {
		t.Errorf("the heartbeat says %s", beat.Timestamp)
	}
	s.next("heartbeat") // and again after the interval
}

func TestTheFormatIsAsAskedForOrAsAccepted(t *testing.T) {
	w := newWorld(t)
	client := w.signIn("ann@example.com")
	for _, c := range []struct{ query, accept, begins string }{
		{"", "", `{"`}, {"", "text/event-stream", `{"`}, {"", "text/html", `<section id="widget-count" hx-swap-oob="true"`},
		{"format=html", "", `<section`}, {"format=json", "text/html", `{"`},
	} {
		if got := w.stream(client, c.query, "Accept", c.accept).next("metric_update").data; !strings.HasPrefix(got, c.begins) {
			t.Errorf("%q, Accept %q: %.60s", c.query, c.accept, got)
		}
	}
	for _, query := range []string{"format=xml", "refresh=2s", "refresh=off", "from=yesterday", "from=now&to=now-1h", "from=now-10y"} {
		a := w.get(client, "/api/stream/dashboard/web?"+query)
		if a.status != http.StatusBadRequest || a.code(t) != "bad_request" {
			t.Errorf("%s: %d %s", query, a.status, a.body)
		}
	}
}

func TestACursorIsTakenFromHeaderAndQuery(t *testing.T) {
	w := newWorld(t)
	client := w.signIn("ann@example.com")
	id := w.stream(client, "").next("metric_update").id
	w.send(`{"event":"a"}`).taken(t)
	for _, s := range []*live{
		w.stream(client, "", "Last-Event-ID", id),
		w.stream(client, "last_event_id="+id),
		w.stream(client, "lastEventId="+id),
	} {
		if e := s.next("metric_update"); strings.Contains(e.data, `"words"`) || e.id <= id || !strings.Contains(e.data, `"count":1`) {
			t.Errorf("after the cursor %s came %s %s", id, e.id, e.data)
		}
	}
	snapshot := w.get(client, "/api/dashboards/web/snapshot")
	var twin struct {
		ID        string
		Timestamp time.Time
		Readings  json.RawMessage
	}
	must(t, json.Unmarshal([]byte(snapshot.body), &twin))
	fresh := w.stream(client, "").next("metric_update")
	var a, b any
	must(t, json.Unmarshal(twin.Readings, &a))
	must(t, json.Unmarshal([]byte(fresh.data), &b))
	if twin.ID != fresh.id || fmt.Sprint(a) != fmt.Sprint(b) || twin.Timestamp.IsZero() {
		t.Errorf("the snapshot is %s, the stream says %s %s", snapshot.body, fresh.id, fresh.data)
	}
}

func TestTheEleventhStreamIsRefusedUntilAPlaceIsFree(t *testing.T) {
	w := newWorld(t)
	client := w.signIn("ann@example.com")
	var open []*live
	for range 10 {
		s := w.stream(client, "")
		s.next("heartbeat")
		open = append(open, s)
	}
	refused := w.get(client, "/api/stream/dashboard/web")
	if refused.status != http.StatusTooManyRequests || refused.header.Get("Retry-After") == "" || refused.code(t) != "too_many_streams" {
		t.Errorf("%d %s", refused.status, refused.body)
	}
	open[3].close()
	deadline := time.Now().Add(patience)
	for w.stream(client, "").status != http.StatusOK {
		if time.Now().After(deadline) {
			t.Fatal("the place was not freed")
		}
	}
}

func TestANewStreamOfAScreenReplacesItsOldOne(t *testing.T) {
	w := newWorld(t)
	client := w.signIn("ann@example.com")
	for range 9 {
		w.stream(client, "").next("heartbeat")
	}
	old := w.stream(client, "screen=s1")
	old.next("heartbeat")
	renewed := w.stream(client, "screen=s1")
	renewed.next("metric_update")
	if e := old.next("goodbye"); e.data != `{"reason":"replaced"}` {
		t.Errorf("the old one was told %s", e.data)
	}
}

func TestGzipIsReadableEventByEvent(t *testing.T) {
	slow(t)
	w := newWorld(t)
	client := w.signIn("ann@example.com")
	client.Transport = &http.Transport{DisableCompression: true}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, "GET", w.url+"/api/stream/dashboard/web", nil)
	must(t, err)
	r.Header.Set("Accept-Encoding", "br, gzip;q=0.5")
	response, err := client.Do(r)
	must(t, err)
	defer response.Body.Close()
	if response.Header.Get("Content-Encoding") != "gzip" {
		t.Fatalf("not compressed: %v", response.Header)
	}
	unpacked, err := gzip.NewReader(response.Body)
	must(t, err)
	read := func(until string) {
		t.Helper()
		var text strings.Builder
		b := make([]byte, 1)
		for !strings.HasSuffix(text.String(), until) {
			if _, err := io.ReadFull(unpacked, b); err != nil {
				t.Fatalf("after %q: %v", text.String(), err)
			}
			text.Write(b)
		}
	}
	read("\"series\":{")
	read("}\n\n")
	w.send(`{"event":"a"}`).taken(t)
	read("\"count\":1")

	plain := w.stream(client, "", "Accept-Encoding", "gzip;q=0")
	if coding := plain.header.Get("Content-Encoding"); coding != "" {
		t.Errorf("with q=0 it is still %s", coding)
	}
}

func TestAnotherTenantsBoardDoesNotExist(t *testing.T) {
	w := newWorld(t)
	other := w.newTenant("other", "bob@example.com")
	w.apply(other, strings.ReplaceAll(board, "id: web", "id: theirs"))
	client := w.signIn("ann@example.com")
	for _, path := range []string{"/dashboards/theirs", "/api/stream/dashboard/theirs", "/api/dashboards/theirs/snapshot", "/dashboards/none"} {
		if a := w.get(client, path); a.status != http.StatusNotFound || a.code(t) != "not_found" {
			t.Errorf("%s: %d", path, a.status)
		}
	}
	w.send(`{"event":"a"}`).taken(t)
	if got := w.count(w.signIn("bob@example.com")); got != "0" {
		t.Errorf("bob's board counts %s events of acme", got)
	}
}

func TestATokenOpensOneDashboardAndNothingElse(t *testing.T) {
	w := newWorld(t)
	w.apply(w.tenant, strings.ReplaceAll(board, "id: web", "id: second"))
	good := w.token(nil)
	for _, headers := range [][]string{{"Authorization", "Bearer " + good}, nil} {
		query := ""
		if headers == nil {
			query = "token=" + good
		}
		w.stream(http.DefaultClient, query, headers...).next("metric_update")
		if a := w.get(http.DefaultClient, "/api/dashboards/web/snapshot?"+query, headers...); a.status != http.StatusOK {
			t.Errorf("snapshot: %d", a.status)
		}
		if a := w.get(http.DefaultClient, "/api/stream/dashboard/second?"+query, headers...); a.status != http.StatusNotFound {
			t.Errorf("another dashboard: %d", a.status)
		}
	}
	refused := w.get(http.DefaultClient, "/api/stream/dashboard/web?token=nonsense")
	for name, text := range map[string]string{
		"expired":         w.token(func(c *token.Claims) { c.Expires = time.Now().Add(-time.Second) }),
		"too far ahead":   w.token(func(c *token.Claims) { c.Expires = time.Now().Add(25 * time.Hour) }),
		"another issuer":  w.token(func(c *token.Claims) { c.Tenant = "other" }),
		"tampered with":   good[:len(good)-4] + "AAAA",
		"without any":     "",
		"unknown pin":     w.token(func(c *token.Claims) { c.Vars = map[string][]string{"nothing": {"x"}} }),
		"an odd ancestor": w.token(func(c *token.Claims) { c.Ancestors = []string{"https://a.example; script-src *"} }),
	} {
		a := w.get(http.DefaultClient, "/api/stream/dashboard/web?token="+text)
		if a.status != http.StatusUnauthorized || a.body != refused.body {
			t.Errorf("%s: %d %s", name, a.status, a.body)
		}
	}
}

func TestAPinnedVariableCannotBeChanged(t *testing.T) {
	w := newWorld(t)
	w.send(`[{"event":"a","properties":{"host":"one"}},{"event":"a","properties":{"host":"two"}},{"event":"a","properties":{"host":"two"}}]`).taken(t)
	text := w.token(func(c *token.Claims) { c.Vars = map[string][]string{"host": {"one"}} })
	for _, query := range []string{"", "&var-host=two", "&var-host=$__all", "&var-host="} {
		a := w.get(http.DefaultClient, "/api/dashboards/web/snapshot?token="+text+query)
		if !strings.Contains(a.body, `"count":1`) {
			t.Errorf("%q: %s", query, a.body)
		}
	}
	client := w.signIn("ann@example.com")
	for query, want := range map[string]string{"": "3", "?var-host=two": "2", "?var-host=two&var-host=one": "3", "?var-other=x": "3", "?var-host=none": "0"} {
		if a := w.get(client, "/api/dashboards/web/snapshot"+query); !strings.Contains(a.body, `"count":`+want) {
			t.Errorf("%q: %s, want %s", query, a.body, want)
		}
	}
}

func TestAStreamEndsWhenItsTokenExpires(t *testing.T) {
	slow(t)
	w := newWorld(t)
	// A token's end is in whole seconds.
	text := w.token(func(c *token.Claims) { c.Expires = time.Now().Add(2 * time.Second) })
	s := w.stream(http.DefaultClient, "", "Authorization", "Bearer "+text)
	if e := s.next("goodbye"); e.data != `{"reason":"expired"}` {
		t.Errorf("goodbye %s", e.data)
	}
	if a := w.get(http.DefaultClient, "/api/stream/dashboard/web?token="+text); a.status != http.StatusUnauthorized {
		t.Errorf("afterwards: %d", a.status)
	}
}

func TestAStreamEndsWhenItsUserIsRemoved(t *testing.T) {
	slow(t)
	w := newWorld(t)
	s := w.stream(w.signIn("ann@example.com"), "")
	s.next("metric_update")
	_, err := w.store.Writer().Exec(`DELETE FROM users`)
	must(t, err)
	if e := s.next("goodbye"); e.data != `{"reason":"removed"}` {
		t.Errorf("goodbye %s", e.data)
	}
}

func TestADashboardThatIsAppliedAgainReachesOpenStreams(t *testing.T) {
	slow(t)
	w := newWorld(t)
	client := w.signIn("ann@example.com")
	asJSON, asHTML := w.stream(client, ""), w.stream(client, "format=html")
	asJSON.next("metric_update")
	asHTML.next("metric_update")
	w.apply(w.tenant, strings.Replace(board, "key: pages", "key: sites", 1))
	if e := asJSON.next("metric_update"); !strings.Contains(e.data, `"sites":[]`) || !strings.Contains(e.data, `"pages":null`) {
		t.Errorf("JSON: %s", e.data)
	}
	asHTML.next("reload")
	if e := asHTML.next("metric_update"); !strings.Contains(e.data, `id="widget-pages" hx-swap-oob="delete"`) || !strings.Contains(e.data, `<section id="widget-sites"`) {
		t.Errorf("HTML: %s", e.data)
	}
}
