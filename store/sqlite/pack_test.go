package sqlite

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"testing"

	"github.com/jmoiron/sqlx"
	"pgregory.net/rapid"

	"pulseboard/store"
)

// packsOf gives how many events each of a tenant's packs has.
func packsOf(t testing.TB, s *Store, tenant store.TenantID) (sizes []int) {
	t.Helper()
	if err := s.reader.Select(&sizes, `SELECT events FROM segments WHERE tenant_id = ? ORDER BY last_seq`, tenant); err != nil {
		t.Fatal(err)
	}
	return sizes
}

func TestWhatCameAloneIsMergedAndReadsTheSame(t *testing.T) {
	s := newStore(t)
	run := 0
	rapid.Check(t, func(rt *rapid.T) {
		run++
		tenant := newTenant(t, s, store.Slug(fmt.Sprint("t", run)))
		n := 0
		for range rapid.IntRange(1, 10).Draw(rt, "turns") {
			for range rapid.IntRange(1, 40).Draw(rt, "batches") {
				var batch []store.Event
				for range rapid.SampledFrom([]int{1, 1, 1, 1, 2, 40, 300, 1_000, 2_500}).Draw(rt, "events") {
					n++
					batch = append(batch, event("visit", fmt.Sprint("id", n), noon))
				}
				record(t, s, tenant, noon, batch...)
				if n > 6_000 {
					break
				}
			}
			before, head := scanned(t, s, tenant, store.Scan{})
			if err := s.mergePacks(t.Context(), tenant); err != nil {
				rt.Fatal(err)
			}
			after, headAfter := scanned(t, s, tenant, store.Scan{})
			if head != headAfter || !reflect.DeepEqual(before, after) || len(after) != n {
				rt.Fatalf("%d events up to %d were kept of %d, and %d up to %d are left", len(before), head, n, len(after), headAfter)
			}
			small, full := 0, 0
			for _, events := range packsOf(t, s, tenant) {
				if events < fullPack {
					small++
				} else {
					full++
				}
			}
			if small > 2*mergeAfter+full+1 {
				rt.Fatalf("%d small packs are left beside %d full ones", small, full)
			}
			if n > 6_000 {
				break
			}
		}
	})
}

func TestTwoProcessesMergeTheSamePacksOnce(t *testing.T) {
	s := newStore(t)
	acme := newTenant(t, s, "acme")
	for i := range mergeAfter {
		record(t, s, acme, noon, event("visit", fmt.Sprint(i), noon))
	}
	var tail []packRow
	if err := s.reader.Select(&tail, packRows+`ORDER BY last_seq DESC`); err != nil {
		t.Fatal(err)
	}
	if err := s.merge(t.Context(), acme, mergeable(tail)); err != nil {
		t.Fatal(err)
	}
	if err := s.merge(t.Context(), acme, mergeable(tail)); !errors.Is(err, errMergedElsewhere) {
		t.Errorf("packed when they were merged: %v", err)
	}
	err := s.write(t.Context(), func(ctx context.Context, tx *sqlx.Tx) error { return deletePacks(ctx, tx, tail) })
	if !errors.Is(err, errMergedElsewhere) {
		t.Errorf("packed before they were merged: %v", err)
	}
	if sizes := packsOf(t, s, acme); len(sizes) != 1 || sizes[0] != mergeAfter {
		t.Errorf("packs of %v events are left", sizes)
	}
}
