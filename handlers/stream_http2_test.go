package handlers_test

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"pulseboard/handlers"
	"pulseboard/store/token"
)

// shortStall is the stall timeout of tests: long for a write on this machine, short
// for a test that waits it out.
const shortStall = time.Second

// newSecureWorld serves over TLS, and its clients speak HTTP/2 or only HTTP/1. No
// heartbeat interrupts the quiet of its streams.
func newSecureWorld(t *testing.T, http2 bool, stall time.Duration) *world {
	t.Helper()
	w := newWorldWith(t, func(h http.Handler) *httptest.Server {
		web := httptest.NewUnstartedServer(h)
		web.EnableHTTP2 = true
		web.Config.ConnContext = func(ctx context.Context, conn net.Conn) context.Context {
			_ = conn.(*tls.Conn).NetConn().(*net.TCPConn).SetWriteBuffer(smallWindow) // else it holds megabytes
			return ctx
		}
		web.StartTLS()
		return web
	}, func(c *handlers.Config) {
		c.Heartbeat = time.Hour
		c.StallTimeout = stall
	})
	w.transport = secureTransport(http2)
	return w
}

// secureTransport takes little of a stream in advance.
func secureTransport(http2 bool) *http.Transport {
	transport := &http.Transport{
		DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
			conn, err := new(net.Dialer).DialContext(ctx, network, address)
			if err == nil {
				err = conn.(*net.TCPConn).SetReadBuffer(smallWindow)
			}
			return conn, err
		},
		TLSClientConfig:    &tls.Config{InsecureSkipVerify: true},
		DisableCompression: true,
		Protocols:          new(http.Protocols),
		HTTP2:              &http.HTTP2Config{MaxReceiveBufferPerStream: smallWindow},
	}
	transport.Protocols.SetHTTP1(!http2)
	transport.Protocols.SetHTTP2(http2)
	return transport
}

// smallWindow is the flow-control window of a client's stream and the size of each
// buffer on the way to it, in bytes.
const smallWindow = 64 << 10

func eachSecureProtocol(t *testing.T, test func(t *testing.T, http2 bool)) {
	for name, http2 := range map[string]bool{"HTTP2": true, "HTTP1 and TLS": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, http2)
		})
	}
}

// isOpenAfter fails the test when the stream ends meanwhile.
func (l *live) isOpenAfter(quiet time.Duration) {
	l.t.Helper()
	timeout := time.After(quiet)
	for {
		select {
		case e, open := <-l.events:
			if !open {
				l.t.Fatalf("the stream broke off: %v", l.err)
			}
			l.t.Logf("meanwhile came %s", e.name)
		case <-timeout:
			return
		}
	}
}

// endsCleanly fails the test unless the stream ends now as its server meant it to.
func (l *live) endsCleanly() {
	l.t.Helper()
	select {
	case e, open := <-l.events:
		if open {
			l.t.Errorf("after its last event came %s %s", e.name, e.data)
		} else if l.err != nil {
			l.t.Errorf("the stream broke off: %v", l.err)
		}
	case <-time.After(patience):
		l.t.Error("the stream did not end")
	}
}

// A write deadline that is not taken back is a timer that resets a quiet stream.
func TestAQuietStreamStaysOpen(t *testing.T) {
	t.Parallel()
	eachSecureProtocol(t, func(t *testing.T, http2 bool) {
		w := newSecureWorld(t, http2, shortStall)
		client, query := w.client(), "token="+w.token(nil)
		s := w.stream(client, query)
		s.next("heartbeat")
		for range 2 { // after the first writes, and after a later one
			s.isOpenAfter(2 * shortStall)
			w.do(client, "POST", "/api/events", `{"event":"a"}`, "Authorization", "Bearer "+w.key).taken(t)
			s.next("metric_update")
		}
	})
}

// The last event of a stream comes after a quiet time like any other, and an end
// follows it, not a reset.
func TestAGoodbyeEndsAQuietStreamCleanly(t *testing.T) {
	t.Parallel()
	eachSecureProtocol(t, func(t *testing.T, http2 bool) {
		w := newSecureWorld(t, http2, shortStall)
		expiring := w.token(func(c *token.Claims) { c.Expires = time.Now().Add(6 * time.Second) })
		client := w.signIn("ann@example.com")
		streams := map[string]*live{
			"expired":    w.stream(w.client(), "token="+expiring),
			"replaced":   w.stream(client, "screen=s1"),
			"signed_out": w.stream(client, ""),
		}
		w.newTenant("other", "bob@example.com")
		streams["removed"] = w.stream(w.signIn("bob@example.com"), "")
		for _, s := range streams {
			s.next("heartbeat")
			defer s.close()
		}
		time.Sleep(2 * shortStall)
		w.stream(client, "screen=s1").next("heartbeat")
		_, err := w.store.Writer().Exec(`DELETE FROM users WHERE email = 'bob@example.com'`)
		must(t, err)
		w.postForm(client, "/logout")
		for reason, s := range streams {
			if e := s.next("goodbye"); e.data != fmt.Sprintf(`{"reason":%q}`, reason) {
				t.Errorf("%s: it was told %s", reason, e.data)
			}
			s.endsCleanly()
		}
	})
}

