package sqlite

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/jmoiron/sqlx"
	"pgregory.net/rapid"

	"pulseboard/store"
)

func TestIdsReadBackAsTheyWerePacked(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		draw := rapid.Custom(func(t *rapid.T) seenID {
			µs := rapid.Int64Range(-1<<55, 1<<55)
			return seenID{rapid.OneOf(rapid.Int64(), rapid.Int64Range(-2, 2)).Draw(t, "hash"), µs.Draw(t, "time"), µs.Draw(t, "received")}
		})
		ids := sortIDs(rapid.SliceOf(draw).Draw(t, "ids"))
		var got []seenID
		for id, err := range unpackIDs(appendIDs(nil, ids)) {
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, id)
		}
		if !slices.Equal(got, ids) {
			t.Fatalf("%v became %v", ids, got)
		}
	})
}

func FuzzUnpackIDs(f *testing.F) {
	f.Add(appendIDs(nil, []seenID{{1, 2, 3}, {4, 5, 6}}))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, b []byte) {
		for _, err := range unpackIDs(b) {
			if err != nil && !errors.Is(err, errBadIDs) {
				t.Fatal(err)
			}
		}
	})
}

// manyIDs keeps so many batches of ids that runs of several pages are made and merged.
func manyIDs(t *testing.T, s *Store, tenant store.TenantID, batches, each int) {
	t.Helper()
	for b := range batches {
		var events []store.Event
		for i := range each {
			events = append(events, event("visit", fmt.Sprint(b*each+i), noon))
		}
		if got := record(t, s, tenant, noon, events...); slices.Contains(got, true) {
			t.Fatal("a new event is a duplicate")
		}
	}
	s.background.end()
}

func runsOf(t *testing.T, s *Store) (runs []idRun, pages int) {
	t.Helper()
	err := errors.Join(s.reader.Select(&runs, idRuns), s.reader.Get(&pages, `SELECT count(*) FROM id_pages`))
	if err != nil {
		t.Fatal(err)
	}
	return runs, pages
}

func TestManyIdsAreInFewRunsAndAllKnown(t *testing.T) {
	dir := t.TempDir()
	s := openIn(t, dir, lockTimeout)
	s.ids.seal = 3_000
	acme := newTenant(t, s, "acme")
	manyIDs(t, s, acme, 60, 1_000)
	if err := errors.Join(s.mergeRuns(t.Context()), s.forgetIDs(t.Context(), 0)); err != nil {
		t.Fatal(err)
	}
	runs, pages := runsOf(t, s)
	if len(runs) > 3*(mergeRunsOf-1)+1 || pages > 60_000/pageIDs+2*len(runs) {
		t.Errorf("%d runs of %d pages", len(runs), pages)
	}
	again := openIn(t, dir, lockTimeout)
	for n := 0; n < 60_000; n += 97 {
		sent := []store.Event{event("visit", fmt.Sprint(n), time.Time{}), event("visit", fmt.Sprint(n+60_000), noon)}
		if got := record(t, again, acme, noon.Add(time.Hour), sent...); !slices.Equal(got, []bool{true, false}) {
			t.Fatalf("id %d: duplicates %v", n, got)
		}
	}
	// Two days later only the time tells.
	sent := []store.Event{event("visit", "5", time.Time{}), event("visit", "6", noon), event("visit", "7", noon.Add(time.Second))}
	if got := record(t, again, acme, noon.Add(store.DuplicateSpan+time.Minute), sent...); !slices.Equal(got, []bool{false, true, false}) {
		t.Errorf("later: duplicates %v", got)
	}
}

func TestWhatAKilledMergeLeftIsTidiedUp(t *testing.T) {
	s := newStore(t)
	s.ids.seal = 3_000
	acme := newTenant(t, s, "acme")
	manyIDs(t, s, acme, 10, 1_000)
	runs, pages := runsOf(t, s)
	w := newRunWriter(10)
	for i := range int64(2 * pageIDs) {
		w.add(seenID{i, 0, 0})
	}
	if err := s.write(t.Context(), w.write); err != nil {
		t.Fatal(err)
	}
	if err := s.forgetIDs(t.Context(), 0); err != nil {
		t.Fatal(err)
	}
	if after, left := runsOf(t, s); left != pages || !reflect.DeepEqual(after, runs) {
		t.Errorf("%d pages are left of %d, and runs %v of %v", left, pages, after, runs)
	}
	// The one that was merging and lost its pages does not make a run of the rest.
	some, all := runs[:2], []idRun(nil)
	w = newRunWriter(10)
	w.count = 1
	err := s.write(t.Context(), func(ctx context.Context, tx *sqlx.Tx) error { return s.replaceRuns(ctx, tx, some, w) })
	if all, _ = runsOf(t, s); !errors.Is(err, errMergedElsewhere) || !reflect.DeepEqual(all, runs) {
		t.Errorf("a merge without pages: %v, and then %d runs", err, len(all))
	}
	if err := s.forgetIDs(t.Context(), noon.Add(time.Second).UnixMicro()); err != nil {
		t.Fatal(err)
	}
	if runs, pages := runsOf(t, s); len(runs)+pages > 0 {
		t.Errorf("%d runs of %d pages are left of those that are old", len(runs), pages)
	}
}

// A batch that is refused when its ids are written is taken later.
func TestIdsThatCouldNotBeWrittenAreNotKnown(t *testing.T) {
	s := newStore(t)
	s.ids.seal = 500
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
