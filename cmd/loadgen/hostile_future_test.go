package main

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"
)

func TestRangesOfTheFutureDiffer(t *testing.T) {
	now := time.Date(2026, 2, 9, 15, 12, 0, 5e8, time.FixedZone("", 3600))
	seen := map[string]bool{}
	for i := range futureStreams {
		query := untilLater(now, i)
		to, err := time.Parse(time.RFC3339, query.Get("to"))
		if err != nil || !to.After(now) || query.Get("from") != "now-1m" || seen[query.Encode()] {
			t.Errorf("range %d: %s, %v", i, query.Encode(), err)
		}
		seen[query.Encode()] = true
	}
}

func TestNewGroupsAreNew(t *testing.T) {
	seen := map[string]bool{}
	for i := range 20 {
		lines := bytes.Split(bytes.TrimSpace(batchOfNewGroups(i)), []byte("\n"))
		if len(lines) != futureEventsOfPost {
			t.Fatalf("a batch of %d events", len(lines))
		}
		for _, line := range lines {
			for _, field := range []string{`"user":"`, `"path":"`} {
				_, value, _ := strings.Cut(string(line), field)
				value, _, _ = strings.Cut(value, `"`)
				if value == "" || seen[field+value] {
					t.Errorf("%s%q comes twice", field, value)
				}
				seen[field+value] = true
			}
		}
	}
}

// A refused stream does not keep the events from coming in.
func TestEventsComeInWhenAllStreamsOfTheFutureWereAnswered(t *testing.T) {
	var mu sync.Mutex
	open, mostOpen, openAtFirstEvent := 0, 0, -1
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		to, err := time.Parse(time.RFC3339, r.URL.Query().Get("to"))
		switch {
		case r.Method == "POST":
			if openAtFirstEvent < 0 {
				openAtFirstEvent = open
			}
			w.WriteHeader(http.StatusAccepted)
			_, _ = io.WriteString(w, `{"accepted":100}`)
		case err != nil || to.Minute()%10 == 0:
			w.WriteHeader(http.StatusServiceUnavailable)
		default:
			open++
			mostOpen = max(mostOpen, open)
			_, _ = io.WriteString(w, "event: heartbeat\n\n")
			w.(http.Flusher).Flush()
			mu.Unlock()
			<-r.Context().Done()
			mu.Lock()
			open--
		}
	}))
	defer server.Close()
	at := &target{site: &site{process: &process{address: strings.TrimPrefix(server.URL, "http://")}}}
	ctx, end := context.WithCancel(t.Context())
	got := newTally()
	go func() {
		defer end()
		waitFor(time.Minute, func() bool { return got.byLabel()["events 202"] > 0 })
	}()
	at.watchTheFuture(ctx, got, "token", "key", time.Minute)
	mu.Lock()
	defer mu.Unlock()
	counts := got.byLabel()
	if counts["stream open"] != 90 || counts["stream 503"] < 10 || openAtFirstEvent != 90 || mostOpen != 90 {
		t.Errorf("%s; %d open at the first event, %d at most", listed(counts), openAtFirstEvent, mostOpen)
	}
	if n := counts["events 202"]; n == 0 || got.accepted.Load() < int64(n*futureEventsOfPost) {
		t.Errorf("%d batches came in, %d bytes", n, got.accepted.Load())
	}
}
