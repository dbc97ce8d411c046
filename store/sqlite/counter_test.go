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

// reading is an event that reads a counter some minutes after noon.
func reading(series byte, minute int, totals store.Totals) store.Event {
	return store.Event{
		Name: "requests", ID: fmt.Sprint(series, minute), Time: noon.Add(time.Duration(minute) * time.Minute),
		Properties: store.NewProperties([]store.Property{{Key: "path", Value: store.Text("/")}}),
		Counter:    &store.Counter{Series: store.CounterSeries{series}, Totals: totals},
	}
}

func sum(f float64) store.Totals { return store.Totals{Sum: store.Num(f)} }

// kept gives the properties of the events of a tenant, in the order of commits.
func kept(t testing.TB, s *Store, tenant store.TenantID) (texts []string) {
	t.Helper()
	found, head := scanned(t, s, tenant, store.Scan{})
	for seq := range head + 1 {
		if e, ok := found[seq]; ok {
			texts = append(texts, string(e.Properties.AppendJSON(nil)))
		}
	}
	return texts
}

func TestACounterIsKeptAsWhatItGrewBy(t *testing.T) {
	dir := t.TempDir()
	s := openIn(t, dir, lockTimeout)
	acme, other := newTenant(t, s, "acme"), newTenant(t, s, "other")
	got := record(t, s, acme, noon, reading(1, 1, sum(5)), reading(2, 1, sum(100)), reading(1, 2, sum(7)), reading(1, 2, sum(7)), reading(1, 1, sum(5)))
	if want := []bool{false, false, false, true, true}; !slices.Equal(got, want) {
		t.Errorf("duplicates %v, want %v", got, want)
	}
	// The first store stays open: nothing was flushed by closing it.
	again := openIn(t, dir, lockTimeout)
	got = record(t, again, acme, noon.Add(time.Hour), reading(1, 2, sum(7)), reading(1, 3, sum(7)), reading(1, 4, sum(3)), reading(1, 6, sum(10)), reading(1, 5, sum(9)))
	if want := []bool{true, false, false, false, true}; !slices.Equal(got, want) {
		t.Errorf("duplicates of another process %v, want %v", got, want)
	}
	unnamed := reading(1, 6, sum(10))
	unnamed.ID = ""
	if got := record(t, again, acme, noon.Add(time.Hour), unnamed); !got[0] {
		t.Error("a reading of the last time is no duplicate when it has no id")
	}
	record(t, again, other, noon, reading(1, 1, sum(50)))
	want := []string{`{"path":"/","value":5}`, `{"path":"/","value":100}`, `{"path":"/","value":2}`, `{"path":"/","value":0}`, `{"path":"/","value":3}`, `{"path":"/","value":7}`}
	if got := kept(t, s, acme); !slices.Equal(got, want) {
		t.Errorf("kept %v, want %v", got, want)
	}
	if got := kept(t, s, other); !slices.Equal(got, []string{`{"path":"/","value":50}`}) {
		t.Errorf("another tenant's counter is kept as %v", got)
	}
}

func TestACounterOfADistributionIsKeptAsWhatItGrewBy(t *testing.T) {
	s := newStore(t)
	acme := newTenant(t, s, "acme")
	both := func(count, sum float64) store.Totals {
		return store.Totals{Count: store.Num(count), Sum: store.Num(sum)}
	}
	record(t, s, acme, noon, reading(1, 1, both(4, 10)), reading(1, 2, both(6, 8)), reading(1, 3, both(6, 8)),
		reading(1, 4, both(1, 30)), reading(1, 5, store.Totals{Count: store.Num(3)}), reading(1, 6, both(5, 90)))
	want := []string{
		`{"count":4,"path":"/","sum":10,"value":2.5}`,
		`{"count":2,"path":"/","sum":-2,"value":-1}`,
		`{"count":0,"path":"/","sum":0}`,
		`{"count":1,"path":"/","sum":30,"value":30}`,
		`{"count":2,"path":"/"}`,
		`{"count":2,"path":"/"}`,
	}
	if got := kept(t, s, acme); !slices.Equal(got, want) {
		t.Errorf("kept %v, want %v", got, want)
	}
}

