package handlers_test

import (
	"context"
	"encoding/json"
	"fmt"
	"log"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/posthog/posthog-go"
	rudder "github.com/rudderlabs/analytics-go/v4"
	segment "github.com/segmentio/analytics-go/v3"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/exporters/otlp/otlplog/otlploghttp"
	"go.opentelemetry.io/otel/exporters/otlp/otlpmetric/otlpmetrichttp"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	otellog "go.opentelemetry.io/otel/log"
	"go.opentelemetry.io/otel/metric"
	sdklog "go.opentelemetry.io/otel/sdk/log"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
)

const sdkBoard = `
id: sdk
title: From SDKs
range: now-800d
widgets:
  - {key: events, kind: bars, measure: count, by: event, limit: 50}
  - {key: users, kind: stat, measure: uniques}
  - {key: revenue, kind: stat, measure: sum, property: total}
  - {key: orders, kind: stat, measure: sum, property: value, event: orders}
  - {key: queue, kind: stat, measure: max, property: value, event: queue}
  - {key: heat, kind: stat, measure: avg, property: value, event: heat}
  - {key: latency_count, kind: stat, measure: sum, property: count, event: latency}
  - {key: latency_sum, kind: stat, measure: sum, property: sum, event: latency}
  - {key: slow, kind: stat, measure: count, where: ["status = error", "duration_ms >= 250", "http.route = /pay"]}
`

// unlucky is a server whose first request to each address is refused, and whose
// second is kept but answered as if it had not been.
func unlucky(t *testing.T, w *world) (url string) {
	var mu sync.Mutex
	requests := map[string]int{}
	web := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		mu.Lock()
		requests[r.URL.Path]++
		n := requests[r.URL.Path]
		mu.Unlock()
		if n == 2 {
			kept := httptest.NewRecorder()
			w.server.Handler().ServeHTTP(kept, r)
			if kept.Code != http.StatusOK {
				t.Errorf("%s: %d %s", r.URL.Path, kept.Code, kept.Body)
			}
		}
		if n <= 2 {
			rw.Header().Set("Retry-After", "1")
			http.Error(rw, `{"error":{"code":"busy","message":"Busy."}}`, http.StatusServiceUnavailable)
			return
		}
		w.server.Handler().ServeHTTP(rw, r)
	}))
	t.Cleanup(web.Close)
	return web.URL
}

// soon is how long the SDKs of Segment and its like wait to send again.
func soon(int) time.Duration { return 10 * time.Millisecond }

func TestWhatRealSDKsSendIsCountedOnceThoughTheServerFailsAtFirst(t *testing.T) {
	slow(t)
	w := newWorld(t)
	w.apply(w.tenant, sdkBoard)
	client := w.signIn("ann@example.com")
	url := unlucky(t, w)
	other := unlucky(t, w) // RudderStack's addresses are Segment's
	for name, send := range map[string]func(*testing.T, string, string){
		"Segment": sendSegment, "PostHog": sendPostHog, "spans": sendSpans, "logs": sendLogs, "metrics": sendMetrics,
	} {
		t.Run(name, func(t *testing.T) { send(t, url, w.key) })
	}
	t.Run("RudderStack", func(t *testing.T) { sendRudderStack(t, other, w.key) })

	var snapshot struct{ Readings map[string]json.RawMessage }
	must(t, json.Unmarshal([]byte(w.get(client, "/api/dashboards/sdk/snapshot").body), &snapshot))
	var groups []struct {
		Group string
		Value float64
	}
	must(t, json.Unmarshal(snapshot.Readings["events"], &groups))
	got := map[string]float64{}
	for _, g := range groups {
		got[g.Group] = g.Value
	}
	want := map[string]float64{
		"Order": 20, "page": 1, "identify": 2, "group": 1, "alias": 1, "screen": 1, // Segment
		"Played": 7,                                 // RudderStack
		"paid":   9, "$pageview": 3, "$identify": 1, // PostHog
		"GET /pay": 4, "charge": 4, // spans
		"log": 3, "signup": 1, // logs
		"orders": 3, "queue": 3, "heat": 3, "latency": 3, // metrics, read three times
	}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("the board counts\n%v, want\n%v", got, want)
	}
	for key, want := range map[string]string{
		"users": "5", "revenue": "190", "orders": "8", "queue": "5", "heat": "21.5", "latency_count": "3", "latency_sum": "60", "slow": "4",
	} {
		if got := string(snapshot.Readings[key]); got != want {
			t.Errorf("%s is %s, want %s", key, got, want)
		}
	}
}

