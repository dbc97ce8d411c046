package otlp

import (
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	collogs "go.opentelemetry.io/proto/otlp/collector/logs/v1"
	coltrace "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	common "go.opentelemetry.io/proto/otlp/common/v1"
	logs "go.opentelemetry.io/proto/otlp/logs/v1"
	resource "go.opentelemetry.io/proto/otlp/resource/v1"
	trace "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"

	"pulseboard/store"
	"pulseboard/store/ingest"
)

var now = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

// read gives the events of a request as lines: name, user, time, properties, and
// what a counter reads; then the codes of what was rejected.
func read(t *testing.T, signal Signal, encoding Encoding, data string) (lines string, b ingest.Batch) {
	t.Helper()
	b, err := Decode(signal, encoding, []byte(data), now)
	if err != nil {
		t.Fatalf("%.300s: %v", data, err)
	}
	var text []string
	for _, e := range b.Events {
		line := fmt.Sprintf("%s|%s|%s|%s", e.Name, e.User, e.Time.Format(time.RFC3339Nano), e.Properties.AppendJSON(nil))
		if e.Counter != nil {
			line += fmt.Sprintf("|%s %s", e.Counter.Totals.Count, e.Counter.Totals.Sum)
		}
		text = append(text, line)
	}
	for _, r := range b.Rejected {
		text = append(text, fmt.Sprint(r.Index, " ", r.Code))
	}
	return strings.Join(text, "\n"), b
}

const (
	traceID = "5B8EFFF798038103D269B633813FC60C"
	spanID  = "EEE19B7EC3C1B174"
	from    = `"resource":{"attributes":[{"key":"service.name","value":{"stringValue":"shop"}},{"key":"region","value":{"stringValue":"eu"}}]}`
)

func TestSpansAreEvents(t *testing.T) {
	got, b := read(t, Traces, JSON, `{"resourceSpans":[{`+from+`,"scopeSpans":[{"scope":{"name":"s"},"spans":[
		{"traceId":"`+traceID+`","spanId":"`+spanID+`","parentSpanId":"eee19b7ec3c1b173","name":"GET /","startTimeUnixNano":"1770649920000000000","endTimeUnixNano":"1770649920012500000","kind":2,"unknown":{"x":1},
		 "status":{"code":2,"message":"broke"},"attributes":[{"key":"enduser.id","value":{"stringValue":"u7"}},{"key":"region","value":{"stringValue":"us"}},{"key":"n","value":{"intValue":"5"}},{"key":"kind","value":{"stringValue":"x"}}]},
		{"traceId":"`+traceID+`","spanId":"`+spanID+`","name":"","startTimeUnixNano":1770649920000000000,"endTimeUnixNano":"1","attributes":[{"key":"user.id","value":{"intValue":9}},{"key":"","value":{}}]},
		{"traceId":"`+traceID+`","spanId":"","name":"odd","startTimeUnixNano":"1770649920000000000"}]}]}]}`)
	want := `GET /|u7|2026-02-09T15:12:00Z|{"duration_ms":12.5,"enduser.id":"u7","kind":"server","n":5,"parent_span_id":"eee19b7ec3c1b173","region":"us","service.name":"shop","span_id":"eee19b7ec3c1b174","status":"error","status_message":"broke","trace_id":"5b8efff798038103d269b633813fc60c"}
odd||2026-02-09T15:12:00Z|{"region":"eu","service.name":"shop","status":"unset","trace_id":"5b8efff798038103d269b633813fc60c"}
1 invalid_type`
	if got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	if id := b.Events[0].ID; id != "5b8efff798038103d269b633813fc60c:eee19b7ec3c1b174" {
		t.Errorf("id %q", id)
	}
}

