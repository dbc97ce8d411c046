package sqlite

import (
	"crypto/sha256"
	"database/sql"
	"fmt"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/pressly/goose/v3"

	"pulseboard/store"
)

// A store of the time when each event was a row is opened by this program.
func TestEventsThatWereRowsArePacked(t *testing.T) {
	dir := t.TempDir()
	db, err := sql.Open("sqlite3", filepath.Join(dir, File))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	provider, err := goose.NewProvider(goose.DialectSQLite3, db, migrationFiles())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := provider.UpTo(t.Context(), 4); err != nil {
		t.Fatal(err)
	}
	do := func(query string, args ...any) {
		t.Helper()
		if _, err := db.Exec(query, args...); err != nil {
			t.Fatal(err)
		}
	}
	do(`INSERT INTO tenants (id, slug, name, demo) VALUES (1, 'acme', '', 0), (2, 'other', '', 0), (3, 'empty', '', 0)`)
	const n = 3 * maxPackEvents
	do(`BEGIN`)
	for i := range n {
		e := event("visit", fmt.Sprint("id", i), noon.Add(-time.Duration(i)*time.Minute))
		tenant := 1 + i%2
		sum := sha256.Sum256([]byte(e.Name + "\x00" + e.ID))
		key := sum[:16]
		do(`INSERT INTO events (tenant_id, name, time, user, properties, received, dedupe) VALUES (?, ?, ?, ?, ?, ?, ?)`, tenant, e.Name, e.Time.UnixMicro(),
			sql.NullString{String: "ada", Valid: i%3 == 0}, `{"ok":true,"value":1.5,"where":"Zürich"}`, noon.UnixMicro(), key)
	}
	do(`INSERT INTO heads (tenant_id, events, kept, dashboards) VALUES (1, ?, ?, 1), (2, ?, ?, 1), (3, 0, 0, 1)`, n-1, n/2, n, n/2)
	do(`COMMIT`)
	db.Close()

	s := openIn(t, dir, lockTimeout)
	for tenant, head := range map[store.TenantID]store.EventSeq{1: n - 1, 2: n, 3: 0} {
		found, at := scanned(t, s, tenant, store.Scan{})
		if want := min(n/2, int(head)); len(found) != want || at != head {
			t.Errorf("tenant %d has %d events up to %d, want %d up to %d", tenant, len(found), at, want, head)
		}
		for seq, e := range found {
			i := int(seq) - 1
			user := ""
			if i%3 == 0 {
				user = "ada"
			}
			if got := string(e.Properties.AppendJSON(nil)); e.Name != "visit" || e.User != user || !e.Time.Equal(noon.Add(-time.Duration(i)*time.Minute)) || got != `{"ok":true,"value":1.5,"where":"Zürich"}` {
				t.Fatalf("event %d is %+v with %s", seq, e, got)
			}
		}
	}
	sent := []store.Event{event("visit", "id0", noon), event("visit", "id1", time.Time{}), event("visit", "new", noon)}
	if got := record(t, s, 1, noon.Add(time.Hour), sent...); !slices.Equal(got, []bool{true, false, false}) {
		t.Errorf("duplicates of the first tenant: %v", got)
	}
	if got := record(t, s, 2, noon.Add(time.Hour), sent...); !slices.Equal(got, []bool{false, true, false}) {
		t.Errorf("duplicates of the second tenant: %v", got)
	}
	if found, head := scanned(t, s, 1, store.Scan{}); len(found) != n/2+2 || head != n+1 {
		t.Errorf("then %d events up to %d", len(found), head)
	}
}
