package handlers_test

import (
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"pulseboard/store"
)

func gzipped(t *testing.T, text string) string {
	t.Helper()
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	_, err := z.Write([]byte(text))
	must(t, err)
	must(t, z.Close())
	return b.String()
}

func basic(user, password string) string {
	return "Basic " + base64.StdEncoding.EncodeToString([]byte(user+":"+password))
}

// named is the number of events of each name that the store keeps of the tenant.
func (w *world) named() map[string]int {
	w.t.Helper()
	counts := map[string]int{}
	_, err := w.store.ScanEvents(w.t.Context(), w.tenant.ID, store.Scan{}, func(e *store.Event) error {
		counts[e.Name]++
		return nil
	})
	must(w.t, err)
	return counts
}

func TestEachAddressOfAnSDKTakesEvents(t *testing.T) {
	w := newWorld(t)
	posthog := func(event string) string { return `{"event":"` + event + `","api_key":"` + w.key + `"}` }
	form := func(data string) string { return url.Values{"data": {data}, "compression": {"base64"}}.Encode() }
	const segment, logged = `{"success":true}`, `{"status":1}`
	for i, c := range []struct {
		path, body, want, event string
		headers                 []string
	}{
		{"/v1/batch", `{"batch":[{"type":"track","event":"ev"}]}`, segment, "", []string{"Authorization", basic(w.key, "")}},
		{"/v1/batch", gzipped(t, `{"batch":[{"type":"track","event":"ev"}]}`), segment, "", []string{"Authorization", basic("", w.key), "Content-Encoding", "gzip", "Content-Type", "application/x-www-form-urlencoded"}},
		{"/v1/track", `{"event":"ev","writeKey":"` + w.key + `"}`, segment, "", []string{"Content-Type", "text/plain"}},
		{"/v1/t", `{"event":"ev"}`, segment, "", []string{"Authorization", "Bearer " + w.key}},
		{"/v1/page", `{"writeKey":"` + w.key + `"}`, segment, "page", nil},
		{"/v1/p", `{"writeKey":"` + w.key + `"}`, segment, "page", nil},
		{"/v1/screen", `{"writeKey":"` + w.key + `"}`, segment, "screen", nil},
		{"/v1/identify", `{"writeKey":"` + w.key + `"}`, segment, "identify", nil},
		{"/v1/i", `{"writeKey":"` + w.key + `"}`, segment, "identify", nil},
		{"/v1/group", `{"writeKey":"` + w.key + `"}`, segment, "group", nil},
		{"/v1/g", `{"writeKey":"` + w.key + `"}`, segment, "group", nil},
		{"/v1/alias", `{"writeKey":"` + w.key + `"}`, segment, "alias", nil},
		{"/v1/a", `{"writeKey":"` + w.key + `"}`, segment, "alias", nil},
		{"/batch/", `{"api_key":"` + w.key + `","batch":[{"event":"ev"},{"event":""}]}`, logged, "", nil},
		{"/batch", posthog("ev"), logged, "", nil},
		{"/capture/", posthog("ev"), logged, "", nil},
		{"/capture", `[` + posthog("ev") + `]`, logged, "", nil},
		{"/i/v0/e/?compression=gzip-js", gzipped(t, posthog("ev")), logged, "", []string{"Content-Type", "text/plain"}},
		{"/i/v0/e", gzipped(t, posthog("ev")), logged, "", []string{"Content-Encoding", "gzip"}},
		{"/e/", form(base64.StdEncoding.EncodeToString([]byte(posthog("ev")))), logged, "", []string{"Content-Type", "application/x-www-form-urlencoded"}},
		{"/e/", "data=" + base64.StdEncoding.EncodeToString([]byte(`{"event":"ev","properties":{"a":">>>???","token":"`+w.key+`"}}`)), logged, "", nil},
		{"/e", form(posthog("ev")), logged, "", nil},
		{"/v1/logs", `{"resourceLogs":[{"scopeLogs":[{"logRecords":[{"eventName":"ev"}]}]}]}`, `{}`, "", []string{"Authorization", "Bearer " + w.key, "Content-Type", "application/json; charset=utf-8"}},
		{"/v1/traces", gzipped(t, `{"resourceSpans":[{"scopeSpans":[{"spans":[{"name":"ev"}]}]}]}`), `{}`, "", []string{"Authorization", "Bearer " + w.key, "Content-Type", "application/json", "Content-Encoding", "gzip"}},
		{"/v1/metrics", `{"resourceMetrics":[{"scopeMetrics":[{"metrics":[{"name":"ev","gauge":{"dataPoints":[{"asInt":1}]}}]}]}]}`, `{}`, "", []string{"Authorization", "Bearer " + w.key, "Content-Type", "application/json"}},
		{"/v1/metrics", ``, ``, "nothing", []string{"Authorization", "Bearer " + w.key, "Content-Type", "application/x-protobuf"}},
	} {
		event := c.event
		if event == "" {
			event = "ev"
		}
		before := w.named()[event]
		a := w.do(w.client(), "POST", c.path, c.body, append(c.headers, "Origin", "https://shop.example", "Sec-Fetch-Site", "cross-site")...)
		if got := strings.TrimSpace(a.body); a.status != http.StatusOK || got != c.want || a.header.Get("Access-Control-Allow-Origin") != "*" {
			t.Errorf("%d %s: %d %s %v", i, c.path, a.status, a.body, a.header)
		}
		want := before + 1
		if event == "nothing" {
			want = 0
		}
		if got := w.named()[event]; got != want {
			t.Errorf("%d %s: %d events named %s, want %d", i, c.path, got, event, want)
		}
	}
}

