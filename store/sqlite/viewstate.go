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
		Widgets     []byte
	}
	err = s.reader.GetContext(ctx, &row, `SELECT first, last, epoch, layout, layout_seq, widgets FROM view_states
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
	return state, nil
}

// SaveViewState keeps what is known of a view, in place of what was.
func (s *Store) SaveViewState(ctx context.Context, tenant store.TenantID, view store.ViewKey, state store.ViewState) (err error) {
	defer wrap(&err, "SaveViewState")
	widgets, err := json.Marshal(state.Widgets)
	if err != nil {
		return err
	}
	return s.write(ctx, func(ctx context.Context, tx *sqlx.Tx) error {
		_, err := tx.ExecContext(ctx, `INSERT INTO view_states (tenant_id, view, first, last, epoch, layout, layout_seq, widgets, touched)
			VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
			ON CONFLICT DO UPDATE SET first = excluded.first, last = excluded.last, epoch = excluded.epoch,
				layout = excluded.layout, layout_seq = excluded.layout_seq, widgets = excluded.widgets, touched = excluded.touched`,
			tenant, view, state.First, state.Last, state.Epoch, state.Layout, state.LayoutSeq, string(widgets), time.Now().UnixMicro())
		return err
	})
}

// PruneViewStates forgets the views that were last saved before a time.
func (s *Store) PruneViewStates(ctx context.Context, olderThan time.Time) (err error) {
	defer wrap(&err, "PruneViewStates")
	return s.write(ctx, func(ctx context.Context, tx *sqlx.Tx) error {
		_, err := tx.ExecContext(ctx, `DELETE FROM view_states WHERE touched < ?`, olderThan.UnixMicro())
		return err
	})
}
