package otlp

import (
	"cmp"

	trace "go.opentelemetry.io/proto/otlp/trace/v1"

	"pulseboard/store"
	"pulseboard/store/ingest"
)

// spans reads spans.
func (r *reader) spans(resources []*trace.ResourceSpans, encoding Encoding) error {
	for _, of := range resources {
		from := newOrigin(of.GetResource())
		for _, scope := range of.GetScopeSpans() {
			within := from.in(scope.GetScope())
			for _, span := range scope.GetSpans() {
				draft, err := r.begin(within)
				if err != nil {
					return err
				}
				r.span(draft, within, span, encoding)
				r.end(draft)
			}
		}
	}
	return nil
}

var spanKinds = map[trace.Span_SpanKind]string{
	trace.Span_SPAN_KIND_INTERNAL: "internal",
	trace.Span_SPAN_KIND_SERVER:   "server",
	trace.Span_SPAN_KIND_CLIENT:   "client",
	trace.Span_SPAN_KIND_PRODUCER: "producer",
	trace.Span_SPAN_KIND_CONSUMER: "consumer",
}

var spanStatuses = map[trace.Status_StatusCode]string{
	trace.Status_STATUS_CODE_UNSET: "unset",
	trace.Status_STATUS_CODE_OK:    "ok",
	trace.Status_STATUS_CODE_ERROR: "error",
}

// span reads a span: an event named like it, at its start.
func (r *reader) span(draft *ingest.Draft, from *origin, span *trace.Span, encoding Encoding) {
	setAttributes(draft, span.Attributes)
	setUser(draft, span.Attributes)
	draft.Name(cmp.Or(span.Name, "span"))
	r.setTime(draft, span.StartTimeUnixNano)
	traceID, spanID := encoding.id(span.TraceId), encoding.id(span.SpanId)
	if traceID != "" && spanID != "" {
		draft.ID(traceID + ":" + spanID)
	} else if span.StartTimeUnixNano != 0 {
		draft.ID(r.contentID(from, canonical(span)))
	}
	setText(draft, "trace_id", traceID)
	setText(draft, "span_id", spanID)
	setText(draft, "parent_span_id", encoding.id(span.ParentSpanId))
	setText(draft, "kind", spanKinds[span.Kind])
	setText(draft, "status", spanStatuses[span.GetStatus().GetCode()])
	setText(draft, "status_message", span.GetStatus().GetMessage())
	if span.EndTimeUnixNano >= span.StartTimeUnixNano && span.StartTimeUnixNano != 0 {
		draft.Set("duration_ms", store.Num(float64(span.EndTimeUnixNano-span.StartTimeUnixNano)/1e6))
	}
}
