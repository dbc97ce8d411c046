package sqlite

import (
	"context"
	"crypto/rand"
	"errors"

	"github.com/jmoiron/sqlx"

	"pulseboard/store"
	"pulseboard/store/secret"
)

// SigningSecret is what a tenant's embed tokens are signed with. A signature is
// made with the secret itself, so it can't be kept as a hash: it stands as it is
// in the file, which is readable by its owner only.
type SigningSecret struct {
	KID    string // names the secret in the header of a token
	Secret []byte // 32 bytes
	Tenant store.Tenant
}

const selectSigningSecret = `SELECT kid, secret, tenants.id AS "tenant.id", slug AS "tenant.slug", tenants.name AS "tenant.name", demo AS "tenant.demo"
	FROM signing_secrets JOIN tenants ON tenants.id = tenant_id `

// SigningSecret gives a tenant's signing secret and makes it at the first call.
// The error is store.ErrNotFound when there is no such tenant.
func (s *Store) SigningSecret(ctx context.Context, tenant store.TenantID) (found SigningSecret, err error) {
	defer wrap(&err, "SigningSecret")
	const query = selectSigningSecret + `WHERE tenant_id = ?`
	err = s.reader.GetContext(ctx, &found, query, tenant)
	if !errors.Is(translate(err), store.ErrNotFound) {
		return found, err
	}
	err = s.write(ctx, func(ctx context.Context, tx *sqlx.Tx) error {
		_, err := tx.ExecContext(ctx, `INSERT INTO signing_secrets (kid, tenant_id, secret) VALUES (?, ?, ?)
			ON CONFLICT (tenant_id) DO NOTHING`, rand.Text(), tenant, secret.NewSecret(32))
		if err != nil {
			return err
		}
		return tx.GetContext(ctx, &found, query, tenant)
	})
	return found, err
}

// SigningSecretByKID gives the signing secret of a name, or store.ErrNotFound.
func (s *Store) SigningSecretByKID(ctx context.Context, kid string) (found SigningSecret, err error) {
	defer wrap(&err, "SigningSecretByKID")
	err = s.reader.GetContext(ctx, &found, selectSigningSecret+`WHERE kid = ?`, kid)
	return found, err
}

// ServerSecret gives 64 random bytes for a purpose of the server's own, such as
// signing a cookie, and makes them at the first call. They are kept as they are,
// like a SigningSecret.
func (s *Store) ServerSecret(ctx context.Context, name string) (found []byte, err error) {
	defer wrap(&err, "ServerSecret")
	const query = `SELECT secret FROM server_secrets WHERE name = ?`
	err = s.reader.GetContext(ctx, &found, query, name)
	if !errors.Is(translate(err), store.ErrNotFound) {
		return found, err
	}
	err = s.write(ctx, func(ctx context.Context, tx *sqlx.Tx) error {
		_, err := tx.ExecContext(ctx, `INSERT INTO server_secrets (name, secret) VALUES (?, ?) ON CONFLICT DO NOTHING`,
			name, secret.NewSecret(64))
		if err != nil {
			return err
		}
		return tx.GetContext(ctx, &found, query, name)
	})
	return found, err
}