func TestCloudEventsAreTakenInEachMode(t *testing.T) {
	w := newWorld(t)
	event := func(id string) string {
		return `{"specversion":"1.0","type":"paid","source":"/shop","id":"` + id + `","data":{"n":1}}`
	}
	for _, c := range []struct {
		body, want string
		headers    []string
	}{
		{event("1"), `{"accepted":1,"duplicate":0,"rejected":[]}`, []string{"Content-Type", "application/cloudevents+json; charset=utf-8"}},
		{`[` + event("1") + `,` + event("2") + `,{"specversion":"1.0","id":"3"}]`, `{"accepted":1,"duplicate":1,"rejected":[{"index":2,"code":"invalid_attribute","message":"id or source is missing: a CloudEvent has both."}]}`, []string{"Content-Type", "application/cloudevents-batch+json"}},
		{`{"n":1}`, `{"accepted":1,"duplicate":0,"rejected":[]}`, []string{"Content-Type", "application/json", "ce-specversion", "1.0", "ce-type", "paid", "ce-source", "/shop", "ce-id", "3", "ce-region", "eu"}},
		{`{"n":1}`, `{"accepted":0,"duplicate":1,"rejected":[]}`, []string{"Content-Type", "application/json", "ce-specversion", "1.0", "ce-type", "paid", "ce-source", "/shop", "ce-id", "2"}},
	} {
		if a := w.send(c.body, c.headers...); a.status != http.StatusAccepted || strings.TrimSpace(a.body) != c.want {
			t.Errorf("%s: %d %s", c.body, a.status, a.body)
		}
	}
	for contentType, status := range map[string]int{"application/cloudevents+avro": http.StatusUnsupportedMediaType, "application/cloudevents+json": http.StatusBadRequest} {
		if a := w.send(`[]`, "Content-Type", contentType); a.status != status || a.code(t) == "" {
			t.Errorf("%s: %d %s", contentType, a.status, a.body)
		}
	}
}

func TestWhatAnSDKSendsWrongIsRefusedWithoutARedirect(t *testing.T) {
	w := newWorld(t)
	bomb := gzipped(t, strings.Repeat(" ", 9<<20))
	for _, c := range []struct {
		path, body string
		status     int
		headers    []string
	}{
		{"/v1/batch", `{"batch":[]}`, 401, nil},
		{"/v1/batch", `{"batch":[],"writeKey":"pb_nothing"}`, 401, nil},
		{"/v1/batch", `{"batch":[],"writeKey":"` + w.key + `"}`, 401, []string{"Authorization", basic("pb_nothing", "")}},
		{"/batch/", `{"batch":[]}`, 401, nil},
		{"/batch/", `{"batch":[],"api_key":"pb_nothing"}`, 401, []string{"Accept", "text/html"}},
		{"/v1/traces", `{}`, 401, []string{"Content-Type", "application/json"}},
		{"/batch/", `{`, 400, nil},
		{"/batch/", "\x1f\x8bno", 400, nil},
		{"/e/", "data=%", 400, nil},
		{"/e/", "data=!", 400, nil},
		{"/e/", bomb, 413, nil},
		{"/e/", "data=" + url.QueryEscape(base64.StdEncoding.EncodeToString([]byte(bomb))), 413, nil},
		{"/v1/batch", bomb, 413, []string{"Content-Encoding", "gzip"}},
		{"/v1/logs", `x`, 400, []string{"Authorization", "Bearer " + w.key, "Content-Type", "application/json"}},
		{"/v1/logs", `{}`, 415, []string{"Authorization", "Bearer " + w.key}},
	} {
		a := w.do(w.client(), "POST", c.path, c.body, c.headers...)
		if a.status != c.status || a.header.Get("Access-Control-Allow-Origin") != "*" || !strings.Contains(a.body, `"message":`) {
			t.Errorf("%s %.80q: %d %s %v, want %d", c.path, c.body, a.status, a.body, a.header, c.status)
		}
	}
	if got := w.named(); len(got) != 0 {
		t.Errorf("kept: %v", got)
	}
}

