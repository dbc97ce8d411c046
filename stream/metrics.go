package stream

import "github.com/prometheus/client_golang/prometheus"

// Metrics count what the streams do. Names and units follow the conventions of
// Prometheus (https://prometheus.io/docs/practices/naming/).
type Metrics struct {
	Streams   prometheus.Gauge       // open now
	Pools     prometheus.Gauge       // views held now
	Refreshes prometheus.Counter     // recomputations of views
	Renders   prometheus.Counter     // widgets drawn
	Frames    prometheus.Counter     // updates encoded, each for all who share it
	Sent      prometheus.Counter     // updates and heartbeats written to readers
	SentBytes prometheus.Counter     // before compression
	Resumes   *prometheus.CounterVec // by outcome: snapshot, delta, empty
	Refusals  *prometheus.CounterVec // by reason: streams, connects
}

// NewMetrics makes the metrics and registers them.
func NewMetrics(registry prometheus.Registerer) *Metrics {
	counter := func(name, help string) prometheus.Counter {
		return prometheus.NewCounter(prometheus.CounterOpts{Namespace: "pulseboard", Name: name, Help: help})
	}
	gauge := func(name, help string) prometheus.Gauge {
		return prometheus.NewGauge(prometheus.GaugeOpts{Namespace: "pulseboard", Name: name, Help: help})
	}
	vec := func(name, help, label string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Namespace: "pulseboard", Name: name, Help: help}, []string{label})
	}
	m := &Metrics{
		Streams:   gauge("streams", "Streams open now."),
		Pools:     gauge("pools", "Views held in memory now."),
		Refreshes: counter("refreshes_total", "Recomputations of views."),
		Renders:   counter("renders_total", "Widgets drawn."),
		Frames:    counter("frames_total", "Updates encoded, each once for all who share it."),
		Sent:      counter("stream_writes_total", "Writes to streams: updates, heartbeats, goodbyes."),
		SentBytes: counter("stream_sent_bytes_total", "Bytes written to streams, before compression."),
		Resumes:   vec("stream_starts_total", "Streams begun, by what they began with: snapshot, delta or empty.", "outcome"),
		Refusals:  vec("stream_refusals_total", "Streams refused, by reason: streams or connects.", "reason"),
	}
	registry.MustRegister(m.Streams, m.Pools, m.Refreshes, m.Renders, m.Frames, m.Sent, m.SentBytes, m.Resumes, m.Refusals)
	return m
}