func TestLogsAreEvents(t *testing.T) {
	request := `{"resourceLogs":[{` + from + `,"scopeLogs":[{"logRecords":[
		{"timeUnixNano":"1770649920000000000","severityNumber":9,"body":{"stringValue":"hello"},"traceId":"` + traceID + `","spanId":"` + spanID + `","attributes":[{"key":"user.id","value":{"stringValue":"u1"}}]},
		{"timeUnixNano":"1770649920000000000","severityNumber":9,"body":{"stringValue":"hello"},"traceId":"` + traceID + `","spanId":"` + spanID + `","attributes":[{"key":"user.id","value":{"stringValue":"u1"}}]},
		{"observedTimeUnixNano":"1770649921000000000","eventName":"signup","severityText":"Notice","body":{"kvlistValue":{"values":[{"key":"a","value":{"arrayValue":{"values":[{"intValue":"1"},{"doubleValue":"NaN"},{"boolValue":true},{},{"bytesValue":"AQI="}]}}}]}}},
		{"attributes":[{"key":"event.name","value":{"stringValue":"click"}}],"body":{"stringValue":"` + strings.Repeat("é", 3000) + `"}},
		{"timeUnixNano":"18446744073709551615"}]}]}]}`
	got, b := read(t, Logs, JSON, request)
	hello := `log|u1|2026-02-09T15:12:00Z|{"body":"hello","region":"eu","service.name":"shop","severity":"INFO","severity_number":9,"span_id":"eee19b7ec3c1b174","trace_id":"5b8efff798038103d269b633813fc60c","user.id":"u1"}`
	want := hello + "\n" + hello + `
signup||2026-02-09T15:12:01Z|{"body":"{\"a\":[1,\"NaN\",true,null,\"AQI=\"]}","region":"eu","service.name":"shop","severity":"Notice"}
click||0001-01-01T00:00:00Z|{"body":"` + strings.Repeat("é", store.MaxText-1) + "…" + `","event.name":"click","region":"eu","service.name":"shop"}
4 time_in_future`
	if got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	_, again := read(t, Logs, JSON, request)
	seen := map[string]bool{}
	for i, e := range b.Events[:3] {
		if e.ID == "" || seen[e.ID] || again.Events[i].ID != e.ID {
			t.Errorf("%d: id %q, then %q", i, e.ID, again.Events[i].ID)
		}
		seen[e.ID] = true
	}
	if b.Events[3].ID != "" {
		t.Errorf("a log without a time has an id, so that another like it would be lost: %q", b.Events[3].ID)
	}
	_, other := read(t, Logs, JSON, strings.ReplaceAll(request, `"eu"`, `"us"`))
	if other.Events[0].ID == b.Events[0].ID {
		t.Error("logs of two resources have the same id")
	}
}

func TestPointsOfMetricsAreEvents(t *testing.T) {
	const at = `"startTimeUnixNano":"1770649800000000000","timeUnixNano":"1770649920000000000","attributes":[{"key":"path","value":{"stringValue":"/"}}]`
	const head, tail = "|" + "|2026-02-09T15:12:00Z|", `"path":"/","region":"eu","service.name":"shop"`
	for metric, want := range map[string]string{
		`"gauge":{"dataPoints":[{` + at + `,"asDouble":0.5}]}`:                                                                                             `{` + tail + `,"value":0.5}`,
		`"gauge":{"dataPoints":[{` + at + `,"flags":1}]}`:                                                                                                  "",
		`"sum":{"aggregationTemporality":1,"isMonotonic":true,"dataPoints":[{` + at + `,"asInt":"7"}]}`:                                                    `{` + tail + `,"value":7}`,
		`"sum":{"aggregationTemporality":2,"isMonotonic":true,"dataPoints":[{` + at + `,"asInt":7}]}`:                                                      `{` + tail + `}|null 7`,
		`"sum":{"aggregationTemporality":2,"dataPoints":[{` + at + `,"asDouble":-7}]}`:                                                                     `{` + tail + `,"value":-7}`,
		`"histogram":{"aggregationTemporality":1,"dataPoints":[{` + at + `,"count":"4","sum":10,"min":1,"max":5,"bucketCounts":[4],"explicitBounds":[]}]}`: `{"count":4,"max":5,"min":1,` + tail + `,"sum":10,"value":2.5}`,
		`"histogram":{"aggregationTemporality":1,"dataPoints":[{` + at + `,"count":0,"sum":0}]}`:                                                           `{"count":0,` + tail + `,"sum":0}`,
		`"histogram":{"aggregationTemporality":2,"dataPoints":[{` + at + `,"count":"4","sum":10,"min":1,"max":5}]}`:                                        `{` + tail + `}|4 10`,
		`"exponentialHistogram":{"aggregationTemporality":2,"dataPoints":[{` + at + `,"count":"4","scale":3}]}`:                                            `{` + tail + `}|4 null`,
		`"summary":{"dataPoints":[{` + at + `,"count":"2","sum":8,"quantileValues":[{"quantile":0.5,"value":4}]}]}`:                                        `{` + tail + `}|2 8`,
		`"sum":{"dataPoints":[{` + at + `,"asInt":7}]}`:                                                                                                    "0 invalid_metric",
		`"gauge":{"dataPoints":[{` + at + `,"asDouble":"Infinity"}]}`:                                                                                      "0 number_out_of_range",
		`"sum":{"aggregationTemporality":2,"isMonotonic":true,"dataPoints":[{` + at + `,"asDouble":"NaN"}]}`:                                               "0 number_out_of_range",
		`"histogram":{"aggregationTemporality":1,"dataPoints":[{` + at + `,"count":"4","sum":1e300}]}`:                                                     "0 number_out_of_range",
		`"unknown":{}`: "",
	} {
		if strings.HasPrefix(want, "{") {
			want = "m" + head + want
		}
		got, _ := read(t, Metrics, JSON, `{"resourceMetrics":[{`+from+`,"scopeMetrics":[{"metrics":[{"name":"m",`+metric+`}]}]}]}`)
		if got != want {
			t.Errorf("%s:\n%s\nwant\n%s", metric, got, want)
		}
	}
}

