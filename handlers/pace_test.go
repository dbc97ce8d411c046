package handlers_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// pipes is a listener whose connections are pipes: their deadlines go by the clock of
// a test.
type pipes struct {
	conns chan net.Conn
	done  chan struct{}
	close sync.Once
}

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case conn := <-p.conns:
		return conn, nil
	case <-p.done:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error {
	p.close.Do(func() { close(p.done) })
	return nil
}

func (p *pipes) Addr() net.Addr { return &net.UnixAddr{Name: "pipe"} }

func (p *pipes) dial(context.Context, string, string) (net.Conn, error) {
	near, far := net.Pipe()
	p.conns <- far
	return near, nil
}

// slowSender gives the bytes of a text at a pace, and after them none until it is closed.
type slowSender struct {
	text   string
	pause  time.Duration
	closed chan struct{}
	once   sync.Once
}

func newSlowSender(text string, pause time.Duration) *slowSender {
	return &slowSender{text: text, pause: pause, closed: make(chan struct{})}
}

func (s *slowSender) Read(p []byte) (int, error) {
	if s.text == "" {
		<-s.closed
		return 0, io.ErrClosedPipe
	}
	select {
	case <-time.After(s.pause):
	case <-s.closed:
		return 0, io.ErrClosedPipe
	}
	p[0], s.text = s.text[0], s.text[1:]
	return 1, nil
}

func (s *slowSender) Close() error {
	s.once.Do(func() { close(s.closed) })
	return nil
}

// slowAnswer is what a slow sender was told, and when.
type slowAnswer struct {
	answer
	after, closedAfter time.Duration // since the request
}

// sendSlowly sends a request of HTTP/1 or 2 whose body comes slowly.
func sendSlowly(t *testing.T, p *pipes, version int, method, path string, header http.Header, body *slowSender) slowAnswer {
	t.Helper()
	began := time.Now()
	r, err := http.NewRequest(method, "http://pulse.example"+path, body)
	must(t, err)
	r.Header, r.ContentLength = header, 1000
	var response *http.Response
	conn, _ := p.dial(t.Context(), "", "")
	if version == 2 {
		protocols := new(http.Protocols)
		protocols.SetUnencryptedHTTP2(true)
		transport := &http.Transport{Protocols: protocols, DialContext: func(context.Context, string, string) (net.Conn, error) { return conn, nil }}
		defer transport.CloseIdleConnections()
		response, err = transport.RoundTrip(r)
	} else {
		wrote := make(chan struct{})
		go func() {
			defer close(wrote)
			head := fmt.Sprintf("%s %s HTTP/1.1\r\nHost: pulse.example\r\nContent-Length: %d\r\n", method, path, r.ContentLength)
			var fields strings.Builder
			_ = header.Write(&fields)
			if _, err := io.WriteString(conn, head+fields.String()+"\r\n"); err == nil {
				_, _ = io.Copy(conn, body) // it fails when the server has enough
			}
		}()
		defer func() {
			conn.Close()
			body.Close()
			<-wrote
		}()
		response, err = http.ReadResponse(bufio.NewReader(conn), r)
	}
	must(t, err)
	a := slowAnswer{answer: answer{status: response.StatusCode, header: response.Header}, after: time.Since(began)}
	text, err := io.ReadAll(response.Body)
	must(t, err)
	a.body = string(text)
	response.Body.Close()
	if version == 1 {
		must(t, conn.SetReadDeadline(time.Now().Add(time.Hour)))
		_, err = conn.Read(make([]byte, 1))
		if err != io.EOF {
			t.Errorf("%s %s: after the answer: %v", method, path, err)
		}
		a.closedAfter = time.Since(began)
		if !response.Close {
			t.Errorf("%s %s: the answer doesn't say that the connection ends", method, path)
		}
	} else {
		<-body.closed
		a.closedAfter = time.Since(began)
	}
	return a
}

