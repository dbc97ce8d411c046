package sqlite

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"pulseboard/store"
)

func event(name, id string, at time.Time) store.Event {
	return store.Event{Name: name, ID: id, Time: at}
}

func TestDuplicates(t *testing.T) {
	const span = store.DuplicateSpan
	var none time.Time
	first := event("order", "a1", noon)
	for name, c := range map[string]struct {
		after     time.Duration // from the first's reception to the second's
		second    store.Event
		duplicate bool
	}{
		"same time at once":           {0, first, true},
		"same time a year later":      {365 * 24 * time.Hour, first, true},
		"other time at once":          {0, event("order", "a1", noon.Add(time.Hour)), true},
		"other time at 48 h":          {span, event("order", "a1", noon.Add(time.Hour)), true},
		"other time after 48 h":       {span + time.Microsecond, event("order", "a1", noon.Add(time.Hour)), false},
		"no time at once":             {0, event("order", "a1", none), true},
		"no time at 48 h":             {span, event("order", "a1", none), true},
		"no time after 48 h":          {span + time.Microsecond, event("order", "a1", none), false},
		"another name":                {0, event("visit", "a1", noon), false},
		"another id":                  {0, event("order", "a2", noon), false},
		"no id":                       {0, event("order", "", noon), false},
		"name and id parted elsewise": {0, event("ordera", "1", noon), false},
	} {
		t.Run(name, func(t *testing.T) {
			s := newStore(t)
			acme, other := newTenant(t, s, "acme"), newTenant(t, s, "other")
			received := noon.Add(time.Minute)
			if record(t, s, acme, received, first)[0] {
				t.Fatal("the first is taken for a duplicate")
			}
			if got := record(t, s, acme, received.Add(c.after), c.second)[0]; got != c.duplicate {
				t.Errorf("duplicate: %v", got)
			}
			if record(t, s, other, received, first)[0] {
				t.Error("another tenant's event is taken for a duplicate")
			}
		})
	}
}

func TestDuplicatesWithinABatch(t *testing.T) {
	s := newStore(t)
	acme := newTenant(t, s, "acme")
	got := record(t, s, acme, noon,
		event("order", "a1", noon), event("order", "a1", noon), event("order", "", noon), event("order", "", noon),
		event("order", "a1", noon.Add(-time.Hour)), event("order", "a2", time.Time{}), event("order", "a2", time.Time{}))
	want := []bool{false, true, false, false, true, false, true}
	if !slices.Equal(got, want) {
		t.Errorf("duplicates %v, want %v", got, want)
	}
	if n, err := s.EventCount(t.Context()); err != nil || n != 4 {
		t.Errorf("%d events are kept, error %v", n, err)
	}
}

// An event sent again after the span starts another span.
func TestEachKeptEventHasItsOwnSpan(t *testing.T) {
	s := newStore(t)
	acme := newTenant(t, s, "acme")
	received := noon
	for i, want := range []bool{false, true, false, true, false, true} {
		if got := record(t, s, acme, received, event("order", "a1", time.Time{}))[0]; got != want {
			t.Errorf("event %d: duplicate %v", i, got)
		}
		received = received.Add(25 * time.Hour)
	}
}

func TestWithoutATimeAnEventHappensWhenReceived(t *testing.T) {
	s := newStore(t)
	acme := newTenant(t, s, "acme")
	record(t, s, acme, noon, event("order", "", time.Time{}))
	found, _ := scanned(t, s, acme, store.Scan{})
	for _, e := range found {
		if !e.Time.Equal(noon) || e.Time.Location() != time.UTC {
			t.Errorf("time %v, want %v", e.Time, noon)
		}
	}
	if len(found) != 1 {
		t.Errorf("%d events", len(found))
	}
}

// A server that dies after the commit and before the answer gets the batch again.
func TestDuplicatesAreKnownAfterACrash(t *testing.T) {
	dir := t.TempDir()
	s := openIn(t, dir, lockTimeout)
	acme := newTenant(t, s, "acme")
	batch := []store.Event{event("order", "a1", noon), event("order", "a2", time.Time{}), event("order", "a3", noon)}
	record(t, s, acme, noon, batch[:2]...)
	// The first store stays open: nothing was flushed by closing it.
	again := openIn(t, dir, lockTimeout)
	if got := record(t, again, acme, noon.Add(time.Minute), batch...); !slices.Equal(got, []bool{true, true, false}) {
		t.Errorf("duplicates %v", got)
	}
}

