// Package otlp reads what OpenTelemetry's exporters send over HTTP: logs, spans and
// points of metrics become events. See https://opentelemetry.io/docs/specs/otlp/.
//
// An event's properties are the attributes of its resource, then its own, then what
// the package says of it, such as duration_ms; of equal names the last one counts.
// Texts are cut to what a property may hold: a stack trace is no reason to lose a
// log. Values that hold others are kept as JSON text.
//
// Functions have no state and may be called by any number of goroutines.
package otlp

import (
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"mime"
	"time"

	logs "go.opentelemetry.io/proto/otlp/collector/logs/v1"
	metrics "go.opentelemetry.io/proto/otlp/collector/metrics/v1"
	trace "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	"pulseboard/store"
	"pulseboard/store/ingest"
)

// Signal is a kind of data that is sent to an address of its own.
type Signal string

// The signals.
const (
	Logs    Signal = "logs"
	Traces  Signal = "traces"
	Metrics Signal = "metrics"
)

// Encoding is how a request and its answer are written. Its text is its media type.
type Encoding string

// The encodings.
const (
	JSON     Encoding = "application/json"
	Protobuf Encoding = "application/x-protobuf"
)

// ParseEncoding reads a Content-Type; ok is false when it is none of OTLP's.
func ParseEncoding(contentType string) (e Encoding, ok bool) {
	media, _, err := mime.ParseMediaType(contentType)
	if e = Encoding(media); err != nil || e != JSON && e != Protobuf {
		return JSON, false
	}
	return e, true
}

// Decode reads the events of a request. The error is an *ingest.Unreadable, an
// *ingest.TooMany or an *ingest.TooLarge; then nothing may be kept.
func Decode(signal Signal, encoding Encoding, data []byte, now time.Time) (ingest.Batch, error) {
	r := reader{now: now, seen: map[string]int{}}
	var err error
	switch signal {
	case Logs:
		var request logs.ExportLogsServiceRequest
		if err = encoding.read(data, &request); err == nil {
			err = r.logs(request.ResourceLogs, encoding)
		}
	case Traces:
		var request trace.ExportTraceServiceRequest
		if err = encoding.read(data, &request); err == nil {
			err = r.spans(request.ResourceSpans, encoding)
		}
	case Metrics:
		var request metrics.ExportMetricsServiceRequest
		if err = encoding.read(data, &request); err == nil {
			err = r.metrics(request.ResourceMetrics)
		}
	}
	return r.batch, err
}

func (e Encoding) read(data []byte, request proto.Message) error {
	var err error
	if e == JSON {
		err = protojson.UnmarshalOptions{DiscardUnknown: true}.Unmarshal(data, request)
	} else {
		err = proto.UnmarshalOptions{DiscardUnknown: true}.Unmarshal(data, request)
	}
	if err != nil {
		return &ingest.Unreadable{Code: "invalid_otlp", Message: fmt.Sprintf("The body is no OTLP request written as %s.", e)}
	}
	return nil
}

// id gives the id of a trace or a span in hex. In JSON ids are sent in hex, where
// protobuf's JSON has base64: hex digits are digits of base64 too, and writing what
// was read as such gives them back.
func (e Encoding) id(read []byte) string {
	if e == Protobuf {
		return hex.EncodeToString(read)
	}
	text := base64.StdEncoding.EncodeToString(read)
	id, err := hex.DecodeString(text)
	if err != nil {
		return ""
	}
	return hex.EncodeToString(id)
}

// maxRepeated bounds the bytes of resource attributes that a request's events
// repeat. They are sent once, so the body's size says nothing of them.
const maxRepeated = 4 * store.MaxBatchBytes

// reader makes a batch of the items of a request.
type reader struct {
	now      time.Time
	batch    ingest.Batch
	items    int
	repeated int
	seen     map[string]int // how often content came
}

// begin begins the event of an item.
func (r *reader) begin(from *origin) (*ingest.Draft, error) {
	if r.items == store.MaxBatch {
		return nil, &ingest.TooMany{}
	}
	if r.repeated += from.size; r.repeated > maxRepeated {
		return nil, &ingest.TooLarge{}
	}
	draft := &ingest.Draft{}
	for _, p := range from.properties {
		draft.Set(p.Key, p.Value)
	}
	return draft, nil
}

// end takes the event of an item.
func (r *reader) end(draft *ingest.Draft) {
	r.batch.Take(r.items, draft)
	r.items++
}

// setTime gives an event the time of so many nanoseconds since 1970; 0 is unknown.
func (r *reader) setTime(draft *ingest.Draft, nanos uint64) {
	if nanos != 0 {
		draft.Time(time.Unix(int64(nanos/1e9), int64(nanos%1e9)), r.now)
	}
}

// setText gives an event a text property, unless the text is empty.
func setText(draft *ingest.Draft, key, text string) {
	if text != "" {
		draft.Set(key, store.Text(ingest.Cut(text)))
	}
}
