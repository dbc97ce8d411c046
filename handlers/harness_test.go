package handlers_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"pulseboard/handlers"
	"pulseboard/store"
	"pulseboard/store/boardfile"
	"pulseboard/store/secret"
	"pulseboard/store/sqlite"
	"pulseboard/store/token"
	"pulseboard/stream"
)

const (
	password = "correct horse"
	patience = 10 * time.Second
)

// board has a range with steps of a week, so that no test sees a window slide on.
const board = `
id: web
title: Web traffic
range: now-800d
variables: [{name: host, property: host}]
widgets:
  - {key: count, kind: stat, measure: count}
  - {key: pages, kind: bars, measure: count, by: path}
  - {key: series, kind: line, measure: count}
  - {key: words, kind: text, text: "Hello <script>"}
`

// world is a server over a store in a folder of its own.
type world struct {
	t      *testing.T
	store  *sqlite.Store
	server *handlers.Server
	url    string
	tenant store.Tenant
	key    string

	registry  *prometheus.Registry
	transport http.RoundTripper // of its clients; nil: the usual one
}

// newWorld serves the tenant acme, with ann and the board "web".
func newWorld(t *testing.T) *world {
	t.Helper()
	return newWorldWith(t, httptest.NewServer, func(*handlers.Config) {})
}

// newWorldWith is newWorld on a server that serve starts, with a configuration that
// change has changed.
func newWorldWith(t *testing.T, serve func(http.Handler) *httptest.Server, change func(*handlers.Config)) *world {
	t.Helper()
	st, err := sqlite.Open(t.Context(), t.TempDir())
	must(t, err)
	w := &world{t: t, store: st, registry: prometheus.NewRegistry()}
	config := handlers.Config{
		Store:      st,
		Log:        slog.New(slog.DiscardHandler),
		Registry:   w.registry,
		Cycle:      100 * time.Millisecond,
		Heartbeat:  time.Second,
		Capacity:   1000,
		Limits:     stream.Limits{Streams: 10, ConnectsPerMinute: 60, ViewsPerMinute: 600},
		ViewMemory: 256 << 20,
		Metrics:    true,
		Build:      handlers.Build{Version: "v1", Commit: "c", Go: "go"},
	}
	change(&config)
	w.server, err = handlers.New(t.Context(), config)
	must(t, err)
	ctx, stop := context.WithCancel(context.Background())
	ran := make(chan struct{})
	go func() { w.server.Run(ctx); close(ran) }()
	web := serve(w.server.Handler())
	w.url = web.URL
	t.Cleanup(func() {
		drained, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		w.server.Drain(drained)
		web.CloseClientConnections()
		web.Close()
		stop()
		<-ran
		st.Close()
	})
	w.tenant = w.newTenant("acme", "ann@example.com")
	w.key, err = st.CreateKey(t.Context(), w.tenant.ID, "test")
	must(t, err)
	return w
}