// arrivals waits until so many messages of an SDK have arrived.
type arrivals struct {
	t *testing.T
	sync.WaitGroup
}

func (a *arrivals) failed(err error) { a.t.Errorf("dropped: %v", err); a.Done() }

type segmentCallback struct{ *arrivals }

func (c segmentCallback) Success(segment.Message)            { c.Done() }
func (c segmentCallback) Failure(_ segment.Message, e error) { c.failed(e) }

func sendSegment(t *testing.T, url, key string) {
	arrived := &arrivals{t: t}
	client, err := segment.NewWithConfig(key, segment.Config{Endpoint: url, BatchSize: 10, Interval: 10 * time.Millisecond, RetryAfter: soon,
		Callback: segmentCallback{arrived}, Logger: segment.StdLogger(log.New(t.Output(), "", 0))})
	must(t, err)
	var messages []segment.Message
	for i := range 20 {
		messages = append(messages, segment.Track{UserId: "u1", Event: "Order", Properties: segment.NewProperties().Set("total", i)})
	}
	messages = append(messages,
		segment.Page{AnonymousId: "a1", Name: "Home"}, segment.Screen{UserId: "u1", Name: "Main"},
		segment.Identify{UserId: "u1", Traits: segment.NewTraits().SetName("Ann")}, segment.Identify{UserId: "u2"},
		segment.Group{UserId: "u2", GroupId: "g"}, segment.Alias{UserId: "u2", PreviousId: "a1"})
	arrived.Add(len(messages))
	for _, m := range messages {
		must(t, client.Enqueue(m))
	}
	arrived.Wait()
	must(t, client.Close())
}

type rudderCallback struct{ *arrivals }

func (c rudderCallback) Success(rudder.Message)            { c.Done() }
func (c rudderCallback) Failure(_ rudder.Message, e error) { c.failed(e) }

func sendRudderStack(t *testing.T, url, key string) {
	arrived := &arrivals{t: t}
	client, err := rudder.NewWithConfig(key, rudder.Config{DataPlaneUrl: url, Interval: 10 * time.Millisecond, RetryAfter: soon,
		Callback: rudderCallback{arrived}, Logger: rudder.StdLogger(log.New(t.Output(), "", 0))})
	must(t, err)
	arrived.Add(7)
	for range 7 {
		must(t, client.Enqueue(rudder.Track{UserId: "u3", Event: "Played"}))
	}
	arrived.Wait()
	must(t, client.Close())
}

type posthogCallback struct{ *arrivals }

func (c posthogCallback) Success(posthog.APIMessage)            { c.Done() }
func (c posthogCallback) Failure(_ posthog.APIMessage, e error) { c.failed(e) }

func sendPostHog(t *testing.T, url, key string) {
	arrived := &arrivals{t: t}
	client, err := posthog.NewWithConfig(key, posthog.Config{Endpoint: url, Interval: 10 * time.Millisecond, RetryAfter: soon,
		Callback: posthogCallback{arrived}, Logger: posthog.StdLogger(log.New(t.Output(), "", 0))})
	must(t, err)
	arrived.Add(13)
	must(t, client.Enqueue(posthog.Identify{DistinctId: "u4", Properties: posthog.NewProperties().Set("plan", "pro")})) // has no id
	for range 9 {
		must(t, client.Enqueue(posthog.Capture{DistinctId: "u4", Event: "paid"}))
	}
	for range 3 {
		must(t, client.Enqueue(posthog.Capture{DistinctId: "u4", Event: "$pageview"}))
	}
	arrived.Wait()
	must(t, client.Close())
}

func bearer(key string) map[string]string { return map[string]string{"Authorization": "Bearer " + key} }

// again lets OpenTelemetry's exporters wait no longer than Retry-After says.
var again = otlptracehttp.RetryConfig{Enabled: true, InitialInterval: time.Millisecond, MaxInterval: time.Millisecond, MaxElapsedTime: patience}

func sendSpans(t *testing.T, url, key string) {
	ctx := t.Context()
	exporter, err := otlptracehttp.New(ctx, otlptracehttp.WithEndpointURL(url+"/v1/traces"), otlptracehttp.WithHeaders(bearer(key)), otlptracehttp.WithRetry(otlptracehttp.RetryConfig(again)), otlptracehttp.WithCompression(otlptracehttp.GzipCompression))
	must(t, err)
	provider := sdktrace.NewTracerProvider(sdktrace.WithBatcher(exporter))
	tracer := provider.Tracer("shop")
	for range 4 {
		began := time.Now().Add(-time.Second)
		inner, request := tracer.Start(ctx, "GET /pay", trace.WithTimestamp(began), trace.WithAttributes(attribute.String("http.route", "/pay")))
		request.SetStatus(codes.Error, "declined")
		_, charge := tracer.Start(inner, "charge")
		charge.End()
		request.End(trace.WithTimestamp(began.Add(250 * time.Millisecond)))
	}
	must(t, provider.Shutdown(ctx))
}

func sendLogs(t *testing.T, url, key string) {
	ctx := t.Context()
	exporter, err := otlploghttp.New(ctx, otlploghttp.WithEndpointURL(url+"/v1/logs"), otlploghttp.WithHeaders(bearer(key)), otlploghttp.WithRetry(otlploghttp.RetryConfig(again)))
	must(t, err)
	provider := sdklog.NewLoggerProvider(sdklog.WithProcessor(sdklog.NewBatchProcessor(exporter)))
	logger := provider.Logger("shop")
	now := time.Now()
	for range 3 { // equal ones, at one moment
		var r otellog.Record
		r.SetTimestamp(now)
		r.SetBody(attribute.StringValue("hello"))
		logger.Emit(ctx, r)
	}
	var r otellog.Record
	r.SetEventName("signup")
	r.AddAttributes(attribute.String("user.id", "u1"))
	logger.Emit(ctx, r)
	must(t, provider.Shutdown(ctx))
}

func sendMetrics(t *testing.T, url, key string) {
	ctx := t.Context()
	exporter, err := otlpmetrichttp.New(ctx, otlpmetrichttp.WithEndpointURL(url+"/v1/metrics"), otlpmetrichttp.WithHeaders(bearer(key)), otlpmetrichttp.WithRetry(otlpmetrichttp.RetryConfig(again)))
	must(t, err)
	reader := sdkmetric.NewPeriodicReader(exporter, sdkmetric.WithInterval(time.Hour))
	provider := sdkmetric.NewMeterProvider(sdkmetric.WithReader(reader))
	meter := provider.Meter("shop")
	orders, err := meter.Int64Counter("orders")
	must(t, err)
	queue, err := meter.Int64UpDownCounter("queue")
	must(t, err)
	heat, err := meter.Float64Gauge("heat")
	must(t, err)
	latency, err := meter.Float64Histogram("latency")
	must(t, err)
	path := metric.WithAttributes(attribute.String("path", "/"))
	orders.Add(ctx, 5, path)
	queue.Add(ctx, 5)
	heat.Record(ctx, 21.5)
	latency.Record(ctx, 10)
	latency.Record(ctx, 20)
	must(t, provider.ForceFlush(ctx))
	orders.Add(ctx, 3, path)
	queue.Add(ctx, -2)
	latency.Record(ctx, 30)
	must(t, provider.ForceFlush(ctx))
	must(t, provider.Shutdown(context.WithoutCancel(ctx))) // reads a third time
}
