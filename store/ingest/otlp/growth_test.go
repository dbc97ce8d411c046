package otlp

import (
	"strings"
	"testing"
	"time"

	collector "go.opentelemetry.io/proto/otlp/collector/logs/v1"
	collectormetrics "go.opentelemetry.io/proto/otlp/collector/metrics/v1"
	common "go.opentelemetry.io/proto/otlp/common/v1"
	logs "go.opentelemetry.io/proto/otlp/logs/v1"
	metrics "go.opentelemetry.io/proto/otlp/metrics/v1"
	resource "go.opentelemetry.io/proto/otlp/resource/v1"
	"google.golang.org/protobuf/proto"

	"pulseboard/store/growth"
)

// records are the smallest log records that have an id, n of them.
func records(n int) []*logs.LogRecord {
	all := make([]*logs.LogRecord, n)
	for i := range all {
		all[i] = &logs.LogRecord{TimeUnixNano: 1}
	}
	return all
}

func logsOf(of *resource.Resource, scope string, n int) proto.Message {
	return &collector.ExportLogsServiceRequest{ResourceLogs: []*logs.ResourceLogs{{Resource: of,
		ScopeLogs: []*logs.ScopeLogs{{Scope: &common.InstrumentationScope{Name: scope}, LogRecords: records(n)}}}}}
}

func attributes(n int, key, text string) []*common.KeyValue {
	all := make([]*common.KeyValue, n)
	for i := range all {
		all[i] = &common.KeyValue{Key: key, Value: &common.AnyValue{Value: &common.AnyValue_StringValue{StringValue: text}}}
	}
	return all
}

// TestTimeGrowsWithTheBody reads requests whose items have long things in common.
func TestTimeGrowsWithTheBody(t *testing.T) {
	for name, build := range map[string]func(n int) proto.Message{
		"records of a long scope": func(n int) proto.Message {
			return logsOf(nil, strings.Repeat("s", n/2), n/24)
		},
		"records of a resource with a long text": func(n int) proto.Message {
			return logsOf(&resource.Resource{Attributes: attributes(1, "k", strings.Repeat("x", n/2))}, "", n/24)
		},
		"records of a resource with empty attributes": func(n int) proto.Message {
			return logsOf(&resource.Resource{Attributes: make([]*common.KeyValue, n/4)}, "", n/24)
		},
		"records of a resource with attributes": func(n int) proto.Message {
			return logsOf(&resource.Resource{Attributes: attributes(n/20, "k", "v")}, "", n/24)
		},
		"points of a metric with a long name": func(n int) proto.Message {
			points := make([]*metrics.NumberDataPoint, n/24)
			for i := range points {
				points[i] = &metrics.NumberDataPoint{TimeUnixNano: 1}
			}
			return &collectormetrics.ExportMetricsServiceRequest{ResourceMetrics: []*metrics.ResourceMetrics{{ScopeMetrics: []*metrics.ScopeMetrics{{Metrics: []*metrics.Metric{{
				Name: strings.Repeat("m", n/2), Data: &metrics.Metric_Gauge{Gauge: &metrics.Gauge{DataPoints: points}}}}}}}}}
		},
		"equal records": func(n int) proto.Message { return logsOf(nil, "", n/12) },
		"a record with attributes": func(n int) proto.Message {
			request := logsOf(nil, "", 1).(*collector.ExportLogsServiceRequest)
			request.ResourceLogs[0].ScopeLogs[0].LogRecords[0].Attributes = attributes(n/10, "enduser.id", "")
			return request
		},
		"a deep value": func(n int) proto.Message {
			v := &common.AnyValue{}
			for range min(n/16, 4_000) { // deeper is no protobuf
				v = &common.AnyValue{Value: &common.AnyValue_ArrayValue{ArrayValue: &common.ArrayValue{Values: []*common.AnyValue{v}}}}
			}
			all := make([]*common.KeyValue, max(1, n/64_000))
			for i := range all {
				all[i] = &common.KeyValue{Key: "k", Value: v}
			}
			return logsOf(&resource.Resource{Attributes: all}, "", 1)
		},
	} {
		t.Run(name, func(t *testing.T) {
			signal := Logs
			if strings.HasPrefix(name, "points") {
				signal = Metrics
			}
			growth.Check(t, 32<<10, 256<<10, func(n int) []byte { return canonical(build(n)) }, func(body []byte) {
				_, _ = Decode(signal, Protobuf, body, time.Now())
			})
		})
	}
	for name, body := range map[string][3]string{
		"JSON, lists":    {`{"resourceLogs":`, `[`, ``},
		"JSON, objects":  {`{"resourceLogs":`, `{"a":`, ``},
		"JSON, unknown":  {`{`, `"x":{"a":[]},`, `"y":1}`},
		"JSON, the same": {`{`, `"resourceLogs":[],`, `"y":1}`},
		"JSON, records":  {`{"resourceLogs":[{"scopeLogs":[{"logRecords":[`, `{"timeUnixNano":"1"},`, `{}]}]}]}`},
	} {
		t.Run(name, func(t *testing.T) {
			growth.Check(t, 128<<10, 512<<10, func(n int) string { return body[0] + strings.Repeat(body[1], n/len(body[1])) + body[2] }, func(s string) {
				_, _ = Decode(Logs, JSON, []byte(s), time.Now())
			})
		})
	}
}
