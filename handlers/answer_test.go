package handlers_test

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"pulseboard/handlers"
	"pulseboard/stream"
)

// raw sends bytes over a connection of its own, closes the half of it that it wrote to,
// and reads the answer; ok is false when none came.
func (w *world) raw(request string) (a answer, ok bool) {
	w.t.Helper()
	conn, err := net.Dial("tcp", strings.TrimPrefix(w.url, "http://"))
	must(w.t, err)
	defer conn.Close()
	must(w.t, conn.SetDeadline(time.Now().Add(patience)))
	_, err = io.WriteString(conn, request)
	must(w.t, err)
	must(w.t, conn.(*net.TCPConn).CloseWrite())
	response, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		return answer{}, false
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	must(w.t, err)
	return answer{response.StatusCode, response.Header, string(text)}, true
}

// rawRequest writes a request; fields are whole lines.
func rawRequest(method, path, body string, fields ...string) string {
	fields = append(fields, "Host: pulse.example", fmt.Sprintf("Content-Length: %d", len(body)))
	return method + " " + path + " HTTP/1.1\r\n" + strings.Join(fields, "\r\n") + "\r\n\r\n" + body
}

// A sender that closes its half of the connection after a whole request waits for the answer.
func TestWhoHalfClosesIsAnswered(t *testing.T) {
	w := newWorld(t)
	const senders = 100
	var all sync.WaitGroup
	for i := range senders {
		all.Go(func() {
			body := fmt.Sprintf(`{"event":"ev","id":"%d"}`, i)
			if a, ok := w.raw(rawRequest("POST", "/api/events", body, "Authorization: Bearer "+w.key)); !ok || a.status != http.StatusAccepted || strings.TrimSpace(a.body) != `{"accepted":1,"duplicate":0,"rejected":[]}` {
				t.Errorf("answered %v: %d %s", ok, a.status, a.body)
			}
			if a, ok := w.raw(rawRequest("POST", "/v1/track", `{"event":"sdk","messageId":"m`+fmt.Sprint(i)+`","writeKey":"`+w.key+`"}`)); !ok || a.status != http.StatusOK || strings.TrimSpace(a.body) != `{"success":true}` {
				t.Errorf("answered %v: %d %s", ok, a.status, a.body)
			}
		})
	}
	all.Wait()
	if got := w.named(); got["ev"] != senders || got["sdk"] != senders {
		t.Errorf("%d senders, kept %v", senders, got)
	}
	for path, want := range map[string]string{"/healthz": `"ok"`, "/readyz": `"ready"`, "/version": `"v1"`, "/login": "<html"} {
		for range 20 {
			if a, ok := w.raw(rawRequest("GET", path, "", "Accept: text/html")); !ok || a.status != http.StatusOK || !strings.Contains(a.body, want) {
				t.Fatalf("GET %s, answered %v: %d %s", path, ok, a.status, a.body)
			}
		}
	}
}

// A sender whose body broke off is told so, and nothing of it is kept.
func TestABodyThatBreaksOffIsNotKept(t *testing.T) {
	w := newWorld(t)
	whole := "{\"event\":\"ev\"}\n"
	for name, request := range map[string]string{
		"by length": strings.Replace(rawRequest("POST", "/api/events", whole, "Content-Type: application/x-ndjson", "Authorization: Bearer "+w.key), "Length: ", "Length: 9", 1),
		"by chunks": "POST /api/events HTTP/1.1\r\nHost: a\r\nContent-Type: application/x-ndjson\r\nTransfer-Encoding: chunked\r\nAuthorization: Bearer " + w.key + "\r\n\r\n" + fmt.Sprintf("%x\r\n%s\r\n", len(whole), whole),
	} {
		if a, ok := w.raw(request); !ok || a.status != http.StatusBadRequest || a.code(t) != "incomplete" {
			t.Errorf("%s, answered %v: %d %s", name, ok, a.status, a.body)
		}
	}
	if got := w.named(); len(got) != 0 {
		t.Errorf("kept: %v", got)
	}
}

var wildcard = regexp.MustCompile(`\{[^}]*\}`)

// addresses give a method and a path for every route, and for some that are none.
func (w *world) addresses() [][2]string {
	addresses := [][2]string{{"GET", "/nowhere"}, {"DELETE", "/login"}, {"GET", "//login"}}
	for _, pattern := range w.server.Patterns() {
		method, path, _ := strings.Cut(pattern, " ")
		path = strings.ReplaceAll(path, "{$}", "")
		addresses = append(addresses, [2]string{method, wildcard.ReplaceAllString(path, "web")})
	}
	return addresses
}

// falseYes reports whether an answer looks like success and says nothing.
func falseYes(status int, header http.Header, body string) bool {
	return status == http.StatusOK && body == "" && header.Get("Content-Type") != "text/event-stream"
}