// slow skips, with -short, tests that take seconds.
func slow(t testing.TB) {
	t.Helper()
	if testing.Short() {
		t.Skip("takes seconds")
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// newTenant makes a tenant with a user and the board "web".
func (w *world) newTenant(slug, email string) store.Tenant {
	w.t.Helper()
	tenant, err := w.store.CreateTenant(w.t.Context(), store.Slug(slug), slug, false)
	must(w.t, err)
	hash, err := secret.HashPassword(password)
	must(w.t, err)
	_, err = w.store.CreateUser(w.t.Context(), tenant.ID, store.Email(email), store.Viewer, hash)
	must(w.t, err)
	w.apply(tenant, board)
	return tenant
}

func (w *world) apply(tenant store.Tenant, text string) {
	w.t.Helper()
	dashboards, err := boardfile.Parse("board.yaml", []byte(text))
	must(w.t, err)
	must(w.t, w.store.ApplyDashboards(w.t.Context(), tenant.ID, dashboards))
}

// client keeps cookies and does not follow redirects.
func (w *world) client() *http.Client {
	jar, _ := cookiejar.New(nil)
	return &http.Client{Jar: jar, Transport: w.transport, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
}

func (w *world) signIn(email string) *http.Client {
	w.t.Helper()
	client := w.client()
	a := w.postForm(client, "/login", "email", email, "password", password)
	if a.status != http.StatusSeeOther {
		w.t.Fatalf("sign-in: %d %s", a.status, a.body)
	}
	return client
}

// answer is a response that has been read.
type answer struct {
	status int
	header http.Header
	body   string
}

func (a answer) code(t *testing.T) string {
	t.Helper()
	var e struct {
		Error struct{ Code, Message string }
	}
	if err := json.Unmarshal([]byte(a.body), &e); err != nil || e.Error.Message == "" {
		t.Fatalf("no JSON error: %d %s", a.status, a.body)
	}
	return e.Error.Code
}

// do sends a request; headers are name, value, …
func (w *world) do(client *http.Client, method, path, body string, headers ...string) answer {
	w.t.Helper()
	r, err := http.NewRequest(method, w.url+path, strings.NewReader(body))
	must(w.t, err)
	for i := 0; i+1 < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	response, err := client.Do(r)
	must(w.t, err)
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	must(w.t, err)
	return answer{response.StatusCode, response.Header, string(text)}
}

func (w *world) get(client *http.Client, path string, headers ...string) answer {
	w.t.Helper()
	return w.do(client, "GET", path, "", headers...)
}

func (w *world) page(client *http.Client, path string) answer {
	w.t.Helper()
	return w.get(client, path, "Accept", "text/html,application/xhtml+xml")
}

func (w *world) postForm(client *http.Client, path string, pairs ...string) answer {
	w.t.Helper()
	form := url.Values{}
	for i := 0; i+1 < len(pairs); i += 2 {
		form.Set(pairs[i], pairs[i+1])
	}
	return w.do(client, "POST", path, form.Encode(), "Content-Type", "application/x-www-form-urlencoded", "Accept", "text/html")
}

// send posts a body of events.
func (w *world) send(body string, headers ...string) answer {
	w.t.Helper()
	return w.do(http.DefaultClient, "POST", "/api/events", body, append([]string{"Authorization", "Bearer " + w.key}, headers...)...)
}

// token signs an embed token for the board "web".
func (w *world) token(change func(*token.Claims)) string {
	w.t.Helper()
	signing, err := w.store.SigningSecret(w.t.Context(), w.tenant.ID)
	must(w.t, err)
	claims := token.Claims{Tenant: w.tenant.Slug, Dashboard: "web", IssuedAt: time.Now(), Expires: time.Now().Add(time.Hour)}
	if change != nil {
		change(&claims)
	}
	text, err := token.Sign(claims, signing.KID, signing.Secret)
	must(w.t, err)
	return text
}

// event is one server-sent event.
type event struct{ name, id, data string }

// live is an open stream.
type live struct {
	t      *testing.T
	status int
	header http.Header
	body   io.ReadCloser
	events chan event
	err    error // why events was closed; nil: the stream ended as it should
	close  context.CancelFunc
}

func (w *world) stream(client *http.Client, query string, headers ...string) *live {
	w.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	w.t.Cleanup(cancel)
	r, err := http.NewRequestWithContext(ctx, "GET", w.url+"/api/stream/dashboard/web?"+query, nil)
	must(w.t, err)
	for i := 0; i+1 < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	response, err := client.Do(r)
	must(w.t, err)
	l := &live{t: w.t, status: response.StatusCode, header: response.Header, body: response.Body, events: make(chan event, 100), close: cancel}
	if response.StatusCode == http.StatusOK {
		go l.read(response.Body)
	} else {
		defer response.Body.Close()
		text, _ := io.ReadAll(response.Body)
		l.body = io.NopCloser(bytes.NewReader(text))
	}
	return l
}

func (l *live) read(body io.Reader) {
	defer close(l.events)
	lines := bufio.NewScanner(body)
	lines.Buffer(nil, 4<<20)
	var e event
	for lines.Scan() {
		name, value, _ := strings.Cut(lines.Text(), ": ")
		switch name {
		case "event":
			e.name = value
		case "id":
			e.id = value
		case "data":
			e.data += value
		case "":
			l.events <- e
			e = event{}
		}
	}
	l.err = lines.Err()
}

// next gives the next event of a name.
func (l *live) next(name string) event {
	l.t.Helper()
	timeout := time.After(patience)
	for {
		select {
		case e, open := <-l.events:
			if !open {
				l.t.Fatalf("the stream ended before a %s", name)
			}
			if e.name == name {
				return e
			}
		case <-timeout:
			l.t.Fatalf("no %s came", name)
		}
	}
}
