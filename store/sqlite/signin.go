package sqlite

import (
	"context"
	"time"

	"github.com/jmoiron/sqlx"

	"pulseboard/store"
)

// MaxSignInNetworks is how many networks are known of a user: more than a person
// signs in from in a season, and little to keep.
const MaxSignInNetworks = 20

// RememberSignIn keeps that a user signed in from a network, which a keyed hash
// names. The networks seen last are kept, MaxSignInNetworks of them. The error is
// store.ErrNotFound when there is no such user.
func (s *Store) RememberSignIn(ctx context.Context, user store.UserID, network []byte, at time.Time) (err error) {
	defer wrap(&err, "RememberSignIn")
	return s.write(ctx, func(ctx context.Context, tx *sqlx.Tx) error {
		_, err := tx.ExecContext(ctx, `INSERT INTO sign_in_networks (user_id, network, last) VALUES (?, ?, ?)
			ON CONFLICT (user_id, network) DO UPDATE SET last = excluded.last`, user, network, at.UnixMicro())
		if err != nil {
			return err
		}
		_, err = tx.ExecContext(ctx, `DELETE FROM sign_in_networks WHERE user_id = ?1 AND network NOT IN (
			SELECT network FROM sign_in_networks WHERE user_id = ?1 ORDER BY last DESC, network LIMIT ?2)`, user, MaxSignInNetworks)
		return err
	})
}

// SignedInFrom reports whether a user of an address has signed in from a network
// since a time.
func (s *Store) SignedInFrom(ctx context.Context, email store.Email, network []byte, since time.Time) (known bool, err error) {
	defer wrap(&err, "SignedInFrom")
	err = s.reader.GetContext(ctx, &known, `SELECT EXISTS (SELECT 1 FROM users JOIN sign_in_networks ON user_id = users.id
		WHERE email = ? AND network = ? AND last >= ?)`, email, network, since.UnixMicro())
	return known, err
}

// PruneSignIns forgets the networks that nobody signed in from since a time.
func (s *Store) PruneSignIns(ctx context.Context, olderThan time.Time) (err error) {
	defer wrap(&err, "PruneSignIns")
	return s.writeBehind(ctx, func(ctx context.Context, tx *sqlx.Tx) error {
		_, err := tx.ExecContext(ctx, `DELETE FROM sign_in_networks WHERE last < ?`, olderThan.UnixMicro())
		return err
	})
}
