package sqlite

import (
	"context"
	"database/sql"
	"time"

	"github.com/alexedwards/scs/sqlite3store"
	"github.com/alexedwards/scs/v2"
	"github.com/jmoiron/sqlx"
)

// Writer is the one connection that writes, for libraries that bring their own
// SQL. Such a library waits only a moment for another process, and without end for the
// writers of this one; prefer the methods of Store.
func (s *Store) Writer() *sql.DB { return s.writer.DB }

// Sessions keeps the sessions of an scs.SessionManager. Expired ones go when the
// next session is committed.
func (s *Store) Sessions() scs.Store {
	// Without intervals: a cleanup in the background would outlive the store.
	return &sessions{s, sqlite3store.NewWithCleanupInterval(s.reader.DB, 0)}
}

// sessions reads beside the writer, so that pages don't wait for events, and writes as
// everything does: in turn, and waiting no longer than a request should. Written by the
// library, a session would wait for its turn without end.
type sessions struct {
	store *Store
	read  *sqlite3store.SQLite3Store
}

func (t *sessions) Find(token string) (data []byte, found bool, err error) {
	defer wrap(&err, "find session")
	return t.read.Find(token)
}

func (t *sessions) Commit(token string, data []byte, expiry time.Time) (err error) {
	defer wrap(&err, "commit session")
	return t.store.write(context.Background(), func(ctx context.Context, tx *sqlx.Tx) error {
		if _, err := tx.ExecContext(ctx, `DELETE FROM sessions WHERE expiry < julianday('now')`); err != nil {
			return err
		}
		_, err := tx.ExecContext(ctx, `INSERT INTO sessions (token, data, expiry) VALUES (?, ?, julianday(?))
			ON CONFLICT DO UPDATE SET data = excluded.data, expiry = excluded.expiry`, token, data, expiry.UTC().Format("2006-01-02T15:04:05.999"))
		return err
	})
}

func (t *sessions) Delete(token string) (err error) {
	defer wrap(&err, "delete session")
	return t.store.write(context.Background(), func(ctx context.Context, tx *sqlx.Tx) error {
		_, err := tx.ExecContext(ctx, `DELETE FROM sessions WHERE token = ?`, token)
		return err
	})
}

// LiveSessions says which of the sessions, named as the sessions table names
// them, exist and have not expired; the others are not in the map.
func (s *Store) LiveSessions(ctx context.Context, tokens []string) (live map[string]bool, err error) {
	defer wrap(&err, "LiveSessions")
	return existing(ctx, s, tokens, `SELECT token FROM sessions
		WHERE token IN (SELECT value FROM json_each(?)) AND julianday('now') < expiry`)
}