func TestACounterIsKeptWithItsEventOrNotAtAll(t *testing.T) {
	s := newStore(t)
	acme := newTenant(t, s, "acme")
	record(t, s, acme, noon, reading(1, 1, sum(5)))
	var pages int
	if err := s.writer.Get(&pages, `PRAGMA page_count`); err != nil {
		t.Fatal(err)
	}
	if _, err := s.writer.Exec(fmt.Sprintf(`PRAGMA max_page_count = %d`, pages+2)); err != nil {
		t.Fatal(err)
	}
	batch := []store.Event{reading(1, 2, sum(8))}
	for i := range 1_000 {
		batch = append(batch, event("order", fmt.Sprint("a", i), noon))
		batch[i+1].User = incompressible(200)
	}
	if _, err := s.Record(t.Context(), acme, batch, noon); !errors.Is(err, store.ErrFull) {
		t.Fatalf("a full disk: error %v", err)
	}
	if _, err := s.writer.Exec(`PRAGMA max_page_count = 1000000`); err != nil {
		t.Fatal(err)
	}
	if duplicate := record(t, s, acme, noon, batch[0]); duplicate[0] {
		t.Error("the reading that was refused is not taken when there is room again")
	}
	if got := kept(t, s, acme); !slices.Equal(got, []string{`{"path":"/","value":5}`, `{"path":"/","value":3}`}) {
		t.Errorf("kept %v", got)
	}
}

func TestACounterThatWasForgottenBeginsAnewAndCountsNoReadingTwice(t *testing.T) {
	s := newStore(t)
	acme := newTenant(t, s, "acme")
	record(t, s, acme, noon, reading(1, 1, sum(5)))
	if err := s.PruneCounters(t.Context(), noon); err != nil {
		t.Fatal(err)
	}
	record(t, s, acme, noon, reading(1, 2, sum(8)))
	if err := s.PruneCounters(t.Context(), noon.Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	if got := record(t, s, acme, noon, reading(1, 2, sum(8)), reading(1, 3, sum(9))); !slices.Equal(got, []bool{true, false}) {
		t.Errorf("duplicates %v", got)
	}
	if err := s.PruneCounters(t.Context(), noon.Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	record(t, s, acme, noon, reading(1, 4, sum(11)))
	if got := kept(t, s, acme); !slices.Equal(got, []string{`{"path":"/","value":5}`, `{"path":"/","value":3}`, `{"path":"/","value":1}`, `{"path":"/","value":11}`}) {
		t.Errorf("kept %v", got)
	}
}

// Whatever is sent twice, late or in other batches: what is kept adds up to what
// the counter says in the end.
func TestWhatACounterGrewByAddsUp(t *testing.T) {
	s := newStore(t)
	run := 0
	rapid.Check(t, func(rt *rapid.T) {
		run++
		tenant := newTenant(t, s, store.Slug(fmt.Sprint("acme-", run)))
		totals := []float64{float64(rapid.IntRange(0, 9).Draw(rt, "first"))}
		for range rapid.IntRange(1, 8).Draw(rt, "readings") {
			totals = append(totals, totals[len(totals)-1]+float64(rapid.IntRange(0, 9).Draw(rt, "growth")))
		}
		newest := 0
		for range rapid.IntRange(1, 6).Draw(rt, "batches") {
			var batch []store.Event
			for _, minute := range rapid.SliceOfN(rapid.IntRange(0, len(totals)-1), 0, 5).Draw(rt, "batch") {
				batch = append(batch, reading(1, minute, sum(totals[minute])))
				newest = max(newest, minute)
			}
			record(t, s, tenant, noon, batch...)
		}
		batch := []store.Event{reading(1, newest, sum(totals[newest]))}
		record(t, s, tenant, noon, batch...)
		var sum float64
		found, _ := scanned(t, s, tenant, store.Scan{})
		for _, e := range found {
			v, _ := e.Properties.Get("value")
			f, _ := v.Number()
			sum += f
		}
		if sum != totals[newest] {
			rt.Fatalf("%v adds up to %v, want %v", totals, sum, totals[newest])
		}
	})
}

func TestManyCountersAreForgottenInBites(t *testing.T) {
	s := newStore(t)
	acme := newTenant(t, s, "acme")
	_, err := s.writer.Exec(`WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?)
		INSERT INTO counters (tenant_id, series, time, touched) SELECT ?, CAST(i AS BLOB), 0, i FROM n`, 2*countersForgotten+10, acme)
	if err != nil {
		t.Fatal(err)
	}
	for _, left := range []int{7, 0} {
		if err := s.PruneCounters(t.Context(), time.UnixMicro(int64(2*countersForgotten+11-left))); err != nil {
			t.Fatal(err)
		}
		var n int
		if err := s.reader.Get(&n, `SELECT count(*) FROM counters`); err != nil || n != left {
			t.Errorf("%d counters are left, want %d; %v", n, left, err)
		}
	}
}
