package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// binary is the program under test, built once.
var binary string

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "pulseboard-e2e")
	if err != nil {
		panic(err)
	}
	binary = filepath.Join(dir, "pulseboard")
	args := []string{"build"}
	if raceEnabled {
		args = append(args, "-race")
	}
	if out, err := exec.Command("go", append(args, "-o", binary, ".")...).CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "build: %v\n%s", err, out)
		os.Exit(1)
	}
	code := m.Run()
	os.RemoveAll(dir)
	os.Exit(code)
}

// slow skips, with -short, tests that take seconds: of browsers, proxies, kills and waits.
func slow(t testing.TB) {
	t.Helper()
	if testing.Short() {
		t.Skip("takes seconds")
	}
}

// patience bounds every wait; a promise with a time of its own is checked apart.
const patience = 30 * time.Second

// site is a data folder with a server on it.
type site struct {
	t    testing.TB
	dir  string
	args []string
	url  string
	key  string

	files     int               // that it may have open; 0: as many as the test
	secure    bool              // with TLS
	transport http.RoundTripper // of its clients; nil: the usual one

	process *exec.Cmd
	log     *lockedBuffer
}

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// Its range has steps of a week, so that no test sees a window slide on.
const webBoard = `
id: web
title: Web traffic
range: now-800d
variables:
  - {name: host, property: host}
widgets:
  - {key: event_count, title: Requests, kind: stat, measure: count, event: request}
  - {key: unique_users, kind: stat, measure: uniques, event: request}
  - {key: signups, kind: stat, measure: count, event: signup}
  - {key: latency, kind: line, measure: p95, property: duration_ms, event: request}
  - {key: top_pages, kind: bars, measure: count, by: path, event: request}
  - {key: error_rate, kind: gauge, measure: ratio, event: request, of: ["status >= 500"]}
`

const (
	email    = "ann@example.com"
	password = "correct horse"
)

// newSite makes a tenant "acme" with a user, a key and the board "web", and
// serves it.
func newSite(t testing.TB, args ...string) *site {
	t.Helper()
	s := &site{t: t, dir: t.TempDir(), args: args}
	s.tenant("acme", email)
	s.key = s.command("", "key", "create", "--tenant", "acme")
	s.start()
	return s
}

// tenant makes a tenant with a user and the board "web".
func (s *site) tenant(slug, email string) {
	s.t.Helper()
	s.command("", "tenant", "create", slug)
	s.command(password+"\n", "user", "create", "--tenant", slug, "--email", email, "--role", "viewer", "--password-stdin")
	s.command(webBoard, "dashboard", "apply", "--tenant", slug, "-")
}

// command runs a command on the site's folder and gives what it prints.
func (s *site) command(stdin string, args ...string) string {
	s.t.Helper()
	out, stderr, code := s.try(stdin, args...)
	if code != 0 {
		s.t.Fatalf("pulseboard %s: exit %d: %s", strings.Join(args, " "), code, stderr)
	}
	return strings.TrimSpace(out)
}

func (s *site) try(stdin string, args ...string) (stdout, stderr string, code int) {
	s.t.Helper()
	cmd := exec.Command(binary, args...)
	cmd.Env = append(os.Environ(), "PULSEBOARD_DATA="+s.dir)
	cmd.Stdin = strings.NewReader(stdin)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		s.t.Fatal(err)
	}
	return out.String(), errs.String(), cmd.ProcessState.ExitCode()
}

var listening = regexp.MustCompile(`msg=listening address=(\S+)`)

// start serves, on the address of last time if there was one.
func (s *site) start() {
	s.t.Helper()
	address := "127.0.0.1:0"
	if s.url != "" {
		_, address, _ = strings.Cut(s.url, "://")
	}
	args := append([]string{"serve", "--data", s.dir, "--listen", address}, s.args...)
	s.log = &lockedBuffer{}
	process := exec.Command(binary, args...)
	if s.files > 0 {
		process = exec.Command("sh", append([]string{"-c", fmt.Sprintf(`ulimit -n %d; exec "$0" "$@"`, s.files), binary}, args...)...)
	}
	process.Stderr = s.log
	if err := process.Start(); err != nil {
		s.t.Fatal(err)
	}
	s.process = process
	s.t.Cleanup(func() {
		_ = process.Process.Kill()
		_ = process.Wait()
	})
	s.eventually("the server listens", func() bool { return listening.MatchString(s.log.String()) })
	s.url = "http://" + listening.FindStringSubmatch(s.log.String())[1]
	if s.secure {
		s.url = strings.Replace(s.url, "http:", "https:", 1)
	}
}

// kill ends the server without a warning.
func (s *site) kill() {
	s.t.Helper()
	if err := s.process.Process.Signal(syscall.SIGKILL); err != nil {
		s.t.Fatal(err)
	}
	_ = s.process.Wait()
}

