package sqlite

import (
	"context"
	"database/sql"
	"time"

	"github.com/alexedwards/scs/sqlite3store"
	"github.com/alexedwards/scs/v2"
)

// Writer is the one connection that writes, for libraries that bring their own
// SQL. Such a library waits only a moment for another process; prefer the methods
// of Store, which wait longer.
func (s *Store) Writer() *sql.DB { return s.writer.DB }

// Sessions keeps the sessions of an scs.SessionManager. Expired ones go when the
// next session is committed.
func (s *Store) Sessions() scs.Store {
	// Without intervals: a cleanup in the background would outlive the store.
	return &sessions{
		store: s,
		read:  sqlite3store.NewWithCleanupInterval(s.reader.DB, 0),
		write: sqlite3store.NewWithCleanupInterval(s.writer.DB, 0),
	}
}

// sessions reads beside the writer, so that pages don't wait for events.
type sessions struct {
	store       *Store
	read, write *sqlite3store.SQLite3Store
}

func (t *sessions) Find(token string) (data []byte, found bool, err error) {
	defer wrap(&err, "find session")
	return t.read.Find(token)
}

func (t *sessions) Commit(token string, data []byte, expiry time.Time) (err error) {
	defer wrap(&err, "commit session")
	return t.store.retryBusy(func() error {
		if _, err := t.store.writer.Exec(`DELETE FROM sessions WHERE expiry < julianday('now')`); err != nil {
			return err
		}
		return t.write.Commit(token, data, expiry)
	})
}

func (t *sessions) Delete(token string) (err error) {
	defer wrap(&err, "delete session")
	return t.store.retryBusy(func() error { return t.write.Delete(token) })
}

// LiveSessions says which of the sessions, named as the sessions table names
// them, exist and have not expired; the others are not in the map.
func (s *Store) LiveSessions(ctx context.Context, tokens []string) (live map[string]bool, err error) {
	defer wrap(&err, "LiveSessions")
	return existing(ctx, s, tokens, `SELECT token FROM sessions
		WHERE token IN (SELECT value FROM json_each(?)) AND julianday('now') < expiry`)
}
