package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/jmoiron/sqlx"

	"pulseboard/store"
)

const (
	// forgetBite is how many steps of rollups are deleted in one transaction,
	// forgetPacks how many packs, and shrinkBite how many pages are
	// given back in one. So nobody who writes waits for long.
	forgetBite  = 5_000
	forgetPacks = 20
	shrinkBite  = 1_000
	// forgetEvery is how often old data is looked for, and forgetPause how long
	// others may write between two bites.
	forgetEvery = time.Hour
	forgetPause = 20 * time.Millisecond
)

// Retention gives how long a tenant's data is kept, or store.ErrNotFound.
func (s *Store) Retention(ctx context.Context, tenant store.TenantID) (r store.Retention, err error) {
	defer wrap(&err, "Retention")
	var row retentionRow
	err = s.reader.GetContext(ctx, &row, `SELECT event_days, rollup_days FROM tenants WHERE id = ?`, tenant)
	return store.Retention(row), err
}

// retentionRow is the retention of a tenant, as its row holds it.
type retentionRow struct {
	EventDays  int `db:"event_days"`
	RollupDays int `db:"rollup_days"`
}

// SetRetention says how long a tenant's data is kept from now on.
func (s *Store) SetRetention(ctx context.Context, tenant store.TenantID, r store.Retention) (err error) {
	defer wrap(&err, "SetRetention")
	if err := r.Validate(); err != nil {
		return err
	}
	return s.write(ctx, func(ctx context.Context, tx *sqlx.Tx) error {
		_, err := tx.ExecContext(ctx, `UPDATE tenants SET event_days = ?, rollup_days = ? WHERE id = ?`, r.EventDays, r.RollupDays, tenant)
		return err
	})
}

// Forget deletes a bite of what a tenant has kept for longer than it wants, and says
// whether there may be more. An event is deleted only when all rollups count it.
func (s *Store) Forget(ctx context.Context, tenant store.TenantID, now time.Time) (more bool, err error) {
	defer wrap(&err, "Forget")
	retention, err := s.Retention(ctx, tenant)
	if err != nil {
		return false, err
	}
	moreEvents, err := s.forgetEvents(ctx, tenant, retention.EventsBefore(now))
	if err != nil {
		return false, err
	}
	moreSteps, err := s.forgetSteps(ctx, tenant, retention.RollupsBefore(now))
	if err != nil {
		return false, err
	}
	return moreEvents || moreSteps, s.forgetGaps(ctx, tenant, retention.RollupsBefore(now))
}

// forgetEvents deletes a bite of the packs that were received before a moment. They
// stand before all others, for events are kept in the order they come in.
func (s *Store) forgetEvents(ctx context.Context, tenant store.TenantID, before time.Time) (more bool, err error) {
	var passed int64 // by all rollups
	err = s.chores.GetContext(ctx, &passed, `SELECT coalesce(min(upto), heads.events) FROM heads
		LEFT JOIN rollups ON rollups.tenant_id = heads.tenant_id AND wide = 0 WHERE heads.tenant_id = ?`, tenant)
	if err != nil {
		return false, err
	}
	var old []packRow
	err = s.chores.SelectContext(ctx, &old, packRows+`WHERE tenant_id = ? AND last_seq <= ? ORDER BY last_seq LIMIT ?`, tenant, passed, forgetPacks)
	if err != nil {
		return false, err
	}
	if i := slices.IndexFunc(old, func(r packRow) bool { return r.Received >= before.UnixMicro() }); i >= 0 {
		old = old[:i]
	}
	if len(old) == 0 {
		return false, nil
	}
	err = s.writeBehind(ctx, func(ctx context.Context, tx *sqlx.Tx) error {
		if err := deletePacks(ctx, tx, old); err != nil {
			return err
		}
		gone := int64(0)
		for _, row := range old {
			gone += row.Events
		}
		_, err := tx.ExecContext(ctx, `UPDATE heads SET kept = kept - ?, forgotten = ? WHERE tenant_id = ?`, gone, old[len(old)-1].LastSeq, tenant)
		return err
	})
	if errors.Is(err, errMergedElsewhere) {
		return true, nil
	}
	return true, err
}

// forgetSteps deletes a bite of the steps of rollups that lie before a moment and were
// added to before it, and of those that have too many groups to be read.
func (s *Store) forgetSteps(ctx context.Context, tenant store.TenantID, before time.Time) (more bool, err error) {
	var old []struct {
		Rollup int64 `db:"rollup_id"`
		Tier   int64
		Start  int64
	}
	err = s.chores.SelectContext(ctx, &old, `SELECT rollup_id, tier, start FROM rollups JOIN rollup_steps ON rollup_id = id
		WHERE tenant_id = ? AND (wide = 1 OR start < ? AND changed < ?) LIMIT ?`, tenant, before.Unix(), daysOf(before), forgetBite)
	if err != nil || len(old) == 0 {
		return false, err
	}
	err = s.writeBehind(ctx, func(ctx context.Context, tx *sqlx.Tx) error {
		for _, step := range old {
			_, err := tx.ExecContext(ctx, `DELETE FROM rollup_steps WHERE rollup_id = ? AND tier = ? AND start = ?`, step.Rollup, step.Tier, step.Start)
			if err != nil {
				return err
			}
		}
		return nil
	})
	return len(old) == forgetBite, err
}