func TestRecordKeepsAllOrNothing(t *testing.T) {
	dir := t.TempDir()
	s := openIn(t, dir, lockTimeout)
	acme := newTenant(t, s, "acme")
	record(t, s, acme, noon, event("order", "before", noon))

	if _, err := s.Record(t.Context(), 12345, []store.Event{event("order", "a1", noon)}, noon); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("a tenant that isn't there: error %v", err)
	}

	var pages int
	if err := s.writer.Get(&pages, `PRAGMA page_count`); err != nil {
		t.Fatal(err)
	}
	if _, err := s.writer.Exec(fmt.Sprintf(`PRAGMA max_page_count = %d`, pages+20)); err != nil {
		t.Fatal(err)
	}
	batch := make([]store.Event, 1_000)
	for i := range batch {
		batch[i] = event("order", fmt.Sprint("a", i), noon)
		batch[i].Properties = store.NewProperties([]store.Property{{Key: "note", Value: store.Text(incompressible(1_000))}})
	}
	if _, err := s.Record(t.Context(), acme, batch, noon); !errors.Is(err, store.ErrFull) {
		t.Fatalf("a full disk: error %v", err)
	}
	found, head := scanned(t, s, acme, store.Scan{})
	if n, err := s.EventCount(t.Context()); len(found) != 1 || head != 1 || n != 1 || err != nil {
		t.Errorf("after a full disk: %d events, head %d, count %d, error %v", len(found), head, n, err)
	}

	if _, err := s.writer.Exec(`PRAGMA max_page_count = 1000000`); err != nil {
		t.Fatal(err)
	}
	if duplicate := record(t, s, acme, noon, batch...); slices.Contains(duplicate, true) {
		t.Error("the batch that was refused is not taken when there is room again")
	}
}

func TestLastEvent(t *testing.T) {
	s := newStore(t)
	acme, other := newTenant(t, s, "acme"), newTenant(t, s, "other")
	record(t, s, other, noon, event("order", "", noon.Add(time.Hour)))
	if _, err := s.LastEvent(t.Context(), acme); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("no event: error %v", err)
	}
	record(t, s, acme, noon, event("order", "", noon), event("order", "", noon.Add(-time.Hour)))
	if at, err := s.LastEvent(t.Context(), acme); err != nil || !at.Equal(noon) {
		t.Errorf("last event at %v, error %v", at, err)
	}
}

// keptEvents says which events are duplicates by the words of the promise alone.
type keptEvents []struct {
	store.Event
	received time.Time
}

func (k *keptEvents) record(e store.Event, received time.Time) (duplicate bool) {
	given := !e.Time.IsZero()
	for _, before := range *k {
		if e.ID != "" && before.Name == e.Name && before.ID == e.ID &&
			(given && before.Time.Equal(e.Time) || received.Sub(before.received) <= store.DuplicateSpan) {
			return true
		}
	}
	if !given {
		e.Time = received
	}
	*k = append(*k, struct {
		store.Event
		received time.Time
	}{e, received})
	return false
}

func TestDuplicatesAreThosePromised(t *testing.T) {
	dir := t.TempDir()
	open := func() *Store {
		s := openIn(t, dir, lockTimeout)
		s.ids.Seal = 4 // so that there are runs, and runs of runs
		return s
	}
	stores := []*Store{open(), open()}
	run := 0
	drawSent := rapid.Custom(func(t *rapid.T) store.Event {
		return event(
			rapid.SampledFrom([]string{"order", "visit"}).Draw(t, "name"),
			rapid.SampledFrom([]string{"", "a1", "a2"}).Draw(t, "id"),
			rapid.SampledFrom([]time.Time{{}, time.Unix(-1, 0), noon.Add(-time.Microsecond), noon, noon.Add(24 * time.Hour)}).Draw(t, "time"))
	})
	rapid.Check(t, func(rt *rapid.T) {
		run++
		tenant := newTenant(t, stores[0], store.Slug(fmt.Sprint("acme-", run)))
		var kept keptEvents
		received := noon
		for range rapid.IntRange(1, 8).Draw(rt, "batches") {
			received = received.Add(time.Duration(rapid.IntRange(0, 4).Draw(rt, "half days")) * 12 * time.Hour)
			batch := rapid.SliceOfN(drawSent, 0, 8).Draw(rt, "batch")
			process := rapid.IntRange(0, 1).Draw(rt, "process")
			if rapid.IntRange(0, 9).Draw(rt, "restart") == 0 {
				stores[process].Close()
				stores[process] = open()
			}
			duplicate := record(t, stores[process], tenant, received, batch...)
			for i, e := range batch {
				if want := kept.record(e, received); duplicate[i] != want {
					rt.Fatalf("event %+v received %v: duplicate %v", e, received, duplicate[i])
				}
			}
		}
		if found, _ := scanned(t, stores[0], tenant, store.Scan{}); len(found) != len(kept) {
			rt.Fatalf("%d events are kept and should be %d", len(found), len(kept))
		}
	})
}
