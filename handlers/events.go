package handlers

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"pulseboard/store"
	"pulseboard/store/ingest"
)

// postEvents takes in a batch of the server's own form, or CloudEvents.
func (s *Server) postEvents(w http.ResponseWriter, r *http.Request) error {
	answer, err := s.takeIn(r, form{decode: func(body []byte, now time.Time) (ingest.Sent, error) {
		batch, err := decodeBatch(body, r.Header, now)
		return ingest.Sent{Batch: batch}, err
	}})
	if err != nil {
		return err
	}
	writeJSON(w, http.StatusAccepted, answer)
	return nil
}

// eventsAnswer says what became of the events of a batch.
type eventsAnswer struct {
	Accepted  int                `json:"accepted"`
	Duplicate int                `json:"duplicate"`
	Rejected  []ingest.Rejection `json:"rejected"`
}

// keep records a batch, lets the screens know, and counts it.
func (s *Server) keep(ctx context.Context, tenant store.TenantID, batch ingest.Batch, received time.Time) (eventsAnswer, error) {
	recorded, err := s.Store.Record(ctx, tenant, batch.Events, received)
	if err != nil {
		return eventsAnswer{}, err
	}
	s.hub.Announce(tenant, recorded.Head)
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
	return answer, nil
}

// decodeBatch reads events from a body. Lines are taken as NDJSON when the
// sender says so, and also when it says nothing of JSON and the body is no one
// JSON text: curl's default Content-Type is no reason to refuse.
func decodeBatch(body []byte, header http.Header, now time.Time) (ingest.Batch, error) {
	mediaType, _, _ := strings.Cut(strings.ToLower(header.Get("Content-Type")), ";")
	mediaType = strings.TrimSpace(mediaType)
	switch {
	case mediaType == "application/cloudevents+json", mediaType == "application/cloudevents-batch+json":
		return ingest.DecodeCloudEvents(body, strings.Contains(mediaType, "batch"), now)
	case strings.HasPrefix(mediaType, "application/cloudevents"):
		return ingest.Batch{}, fail(http.StatusUnsupportedMediaType, "unsupported_type", "CloudEvents are read as application/cloudevents+json or application/cloudevents-batch+json, or with their attributes as ce- headers, not as %s.", mediaType)
	case header.Get("Ce-Specversion") != "":
		return ingest.DecodeBinaryCloudEvent(cloudAttributes(header), header.Get("Content-Type"), body, now), nil
	}
	lines := strings.Contains(mediaType, "ndjson") || strings.Contains(mediaType, "jsonl") || strings.Contains(mediaType, "json-seq")
	batch, err := ingest.Decode(body, lines, now)
	var unreadable *ingest.Unreadable
	if errors.As(err, &unreadable) && !lines && mediaType != "application/json" {
		if asLines, lineErr := ingest.Decode(body, true, now); lineErr == nil && !hasUnreadable(asLines.Rejected) {
			return asLines, nil
		}
	}
	return batch, err
}

// cloudAttributes gives the attributes of a CloudEvent that stand in headers.
func cloudAttributes(header http.Header) map[string]string {
	attributes := map[string]string{}
	for name := range header {
		if attribute, ok := strings.CutPrefix(strings.ToLower(name), "ce-"); ok {
			attributes[attribute] = header.Get(name)
		}
	}
	return attributes
}

func hasUnreadable(rejected []ingest.Rejection) bool {
	for _, r := range rejected {
		if r.Code == "invalid_json" {
			return true
		}
	}
	return false
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
			Help: "Batches of events sent away to come again later: the server was busy, or its disk full.",
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