// No route says yes to a sender that half-closes, breaks off, or is not signed in, without
// an answer of its own.
func TestNoRouteSaysAnEmptyYes(t *testing.T) {
	w := newWorld(t)
	cookies := w.signIn("ann@example.com").Jar.Cookies(mustURL(t, w.url))
	signedIn := "Cookie: " + cookies[0].String()
	addresses := w.addresses()
	if len(addresses) < 60 {
		t.Fatalf("only %d routes are known", len(addresses))
	}
	for _, address := range addresses {
		method, path := address[0], address[1]
		for i, fields := range [][]string{
			{signedIn},
			{signedIn, "Accept: text/html", "Content-Type: application/x-www-form-urlencoded"},
			{"Authorization: Bearer " + w.key, "Content-Type: application/json"},
			nil,
		} {
			whole := rawRequest(method, path, `{}`, fields...)
			for name, request := range map[string]string{"whole": whole, "broken off": whole[:len(whole)-1]} {
				if method == "GET" {
					request = rawRequest(method, path, ``, fields...)
				}
				a, ok := w.raw(request)
				if !ok || falseYes(a.status, a.header, a.body) {
					t.Errorf("%s %s %d %s: answered %v: %d %q", method, path, i, name, ok, a.status, a.body)
				}
			}
		}
	}
}

// answerRecorder knows whether it was answered at all.
type answerRecorder struct {
	*httptest.ResponseRecorder
	answered bool
}

func (r *answerRecorder) WriteHeader(status int) {
	r.answered = true
	r.ResponseRecorder.WriteHeader(status)
}

func (r *answerRecorder) Write(b []byte) (int, error) {
	r.answered = true
	return r.ResponseRecorder.Write(b)
}

// A handler whose request is given up answers, or the connection is aborted. That it
// returns without a word is what net/http would say 200 for.
func TestNoRouteIsSilentWhenItsRequestIsGivenUp(t *testing.T) {
	w := newWorld(t)
	cookies := w.signIn("ann@example.com").Jar.Cookies(mustURL(t, w.url))
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	handler := w.server.Handler()
	for _, address := range w.addresses() {
		for version := 1; version <= 2; version++ {
			for _, accept := range []string{"text/html", "application/json"} {
				r := httptest.NewRequestWithContext(gone, address[0], address[1], bytes.NewReader([]byte(`{}`)))
				r.ProtoMajor = version
				r.Header = http.Header{"Accept": {accept}, "Authorization": {"Bearer " + w.key}, "Content-Type": {"application/json"}}
				r.AddCookie(cookies[0])
				out := &answerRecorder{ResponseRecorder: httptest.NewRecorder()}
				aborted := func() (aborted bool) {
					defer func() {
						v := recover()
						aborted = v == http.ErrAbortHandler
						if v != nil && !aborted {
							t.Errorf("%v HTTP/%d: panic %v", address, version, v)
						}
					}()
					handler.ServeHTTP(out, r)
					return false
				}()
				if !aborted && (!out.answered || falseYes(out.Code, out.Header(), out.Body.String())) {
					t.Errorf("%v HTTP/%d %s: answered %v: %d %q", address, version, accept, out.answered, out.Code, out.Body)
				}
			}
		}
	}
}

// A stream whose viewer leaves gives its place back at once, also over TLS and HTTP/1, where
// its goroutine stays with it.
func TestAStreamDoesNotOutliveItsViewer(t *testing.T) {
	w := newWorld(t)
	server, err := handlers.New(t.Context(), handlers.Config{
		Store:     w.store,
		Log:       slog.New(slog.DiscardHandler),
		Registry:  prometheus.NewRegistry(),
		Cycle:     100 * time.Millisecond,
		Heartbeat: time.Hour, // so that no write tells that the viewer has left
		Capacity:  1,
		Limits:    stream.Limits{Streams: 10, ConnectsPerMinute: 1000, ViewsPerMinute: 1000},
	})
	must(t, err)
	web := httptest.NewTLSServer(server.Handler())
	defer web.Close()
	defer server.Drain(t.Context())
	open := func() *http.Response {
		r, err := http.NewRequest("GET", web.URL+"/api/stream/dashboard/web", nil)
		must(t, err)
		r.Header.Set("Authorization", "Bearer "+w.token(nil))
		response, err := web.Client().Do(r)
		must(t, err)
		return response
	}
	first := open()
	if first.StatusCode != http.StatusOK || first.ProtoMajor != 1 {
		t.Fatalf("%s %s", first.Proto, first.Status)
	}
	first.Body.Close()
	for deadline := time.Now().Add(patience); ; time.Sleep(20 * time.Millisecond) {
		next := open()
		next.Body.Close()
		if next.StatusCode == http.StatusOK {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("the next viewer gets %s", next.Status)
		}
	}
}
