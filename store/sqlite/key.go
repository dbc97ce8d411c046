package sqlite

import (
	"context"
	"time"

	"github.com/jmoiron/sqlx"

	"pulseboard/store"
	"pulseboard/store/secret"
)

// CreateKey gives a tenant a new ingest key. The key is returned this once; only
// its hash is kept. The error is store.ErrNotFound when there is no such tenant.
func (s *Store) CreateKey(ctx context.Context, tenant store.TenantID, name string) (key string, err error) {
	defer wrap(&err, "CreateKey")
	key = secret.NewKey()
	err = s.write(ctx, func(ctx context.Context, tx *sqlx.Tx) error {
		_, err := tx.ExecContext(ctx, `INSERT INTO ingest_keys (hash, tenant_id, name, created) VALUES (?, ?, ?, ?)`,
			secret.HashKey(key), tenant, name, time.Now().UnixMicro())
		return err
	})
	if err != nil {
		return "", err
	}
	return key, nil
}

// TenantByKey gives the tenant of an ingest key, or store.ErrNotFound.
func (s *Store) TenantByKey(ctx context.Context, key string) (t store.Tenant, err error) {
	defer wrap(&err, "TenantByKey")
	err = s.reader.GetContext(ctx, &t, selectTenant+`JOIN ingest_keys ON tenant_id = tenants.id WHERE hash = ?`, secret.HashKey(key))
	return t, err
}
