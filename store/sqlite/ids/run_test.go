package ids

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
		draw := rapid.Custom(func(t *rapid.T) Seen {
			µs := rapid.Int64Range(-1<<55, 1<<55)
			return Seen{rapid.OneOf(rapid.Int64(), rapid.Int64Range(-2, 2)).Draw(t, "hash"), µs.Draw(t, "time"), µs.Draw(t, "received")}
		})
		ids := sortIDs(rapid.SliceOf(draw).Draw(t, "ids"))
		var got []Seen
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
	f.Add(appendIDs(nil, []Seen{{1, 2, 3}, {4, 5, 6}}))
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
func manyIDs(t *testing.T, db *database, batches, each int) {
	t.Helper()
	for b := range batches {
		var events []store.Event
		for i := range each {
			events = append(events, event("visit", fmt.Sprint(b*each+i), noon))
		}
		if got := db.record(t, noon, events...); slices.Contains(got, true) {
			t.Fatal("a new event is a duplicate")
		}
	}
}

func runsOf(t *testing.T, db *database) (runs []sortedRun, pages int) {
	t.Helper()
	err := errors.Join(db.reader.Select(&runs, selectRuns), db.reader.Get(&pages, `SELECT count(*) FROM id_pages`))
	if err != nil {
		t.Fatal(err)
	}
	return runs, pages
}

func TestManyIdsAreInFewRunsAndAllKnown(t *testing.T) {
	dir := t.TempDir()
	db := openDatabase(t, dir)
	db.Seal = 3_000
	manyIDs(t, db, 60, 1_000)
	if err := errors.Join(db.Merge(t.Context()), db.Forget(t.Context(), 0)); err != nil {
		t.Fatal(err)
	}
	runs, pages := runsOf(t, db)
	if len(runs) > 3*(mergeRunsOf-1)+1 || pages > 60_000/pageIDs+2*len(runs) {
		t.Errorf("%d runs of %d pages", len(runs), pages)
	}
	again := openDatabase(t, dir)
	for n := 0; n < 60_000; n += 97 {
		sent := []store.Event{event("visit", fmt.Sprint(n), time.Time{}), event("visit", fmt.Sprint(n+60_000), noon)}
		if got := again.record(t, noon.Add(time.Hour), sent...); !slices.Equal(got, []bool{true, false}) {
			t.Fatalf("id %d: duplicates %v", n, got)
		}
	}
	// Two days later only the time tells.
	sent := []store.Event{event("visit", "5", time.Time{}), event("visit", "6", noon), event("visit", "7", noon.Add(time.Second))}
	if got := again.record(t, noon.Add(store.DuplicateSpan+time.Minute), sent...); !slices.Equal(got, []bool{false, true, false}) {
		t.Errorf("later: duplicates %v", got)
	}
}

func TestWhatAKilledMergeLeftIsTidiedUp(t *testing.T) {
	db := openDatabase(t, t.TempDir())
	db.Seal = 3_000
	manyIDs(t, db, 10, 1_000)
	runs, pages := runsOf(t, db)
	w := newRunWriter(10)
	for i := range int64(2 * pageIDs) {
		w.add(Seen{i, 0, 0})
	}
	if err := db.write(t.Context(), w.write); err != nil {
		t.Fatal(err)
	}
	if err := db.Forget(t.Context(), 0); err != nil {
		t.Fatal(err)
	}
	if after, left := runsOf(t, db); left != pages || !reflect.DeepEqual(after, runs) {
		t.Errorf("%d pages are left of %d, and runs %v of %v", left, pages, after, runs)
	}
	// The one that was merging and lost its pages does not make a run of the rest.
	some, all := runs[:2], []sortedRun(nil)
	w = newRunWriter(10)
	w.count = 1
	err := db.write(t.Context(), func(ctx context.Context, tx *sqlx.Tx) error { return replaceRuns(ctx, tx, some, w) })
	if all, _ = runsOf(t, db); !errors.Is(err, errMergedElsewhere) || !reflect.DeepEqual(all, runs) {
		t.Errorf("a merge without pages: %v, and then %d runs", err, len(all))
	}
	if err := db.Forget(t.Context(), noon.Add(time.Second).UnixMicro()); err != nil {
		t.Fatal(err)
	}
	if runs, pages := runsOf(t, db); len(runs)+pages > 0 {
		t.Errorf("%d runs of %d pages are left of those that are old", len(runs), pages)
	}
}
