package pack

import (
	"errors"
	"fmt"
	"math"
	"reflect"
	"testing"
	"time"

	"pgregory.net/rapid"

	"pulseboard/store"
)

var noon = time.Date(2026, 2, 9, 12, 0, 0, 0, time.UTC)

func TestAPackGivesBackItsEvents(t *testing.T) {
	text := rapid.OneOf(rapid.String(), rapid.SampledFrom([]string{"", "a", "/docs", "u1"}))
	number := rapid.OneOf(rapid.Float64Range(-store.MaxNumber, store.MaxNumber), rapid.SampledFrom([]float64{0, math.Copysign(0, -1), 0.1, 12.34, -0.001, 1e12, 999999999999.5, 1e-7, 200, -3, 5e-324}))
	event := rapid.Custom(func(t *rapid.T) store.Event {
		e := store.Event{Name: text.Draw(t, "name"), ID: text.Draw(t, "id"), User: text.Draw(t, "user"), Time: noon.Add(time.Duration(rapid.Int64Range(-1e15, 1e15).Draw(t, "µs")) * time.Microsecond)}
		for range rapid.IntRange(0, 4).Draw(t, "properties") {
			value := rapid.OneOf(rapid.Just(store.Null), rapid.Map(rapid.Bool(), store.Bool), rapid.Map(text, store.Text), rapid.Map(number, store.Num)).Draw(t, "value")
			e.Properties = append(e.Properties, store.Property{Key: text.Draw(t, "key"), Value: value})
		}
		return e
	})
	rapid.Check(t, func(t *rapid.T) {
		events := rapid.SliceOfN(event, 0, 60).Draw(t, "events")
		for i := range events {
			events[i].Seq = store.EventSeq(i + 1)
			if i > 0 {
				events[i].Seq = events[i-1].Seq + store.EventSeq(rapid.IntRange(1, 3).Draw(t, "seq"))
			}
		}
		before := []byte("before")
		packed := AppendEvents(before, events)
		got, err := ReadEvents(packed[len(before):])
		if err != nil || len(got) != len(events) {
			t.Fatal(len(got), err)
		}
		for i := range got {
			if !reflect.DeepEqual(got[i], events[i]) {
				t.Fatalf("got %+v, want %+v", got[i], events[i])
			}
			for j, p := range got[i].Properties { // −0 too
				got, _ := p.Value.Number()
				want, _ := events[i].Properties[j].Value.Number()
				if math.Signbit(got) != math.Signbit(want) {
					t.Fatalf("got %v, want %v", p, events[i].Properties[j])
				}
			}
		}
	})
}

// What a pack holds depends on its events alone, not on what was packed before.
func TestAPackHoldsNothingOfTheOneBefore(t *testing.T) {
	events := func(name string) []store.Event {
		return []store.Event{{Seq: 1, Name: name, Time: noon, ID: name, Properties: store.Properties{{Key: name, Value: store.Text(name)}}}}
	}
	p := newPacker()
	alone := string(newPacker().pack(events("b")))
	p.pack(events("a"))
	if after := string(p.pack(events("b"))); after != alone {
		t.Errorf("%q after another, %q alone", after, alone)
	}
}

// Whatever stands in a pack, reading it ends with events or an error.
func FuzzReadEvents(f *testing.F) {
	var events []store.Event
	for i := range 40 {
		events = append(events, store.Event{Seq: store.EventSeq(i), Name: "a", User: fmt.Sprint(i % 7), Time: noon, Properties: store.Properties{{Key: "n", Value: store.Num(float64(i) / 3)}, {Key: "path", Value: store.Text("/")}}})
	}
	f.Add(AppendEvents(nil, events)[1:])
	f.Add(newPacker().pack(events))
	f.Add(newPacker().pack(nil))
	f.Fuzz(func(t *testing.T, body []byte) {
		if _, err := ReadEvents(body); err != nil && !errors.Is(err, errPack) {
			t.Fatal(err)
		}
		events, err := unpackEvents(body) // past the checksum
		if err != nil {
			if !errors.Is(err, errPack) {
				t.Fatal(err)
			}
			return
		}
		again, err := unpackEvents(newPacker().pack(events))
		if err != nil || len(again) != len(events) {
			t.Fatal(err)
		}
	})
}

func benchmarkEvents(n int) []store.Event {
	events := make([]store.Event, n)
	for i := range events {
		events[i] = store.Event{
			Seq: store.EventSeq(i + 1), Name: "request", ID: fmt.Sprintf("%08x-5c1e-4b7a-9d3f-%012x", i*2654435761, i*40503), User: fmt.Sprintf("u%d", i*7919%5000),
			Time: noon.Add(time.Duration(i) * 17 * time.Millisecond),
			Properties: store.Properties{
				{Key: "country", Value: store.Text([]string{"DE", "FR", "NL", "AT"}[i%4])}, {Key: "duration_ms", Value: store.Num(float64(i*31%5000) / 10)},
				{Key: "path", Value: store.Text(fmt.Sprintf("/docs/%d", i*13%200))}, {Key: "status", Value: store.Num(200)},
			},
		}
	}
	return events
}

func BenchmarkEvents(b *testing.B) {
	const n = 1000
	events := benchmarkEvents(n)
	packed := AppendEvents(nil, events)
	b.Run("pack", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			packed = AppendEvents(packed[:0], events)
		}
		b.ReportMetric(float64(len(packed))/n, "bytes/event")
		b.ReportMetric(float64(b.N*n)/b.Elapsed().Seconds(), "events/s")
	})
	b.Run("read", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := ReadEvents(packed); err != nil {
				b.Fatal(err)
			}
		}
		b.ReportMetric(float64(b.N*n)/b.Elapsed().Seconds(), "events/s")
	})
}
