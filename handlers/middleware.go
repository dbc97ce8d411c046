package handlers

import (
	"context"
	"crypto/rand"
	"log/slog"
	"net/http"
	"runtime/debug"
	"time"
)

// middleware is what every request passes through, outermost first. What matches
// one of the patterns in open may come from pages of any origin.
func (s *Server) middleware(next http.Handler, open []string) http.Handler {
	sameOrigin := http.NewCrossOriginProtection()
	for _, pattern := range open {
		sameOrigin.AddInsecureBypassPattern(pattern)
	}
	sameOrigin.SetDenyHandler(s.handle(func(http.ResponseWriter, *http.Request) error {
		return fail(http.StatusForbidden, "cross_origin", "This request came from a page of another site, so it was refused. Use the page on this server.")
	}))
	return s.logRequests(s.recoverPanics(s.secureHeaders(sameOrigin.Handler(next))))
}

type requestKey struct{}

// requestContext is what is known of a request besides what it says itself.
type requestContext struct{ id string }

func requestID(ctx context.Context) string {
	rc, _ := ctx.Value(requestKey{}).(requestContext)
	return rc.id
}

func requestLog(ctx context.Context, log *slog.Logger) *slog.Logger {
	return log.With("request", requestID(ctx))
}

// logRequests gives each request an id and logs its end. The query is left out:
// it may hold a token.
func (s *Server) logRequests(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		id := rand.Text()[:12]
		w.Header().Set("X-Request-Id", id)
		r = r.WithContext(context.WithValue(r.Context(), requestKey{}, requestContext{id}))
		began := time.Now()
		recorder := &statusRecorder{ResponseWriter: w}
		next.ServeHTTP(recorder, r)
		s.Log.Debug("request", "request", id, "method", r.Method, "path", r.URL.Path,
			"status", recorder.status, "took", time.Since(began).Round(time.Microsecond))
	})
}

// statusRecorder remembers the status that was answered.
type statusRecorder struct {
	http.ResponseWriter
	status int
}

func (w *statusRecorder) WriteHeader(status int) {
	if w.status == 0 {
		w.status = status
	}
	w.ResponseWriter.WriteHeader(status)
}

func (w *statusRecorder) Write(b []byte) (int, error) {
	if w.status == 0 {
		w.status = http.StatusOK
	}
	return w.ResponseWriter.Write(b)
}

// Unwrap lets http.ResponseController reach the connection.
func (w *statusRecorder) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// recoverPanics answers a request whose handler panicked, and logs where.
func (s *Server) recoverPanics(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer func() {
			if v := recover(); v != nil && v != http.ErrAbortHandler {
				requestLog(r.Context(), s.Log).Error("panic", "value", v, "stack", string(debug.Stack()))
				s.writeError(w, r, fail(http.StatusInternalServerError, "internal", "Something went wrong on the server. Its log says what, under the id of this request."))
			}
		}()
		next.ServeHTTP(w, r)
	})
}

// contentPolicy lets a page load from its own server only, and nothing inline.
const contentPolicy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; connect-src 'self'; form-action 'self'; base-uri 'none'; "

// secureHeaders sets what holds for every answer. An embed allows its ancestors
// itself; what may be cached says so itself.
func (s *Server) secureHeaders(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", contentPolicy+"frame-ancestors 'none'")
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Cross-Origin-Opener-Policy", "same-origin")
		h.Set("Cache-Control", "no-store")
		if s.TLS {
			h.Set("Strict-Transport-Security", "max-age=31536000")
		}
		next.ServeHTTP(w, r)
	})
}
