package sqlite

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"pulseboard/store"
)

func TestOldEventsAreForgottenWhenAllRollupsCountThem(t *testing.T) {
	s := newStore(t)
	one, other := newTenant(t, s, "one"), newTenant(t, s, "other")
	now := time.Now()
	keep := func(tenant store.TenantID, n int, received time.Time) {
		t.Helper()
		var events []store.Event
		for range n {
			events = append(events, store.Event{Name: "a", Time: now.Add(-time.Hour)}) // when they happened does not count
		}
		if _, err := s.Record(t.Context(), tenant, events, received); err != nil {
			t.Fatal(err)
		}
	}
	apply(t, s, one, store.Dashboard{ID: "d", Widgets: []store.Widget{{Key: "n", Kind: store.Stat, Metric: store.Metric{Measure: store.Count}}}})
	if err := s.SetRetention(t.Context(), one, store.Retention{EventDays: 7, RollupDays: 30}); err != nil {
		t.Fatal(err)
	}
	for day := 20; day >= 0; day-- {
		keep(one, 700, now.AddDate(0, 0, -day).Add(time.Minute))
		keep(other, 300, now.AddDate(0, 0, -day).Add(time.Minute))
	}
	if err := s.DefineRollups(t.Context(), one); err != nil {
		t.Fatal(err)
	}
	forget := func() {
		t.Helper()
		for range 100 {
			if more, err := s.Forget(t.Context(), one, now); err != nil {
				t.Fatal(err)
			} else if !more {
				return
			}
		}
		t.Fatal("it does not end")
	}
	kept := func(tenant store.TenantID) int64 {
		t.Helper()
		var n int64
		if err := s.reader.Get(&n, `SELECT coalesce(sum(events), 0) FROM segments WHERE tenant_id = ?`, tenant); err != nil {
			t.Fatal(err)
		}
		h, err := s.Holdings(t.Context(), tenant)
		if err != nil || h.Events != n {
			t.Fatalf("it says %d events are kept of %d, %v", h.Events, n, err)
		}
		return n
	}
	forget()
	if n := kept(one); n != 21*700 {
		t.Fatalf("%d events are left before a rollup counts them", n)
	}
	followAll(t, s, one)
	forget()
	if n := kept(one); n != 8*700 {
		t.Errorf("%d events are left, want those of 7 days and today", n)
	}
	if n := kept(other); n != 21*300 {
		t.Errorf("%d of the other tenant's events are left", n)
	}
	if got := count(t, s, one, now); got != 21*700 {
		t.Errorf("%v events count, for the rollups keep counting them", got)
	}
	// What comes later goes later.
	now = now.AddDate(0, 0, 3)
	forget()
	if n := kept(one); n != 5*700 {
		t.Errorf("three days later %d events are left", n)
	}
	now = now.AddDate(0, 0, 40)
	forget()
	if n := kept(one); n != 0 {
		t.Errorf("in the end %d events are left", n)
	}
	var steps int
	if err := s.reader.Get(&steps, `SELECT count(*) FROM rollup_steps`); err != nil || steps != 0 {
		t.Errorf("%d steps are left, %v", steps, err)
	}
}

func TestWhatWasMergedIsKeptAsLongAsItsLatest(t *testing.T) {
	s := newStore(t)
	acme := newTenant(t, s, "acme")
	for i := range mergeAfter {
		record(t, s, acme, noon.AddDate(0, 0, i/(mergeAfter/2)), event("visit", fmt.Sprint(i), noon)) // on two days
	}
	if err := s.mergePacks(t.Context(), acme); err != nil {
		t.Fatal(err)
	}
	for late, want := range [][]int{{mergeAfter}, {mergeAfter}, nil} {
		days := store.DefaultRetention.EventDays + late
		if _, err := s.Forget(t.Context(), acme, noon.AddDate(0, 0, days)); err != nil {
			t.Fatal(err)
		}
		if sizes := packsOf(t, s, acme); !slices.Equal(sizes, want) {
			t.Errorf("%d days after the first, packs of %v events are left, want %v", days, sizes, want)
		}
	}
}

func TestWhatIsForgottenMakesTheFileSmallerBitByBit(t *testing.T) {
	s := newStore(t)
	one := newTenant(t, s, "one")
	for range 30 {
		var events []store.Event
		for range 1000 {
			events = append(events, store.Event{Name: "a", Properties: store.NewProperties([]store.Property{{Key: "x", Value: store.Text(incompressible(1_800))}})})
		}
		if _, err := s.Record(t.Context(), one, events, time.Now()); err != nil {
			t.Fatal(err)
		}
	}
	for more := true; more; {
		var err error
		if more, err = s.Forget(t.Context(), one, time.Now().AddDate(1, 0, 0)); err != nil {
			t.Fatal(err)
		}
	}
	pages := func() (n int) {
		t.Helper()
		if err := s.reader.Get(&n, `PRAGMA page_count`); err != nil {
			t.Fatal(err)
		}
		return n
	}
	before := pages()
	for more := true; more; {
		var err error
		was := pages()
		if more, err = s.Shrink(t.Context()); err != nil {
			t.Fatal(err)
		}
		if gone := was - pages(); gone > 2000 {
			t.Fatalf("%d pages went at once", gone)
		}
	}
	if after := pages(); after > before/2 {
		t.Errorf("%d pages before and %d after", before, after)
	}
}

func TestARetentionIsChecked(t *testing.T) {
	for r, ok := range map[store.Retention]bool{
		store.DefaultRetention: true, {EventDays: 1, RollupDays: 1}: true, {EventDays: 0, RollupDays: 10}: false,
		{EventDays: 10, RollupDays: 9}: false, {EventDays: 10, RollupDays: 5000}: false, {EventDays: 5000, RollupDays: 5000}: false,
	} {
		if err := r.Validate(); (err == nil) != ok {
			t.Errorf("%+v: %v", r, err)
		}
	}
}
