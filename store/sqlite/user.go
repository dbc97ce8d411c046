package sqlite

import (
	"context"
	"encoding/json"

	"github.com/jmoiron/sqlx"

	"pulseboard/store"
)

const selectUser = `SELECT users.id, tenant_id AS tenant, email, role`

// CreateUser adds a user of a tenant. The error is store.ErrExists when the
// tenant has one of that address, store.ErrNotFound when there is no such tenant.
func (s *Store) CreateUser(ctx context.Context, tenant store.TenantID, email store.Email, role store.Role, passwordHash string) (id store.UserID, err error) {
	defer wrap(&err, "CreateUser")
	err = s.write(ctx, func(ctx context.Context, tx *sqlx.Tx) error {
		return tx.GetContext(ctx, &id, `INSERT INTO users (tenant_id, email, role, password_hash) VALUES (?, ?, ?, ?) RETURNING id`,
			tenant, email, role, passwordHash)
	})
	return id, err
}

// User gives a user, or store.ErrNotFound.
func (s *Store) User(ctx context.Context, id store.UserID) (u store.User, err error) {
	defer wrap(&err, "User")
	err = s.reader.GetContext(ctx, &u, selectUser+` FROM users WHERE id = ?`, id)
	return u, err
}

// credentialRow is a store.Credential, as its row holds it.
type credentialRow struct {
	store.User
	PasswordHash string `db:"password_hash"`
}

// Credentials returns the users of an address, in one tenant or, when the slug is
// empty, in all. There may be none.
func (s *Store) Credentials(ctx context.Context, email store.Email, slug store.Slug) (found []store.Credential, err error) {
	defer wrap(&err, "Credentials")
	var rows []credentialRow
	err = s.reader.SelectContext(ctx, &rows, selectUser+`, password_hash
		FROM users JOIN tenants ON tenants.id = tenant_id
		WHERE email = ?1 AND ?2 IN ('', slug) ORDER BY slug`, email, slug)
	for _, row := range rows {
		found = append(found, store.Credential(row))
	}
	return found, err
}

// LiveUsers says which of the users exist; the others are not in the map.
func (s *Store) LiveUsers(ctx context.Context, ids []store.UserID) (live map[store.UserID]bool, err error) {
	defer wrap(&err, "LiveUsers")
	return existing(ctx, s, ids, `SELECT id FROM users WHERE id IN (SELECT value FROM json_each(?))`)
}

// existing gives those of keys that a query finds. They travel as one JSON
// array, so that there may be any number of them.
func existing[K comparable](ctx context.Context, s *Store, keys []K, query string) (map[K]bool, error) {
	found := map[K]bool{}
	if len(keys) == 0 {
		return found, nil
	}
	list, err := json.Marshal(keys)
	if err != nil {
		return nil, err
	}
	var rows []K
	if err := s.reader.SelectContext(ctx, &rows, query, string(list)); err != nil {
		return nil, err
	}
	for _, key := range rows {
		found[key] = true
	}
	return found, nil
}
