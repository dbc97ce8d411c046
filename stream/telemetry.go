package stream

import (
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
)

// Telemetry counts what the streams do. Names and units follow the conventions of
// Prometheus (https://prometheus.io/docs/practices/naming/).
type Telemetry struct {
	Streams         prometheus.Gauge       // open now
	Pools           prometheus.Gauge       // views held now
	ViewBytes       prometheus.Gauge       // that views take
	Evictions       prometheus.Counter     // views forgotten to make room for others
	Refreshes       prometheus.Counter     // recomputations of views
	Renders         prometheus.Counter     // widgets drawn
	StoreCalls      prometheus.Counter     // reads and writes of the store for views
	Frames          prometheus.Counter     // updates encoded, each for all who share it
	Sent            prometheus.Counter     // messages given to readers
	PlainBytes      prometheus.Counter     // of them, before compression
	Writes          prometheus.Counter     // to connections
	WrittenBytes    prometheus.Counter     // after compression
	Skipped         prometheus.Counter     // turns that a slow reader did not get
	Stalled         prometheus.Counter     // streams closed because nobody read them
	Resumes         *prometheus.CounterVec // by outcome: snapshot, delta, empty
	Refusals        *prometheus.CounterVec // by reason: streams, connects, views, server, memory
	EventToFragment prometheus.Histogram
}

// NewTelemetry makes the counters and registers them.
func NewTelemetry(registry prometheus.Registerer) *Telemetry {
	make := promauto.With(registry)
	counter := func(name, help string) prometheus.Counter {
		return make.NewCounter(prometheus.CounterOpts{Namespace: "pulseboard", Name: name, Help: help})
	}
	gauge := func(name, help string) prometheus.Gauge {
		return make.NewGauge(prometheus.GaugeOpts{Namespace: "pulseboard", Name: name, Help: help})
	}
	vec := func(name, help, label string) *prometheus.CounterVec {
		return make.NewCounterVec(prometheus.CounterOpts{Namespace: "pulseboard", Name: name, Help: help}, []string{label})
	}
	return &Telemetry{
		Streams:      gauge("streams", "Streams open now."),
		Pools:        gauge("pools", "Views held in memory now."),
		ViewBytes:    gauge("view_memory_bytes", "Bytes that views take, of those that --view-memory allows."),
		Evictions:    counter("view_evictions_total", "Views that nobody used, forgotten to make room for others."),
		Refreshes:    counter("refreshes_total", "Recomputations of views."),
		Renders:      counter("renders_total", "Widgets drawn."),
		StoreCalls:   counter("store_calls_total", "Reads and writes of the store for views."),
		Frames:       counter("frames_total", "Updates encoded, each once for all who share it."),
		Sent:         counter("stream_messages_total", "Messages given to readers: updates, heartbeats, goodbyes."),
		PlainBytes:   counter("stream_plain_bytes_total", "Bytes of messages given to readers, before compression."),
		Writes:       counter("stream_writes_total", "Writes to connections of streams."),
		WrittenBytes: counter("stream_written_bytes_total", "Bytes written to connections of streams, after compression."),
		Skipped:      counter("stream_skipped_total", "Times a reader was still busy with older bytes when there was something new."),
		Stalled:      counter("stream_stalled_total", "Streams closed because their readers took nothing for too long."),
		Resumes:      vec("stream_starts_total", "Streams begun, by what they began with: snapshot, delta or empty.", "outcome"),
		Refusals:     vec("stream_refusals_total", "Streams and views refused, by reason: streams, connects, views, server or memory.", "reason"),
		EventToFragment: make.NewHistogram(prometheus.HistogramOpts{
			Namespace: "pulseboard", Name: "event_to_fragment_seconds",
			Help:    "Time from an event's commit until the update that shows it went to the writers. It holds the wait for the cadence.",
			Buckets: []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60},
		}),
	}
}

func (m *Telemetry) sent(plainBytes int) {
	m.Sent.Inc()
	m.PlainBytes.Add(float64(plainBytes))
}

// Wrote counts a write to a connection that the hub's writers do not own.
func (m *Telemetry) Wrote(bytes int) { m.wrote(1, bytes) }

func (m *Telemetry) wrote(writes, bytes int) {
	m.Writes.Add(float64(writes))
	m.WrittenBytes.Add(float64(bytes))
}

func (m *Telemetry) skipped(readers int) { m.Skipped.Add(float64(readers)) }
