package sqlite

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"pulseboard/store"
)

func drawEvent(t *rapid.T) store.Event {
	text := rapid.StringOfN(rapid.RuneFrom([]rune("ab\"\\<&\u2028é漢😀 ")), 0, 6, -1)
	value := rapid.OneOf(
		rapid.Map(text, store.Text),
		rapid.Map(rapid.Float64Range(-store.MaxNumber, store.MaxNumber), store.Num),
		rapid.Map(rapid.Bool(), store.Bool),
		rapid.Just(store.Null),
	)
	e := store.Event{
		Name: "e" + text.Draw(t, "name"),
		User: text.Draw(t, "user"),
		Time: time.UnixMicro(noon.UnixMicro() + rapid.Int64Range(-50, 50).Draw(t, "time")).UTC(),
	}
	for _, key := range rapid.SliceOfN(text, 0, 4).Draw(t, "keys") {
		e.Properties = append(e.Properties, store.Property{Key: key, Value: value.Draw(t, "value")})
	}
	if e.Properties != nil {
		e.Properties = store.NewProperties(e.Properties)
	}
	return e
}

// What was recorded is what a scan finds: of the tenant, after the place, in the
// time, all of it, and unchanged.
func TestScanFindsWhatWasRecorded(t *testing.T) {
	s := newStore(t)
	run := 0
	rapid.Check(t, func(rt *rapid.T) {
		run++
		tenants := []store.TenantID{
			newTenant(t, s, store.Slug(fmt.Sprintf("a%d", run))), newTenant(t, s, store.Slug(fmt.Sprintf("b%d", run)))}
		kept := map[store.TenantID][]store.Event{}
		heads := []store.EventSeq{0}
		for range rapid.IntRange(1, 4).Draw(rt, "batches") {
			tenant := rapid.SampledFrom(tenants).Draw(rt, "tenant")
			events := rapid.SliceOfN(rapid.Custom(drawEvent), 0, 8).Draw(rt, "events")
			r, err := s.Record(t.Context(), tenant, events, noon)
			if err != nil {
				rt.Fatal(err)
			}
			for i, e := range events {
				e.Seq = r.Head - store.EventSeq(len(events)-1-i)
				kept[tenant] = append(kept[tenant], e)
			}
			heads = append(heads, r.Head)
		}
		bound := func(name string) time.Time {
			if rapid.Bool().Draw(rt, name+" open") {
				return time.Time{}
			}
			return noon.Add(time.Duration(rapid.Int64Range(-60_000, 60_000).Draw(rt, name)))
		}
		scan := store.Scan{After: rapid.SampledFrom(heads).Draw(rt, "after"), From: bound("from"), To: bound("to")}
		for _, tenant := range tenants {
			want := map[store.EventSeq]store.Event{}
			newest := store.EventSeq(0)
			for _, e := range kept[tenant] {
				newest = max(newest, e.Seq)
				if e.Seq > scan.After && !e.Time.Before(scan.From) && (scan.To.IsZero() || e.Time.Before(scan.To)) {
					want[e.Seq] = e
				}
			}
			got, head := scanned(t, s, tenant, scan)
			if head != newest {
				rt.Fatalf("head %d, not %d", head, newest)
			}
			if !reflect.DeepEqual(got, want) {
				rt.Fatalf("scan %+v finds\n%+v\nand should find\n%+v", scan, got, want)
			}
		}
	})
}

func TestScanSeesOneMoment(t *testing.T) {
	s := newStore(t)
	tenant := newTenant(t, s, "acme")
	record(t, s, tenant, noon, store.Event{Name: "before"})
	events := 0
	head, err := s.ScanEvents(t.Context(), tenant, store.Scan{}, func(*store.Event) error {
		if events++; events == 1 {
			record(t, s, tenant, noon, store.Event{Name: "meanwhile"})
		}
		return nil
	})
	if err != nil || events != 1 {
		t.Fatalf("%d events, error %v", events, err)
	}
	if later, _ := scanned(t, s, tenant, store.Scan{After: head}); len(later) != 1 {
		t.Errorf("the next scan finds %d events", len(later))
	}
}

func TestScanEndsWithAnError(t *testing.T) {
	s := newStore(t)
	tenant := newTenant(t, s, "acme")
	record(t, s, tenant, noon, store.Event{Name: "x"}, store.Event{Name: "y"})
	stop := errors.New("enough")
	for range 2 * scanPool.connections { // no connection is lost by it
		calls := 0
		_, err := s.ScanEvents(t.Context(), tenant, store.Scan{}, func(*store.Event) error { calls++; return stop })
		if !errors.Is(err, stop) || calls != 1 {
			t.Fatalf("%d calls, error %v", calls, err)
		}
	}
	if _, err := s.ScanEvents(t.Context(), 999, store.Scan{}, nil); err != store.ErrNotFound {
		t.Errorf("no tenant: error %v", err)
	}
}

func TestPropertyValues(t *testing.T) {
	s := newStore(t)
	tenant, other := newTenant(t, s, "acme"), newTenant(t, s, "other")
	host := func(v store.Value, at time.Time) store.Event {
		return store.Event{Name: "request", User: "u", Time: at, Properties: store.Properties{{Key: `ho"st`, Value: v}}}
	}
	record(t, s, other, noon, host(store.Text("secret"), noon))
	record(t, s, tenant, noon,
		host(store.Text("b"), noon), host(store.Text("a"), noon),
		host(store.Num(200), noon), host(store.Num(200), noon),
		host(store.Null, noon), store.Event{Name: "visit", Time: noon},
		host(store.Text("early"), noon.Add(-time.Hour)), host(store.Text("late"), noon.Add(time.Hour)))
	for _, c := range []struct {
		property string
		from, to time.Time
		limit    int
		want     []string
	}{
		{`ho"st`, noon, noon.Add(time.Hour), 10, []string{"200", "a", "b"}},
		{`ho"st`, noon, noon.Add(time.Hour), 2, []string{"200", "a"}},
		{`ho"st`, time.Time{}, noon, 10, []string{"early"}},
		{`ho"st`, noon.Add(1), time.Time{}, 10, []string{"late"}},
		{"event", time.Time{}, time.Time{}, 10, []string{"request", "visit"}},
		{"user", time.Time{}, time.Time{}, 10, []string{"u"}},
		{"nothing", time.Time{}, time.Time{}, 10, nil},
	} {
		got, err := s.PropertyValues(t.Context(), tenant, c.property, c.from, c.to, c.limit)
		if err != nil || !slices.Equal(got, c.want) {
			t.Errorf("%s from %v to %v: %q, error %v; want %q", c.property, c.from, c.to, got, err, c.want)
		}
	}
}
