package sqlite

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"

	"pulseboard/store"
)

// TestDamagedIDsStopNoSender damages what tells duplicates: it tells those that it still
// knows, and nobody's events are refused.
func TestDamagedIDsStopNoSender(t *testing.T) {
	for name, damage := range map[string]struct {
		statement string
		told      int // of 500 events sent again, at least
	}{
		"recent ids":        {`UPDATE recent_ids SET packed = substr(packed, 1, length(packed) - 3) WHERE id = (SELECT max(id) FROM recent_ids)`, 490},
		"no recent ids":     {`UPDATE recent_ids SET packed = x''`, 400},
		"a page":            {`UPDATE id_pages SET packed = substr(packed, 1, length(packed) / 2)`, 250},
		"an empty page":     {`UPDATE id_pages SET packed = x''`, 100},
		"a filter cut":      {`UPDATE id_runs SET filter = substr(filter, 1, 40)`, 500},
		"no filter":         {`UPDATE id_runs SET filter = x''`, 500},
		"a filter's length": {`UPDATE id_runs SET filter = CAST(substr(filter, 1, 16) || x'00ffffffffffffff' || substr(filter, 25) AS BLOB)`, 500},
		"a filter's size":   {`UPDATE id_runs SET filter = CAST(x'7fffffffffffffff' || substr(filter, 9) AS BLOB)`, 500},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			s := openIn(t, dir, lockTimeout)
			s.ids.Seal = 150
			acme, other := newTenant(t, s, "acme"), newTenant(t, s, "other")
			var batches [][]store.Event
			for b := range 5 { // two runs' worth, and some that are recent
				var events []store.Event
				for i := range 100 {
					events = append(events, event("a", fmt.Sprint(b, "-", i), noon))
				}
				batches = append(batches, events)
			}
			for _, events := range batches {
				record(t, s, acme, noon, events...)
			}
			if _, err := s.writer.Exec(damage.statement); err != nil {
				t.Fatal(err)
			}
			s.Close()
			s = openIn(t, dir, lockTimeout)
			s.ids.Seal = 150
			told := 0
			for _, events := range batches {
				for _, duplicate := range record(t, s, acme, noon, events...) {
					if duplicate {
						told++
					}
				}
			}
			if told < damage.told {
				t.Errorf("%d of 500 are told, want %d", told, damage.told)
			}
			for i := range 8 { // runs, so many that some are merged
				var events []store.Event
				for j := range 160 {
					events = append(events, event("b", fmt.Sprint(i, "-", j), noon))
				}
				for i, duplicate := range record(t, s, other, noon, events...) {
					if duplicate {
						t.Fatalf("the other tenant's event %d is taken for a duplicate", i)
					}
				}
			}
			if err := s.ids.Merge(t.Context()); err != nil {
				t.Errorf("runs are not merged: %v", err)
			}
			log := &bytes.Buffer{}
			s.mend(t.Context(), slog.New(slog.NewTextHandler(log, nil)))
			if text := log.String(); strings.Count(text, "\n") != 1 || !strings.Contains(text, "ids") {
				t.Errorf("the log says\n%s", text)
			}
		})
	}
}

// A batch that is refused when its ids are written is taken later.
func TestIdsThatCouldNotBeWrittenAreNotKnown(t *testing.T) {
	s := newStore(t)
	s.ids.Seal = 500
	acme := newTenant(t, s, "acme")
	record(t, s, acme, noon, event("order", "before", noon))
	var batch []store.Event
	for i := range 10_000 {
		batch = append(batch, event("order", fmt.Sprint("a", i), noon))
	}
	var pages int
	if err := s.writer.Get(&pages, `PRAGMA page_count`); err != nil {
		t.Fatal(err)
	}
	if _, err := s.writer.Exec(fmt.Sprintf(`PRAGMA max_page_count = %d`, pages+20)); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Record(t.Context(), acme, batch, noon); !errors.Is(err, store.ErrFull) {
		t.Fatalf("a full disk: error %v", err)
	}
	if _, err := s.writer.Exec(`PRAGMA max_page_count = 1000000`); err != nil {
		t.Fatal(err)
	}
	sent := append(batch[:10:10], event("order", "before", noon))
	if got := record(t, s, acme, noon, sent...); slices.Index(got, true) != 10 {
		t.Errorf("duplicates %v", got)
	}
}
