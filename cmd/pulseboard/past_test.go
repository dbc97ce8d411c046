package main

import (
	"testing"
	"time"

	"pulseboard/store"
	"pulseboard/store/sqlite"
)

// perHour counts a tenant's events by their hours.
func perHour(t *testing.T, st *sqlite.Store, tenant store.TenantID) map[time.Time]int {
	t.Helper()
	hours := map[time.Time]int{}
	all := store.Scan{To: time.Now().AddDate(1, 0, 0)}
	if err := st.EachEvent(t.Context(), tenant, all, func(e *store.Event) error {
		hours[e.Time.Truncate(time.Hour)]++
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	return hours
}

// However often the demo is stopped while it records its past, and for however long, in
// the end every hour has its events, once.
func TestThePastOfTheDemoIsCompletedAfterInterruptions(t *testing.T) {
	t.Parallel()
	st, err := sqlite.Open(t.Context(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer st.Close()
	tenant, err := st.CreateTenant(t.Context(), "demo", "Demo", true)
	if err != nil {
		t.Fatal(err)
	}
	started := time.Date(2026, 2, 9, 15, 3, 30, 0, time.UTC)
	startedAt := func(now time.Time, reach time.Duration) *past {
		return &past{st: st, tenant: tenant.ID, shop: newShop(), now: now, reach: reach}
	}
	first := startedAt(started, 5*time.Hour)
	if err := first.recordRecent(t.Context()); err != nil {
		t.Fatal(err)
	}
	if n := len(perHour(t, st, tenant.ID)); n != 3 {
		t.Fatalf("before the server answers there are events in %d hours, want 13, 14 and 15 o'clock", n)
	}
	if err := first.recordOlder(t.Context()); err != nil { // and here it is stopped
		t.Fatal(err)
	}
	before := perHour(t, st, tenant.ID)
	delete(before, started.Truncate(time.Hour)) // which is not over yet
	later := startedAt(started.Add(5*time.Hour), 14*time.Hour)
	for range 2 { // the second finds nothing to do
		if err := later.recordRecent(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := later.recordOlder(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	hours := perHour(t, st, tenant.ID)
	for at := later.now.Add(-later.reach).Truncate(time.Hour); at.Before(later.now); at = at.Add(time.Hour) {
		whole := 3600
		if at.Equal(later.now.Truncate(time.Hour)) {
			whole = 3*60 + 30
		}
		// The shop has 0.8 events a second in its quietest hour, and 5 in its liveliest.
		if n := hours[at]; n < whole/2 || n > 6*whole {
			t.Errorf("%s has %d events", at.Format(time.DateTime), n)
		}
	}
	for hour, n := range before {
		if hours[hour] != n {
			t.Errorf("%s had %d events and has %d", hour.Format(time.DateTime), n, hours[hour])
		}
	}
}