// daysOf gives a moment in days since the epoch.
func daysOf(t time.Time) int64 { return t.Unix() / 86400 }

// Shrink gives some of the pages that nothing stands on any more back to the system,
// and says whether there may be more. A file made before this could be done keeps
// them, for what is written next.
func (s *Store) Shrink(ctx context.Context) (more bool, err error) {
	defer wrap(&err, "Shrink")
	var pages struct{ Free, Kind int64 }
	err = s.chores.GetContext(ctx, &pages, `SELECT freelist_count AS free, auto_vacuum AS kind FROM pragma_freelist_count, pragma_auto_vacuum`)
	if err != nil || pages.Free < 5*shrinkBite || pages.Kind != incrementalVacuum {
		return false, err // a few are needed again soon
	}
	return true, s.writeBehind(ctx, func(ctx context.Context, tx *sqlx.Tx) error {
		rows, err := tx.QueryContext(ctx, fmt.Sprintf(`PRAGMA incremental_vacuum(%d)`, shrinkBite)) // a page a row
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
		}
		return rows.Err()
	})
}

// incrementalVacuum is what PRAGMA auto_vacuum says of a file that can give back pages
// a few at a time.
const incrementalVacuum = 2

// KeepTidy deletes what is old, of all tenants, until ctx ends.
func (s *Store) KeepTidy(ctx context.Context, log *slog.Logger) {
	tick := time.NewTicker(forgetEvery)
	defer tick.Stop()
	for ctx.Err() == nil {
		if err := s.tidy(ctx); err != nil && ctx.Err() == nil {
			log.Error("deleting old data failed; trying again in an hour", "error", err)
		}
		select {
		case <-ctx.Done():
		case <-tick.C:
		}
	}
}

func (s *Store) tidy(ctx context.Context) error {
	tenants, err := s.Tenants(ctx)
	if err != nil {
		return err
	}
	longest := store.Retention{}
	for _, t := range tenants {
		r, err := s.Retention(ctx, t.ID)
		if err != nil {
			return err
		}
		longest.EventDays = max(longest.EventDays, r.EventDays)
		if err := untilDone(ctx, func() (bool, error) { return s.Forget(ctx, t.ID, time.Now()) }); err != nil {
			return err
		}
	}
	if err := s.ids.Forget(ctx, longest.EventsBefore(time.Now()).UnixMicro()); err != nil {
		return err
	}
	return untilDone(ctx, func() (bool, error) { return s.Shrink(ctx) })
}

// untilDone calls fn, with pauses, until there is no more to do.
func untilDone(ctx context.Context, fn func() (more bool, err error)) error {
	for {
		more, err := fn()
		if err != nil || !more {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(forgetPause):
		}
	}
}

// Holdings gives what the store holds of a tenant, or store.ErrNotFound.
func (s *Store) Holdings(ctx context.Context, tenant store.TenantID) (h store.Holdings, err error) {
	defer wrap(&err, "Holdings")
	var head struct {
		retentionRow
		Events, Kept, Forgotten int64
	}
	err = s.reader.GetContext(ctx, &head, `SELECT event_days, rollup_days, events, kept, forgotten
		FROM tenants JOIN heads ON tenant_id = tenants.id WHERE tenants.id = ?`, tenant)
	if err != nil {
		return h, err
	}
	h = store.Holdings{Retention: store.Retention(head.retentionRow), Events: head.Kept}
	var oldest sql.NullInt64
	if err := s.reader.GetContext(ctx, &oldest, `SELECT min(first_time) FROM segments WHERE tenant_id = ?`, tenant); err != nil {
		return h, err
	}
	if oldest.Valid {
		h.Oldest = time.UnixMicro(oldest.Int64).UTC()
	}
	wanted, err := s.wantedRollups(ctx, tenant)
	if err != nil {
		return h, err
	}
	rows, err := s.rollupRows(ctx, tenant)
	if err != nil {
		return h, err
	}
	for _, row := range rows {
		if rollup, ok := wanted[row.Key]; ok {
			h.Rollups = append(h.Rollups, store.RollupProgress{What: rollup.String(), Wide: row.Wide, Done: done(int64(row.Upto), head.Forgotten, head.Events)})
		}
	}
	return h, nil
}

// done gives how far a rollup is on the way from the first event kept to the last.
func done(upto, first, last int64) float64 {
	if last-upto <= bite {
		return 1
	}
	return max(0, float64(upto-first)/float64(last-first))
}

// RollupLag is by how many events, at most, the rollup that is furthest behind lacks
// the newest of its tenant.
func (s *Store) RollupLag(ctx context.Context) (events int64, err error) {
	defer wrap(&err, "RollupLag")
	err = s.reader.GetContext(ctx, &events, `SELECT coalesce(max(heads.events - upto), 0) FROM rollups JOIN heads USING (tenant_id) WHERE wide = 0`)
	return max(0, events), err
}