func (s *site) eventually(what string, true func() bool) {
	s.t.Helper()
	deadline := time.Now().Add(patience)
	for !true() {
		if time.Now().After(deadline) {
			log := ""
			if s.log != nil {
				log = s.log.String()
			}
			s.t.Fatalf("waited in vain: %s\nserver log:\n%s", what, log)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// post sends events and gives when they were acknowledged.
func (s *site) post(events ...map[string]any) time.Time {
	s.t.Helper()
	body, err := json.Marshal(events)
	if err != nil {
		s.t.Fatal(err)
	}
	request, _ := http.NewRequest("POST", s.url+"/api/events", bytes.NewReader(body))
	request.Header.Set("Authorization", "Bearer "+s.key)
	response, err := (&http.Client{Transport: s.transport}).Do(request)
	if err != nil {
		s.t.Fatal(err)
	}
	defer response.Body.Close()
	answer, _ := io.ReadAll(response.Body)
	if want := fmt.Sprintf(`{"accepted":%d,"duplicate":0,"rejected":[]}`, len(events)); response.StatusCode != 202 || strings.TrimSpace(string(answer)) != want {
		s.t.Fatalf("POST /api/events: %s %s, want 202 %s", response.Status, answer, want)
	}
	return time.Now()
}

func request(user, path string, status int) map[string]any {
	return map[string]any{"event": "request", "user": user, "properties": map[string]any{"path": path, "status": status, "duration_ms": 12}}
}

func signup() map[string]any { return map[string]any{"event": "signup"} }

// signIn gives a client with the session of a user.
func (s *site) signIn(email string) *http.Client {
	s.t.Helper()
	jar, _ := cookiejar.New(nil)
	client := &http.Client{Jar: jar, Transport: s.transport}
	response, err := client.PostForm(s.url+"/login", url.Values{"email": {email}, "password": {password}})
	if err != nil {
		s.t.Fatal(err)
	}
	response.Body.Close()
	if response.Request.URL.Path != "/dashboards" {
		s.t.Fatalf("signing in led to %s (%s)", response.Request.URL, response.Status)
	}
	return client
}

// readings are what the snapshot of the board says.
func (s *site) readings(client *http.Client) map[string]json.RawMessage {
	s.t.Helper()
	response, err := client.Get(s.url + "/api/dashboards/web/snapshot")
	if err != nil {
		s.t.Fatal(err)
	}
	defer response.Body.Close()
	var snapshot struct{ Readings map[string]json.RawMessage }
	if err := json.NewDecoder(response.Body).Decode(&snapshot); err != nil {
		s.t.Fatal(err)
	}
	return snapshot.Readings
}

// message is one server-sent event.
type message struct{ event, id, data string }

func (m message) readings(t testing.TB) map[string]json.RawMessage {
	t.Helper()
	var readings map[string]json.RawMessage
	if err := json.Unmarshal([]byte(m.data), &readings); err != nil {
		t.Fatalf("%q: %v", m.data, err)
	}
	return readings
}

// reader reads one stream.
type reader struct {
	t        testing.TB
	status   int
	header   http.Header
	messages chan message
	stop     context.CancelFunc
}

// open opens a stream of the board "web" and waits for its answer.
func (s *site) open(client *http.Client, query, cursor string) *reader {
	s.t.Helper()
	return s.openBoard(client, "web", query, cursor)
}

func (s *site) openBoard(client *http.Client, board, query, cursor string) *reader {
	s.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	s.t.Cleanup(cancel)
	r, _ := http.NewRequestWithContext(ctx, "GET", s.url+"/api/stream/dashboard/"+board+"?"+query, nil)
	if cursor != "" {
		r.Header.Set("Last-Event-ID", cursor)
	}
	response, err := client.Do(r)
	if err != nil {
		s.t.Fatal(err)
	}
	stream := &reader{s.t, response.StatusCode, response.Header, make(chan message, 1000), cancel}
	go func() {
		defer close(stream.messages)
		defer response.Body.Close()
		lines := bufio.NewScanner(response.Body)
		lines.Buffer(nil, 4<<20)
		var m message
		for lines.Scan() {
			field, value, _ := strings.Cut(lines.Text(), ": ")
			switch field {
			case "event":
				m.event = value
			case "id":
				m.id = value
			case "data":
				m.data += value
			case "":
				stream.messages <- m
				m = message{}
			}
		}
	}()
	return stream
}

// next gives the next message of a kind; ok is false when the stream ends or
// none comes for so long.
func (r *reader) next(event string, within time.Duration) (m message, ok bool) {
	timeout := time.After(within)
	for {
		select {
		case m, open := <-r.messages:
			if !open || m.event == event {
				return m, open
			}
		case <-timeout:
			return message{}, false
		}
	}
}

func (r *reader) must(event string) message {
	r.t.Helper()
	m, ok := r.next(event, patience)
	if !ok {
		r.t.Fatalf("the stream gave no %s", event)
	}
	return m
}

// discard forgets the messages that came so far.
func (r *reader) discard() {
	for len(r.messages) > 0 {
		<-r.messages
	}
}
