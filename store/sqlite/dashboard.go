package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/jmoiron/sqlx"

	"pulseboard/store"
	"pulseboard/store/boardfile"
	"pulseboard/store/formula"
)

// ApplyDashboards creates dashboards of a tenant, or replaces those of the same
// id, all or none of them. The tenant's revision grows by one, unless every
// dashboard was already as it should be. The error is a *store.FieldError when a
// dashboard breaks a rule, store.ErrNotFound when there is no such tenant.
func (s *Store) ApplyDashboards(ctx context.Context, tenant store.TenantID, dashboards []store.Dashboard) (err error) {
	defer wrap(&err, "ApplyDashboards")
	definitions := make([]string, len(dashboards))
	seen := map[store.DashboardID]bool{}
	for i, d := range dashboards {
		if seen[d.ID] {
			return fmt.Errorf("dashboard %q stands there twice: ids are unique, so rename one", d.ID)
		}
		seen[d.ID] = true
		if err := d.Validate(formula.Names); err != nil {
			return fmt.Errorf("dashboard %q: %w", d.ID, err)
		}
		yaml, err := boardfile.YAML(d)
		if err != nil {
			return fmt.Errorf("dashboard %q: %w", d.ID, err)
		}
		definitions[i] = string(yaml)
	}
	return s.write(ctx, func(ctx context.Context, tx *sqlx.Tx) error {
		changed := int64(0)
		for i, d := range dashboards {
			result, err := tx.ExecContext(ctx, `INSERT INTO dashboards (tenant_id, id, title, definition, updated) VALUES (?, ?, ?, ?, ?)
				ON CONFLICT DO UPDATE SET title = excluded.title, definition = excluded.definition, updated = excluded.updated
				WHERE definition <> excluded.definition`,
				tenant, d.ID, d.Title, definitions[i], time.Now().UnixMicro())
			if err != nil {
				return err
			}
			n, err := result.RowsAffected()
			if err != nil {
				return err
			}
			changed += n
		}
		if changed == 0 {
			return nil
		}
		_, err := tx.ExecContext(ctx, `UPDATE heads SET dashboards = dashboards + 1 WHERE tenant_id = ?`, tenant)
		return err
	})
}

type dashboardRow struct {
	ID         store.DashboardID
	Definition string
}

// Dashboard gives a dashboard of a tenant, or store.ErrNotFound.
func (s *Store) Dashboard(ctx context.Context, tenant store.TenantID, id store.DashboardID) (d store.Dashboard, err error) {
	defer wrap(&err, "Dashboard")
	row := dashboardRow{ID: id}
	err = s.reader.GetContext(ctx, &row.Definition, `SELECT definition FROM dashboards WHERE tenant_id = ? AND id = ?`, tenant, id)
	if errors.Is(err, sql.ErrNoRows) {
		return d, store.ErrNotFound
	}
	if err != nil {
		return d, err
	}
	return s.dashboards.parse(tenant, row)
}

// Dashboards gives all dashboards of a tenant by title, ties by id.
func (s *Store) Dashboards(ctx context.Context, tenant store.TenantID) (all []store.Dashboard, err error) {
	defer wrap(&err, "Dashboards")
	var rows []dashboardRow
	err = s.reader.SelectContext(ctx, &rows, `SELECT id, definition FROM dashboards WHERE tenant_id = ?
		ORDER BY title COLLATE NOCASE, id`, tenant)
	if err != nil {
		return nil, err
	}
	for _, row := range rows {
		d, err := s.dashboards.parse(tenant, row)
		if err != nil {
			return nil, err
		}
		all = append(all, d)
	}
	return all, nil
}

// dashboardCache remembers the last definition of each dashboard as it was
// parsed: every page and every stream asks for one, and parsing takes far longer
// than reading. The zero cache is empty.
type dashboardCache struct {
	mu     sync.Mutex // held for a look or an entry, not while parsing
	parsed map[dashboardKey]parsedDashboard
}

type dashboardKey struct {
	tenant store.TenantID
	id     store.DashboardID
}

type parsedDashboard struct {
	definition string
	dashboard  store.Dashboard // shared by all readers, as values of package store are
}

func (c *dashboardCache) parse(tenant store.TenantID, row dashboardRow) (store.Dashboard, error) {
	key := dashboardKey{tenant, row.ID}
	c.mu.Lock()
	known, ok := c.parsed[key]
	c.mu.Unlock()
	if ok && known.definition == row.Definition {
		return known.dashboard, nil
	}
	dashboards, err := boardfile.Parse(string(row.ID), []byte(row.Definition))
	if err != nil {
		return store.Dashboard{}, fmt.Errorf("the definition kept of dashboard %q: %w", row.ID, err)
	}
	if len(dashboards) != 1 {
		return store.Dashboard{}, fmt.Errorf("the definition kept of dashboard %q holds %d dashboards instead of one", row.ID, len(dashboards))
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.parsed == nil {
		c.parsed = map[dashboardKey]parsedDashboard{}
	}
	c.parsed[key] = parsedDashboard{row.Definition, dashboards[0]}
	return dashboards[0], nil
}
