package sqlite

import (
	"context"
	"database/sql"
	"errors"

	"github.com/jmoiron/sqlx"

	"pulseboard/store"
)

// Cadence gives how often a user wants updates, store.DefaultCadence when they
// never chose.
func (s *Store) Cadence(ctx context.Context, user store.UserID) (c store.Cadence, err error) {
	defer wrap(&err, "Cadence")
	err = s.reader.GetContext(ctx, &c, `SELECT refresh FROM preferences WHERE user_id = ?`, user)
	if errors.Is(err, sql.ErrNoRows) {
		return store.DefaultCadence, nil
	}
	return c, err
}

// SetCadence keeps how often a user wants updates. The error is
// store.ErrNotFound when there is no such user.
func (s *Store) SetCadence(ctx context.Context, user store.UserID, c store.Cadence) (err error) {
	defer wrap(&err, "SetCadence")
	return s.write(ctx, func(ctx context.Context, tx *sqlx.Tx) error {
		_, err := tx.ExecContext(ctx, `INSERT INTO preferences (user_id, refresh) VALUES (?, ?)
			ON CONFLICT DO UPDATE SET refresh = excluded.refresh`, user, c)
		return err
	})
}
