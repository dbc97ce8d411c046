package sqlite

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"time"

	"github.com/jmoiron/sqlx"

	"pulseboard/store"
)

// ViewState gives what is known of a view, the zero state when nothing is.
func (s *Store) ViewState(ctx context.Context, tenant store.TenantID, view store.ViewKey) (state store.ViewState, err error) {
	defer wrap(&err, "ViewState")
	var row struct {
		First, Last store.Seq
		Epoch       int64
		Layout      string
		LayoutSeq   store.Seq `db:"layout_seq"`
		Loose       []byte
		Widgets     []byte
	}
	err = s.reader.GetContext(ctx, &row, `SELECT first, last, epoch, loose, layout, layout_seq, widgets FROM view_states
		WHERE tenant_id = ? AND view = ?`, tenant, view)
	if errors.Is(err, sql.ErrNoRows) {
		return store.ViewState{}, nil
	}
	if err != nil {
		return store.ViewState{}, err
	}
	state = store.ViewState{First: row.First, Last: row.Last, Epoch: row.Epoch, Layout: row.Layout, LayoutSeq: row.LayoutSeq}
	if err := json.Unmarshal(row.Widgets, &state.Widgets); err != nil {
		return store.ViewState{}, err
	}
	return state, json.Unmarshal(row.Loose, &state.Loose)
}

// What is kept of views is bounded, because whoever may look at a dashboard may look at any
// number of ranges of it. The views go first that were not saved for longest; a reader who
// comes back to one gets a snapshot.
const (
	maxOwnerViews  = 200   // of one owner
	maxTenantViews = 5_000 // of one tenant
	// viewsDropped is how many views are forgotten at a time.
	viewsDropped = 1_000
)

// SaveViewState keeps what is known of a view, in place of what was. The owner counts for views
// that are new.
func (s *Store) SaveViewState(ctx context.Context, tenant store.TenantID, view store.ViewKey, owner store.ViewOwner, state store.ViewState) (err error) {
	defer wrap(&err, "SaveViewState")
	widgets, err := json.Marshal(state.Widgets)
	if err != nil {
		return err
	}
	loose, err := json.Marshal(append([]store.IDRange{}, state.Loose...))
	if err != nil {
		return err
	}
	return s.write(ctx, func(ctx context.Context, tx *sqlx.Tx) error {
		now := time.Now().UnixMicro()
		result, err := tx.ExecContext(ctx, `UPDATE view_states SET first = ?, last = ?, epoch = ?, loose = ?, layout = ?, layout_seq = ?, widgets = ?, touched = ?
			WHERE tenant_id = ? AND view = ?`,
			state.First, state.Last, state.Epoch, string(loose), state.Layout, state.LayoutSeq, string(widgets), now, tenant, view)
		if err != nil {
			return err
		}
		if known, err := result.RowsAffected(); err != nil || known > 0 {
			return err
		}
		if _, err := tx.ExecContext(ctx, `INSERT INTO view_states (tenant_id, view, owner, first, last, epoch, loose, layout, layout_seq, widgets, touched)
			VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
			tenant, view, owner, state.First, state.Last, state.Epoch, string(loose), state.Layout, state.LayoutSeq, string(widgets), now); err != nil {
			return err
		}
		return dropOldViews(ctx, tx, tenant, owner)
	})
}

// dropOldViews forgets the oldest views past what is kept for an owner and for a tenant.
func dropOldViews(ctx context.Context, tx *sqlx.Tx, tenant store.TenantID, owner store.ViewOwner) error {
	if _, err := tx.ExecContext(ctx, `DELETE FROM view_states WHERE tenant_id = ? AND view IN
		(SELECT view FROM view_states WHERE tenant_id = ? AND owner = ? ORDER BY touched DESC LIMIT ? OFFSET ?)`,
		tenant, tenant, owner, viewsDropped, maxOwnerViews); err != nil {
		return err
	}
	_, err := tx.ExecContext(ctx, `DELETE FROM view_states WHERE tenant_id = ? AND view IN
		(SELECT view FROM view_states WHERE tenant_id = ? ORDER BY touched DESC LIMIT ? OFFSET ?)`,
		tenant, tenant, viewsDropped, maxTenantViews)
	return err
}

// PruneViewStates forgets the views that were last saved before a time.
func (s *Store) PruneViewStates(ctx context.Context, olderThan time.Time) (err error) {
	defer wrap(&err, "PruneViewStates")
	return s.write(ctx, func(ctx context.Context, tx *sqlx.Tx) error {
		_, err := tx.ExecContext(ctx, `DELETE FROM view_states WHERE touched < ?`, olderThan.UnixMicro())
		return err
	})
}