// However slow a body comes, and whether or not it is wanted, it holds nothing for long.
func TestABodyThatComesSlowlyIsNotWaitedFor(t *testing.T) {
	w := newWorld(t)
	const slow, stalled = time.Second, 11 * time.Second
	key := "Bearer " + w.key
	for _, c := range []struct {
		request, authorization string
		pause                  time.Duration
		status                 int
		code                   string
		after                  time.Duration
	}{
		{"POST /api/events", key, slow, 408, "body_timeout", time.Minute},
		{"POST /api/events", key, stalled, 408, "body_timeout", 10 * time.Second},
		{"POST /v1/batch", "", slow, 408, "body_timeout", time.Minute},
		{"POST /v1/batch", key, stalled, 408, "body_timeout", 10 * time.Second},
		{"POST /e/", "", stalled, 408, "body_timeout", 10 * time.Second},
		{"POST /v1/traces", key, slow, 408, "", time.Minute},
		{"POST /login", "", slow, 408, "body_timeout", 10 * time.Second},
		{"POST /api/events", "", slow, 401, "unauthorized", 0},
		{"POST /api/events", "Bearer pb_nothing", slow, 401, "unauthorized", 0},
		{"POST /v1/batch", "Bearer pb_nothing", slow, 401, "unauthorized", 0},
		{"POST /preferences", "", slow, 401, "unauthorized", 0},
		{"POST /settings/retention", "", slow, 401, "unauthorized", 0},
		{"POST /nowhere", "", slow, 404, "not_found", 0},
		{"PUT /login", "", slow, 405, "method_not_allowed", 0},
		{"GET /healthz", "", slow, 200, "", 0},
		{"GET /version", "", slow, 200, "", 0},
		{"GET /metrics", "", slow, 200, "", 0},
		{"GET /favicon.ico", "", slow, 302, "", 0},
		{"GET /api/stream/dashboard/web", "", slow, 401, "unauthorized", 0},
		{"OPTIONS /v1/batch", "", slow, 204, "", 0},
	} {
		for _, version := range []int{1, 2} {
			t.Run(fmt.Sprintf("%s HTTP%d %v", c.request, version, c.pause), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					p := &pipes{conns: make(chan net.Conn), done: make(chan struct{})}
					protocols := new(http.Protocols)
					protocols.SetHTTP1(true)
					protocols.SetUnencryptedHTTP2(true)
					web := &http.Server{Handler: w.server.Handler(), Protocols: protocols, ReadTimeout: 15 * time.Second}
					go web.Serve(p)
					defer web.Close()
					method, path, _ := strings.Cut(c.request, " ")
					header := http.Header{"Content-Type": {"application/x-www-form-urlencoded"}}
					if path == "/v1/traces" {
						header.Set("Content-Type", "application/json")
					}
					if c.authorization != "" {
						header.Set("Authorization", c.authorization)
					}
					a := sendSlowly(t, p, version, method, path, header, newSlowSender(strings.Repeat(" ", 999), c.pause))
					if a.status != c.status || (c.code != "" && a.code(t) != c.code) {
						t.Errorf("%d %s", a.status, a.body)
					}
					// A deadline is moved once a second only.
					if a.after > c.after || a.after < c.after-time.Second {
						t.Errorf("answered after %v", a.after)
					}
					if a.closedAfter > a.after+time.Second {
						t.Errorf("the body was held for %v, answered after %v", a.closedAfter, a.after)
					}
				})
			})
		}
	}
	if got := w.named(); len(got) > 0 {
		t.Errorf("kept: %v", got)
	}
}

// A body that came in time leaves no deadline behind, however long its answer takes.
func TestADeadlineEndsWithItsBody(t *testing.T) {
	w := newWorld(t)
	for _, version := range []int{1, 2} {
		synctest.Test(t, func(t *testing.T) {
			p := &pipes{conns: make(chan net.Conn), done: make(chan struct{})}
			protocols := new(http.Protocols)
			protocols.SetHTTP1(true)
			protocols.SetUnencryptedHTTP2(true)
			inner := w.server.Handler()
			web := &http.Server{Protocols: protocols, ReadTimeout: 15 * time.Second, Handler: http.HandlerFunc(func(out http.ResponseWriter, r *http.Request) {
				inner.ServeHTTP(lateWriter{out}, r)
				if r.Context().Err() != nil {
					t.Error("the request was given up")
				}
			})}
			go web.Serve(p)
			defer web.Close()
			client := &http.Transport{Protocols: new(http.Protocols), DialContext: p.dial}
			client.Protocols.SetHTTP1(version == 1)
			client.Protocols.SetUnencryptedHTTP2(version == 2)
			defer client.CloseIdleConnections()
			for range 2 { // over one connection
				r, err := http.NewRequest("POST", "http://pulse.example/login", strings.NewReader("email="+strings.Repeat("x", 300)))
				must(t, err)
				r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
				response, err := client.RoundTrip(r)
				must(t, err)
				text, err := io.ReadAll(response.Body)
				must(t, err)
				if response.StatusCode != http.StatusBadRequest || response.Close || len(text) == 0 {
					t.Errorf("HTTP/%d: %d %s", version, response.StatusCode, text)
				}
				time.Sleep(time.Minute)
			}
		})
	}
}

// lateWriter answers when all deadlines of a body have passed.
type lateWriter struct{ http.ResponseWriter }

func (w lateWriter) WriteHeader(status int) {
	time.Sleep(2 * time.Minute)
	w.ResponseWriter.WriteHeader(status)
}

func (w lateWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// A body of chunks that stops right before its very end is late too, and not broken.
func TestABodyThatStopsBeforeItsEndIsLate(t *testing.T) {
	w := newWorld(t)
	for _, body := range []string{"", "5", "5\r\n[   ]", "5\r\n[   ]\r\n0\r\n", "5\r\n[   ]\r\n0\r\nA: b\r\n"} {
		synctest.Test(t, func(t *testing.T) {
			p := &pipes{conns: make(chan net.Conn), done: make(chan struct{})}
			web := &http.Server{Handler: w.server.Handler(), ReadTimeout: 15 * time.Second}
			go web.Serve(p)
			defer web.Close()
			conn, err := p.dial(t.Context(), "", "")
			must(t, err)
			defer conn.Close()
			began := time.Now()
			_, err = io.WriteString(conn, "POST /api/events HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer "+w.key+"\r\nTransfer-Encoding: chunked\r\n\r\n"+body)
			must(t, err)
			response, err := http.ReadResponse(bufio.NewReader(conn), nil)
			must(t, err)
			text, err := io.ReadAll(response.Body)
			must(t, err)
			if a := (answer{response.StatusCode, response.Header, string(text)}); a.status != http.StatusRequestTimeout || a.code(t) != "body_timeout" || time.Since(began) != 10*time.Second {
				t.Errorf("%q: %d %s after %v", body, a.status, a.body, time.Since(began))
			}
		})
	}
}
