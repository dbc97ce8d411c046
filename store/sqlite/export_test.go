package sqlite

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"pulseboard/store"
)

func TestEachEventComesOnceAndInOrderWhileOthersComeInAndAreMerged(t *testing.T) {
	s := newStore(t)
	tenant, other := newTenant(t, s, "acme"), newTenant(t, s, "other")
	record(t, s, other, noon, event("visit", "", noon))
	for i := range 100 { // newest first, each in a pack of its own
		record(t, s, tenant, noon, event("visit", fmt.Sprint("id", i), noon.Add(-time.Duration(i)*time.Minute)))
	}
	last := store.EventSeq(0)
	err := s.EachEvent(t.Context(), tenant, store.Scan{}, func(e *store.Event) error {
		if last++; e.Seq != last || e.ID != fmt.Sprint("id", last-1) {
			return fmt.Errorf("event %d with id %s comes after %d", e.Seq, e.ID, last-1)
		}
		if last == 50 {
			record(t, s, tenant, noon, event("visit", "new", noon))
			return s.mergePacks(t.Context(), tenant)
		}
		return nil
	})
	if err != nil || last != 100 {
		t.Errorf("%d events of 100: %v", last, err)
	}
	if packs := len(packsOf(t, s, tenant)); packs > 50 {
		t.Errorf("nothing was merged: %d packs", packs)
	}
}

func TestEachEventKeepsToItsTimes(t *testing.T) {
	s := newStore(t)
	tenant := newTenant(t, s, "acme")
	for day := range 5 {
		record(t, s, tenant, noon, event("visit", fmt.Sprint(day), noon.AddDate(0, 0, day)), event("visit", fmt.Sprint("µ", day), noon.AddDate(0, 0, day).Add(-time.Microsecond)))
	}
	var ids []string
	span := store.Scan{From: noon.AddDate(0, 0, 1), To: noon.AddDate(0, 0, 3)}
	if err := s.EachEvent(t.Context(), tenant, span, func(e *store.Event) error { ids = append(ids, e.ID); return nil }); err != nil {
		t.Fatal(err)
	}
	if got := fmt.Sprint(ids); got != "[1 2 µ2 µ3]" {
		t.Errorf("from the second day up to the fourth: %s", got)
	}
	if err := s.EachEvent(t.Context(), 99, store.Scan{}, nil); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("of no tenant: %v", err)
	}
}