func TestASeriesIsWhoCountsWhatSinceWhen(t *testing.T) {
	request := func(resource, name, start, path, method string) store.CounterSeries {
		_, b := read(t, Metrics, JSON, `{"resourceMetrics":[{"resource":{"attributes":[{"key":"service.name","value":{"stringValue":"`+resource+`"}}]},"scopeMetrics":[{"metrics":[{"name":"`+name+`","sum":{"aggregationTemporality":2,"isMonotonic":true,"dataPoints":[
			{"startTimeUnixNano":"`+start+`","timeUnixNano":"1770649920000000000","asInt":1,"attributes":[`+path+`,`+method+`]}]}}]}]}]}`)
		return b.Events[0].Counter.Series
	}
	path, method := `{"key":"path","value":{"stringValue":"/"}}`, `{"key":"method","value":{"stringValue":"GET"}}`
	first := request("shop", "m", "1", path, method)
	if request("shop", "m", "1", method, path) != first {
		t.Error("the order of attributes makes another series")
	}
	for _, other := range []store.CounterSeries{
		request("blog", "m", "1", path, method), request("shop", "n", "1", path, method), request("shop", "m", "2", path, method),
		request("shop", "m", "1", `{"key":"path","value":{"boolValue":true}}`, method), request("shop", "m", "1", path, path),
	} {
		if other == first {
			t.Error("two series are taken for one")
		}
	}
}

// resourceSpans is a request of n spans whose resource has a long attribute.
func resourceSpans(n, long int) *coltrace.ExportTraceServiceRequest {
	spans := make([]*trace.Span, n)
	for i := range spans {
		spans[i] = &trace.Span{Name: "s", TraceId: []byte{1, 2}, SpanId: []byte{3}}
	}
	return &coltrace.ExportTraceServiceRequest{ResourceSpans: []*trace.ResourceSpans{{
		Resource:   &resource.Resource{Attributes: []*common.KeyValue{{Key: "k", Value: &common.AnyValue{Value: &common.AnyValue_StringValue{StringValue: strings.Repeat("x", long)}}}}},
		ScopeSpans: []*trace.ScopeSpans{{Spans: spans}},
	}}}
}

func TestRequestsInProtobufAreRead(t *testing.T) {
	got, _ := read(t, Traces, Protobuf, string(canonical(resourceSpans(1, 1))))
	if want := `s||0001-01-01T00:00:00Z|{"k":"x","span_id":"03","status":"unset","trace_id":"0102"}`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if got, _ := read(t, Logs, Protobuf, ""); got != "" {
		t.Errorf("an empty request: %s", got)
	}
}

func TestWhatIsTooMuchIsRefusedWhole(t *testing.T) {
	var many *ingest.TooMany
	if _, err := Decode(Traces, Protobuf, canonical(resourceSpans(store.MaxBatch+1, 0)), now); !errors.As(err, &many) {
		t.Errorf("too many: %v", err)
	}
	var large *ingest.TooLarge
	full := resourceSpans(store.MaxBatch, store.MaxText)
	full.ResourceSpans[0].Resource.Attributes = append(full.ResourceSpans[0].Resource.Attributes, full.ResourceSpans[0].Resource.Attributes[0])
	if _, err := Decode(Traces, Protobuf, canonical(full), now); !errors.As(err, &large) {
		t.Errorf("too large: %v", err)
	}
	var unreadable *ingest.Unreadable
	for _, c := range []struct {
		encoding Encoding
		data     string
	}{{JSON, ""}, {JSON, "[]"}, {JSON, `{"resourceSpans":3}`}, {JSON, "{} {}"}, {Protobuf, "{}"}, {Protobuf, "\x0a\xff"}} {
		if _, err := Decode(Traces, c.encoding, []byte(c.data), now); !errors.As(err, &unreadable) {
			t.Errorf("%s %q: %v", c.encoding, c.data, err)
		}
	}
}

