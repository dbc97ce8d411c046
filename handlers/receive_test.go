package handlers

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"
	"testing/synctest"
	"time"
)

// What a handler leaves unsaid, or says half, is never a whole answer.
func TestAHandlerThatDoesNotAnswerIsNoYes(t *testing.T) {
	s := &Server{Config: Config{Log: slog.New(slog.DiscardHandler)}}
	for name, c := range map[string]struct {
		handler http.HandlerFunc
		status  int // 0: the connection is aborted
	}{
		"silence":          {func(http.ResponseWriter, *http.Request) {}, 0},
		"early hints only": {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusEarlyHints) }, 0},
		"an abort":         {func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, 0},
		"a panic":          {func(http.ResponseWriter, *http.Request) { panic("no") }, 500},
		"a panic halfway": {func(w http.ResponseWriter, _ *http.Request) {
			_, _ = io.WriteString(w, "half")
			panic("no")
		}, 0},
		"no content": {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) }, 204},
		"a redirect": {func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/login", http.StatusSeeOther) }, 303},
	} {
		web := httptest.NewServer(s.receive(s.recoverPanics(c.handler)))
		response, err := web.Client().Transport.RoundTrip(httptest.NewRequestWithContext(t.Context(), "GET", web.URL, nil))
		got := 0
		if err == nil {
			if _, err = io.ReadAll(response.Body); err == nil {
				got = response.StatusCode
			}
			response.Body.Close()
		}
		if got != c.status {
			t.Errorf("%s: %d (%v), want %d", name, got, err, c.status)
		}
		web.Close()
	}
}

// Work for a sender that seems to have gone ends, but not at once.
func TestWorkOutlivesAHalfClosedConnectionForAWhile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		parent, leave := context.WithCancel(t.Context())
		ctx, end := outliveHalfClose(parent)
		defer end()
		time.Sleep(time.Hour)
		leave()
		began := time.Now()
		synctest.Wait()
		if ctx.Err() != nil {
			t.Error("it ended with its sender")
		}
		<-ctx.Done()
		if took := time.Since(began); took != halfClosedTimeout {
			t.Errorf("it went on for %v", took)
		}
	})
}
