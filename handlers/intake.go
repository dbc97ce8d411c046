package handlers

import (
	"cmp"
	"context"
	"errors"
	"net/http"
	"strings"
	"sync"
	"time"

	"pulseboard/store"
	"pulseboard/store/ingest"
	"pulseboard/stream/turns"
)

// form is a form of requests that bring events.
type form struct {
	// decode reads the events of a body. Errors are those of package ingest, or an
	// *httpError.
	decode func(body []byte, now time.Time) (ingest.Sent, error)
	// keyInBody says that the ingest key may stand in the body.
	keyInBody bool
}

// takeIn keeps the events of a request. When it returns they are on disk and
// counted: whoever asks then finds them. On an error nothing was kept.
func (s *Server) takeIn(r *http.Request, f form) (eventsAnswer, error) {
	answer, err := s.takeInBatch(r, f)
	if err != nil && asHTTPError(err).RetryAfter > 0 {
		s.events.refused.Inc()
	}
	return answer, err
}

func (s *Server) takeInBatch(r *http.Request, f form) (eventsAnswer, error) {
	// Senders that no header names are known when their body has been decoded. Until
	// then they may only hold up others like them.
	intake, sender := s.intake, []string{headerKey(r), clientNetwork(r)}
	tenant, err := s.keyTenant(r.Context(), headerKey(r))
	stranger := err == errNoKey && f.keyInBody
	switch {
	case stranger:
		intake, sender = s.strangers, sender[1:]
	case err != nil:
		return eventsAnswer{}, err
	}
	coding, err := contentCoding(r.Header)
	if err != nil {
		return eventsAnswer{}, err
	}
	share := intake.bodies.share(sender...)
	defer share.release()
	packed, err := readBody(r, share)
	if err != nil {
		return eventsAnswer{}, err
	}
	decoded := func() {}
	if coding != "" || len(packed) > largeBatch || isGzip(packed) {
		if decoded, err = s.waitForLarge(r.Context(), sender); err != nil {
			return eventsAnswer{}, err
		}
	}
	decoded = sync.OnceFunc(decoded)
	defer decoded()
	leave, err := intake.enter(r.Context(), sender...)
	if err != nil {
		return eventsAnswer{}, err
	}
	defer leave()
	body, err := unpackBody(packed, coding)
	if err != nil {
		return eventsAnswer{}, err
	}
	now := time.Now()
	sent, err := f.decode(body, now)
	if err != nil {
		return eventsAnswer{}, unreadableError(err)
	}
	decoded() // large batches are kept together too
	if stranger {
		if tenant, err = s.keyTenant(r.Context(), sent.Key); err != nil {
			return eventsAnswer{}, err
		}
	}
	if len(sent.Rejected) > 0 {
		requestLog(r.Context(), s.Log).Debug("events rejected", "tenant", tenant.Slug, "events", len(sent.Rejected), "first", sent.Rejected[0])
	}
	return s.keep(r.Context(), tenant.ID, sent.Batch, now)
}

// unreadableError gives the answer to a body of which no event could be read.
func unreadableError(err error) error {
	var unreadable *ingest.Unreadable
	var tooMany *ingest.TooMany
	var large *ingest.TooLarge
	switch {
	case errors.As(err, &unreadable):
		return fail(http.StatusBadRequest, unreadable.Code, "%s", unreadable.Message).because(err)
	case errors.As(err, &tooMany):
		return fail(http.StatusRequestEntityTooLarge, "too_many_events", "%s", sentence(tooMany.Error())).because(err)
	case errors.As(err, &large):
		return fail(http.StatusRequestEntityTooLarge, "too_large", "%s", sentence(large.Error())).because(err)
	}
	return err
}

var errNoKey = fail(http.StatusUnauthorized, "unauthorized", "Send a valid ingest key as 'Authorization: Bearer KEY'.")

// headerKey gives the ingest key of the Authorization header: the token of Bearer,
// or of Basic the user, or the password of nobody.
func headerKey(r *http.Request) string {
	if user, password, ok := r.BasicAuth(); ok {
		return cmp.Or(user, password)
	}
	scheme, key, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if !strings.EqualFold(scheme, "Bearer") {
		return ""
	}
	return strings.TrimSpace(key)
}

// keyTenant gives the tenant of an ingest key. Without a key the error is errNoKey.
func (s *Server) keyTenant(ctx context.Context, key string) (store.Tenant, error) {
	if key == "" {
		return store.Tenant{}, errNoKey
	}
	tenant, err := s.Store.TenantByKey(ctx, key)
	if errors.Is(err, store.ErrNotFound) {
		return tenant, fail(errNoKey.Status, errNoKey.Code, "%s", errNoKey.Message).because(err)
	}
	return tenant, err
}

// Batches that have been read are decoded and kept by a few at once; more wait a
// little, and what cannot even wait is sent away to come again. So a flood costs bounded
// memory.
const (
	intakeAtOnce   = 8
	intakeWaiting  = 2048
	intakePatience = 5 * time.Second
)

// Bytes of bodies that are being read or wait to be decoded, of all senders of a kind.
const (
	bodiesInFlight    = 64 << 20
	strangersInFlight = 32 << 20
)

// intake bounds the batches that are worked on at once, and the bodies that come in.
type intake struct {
	bodies  *budget // of bytes
	waiting *budget // of batches
	working chan struct{}
}

func newIntake(bytes int) *intake {
	return &intake{bodies: newBudget(bytes), waiting: newBudget(intakeWaiting), working: make(chan struct{}, intakeAtOnce)}
}

// largeBatch is the size in bytes from which a batch waits its turn to be decoded, as packed
// batches do, which may be of any size. To unpack and to decode some MiB takes a core for a
// tenth of a second, so other cores are left to those who watch.
const largeBatch = 1 << 20

// waitForLarge waits until a batch that may be large may be decoded. Senders take turns. done
// ends that.
func (s *Server) waitForLarge(ctx context.Context, sender []string) (done func(), err error) {
	waiting, cancel := context.WithTimeoutCause(ctx, intakePatience, errIntakeBusy)
	defer cancel()
	return s.large.Enter(waiting, turns.Member{Group: sender[0], Name: strings.Join(sender, " ")})
}

var errIntakeBusy = func() *httpError {
	busy := fail(http.StatusTooManyRequests, "too_many_requests", "The server is taking in as much as it can. Send this batch again in a moment.")
	busy.RetryAfter = time.Second
	return busy
}()

// enter waits for a place; leave gives it back.
func (i *intake) enter(ctx context.Context, sender ...string) (leave func(), err error) {
	waiting := i.waiting.share(sender...)
	if !waiting.add(1) {
		return nil, errIntakeBusy
	}
	defer waiting.release()
	patience := time.NewTimer(intakePatience)
	defer patience.Stop()
	select {
	case i.working <- struct{}{}:
		return func() { <-i.working }, nil
	case <-patience.C:
		return nil, errIntakeBusy
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}