// Deadlines for the arrival of a request do not bound its stream.
func TestReadDeadlinesAndTimeoutsOfTheServerDoNotEndAStream(t *testing.T) {
	t.Parallel()
	const limit = 3 * time.Second // the stream begins within it on a busy machine too
	eachSecureProtocol(t, func(t *testing.T, http2 bool) {
		w := newWorldWith(t, func(h http.Handler) *httptest.Server {
			web := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(limit))
				h.ServeHTTP(w, r)
			}))
			web.EnableHTTP2 = true
			web.Config.ReadTimeout, web.Config.WriteTimeout, web.Config.IdleTimeout = limit, limit, limit
			web.StartTLS()
			return web
		}, func(c *handlers.Config) { c.Heartbeat = time.Hour })
		text := w.token(nil)
		w.transport = secureTransport(http2)
		s := w.stream(w.client(), "token="+text)
		s.next("heartbeat")
		s.isOpenAfter(limit + time.Second)
		w.do(w.client(), "POST", "/api/events", `{"event":"a"}`, "Authorization", "Bearer "+w.key).taken(t)
		s.next("metric_update")
	})
}

// fill makes the snapshot of the board "web" larger than what a connection and its
// two ends hold in advance.
func (w *world) fill() {
	w.t.Helper()
	w.apply(w.tenant, strings.Replace(board, "by: path}", "by: path, limit: 1000}", 1))
	var events strings.Builder
	for i := range 500 {
		fmt.Fprintf(&events, `{"event":"a","properties":{"path":"/%d%s"}}`+"\n", i, strings.Repeat("x", 1900))
	}
	w.do(w.client(), "POST", "/api/events", events.String(), "Authorization", "Bearer "+w.key, "Content-Type", "application/x-ndjson").taken(w.t)
}

// unread opens a stream and leaves its body to the test.
func (w *world) unread(client *http.Client, query string) io.ReadCloser {
	w.t.Helper()
	response, err := client.Get(w.url + "/api/stream/dashboard/web?" + query)
	must(w.t, err)
	w.t.Cleanup(func() { response.Body.Close() })
	return response.Body
}

func (w *world) eventually(what string, true func() bool) {
	w.t.Helper()
	for deadline := time.Now().Add(patience); !true(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			w.t.Fatalf("waited in vain: %s", what)
		}
	}
}

// metric returns the sum of a metric's samples.
func (w *world) metric(name string) (sum float64) {
	w.t.Helper()
	families, err := w.registry.Gather()
	must(w.t, err)
	for _, f := range families {
		for _, m := range f.GetMetric() {
			if f.GetName() == name {
				sum += m.GetGauge().GetValue() + m.GetCounter().GetValue()
			}
		}
	}
	return sum
}

// A reader whose window is full is let go. Others, on the same connection too, notice
// nothing.
func TestAReaderThatTakesNothingIsClosedOverHTTP2Too(t *testing.T) {
	t.Parallel()
	eachSecureProtocol(t, func(t *testing.T, http2 bool) {
		w := newSecureWorld(t, http2, shortStall)
		w.fill()
		client, query := w.client(), "token="+w.token(nil)
		reads := w.stream(client, query)
		reads.next("heartbeat")
		body := w.unread(client, query)
		w.eventually("the stalled stream is closed", func() bool { return w.metric("pulseboard_stream_stalled_total") == 1 })
		w.eventually("its place is free", func() bool { return w.metric("pulseboard_streams") == 1 })
		if n, err := io.Copy(io.Discard, body); err == nil {
			t.Errorf("the stalled stream ended as if it were whole, after %d bytes", n)
		}
		w.do(client, "POST", "/api/events", `{"event":"a"}`, "Authorization", "Bearer "+w.key).taken(t)
		reads.next("metric_update")
	})
}

// A reader that takes something now and then is slow, not gone.
func TestAReaderThatIsSlowGetsALargeFrameWhole(t *testing.T) {
	slow(t)
	t.Parallel()
	w := newSecureWorld(t, true, shortStall)
	w.fill()
	body := w.unread(w.client(), "token="+w.token(nil))
	var got strings.Builder
	began, some := time.Now(), make([]byte, smallWindow)
	for !strings.Contains(got.String(), "event: heartbeat") {
		n, err := body.Read(some)
		got.Write(some[:n])
		if err != nil {
			t.Fatalf("after %v and %d bytes: %v", time.Since(began), got.Len(), err)
		}
		time.Sleep(shortStall / 8)
	}
	if took := time.Since(began); took < 3*shortStall/2 {
		t.Errorf("%d bytes in %v: that was not slow", got.Len(), took)
	}
}

// A server that stops gives its streams a clean end, and one that is not being read
// does not hold it up.
func TestADrainEndsStreamsCleanlyAndWaitsForNoStalledOne(t *testing.T) {
	t.Parallel()
	eachSecureProtocol(t, func(t *testing.T, http2 bool) {
		w := newSecureWorld(t, http2, time.Hour)
		w.fill()
		client, query := w.client(), "token="+w.token(nil)
		var streams []*live
		for range 3 {
			s := w.stream(client, query)
			s.next("heartbeat")
			streams = append(streams, s)
		}
		before := w.metric("pulseboard_stream_writes_total")
		w.unread(client, query)
		w.eventually("the stalled stream is stuck", func() bool {
			now := w.metric("pulseboard_stream_writes_total")
			stuck := now > before
			time.Sleep(100 * time.Millisecond)
			return stuck && now == w.metric("pulseboard_stream_writes_total")
		})
		began := time.Now()
		w.server.Drain(t.Context())
		// Under TLS, net/http spends 5 s more on telling a reader that takes nothing that
		// its connection is closed.
		if took := time.Since(began); took > patience {
			t.Errorf("the drain took %v", took)
		}
		for _, s := range streams {
			s.endsCleanly()
		}
	})
}
