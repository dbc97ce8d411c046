package sqlite

import (
	"context"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"pulseboard/store"
)

// openIn opens the store in a folder; it is closed when the test ends.
func openIn(t testing.TB, dir string, wait time.Duration) *Store {
	t.Helper()
	s, err := open(t.Context(), dir, waits{wait, wait})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func newStore(t testing.TB) *Store {
	t.Helper()
	return openIn(t, t.TempDir(), lockTimeout)
}

func newTenant(t testing.TB, s *Store, slug store.Slug) store.TenantID {
	t.Helper()
	tenant, err := s.CreateTenant(t.Context(), slug, "", false)
	if err != nil {
		t.Fatal(err)
	}
	return tenant.ID
}

func newUser(t testing.TB, s *Store, tenant store.TenantID, email store.Email) store.UserID {
	t.Helper()
	id, err := s.CreateUser(t.Context(), tenant, email, store.Viewer, "hash of "+string(email))
	if err != nil {
		t.Fatal(err)
	}
	return id
}

// noon is an instant with µs.
var noon = time.Date(2026, 2, 9, 12, 0, 0, 123_456_000, time.UTC)

// record keeps events received at an instant and says which were duplicates.
func record(t testing.TB, s *Store, tenant store.TenantID, received time.Time, events ...store.Event) []bool {
	t.Helper()
	r, err := s.Record(t.Context(), tenant, events, received)
	if err != nil {
		t.Fatal(err)
	}
	return r.Duplicate
}

// scanned gives the events of a scan by their place, and the head.
func scanned(t testing.TB, s *Store, tenant store.TenantID, scan store.Scan) (map[store.EventSeq]store.Event, store.EventSeq) {
	t.Helper()
	found := map[store.EventSeq]store.Event{}
	head, err := s.ScanEvents(t.Context(), tenant, scan, func(e *store.Event) error {
		if _, twice := found[e.Seq]; twice {
			return fmt.Errorf("event %d comes twice", e.Seq)
		}
		found[e.Seq] = *e
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return found, head
}

// holdLock takes the write lock like another process does, until release.
func holdLock(t testing.TB, dir string) (release func()) {
	t.Helper()
	other := openIn(t, dir, lockTimeout)
	tx, err := other.writer.BeginTxx(context.Background(), nil)
	if err != nil {
		t.Fatal(err)
	}
	return func() { tx.Rollback() }
}

// incompressible gives a text of so many letters, another one each time.
func incompressible(letters int) string {
	b := make([]byte, letters)
	for i := range b {
		b[i] = ' ' + byte(rand.IntN(95))
	}
	return string(b)
}
