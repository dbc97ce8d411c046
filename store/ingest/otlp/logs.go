package otlp

import (
	"cmp"
	"fmt"

	logs "go.opentelemetry.io/proto/otlp/logs/v1"

	"pulseboard/store"
	"pulseboard/store/ingest"
)

// logs reads log records.
func (r *reader) logs(resources []*logs.ResourceLogs, encoding Encoding) error {
	for _, of := range resources {
		from := newOrigin(of.GetResource())
		for _, scope := range of.GetScopeLogs() {
			within := from.in(scope.GetScope())
			for _, record := range scope.GetLogRecords() {
				draft, err := r.begin(within)
				if err != nil {
					return err
				}
				r.log(draft, within, record, encoding)
				r.end(draft)
			}
		}
	}
	return nil
}

// log reads a log record: an event named like it, or "log".
func (r *reader) log(draft *ingest.Draft, from *origin, record *logs.LogRecord, encoding Encoding) {
	setAttributes(draft, record.Attributes)
	setUser(draft, record.Attributes)
	named := find(record.Attributes, "event.name")
	switch {
	case record.EventName != "":
		draft.Name(record.EventName)
	case named.IsText() && named.String() != "":
		draft.Name(named.String())
	default:
		draft.Name("log")
	}
	if at := cmp.Or(record.TimeUnixNano, record.ObservedTimeUnixNano); at != 0 {
		r.setTime(draft, at)
		draft.ID(r.contentID(from, canonical(record)))
	}
	if body := value(record.Body); !body.IsNull() {
		draft.Set("body", body)
	}
	setText(draft, "severity", cmp.Or(record.SeverityText, severity(record.SeverityNumber)))
	if record.SeverityNumber != 0 {
		draft.Set("severity_number", store.Num(float64(record.SeverityNumber)))
	}
	setText(draft, "trace_id", encoding.id(record.TraceId))
	setText(draft, "span_id", encoding.id(record.SpanId))
}

// contentID makes an id of content, so that a request that is sent again holds
// duplicates, and equal items of one request stay several.
func (r *reader) contentID(from *origin, content []byte) string {
	id := fmt.Sprintf("%x", from.with(content).sum()[:16])
	r.seen[id]++
	return fmt.Sprintf("%s-%d", id, r.seen[id])
}

// severities are the short names of the ranges of four severity numbers each.
var severities = []string{"TRACE", "DEBUG", "INFO", "WARN", "ERROR", "FATAL"}

// severity names a severity that came without a text.
func severity(n logs.SeverityNumber) string {
	if n < 1 || n > 24 {
		return ""
	}
	return severities[(n-1)/4]
}
