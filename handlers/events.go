package handlers

import (
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/klauspost/compress/zstd"
	"github.com/prometheus/client_golang/prometheus"

	"pulseboard/store"
	"pulseboard/store/ingest"
)

// postEvents takes in a batch. It answers when what it accepted is on disk and
// counted: whoever asks after the answer finds it.
func (s *Server) postEvents(w http.ResponseWriter, r *http.Request) error {
	tenant, err := s.keyTenant(r)
	if err != nil {
		return err
	}
	leave, err := s.intake.enter(r.Context())
	if err != nil {
		s.events.refused.Inc()
		return err
	}
	defer leave()
	body, err := readBody(w, r)
	if err != nil {
		return err
	}
	now := time.Now()
	batch, err := decodeBatch(body, r.Header.Get("Content-Type"), now)
	if err != nil {
		return err
	}
	recorded, err := s.Store.Record(r.Context(), tenant.ID, batch.Events, now)
	if err != nil {
		return err
	}
	s.hub.Announce(tenant.ID, recorded.Head)
	answer := eventsAnswer{Rejected: batch.Rejected}
	for _, duplicate := range recorded.Duplicate {
		if duplicate {
			answer.Duplicate++
		} else {
			answer.Accepted++
		}
	}
	if answer.Rejected == nil {
		answer.Rejected = []ingest.Rejection{}
	}
	s.events.count(answer)
	writeJSON(w, http.StatusAccepted, answer)
	return nil
}

// eventsAnswer says what became of the events of a batch.
type eventsAnswer struct {
	Accepted  int                `json:"accepted"`
	Duplicate int                `json:"duplicate"`
	Rejected  []ingest.Rejection `json:"rejected"`
}

// keyTenant gives the tenant of the request's ingest key.
func (s *Server) keyTenant(r *http.Request) (store.Tenant, error) {
	refused := fail(http.StatusUnauthorized, "unauthorized", "Send a valid ingest key as 'Authorization: Bearer KEY'.")
	scheme, key, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if !strings.EqualFold(scheme, "Bearer") || key == "" {
		return store.Tenant{}, refused
	}
	tenant, err := s.Store.TenantByKey(r.Context(), strings.TrimSpace(key))
	if errors.Is(err, store.ErrNotFound) {
		return store.Tenant{}, refused
	}
	return tenant, err
}

// bodyTimeout bounds how long a sender may take to send a batch.
const bodyTimeout = time.Minute

// readBody reads and unpacks a request's body, at most store.MaxBatchBytes of it,
// packed and unpacked.
func readBody(w http.ResponseWriter, r *http.Request) ([]byte, error) {
	tooLarge := fail(http.StatusRequestEntityTooLarge, "too_large", "A batch may be %d MiB at most, unpacked. Send it in several.", store.MaxBatchBytes>>20)
	_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(bodyTimeout)) // where it is not supported, the server's own limits hold
	packed := http.MaxBytesReader(w, r.Body, store.MaxBatchBytes)
	coding := strings.ToLower(strings.TrimSpace(r.Header.Get("Content-Encoding")))
	unpacked, err := unpack(packed, coding)
	if errors.Is(err, errCoding) {
		return nil, fail(http.StatusUnsupportedMediaType, "unsupported_encoding", "Content-Encoding %q is not supported: use identity, gzip or zstd.", coding)
	}
	if err == nil {
		defer unpacked.Close()
		var body []byte
		body, err = io.ReadAll(io.LimitReader(unpacked, store.MaxBatchBytes+1))
		if len(body) > store.MaxBatchBytes {
			return nil, tooLarge
		}
		if err == nil {
			return body, nil
		}
	}
	var tooMany *http.MaxBytesError
	if errors.As(err, &tooMany) {
		return nil, tooLarge
	}
	return nil, fail(http.StatusBadRequest, "unreadable", "The body could not be read as %s.", codingName(coding)).because(err)
}

var errCoding = errors.New("unsupported content encoding")

func codingName(coding string) string {
	if coding == "" {
		return "identity"
	}
	return coding
}