func TestPagesOfAnyOriginMaySendEventsAndNothingElse(t *testing.T) {
	w := newWorld(t)
	for _, path := range []string{"/api/events", "/v1/batch", "/v1/track", "/batch/", "/batch", "/i/v0/e/", "/e/", "/v1/traces"} {
		a := w.do(w.client(), "OPTIONS", path, "", "Origin", "https://shop.example", "Sec-Fetch-Site", "cross-site",
			"Access-Control-Request-Method", "POST", "Access-Control-Request-Headers", "authorization,content-type,x-own")
		h := a.header
		if a.status != http.StatusNoContent || h.Get("Access-Control-Allow-Origin") != "*" || h.Get("Access-Control-Allow-Methods") != "POST" ||
			h.Get("Access-Control-Allow-Headers") != "authorization,content-type,x-own" || h.Get("Access-Control-Max-Age") == "" || h.Get("Access-Control-Allow-Credentials") != "" {
			t.Errorf("%s: %d %v", path, a.status, h)
		}
		if a := w.get(w.client(), path); a.status != http.StatusMethodNotAllowed {
			t.Errorf("GET %s: %d", path, a.status)
		}
	}
	if a := w.send(`{"event":"ev"}`, "Origin", "https://shop.example", "Sec-Fetch-Site", "cross-site"); a.status != http.StatusAccepted || a.header.Get("Access-Control-Allow-Origin") != "*" {
		t.Errorf("from a page of another origin: %d %s", a.status, a.body)
	}
	for _, path := range []string{"/login", "/logout", "/preferences"} {
		a := w.do(w.client(), "POST", path, "", "Origin", "https://shop.example", "Sec-Fetch-Site", "cross-site")
		if a.status != http.StatusForbidden || a.header.Get("Access-Control-Allow-Origin") != "" {
			t.Errorf("%s: %d", path, a.status)
		}
		if a := w.do(w.client(), "OPTIONS", path, ""); a.header.Get("Access-Control-Allow-Origin") != "" {
			t.Errorf("OPTIONS %s allows other origins", path)
		}
	}
}

func TestOTLPSaysWhatWasRejected(t *testing.T) {
	w := newWorld(t)
	long := strings.Repeat("x", 201)
	a := w.do(w.client(), "POST", "/v1/traces", `{"resourceSpans":[{"scopeSpans":[{"spans":[{"name":"ev"},{"name":"`+long+`"}]}]}]}`,
		"Authorization", "Bearer "+w.key, "Content-Type", "application/json")
	var got struct {
		PartialSuccess struct{ RejectedSpans, ErrorMessage string }
	}
	must(t, json.Unmarshal([]byte(a.body), &got))
	if a.status != http.StatusOK || got.PartialSuccess.RejectedSpans != "1" || !strings.Contains(got.PartialSuccess.ErrorMessage, "201 characters") || w.named()["ev"] != 1 {
		t.Errorf("%d %s", a.status, a.body)
	}
}

// The key of a body is known when the body has been read. Bodies that never end
// must not keep those out who say their key at once.
func TestStrangersHoldUpStrangersOnly(t *testing.T) {
	w := newWorld(t)
	const strangers = 20
	release := make(chan struct{})
	done := make(chan struct{}, strangers)
	reading := make(chan struct{}, strangers)
	for range strangers {
		go func() {
			defer func() { done <- struct{}{} }()
			request, _ := http.NewRequest("POST", w.url+"/batch/", &slowBody{reading: reading, release: release})
			if response, err := http.DefaultClient.Do(request); err == nil {
				response.Body.Close()
			}
		}()
	}
	for range strangers {
		<-reading
	}
	if a := w.send(`{"event":"ev"}`); a.status != http.StatusAccepted {
		t.Errorf("%d %s", a.status, a.body)
	}
	close(release)
	for range strangers {
		<-done
	}
}

// slowBody is a body whose end does not come before release.
type slowBody struct {
	reading, release chan struct{}
	begun            bool
}

func (b *slowBody) Read(p []byte) (int, error) {
	if !b.begun {
		b.begun = true
		return copy(p, `{"batch":[`), nil
	}
	b.reading <- struct{}{}
	<-b.release
	return 0, http.ErrBodyReadAfterClose
}
