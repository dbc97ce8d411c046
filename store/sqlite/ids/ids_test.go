package ids

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/jmoiron/sqlx"
	_ "github.com/mattn/go-sqlite3" // the driver
	"github.com/pressly/goose/v3"

	"pulseboard/store"
)

// noon is an instant with µs.
var noon = time.Date(2026, 2, 9, 12, 0, 0, 123_456_000, time.UTC)

func event(name, id string, at time.Time) store.Event {
	return store.Event{Name: name, ID: id, Time: at}
}

// tablesVersion is the migration that makes the tables of ids.
const tablesVersion = 5

// database is a file with the tables of ids and an index of them, without a store.
type database struct {
	*Index
	writer, reader *sqlx.DB
}

// openDatabase opens the database in a folder; it is closed when the test ends.
func openDatabase(t *testing.T, dir string) *database {
	t.Helper()
	address := "file:" + filepath.Join(dir, "ids.db") + "?_journal_mode=WAL&_busy_timeout=10000"
	connect := func(options string, connections int) *sqlx.DB {
		db, err := sqlx.Open("sqlite3", address+options)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { db.Close() })
		db.SetMaxOpenConns(connections)
		return db
	}
	db := &database{writer: connect("&_txlock=immediate", 1)}
	provider, err := goose.NewProvider(goose.DialectSQLite3, db.writer.DB, os.DirFS("../migrations"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := provider.UpTo(t.Context(), tablesVersion); err != nil {
		t.Fatal(err)
	}
	db.reader = connect("&_query_only=1", 2*mergeRunsOf)
	if db.Index, err = New(t.Context(), db.writer, db.reader, db.transaction); err != nil {
		t.Fatal(err)
	}
	return db
}

// transaction is the Write of the index.
func (db *database) transaction(ctx context.Context, fn func(ctx context.Context, tx *sqlx.Tx) error) error {
	tx, err := db.writer.BeginTxx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback() // does nothing after Commit
	if err := fn(ctx, tx); err != nil {
		return err
	}
	return tx.Commit()
}

// record keeps the ids of events of one tenant that are received at an instant, merges runs when
// one was made, and returns which events were duplicates.
func (db *database) record(t *testing.T, received time.Time, events ...store.Event) (duplicate []bool) {
	t.Helper()
	var seen *Transaction
	err := db.transaction(t.Context(), func(ctx context.Context, tx *sqlx.Tx) (err error) {
		if seen, err = db.Begin(ctx, tx); err != nil {
			return err
		}
		for _, e := range events {
			given := !e.Time.IsZero()
			if !given {
				e.Time = received
			}
			kept, err := seen.Duplicate(1, &e, received, given)
			if err != nil {
				return err
			}
			duplicate = append(duplicate, kept)
		}
		return seen.Save()
	})
	if err != nil {
		t.Fatal(err)
	}
	seen.Committed()
	if seen.Sealed() {
		if err := db.Merge(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	return duplicate
}