func unpack(packed io.ReadCloser, coding string) (io.ReadCloser, error) {
	switch coding {
	case "", "identity":
		return packed, nil
	case "gzip", "x-gzip":
		return gzip.NewReader(packed)
	case "zstd":
		d, err := zstd.NewReader(packed, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(store.MaxBatchBytes))
		if err != nil {
			return nil, err
		}
		return d.IOReadCloser(), nil
	}
	return nil, errCoding
}

// decodeBatch reads events from a body. Lines are taken as NDJSON when the
// sender says so, and also when it says nothing of JSON and the body is no one
// JSON text: curl's default Content-Type is no reason to refuse.
func decodeBatch(body []byte, contentType string, now time.Time) (ingest.Batch, error) {
	mediaType, _, _ := strings.Cut(strings.ToLower(contentType), ";")
	mediaType = strings.TrimSpace(mediaType)
	lines := strings.Contains(mediaType, "ndjson") || strings.Contains(mediaType, "jsonl") || strings.Contains(mediaType, "json-seq")
	batch, err := ingest.Decode(body, lines, now)
	var unreadable *ingest.Unreadable
	if errors.As(err, &unreadable) && !lines && mediaType != "application/json" {
		if asLines, lineErr := ingest.Decode(body, true, now); lineErr == nil && !hasUnreadable(asLines.Rejected) {
			return asLines, nil
		}
	}
	var tooMany *ingest.TooMany
	switch {
	case errors.As(err, &unreadable):
		return batch, fail(http.StatusBadRequest, unreadable.Code, "%s", unreadable.Message).because(err)
	case errors.As(err, &tooMany):
		return batch, fail(http.StatusRequestEntityTooLarge, "too_many_events", "%s", sentence(tooMany.Error())).because(err)
	case err != nil:
		return batch, fmt.Errorf("decode events: %w", err)
	}
	return batch, nil
}

func hasUnreadable(rejected []ingest.Rejection) bool {
	for _, r := range rejected {
		if r.Code == "invalid_json" {
			return true
		}
	}
	return false
}

// Batches are decoded and kept by a few at once; more wait a little, and what
// cannot even wait is sent away to come again. So a flood costs bounded memory.
const (
	intakeAtOnce   = 8
	intakeWaiting  = 512
	intakePatience = 10 * time.Second
)

// intake bounds the batches that are worked on at once.
type intake struct {
	waiting chan struct{}
	working chan struct{}
}

func newIntake() *intake {
	return &intake{waiting: make(chan struct{}, intakeWaiting), working: make(chan struct{}, intakeAtOnce)}
}

// enter waits for a place; leave gives it back.
func (i *intake) enter(ctx context.Context) (leave func(), err error) {
	busy := fail(http.StatusTooManyRequests, "too_many_requests", "The server is taking in as much as it can. Send this batch again in a moment.")
	busy.RetryAfter = time.Second
	select {
	case i.waiting <- struct{}{}:
	default:
		return nil, busy
	}
	defer func() { <-i.waiting }()
	patience := time.NewTimer(intakePatience)
	defer patience.Stop()
	select {
	case i.working <- struct{}{}:
		return func() { <-i.working }, nil
	case <-patience.C:
		return nil, busy
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// eventMetrics count what came in.
type eventMetrics struct {
	events  *prometheus.CounterVec
	refused prometheus.Counter
}

func newEventMetrics(registry prometheus.Registerer) *eventMetrics {
	m := &eventMetrics{
		events: prometheus.NewCounterVec(prometheus.CounterOpts{
			Namespace: "pulseboard", Name: "events_total",
			Help: "Events received, by what became of them: accepted, duplicate or rejected.",
		}, []string{"outcome"}),
		refused: prometheus.NewCounter(prometheus.CounterOpts{
			Namespace: "pulseboard", Name: "event_batches_refused_total",
			Help: "Batches of events sent away because the server was busy.",
		}),
	}
	registry.MustRegister(m.events, m.refused)
	return m
}

func (m *eventMetrics) count(a eventsAnswer) {
	m.events.WithLabelValues("accepted").Add(float64(a.Accepted))
	m.events.WithLabelValues("duplicate").Add(float64(a.Duplicate))
	m.events.WithLabelValues("rejected").Add(float64(len(a.Rejected)))
}
