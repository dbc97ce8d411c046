package sqlite

import (
	"context"

	"github.com/jmoiron/sqlx"

	"pulseboard/store"
)

const selectTenant = `SELECT tenants.id, slug, tenants.name, demo FROM tenants `

// CreateTenant adds a tenant. Without a name it is called by its slug. The error
// is store.ErrExists when the slug is taken.
func (s *Store) CreateTenant(ctx context.Context, slug store.Slug, name string, demo bool) (t store.Tenant, err error) {
	defer wrap(&err, "CreateTenant")
	if name == "" {
		name = string(slug)
	}
	t = store.Tenant{Slug: slug, Name: name, Demo: demo}
	err = s.write(ctx, func(ctx context.Context, tx *sqlx.Tx) error {
		err := tx.GetContext(ctx, &t.ID, `INSERT INTO tenants (slug, name, demo) VALUES (?, ?, ?) RETURNING id`, slug, name, demo)
		if err != nil {
			return err
		}
		_, err = tx.ExecContext(ctx, `INSERT INTO heads (tenant_id, events, kept, dashboards) VALUES (?, 0, 0, 0)`, t.ID)
		return err
	})
	if err != nil {
		return store.Tenant{}, err
	}
	return t, nil
}

// Tenant gives the tenant of a slug, or store.ErrNotFound.
func (s *Store) Tenant(ctx context.Context, slug store.Slug) (t store.Tenant, err error) {
	defer wrap(&err, "Tenant")
	err = s.reader.GetContext(ctx, &t, selectTenant+`WHERE slug = ?`, slug)
	return t, err
}

// TenantByID gives a tenant, or store.ErrNotFound.
func (s *Store) TenantByID(ctx context.Context, id store.TenantID) (t store.Tenant, err error) {
	defer wrap(&err, "TenantByID")
	err = s.reader.GetContext(ctx, &t, selectTenant+`WHERE id = ?`, id)
	return t, err
}

// Tenants gives all tenants, by slug.
func (s *Store) Tenants(ctx context.Context) (all []store.Tenant, err error) {
	defer wrap(&err, "Tenants")
	err = s.reader.SelectContext(ctx, &all, selectTenant+`ORDER BY slug`)
	return all, err
}
