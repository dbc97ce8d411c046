package otlp

import (
	"net/http"

	logs "go.opentelemetry.io/proto/otlp/collector/logs/v1"
	metrics "go.opentelemetry.io/proto/otlp/collector/metrics/v1"
	trace "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	"google.golang.org/genproto/googleapis/rpc/code"
	"google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	"pulseboard/store/ingest"
)

// Answer writes the answer to a request whose good items were kept. It says how
// many were rejected and why the first was.
func Answer(signal Signal, encoding Encoding, rejected []ingest.Rejection) ([]byte, error) {
	n, why := int64(len(rejected)), ""
	if n > 0 {
		why = rejected[0].Message
	}
	switch signal {
	case Logs:
		answer := &logs.ExportLogsServiceResponse{}
		if n > 0 {
			answer.PartialSuccess = &logs.ExportLogsPartialSuccess{RejectedLogRecords: n, ErrorMessage: why}
		}
		return encoding.write(answer)
	case Traces:
		answer := &trace.ExportTraceServiceResponse{}
		if n > 0 {
			answer.PartialSuccess = &trace.ExportTracePartialSuccess{RejectedSpans: n, ErrorMessage: why}
		}
		return encoding.write(answer)
	default:
		answer := &metrics.ExportMetricsServiceResponse{}
		if n > 0 {
			answer.PartialSuccess = &metrics.ExportMetricsPartialSuccess{RejectedDataPoints: n, ErrorMessage: why}
		}
		return encoding.write(answer)
	}
}

// codes are those of errors, by the status of HTTP.
var codes = map[int]code.Code{
	http.StatusBadRequest:            code.Code_INVALID_ARGUMENT,
	http.StatusUnsupportedMediaType:  code.Code_INVALID_ARGUMENT,
	http.StatusRequestEntityTooLarge: code.Code_INVALID_ARGUMENT,
	http.StatusUnauthorized:          code.Code_UNAUTHENTICATED,
	http.StatusTooManyRequests:       code.Code_RESOURCE_EXHAUSTED,
	http.StatusServiceUnavailable:    code.Code_UNAVAILABLE,
}

// Failure writes the answer to a request of which nothing was kept.
func Failure(encoding Encoding, httpStatus int, message string) ([]byte, error) {
	c, known := codes[httpStatus]
	if !known {
		c = code.Code_INTERNAL
	}
	return encoding.write(&status.Status{Code: int32(c), Message: message})
}

func (e Encoding) write(m proto.Message) ([]byte, error) {
	if e == JSON {
		return protojson.Marshal(m)
	}
	return proto.Marshal(m)
}
