package handlers

import (
	"bufio"
	"context"
	"crypto/rand"
	"log/slog"
	"net"
	"net/http"
	"runtime/debug"
	"time"
)

type requestKey struct{}

// received is what is known of a request besides what it says itself.
type received struct {
	id     string
	sender context.Context // ends when the sender goes away, or seems to
	body   *pacedBody      // nil when there is none
}

// receivedOf gives what receive noted; nothing for a context that it did not make.
func receivedOf(ctx context.Context) received {
	r, _ := ctx.Value(requestKey{}).(received)
	return r
}

func requestID(ctx context.Context) string { return receivedOf(ctx).id }

func requestLog(ctx context.Context, log *slog.Logger) *slog.Logger {
	return log.With("request", requestID(ctx))
}

// receive gives each request an id and a pace for its body, and logs its end. It sees
// to it that a handler that returns without a status sends none: net/http would answer 200
// for it, and a sender would take that for success. The query is not logged: it may hold a
// token.
func (s *Server) receive(next func(*answerWriter, *http.Request)) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		id := rand.Text()[:12]
		w.Header().Set("X-Request-Id", id)
		a := &answerWriter{ResponseWriter: w, body: paceBody(w, r)}
		ctx, end := r.Context(), func() {}
		if r.ProtoMajor == 1 {
			ctx, end = outliveHalfClose(ctx)
		}
		defer end()
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		defer s.inFlight.begin(cancel)()
		ctx = context.WithValue(ctx, requestKey{}, received{id, r.Context(), a.body})
		r = r.WithContext(ctx)
		if a.body != nil {
			r.Body = a.body
		}
		began := time.Now()
		defer func() {
			if a.status == 0 && a.body != nil {
				a.body.giveUp()
			}
			s.Log.Debug("request", "request", id, "method", r.Method, "path", r.URL.Path,
				"status", a.status, "took", time.Since(began).Round(time.Microsecond))
		}()
		next(a, r)
		if a.status == 0 {
			panic(http.ErrAbortHandler)
		}
	})
}

// recoverPanics answers a request whose handler panicked, and logs where. An answer
// that had begun is broken off, so that nobody takes it for whole.
func (s *Server) recoverPanics(next http.Handler) func(*answerWriter, *http.Request) {
	return func(w *answerWriter, r *http.Request) {
		defer func() {
			v := recover()
			if v == nil {
				return
			}
			if v != http.ErrAbortHandler {
				requestLog(r.Context(), s.Log).Error("panic", "value", v, "stack", string(debug.Stack()))
			}
			if v == http.ErrAbortHandler || w.status != 0 {
				panic(http.ErrAbortHandler)
			}
			s.writeError(w, r, fail(http.StatusInternalServerError, "internal", "Something went wrong on the server. Its log says what, under the id of this request."))
		}()
		next.ServeHTTP(w, r)
	}
}

// halfClosedTimeout is how long work goes on for a sender that will send no more. It is
// either gone, or has closed its half of the connection and waits for the answer; only writing
// the answer tells which.
const halfClosedTimeout = 15 * time.Second

// outliveHalfClose gives a context that ends halfClosedTimeout after its parent. Call end
// when the request has been answered.
func outliveHalfClose(parent context.Context) (ctx context.Context, end func()) {
	ctx, cancel := context.WithCancel(context.WithoutCancel(parent))
	stop := context.AfterFunc(parent, func() {
		timer := time.AfterFunc(halfClosedTimeout, cancel)
		context.AfterFunc(ctx, func() { timer.Stop() })
	})
	return ctx, func() {
		stop()
		cancel()
	}
}

// untilSenderLeaves makes a handler whose work ends at once when its sender seems to
// have gone: that of a stream, which has no end to wait for.
func untilSenderLeaves(h handler) handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		ctx := context.WithValue(receivedOf(r.Context()).sender, requestKey{}, receivedOf(r.Context()))
		return h(w, r.WithContext(ctx))
	}
}

// answerWriter remembers the status that was answered.
type answerWriter struct {
	http.ResponseWriter
	body   *pacedBody // of the request; may be nil
	status int        // 0 until there is one
}

func (w *answerWriter) WriteHeader(status int) {
	if w.status == 0 && status >= http.StatusOK { // the others are no answer yet
		w.status = status
		if w.body != nil && w.body.giveUp() {
			w.Header().Set("Connection", "close")
		}
	}
	w.ResponseWriter.WriteHeader(status)
}

func (w *answerWriter) Write(b []byte) (int, error) {
	if w.status == 0 {
		w.WriteHeader(http.StatusOK)
	}
	return w.ResponseWriter.Write(b)
}

// Hijack hands the connection over. Who takes it answers.
func (w *answerWriter) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	conn, rest, err := http.NewResponseController(w.ResponseWriter).Hijack()
	if err == nil {
		w.status = http.StatusOK
	}
	return conn, rest, err
}

// Unwrap lets http.ResponseController reach the connection.
func (w *answerWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }
