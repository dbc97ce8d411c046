package handlers

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"net/http"
	"strconv"
	"strings"
	"time"

	"pulseboard/store"
	"pulseboard/stream"
	"pulseboard/views"
)

// handler answers a request or gives the error to answer with.
type handler func(w http.ResponseWriter, r *http.Request) error

// httpError has two readers: Message helps the user, Err tells the log the cause.
type httpError struct {
	Status     int
	Code       string // a stable word for programs
	Message    string
	RetryAfter time.Duration
	Err        error // may be nil
}

func (e *httpError) Error() string {
	if e.Err != nil {
		return e.Code + ": " + e.Err.Error()
	}
	return e.Code
}

func (e *httpError) Unwrap() error { return e.Err }

func fail(status int, code, format string, args ...any) *httpError {
	return &httpError{Status: status, Code: code, Message: fmt.Sprintf(format, args...)}
}

func (e *httpError) because(err error) *httpError { e.Err = err; return e }

func notFound(what string) *httpError {
	return fail(http.StatusNotFound, "not_found", "There is no such %s.", what)
}

func badRequest(err error) *httpError {
	return fail(http.StatusBadRequest, "bad_request", "%s.", sentence(err.Error())).because(err)
}

// sentence begins a text with a capital letter.
func sentence(s string) string { return store.Capitalized(s) }

// asHTTPError finds the answer to an error: its own, that of an error that
// callers tell apart, or an internal one that says nothing of its cause.
func asHTTPError(err error) *httpError {
	var he *httpError
	var refusal *stream.Refusal
	switch {
	case errors.As(err, &he):
		return he
	case errors.As(err, &refusal) && (refusal.Reason == "server" || refusal.Reason == "memory"):
		e := fail(http.StatusServiceUnavailable, refusal.Reason+"_full", "%s.", sentence(refusal.Error()))
		e.RetryAfter = refusal.RetryAfter
		return e
	case errors.As(err, &refusal):
		e := fail(http.StatusTooManyRequests, "too_many_"+refusal.Reason, "%s.", sentence(refusal.Error()))
		e.RetryAfter = refusal.RetryAfter
		return e
	case errors.Is(err, store.ErrNotFound):
		return notFound("thing here").because(err)
	case errors.Is(err, store.ErrFull):
		e := fail(http.StatusServiceUnavailable, "disk_full", "The server's disk is full. Nothing was kept; send it again later.").because(err)
		e.RetryAfter = 30 * time.Second
		return e
	case errors.Is(err, store.ErrOverloaded):
		e := fail(http.StatusTooManyRequests, "overloaded", "More events come in than can be kept. Nothing of this batch was; send it again in a moment, and send less at once.").because(err)
		e.RetryAfter = time.Second
		return e
	case errors.Is(err, context.DeadlineExceeded):
		e := fail(http.StatusServiceUnavailable, "busy", "The server could not do this in time. Try again in a moment.").because(err)
		e.RetryAfter = 2 * time.Second
		return e
	case errors.Is(err, store.ErrBusy):
		e := fail(http.StatusServiceUnavailable, "busy", "The server's store is busy. Nothing was kept; send it again in a moment.").because(err)
		e.RetryAfter = 2 * time.Second
		return e
	case errors.Is(err, context.Canceled):
		// The sender went away, and most likely nobody reads this. A status is due all the
		// same: net/http would say 200 by itself.
		return fail(http.StatusServiceUnavailable, "interrupted", "The request was given up before it was done. Send it again.").because(err)
	}
	return fail(http.StatusInternalServerError, "internal", "Something went wrong on the server. Its log says what, under the id of this request.").because(err)
}

// handle makes a handler of net/http: it answers the error, in the form that the
// asker reads.
func (s *Server) handle(h handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		err := h(w, r)
		if err == nil {
			return
		}
		if body := receivedOf(r.Context()).body; body != nil && body.late {
			err = body.lateError() // the handler may take half a form for a wrong one
		}
		s.writeError(w, r, asHTTPError(err))
	})
}

func (s *Server) writeError(w http.ResponseWriter, r *http.Request, e *httpError) {
	if !wantsPage(r) {
		s.writeJSONError(w, r, e)
		return
	}
	s.beginError(w, r, e)
	s.writePage(w, r, e.Status, views.Error(views.ErrorPage{
		Page:      visitorPage(r, http.StatusText(e.Status)),
		Status:    e.Status,
		Message:   e.Message,
		RequestID: requestID(r.Context()),
	}))
}

func (s *Server) writeJSONError(w http.ResponseWriter, r *http.Request, e *httpError) {
	s.beginError(w, r, e)
	writeJSON(w, e.Status, map[string]any{"error": map[string]string{"code": e.Code, "message": e.Message}})
}

// beginError logs an error and says when the request may come again. The answer is
// to follow.
func (s *Server) beginError(w http.ResponseWriter, r *http.Request, e *httpError) {
	log := requestLog(r.Context(), s.Log)
	// What has no cause is refused by the server's own limits, and anybody can ask for it.
	if e.Status >= 500 && e.Err != nil && !errors.Is(e.Err, context.Canceled) {
		log.Error("request failed", "code", e.Code, "error", e.Err)
	} else {
		log.Debug("request refused", "code", e.Code, "error", e.Err)
	}
	if e.RetryAfter > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(int(math.Ceil(e.RetryAfter.Seconds()))))
	}
}

// wantsPage says whether a person's browser asks: it names text/html, and the
// address is none that answers machines.
func wantsPage(r *http.Request) bool {
	return !strings.HasPrefix(r.URL.Path, "/api/") && strings.Contains(r.Header.Get("Accept"), "text/html")
}

func writeJSON(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v) // a reader that went away is no error of ours
}