func TestADeepValueIsCut(t *testing.T) {
	v := &common.AnyValue{}
	for range 3_000 {
		v = &common.AnyValue{Value: &common.AnyValue_ArrayValue{ArrayValue: &common.ArrayValue{Values: []*common.AnyValue{v, v}}}}
	}
	request := &collogs.ExportLogsServiceRequest{ResourceLogs: []*logs.ResourceLogs{{ScopeLogs: []*logs.ScopeLogs{{LogRecords: []*logs.LogRecord{{Body: v}}}}}}}
	r := reader{now: now, seen: map[string]int{}}
	if err := r.logs(request.ResourceLogs, Protobuf); err != nil || len(r.batch.Events) != 1 {
		t.Fatalf("%+v, %v", r.batch.Rejected, err)
	}
	body, _ := r.batch.Events[0].Properties.Get("body")
	if n := utf8.RuneCountInString(body.String()); n != store.MaxText {
		t.Errorf("the body has %d characters", n)
	}
}

func TestAnswersSayWhatWasRejected(t *testing.T) {
	rejected := []ingest.Rejection{{Index: 1, Code: "c", Message: "why"}, {Index: 2, Message: "other"}}
	for signal, field := range map[Signal]string{Logs: "rejectedLogRecords", Traces: "rejectedSpans", Metrics: "rejectedDataPoints"} {
		text, err := Answer(signal, JSON, rejected)
		var got struct{ PartialSuccess map[string]string }
		if err != nil || json.Unmarshal(text, &got) != nil || got.PartialSuccess[field] != "2" || got.PartialSuccess["errorMessage"] != "why" {
			t.Errorf("%s: %s, %v", signal, text, err)
		}
		if text, err := Answer(signal, JSON, nil); err != nil || string(text) != "{}" {
			t.Errorf("%s: %s, %v", signal, text, err)
		}
	}
	packed, err := Answer(Traces, Protobuf, rejected)
	var answer coltrace.ExportTraceServiceResponse
	if err != nil || proto.Unmarshal(packed, &answer) != nil || answer.PartialSuccess.GetRejectedSpans() != 2 {
		t.Errorf("%q, %v", packed, err)
	}
	text, err := Failure(JSON, 503, "busy")
	var failure struct {
		Code    int
		Message string
	}
	if err != nil || json.Unmarshal(text, &failure) != nil || failure.Code != 14 || failure.Message != "busy" {
		t.Errorf("%s, %v", text, err)
	}
}

func FuzzDecode(f *testing.F) {
	for _, s := range []string{
		`{"resourceSpans":[{` + from + `,"scopeSpans":[{"spans":[{"traceId":"` + traceID + `","spanId":"ee","name":"a"}]}]}]}`,
		`{"resourceLogs":[{"scopeLogs":[{"logRecords":[{"body":{"arrayValue":{"values":[{"stringValue":"\u0000"}]}},"timeUnixNano":"1"}]}]}]}`,
		`{"resourceMetrics":[{"scopeMetrics":[{"metrics":[{"name":"m","histogram":{"aggregationTemporality":1,"dataPoints":[{"count":"1","sum":"NaN"}]}}]}]}]}`,
	} {
		f.Add([]byte(s), true)
	}
	packed, _ := hex.DecodeString("0a0f120d120b0a0161" + "39" + "0102030405060708")
	f.Add(packed, false)
	f.Add(canonical(resourceSpans(2, 3)), false)
	f.Fuzz(func(t *testing.T, data []byte, asJSON bool) {
		encoding := Protobuf
		if asJSON {
			encoding = JSON
		}
		for _, signal := range []Signal{Logs, Traces, Metrics} {
			b, err := Decode(signal, encoding, data, now)
			if err != nil {
				continue
			}
			for _, e := range b.Events {
				if e.Name == "" || utf8.RuneCountInString(e.Name) > store.MaxEventName || len(e.Properties) > store.MaxProperties || !json.Valid(e.Properties.AppendJSON(nil)) || e.Time.After(now.Add(store.MaxFuture)) {
					t.Fatalf("%+v", e)
				}
				for _, p := range e.Properties {
					if p.Key == "" || utf8.RuneCountInString(p.Value.String()) > store.MaxText {
						t.Fatalf("%+v", p)
					}
				}
			}
			if _, err := Answer(signal, encoding, b.Rejected); err != nil {
				t.Fatal(err)
			}
		}
	})
}
