package sqlite

import (
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"pulseboard/store"
)

// requests makes a batch of web requests with ids that no batch had before.
func requests(batch, n int) []store.Event {
	events := make([]store.Event, n)
	for i := range events {
		k := batch*n + i
		events[i] = store.Event{
			Name: "request", ID: fmt.Sprintf("id-%d", k), User: fmt.Sprintf("u%d", k%1_000),
			Time: noon.Add(time.Duration(k) * time.Millisecond),
			Properties: store.Properties{
				{Key: "bytes", Value: store.Num(float64(k % 65_536))},
				{Key: "method", Value: store.Text("GET")},
				{Key: "path", Value: store.Text(fmt.Sprintf("/docs/%d", k%200))},
				{Key: "status", Value: store.Num(200)},
			},
		}
	}
	return events
}

func BenchmarkRecord(b *testing.B) {
	for _, size := range []int{1, 100, 1_000} {
		b.Run(fmt.Sprintf("batch=%d", size), func(b *testing.B) {
			s := newStore(b)
			tenant := newTenant(b, s, "acme")
			batch := 0
			for b.Loop() {
				b.StopTimer()
				events := requests(batch, size)
				batch++
				b.StartTimer()
				if _, err := s.Record(b.Context(), tenant, events, noon); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(batch*size)/b.Elapsed().Seconds(), "events/s")
		})
	}
}

func BenchmarkScanEvents(b *testing.B) {
	const events = 50_000
	s := newStore(b)
	tenant := newTenant(b, s, "acme")
	for batch := range events / 1_000 {
		record(b, s, tenant, noon, requests(batch, 1_000)...)
	}
	for name, scan := range map[string]store.Scan{"time": {From: noon}, "after": {After: 1, From: noon}} {
		b.Run("by="+name, func(b *testing.B) {
			b.ReportAllocs()
			scanned := 0
			for b.Loop() {
				_, err := s.ScanEvents(b.Context(), tenant, scan, func(*store.Event) error { scanned++; return nil })
				if err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(scanned)/b.Elapsed().Seconds(), "events/s")
		})
	}
}

// BenchmarkRecordAlone keeps events one a request, by one sender and by 64 at once.
func BenchmarkRecordAlone(b *testing.B) {
	for _, senders := range []int{1, 64} {
		b.Run(fmt.Sprint(senders, "-senders"), func(b *testing.B) {
			s := newStore(b)
			tenant := newTenant(b, s, "acme")
			var next atomic.Int64
			var all sync.WaitGroup
			for range senders {
				all.Go(func() {
					for n := next.Add(1); n <= int64(b.N); n = next.Add(1) {
						if _, err := s.Record(b.Context(), tenant, []store.Event{{Name: "a", ID: fmt.Sprint(n)}}, noon); err != nil {
							b.Error(err)
						}
					}
				})
			}
			all.Wait()
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "events/s")
		})
	}
}
