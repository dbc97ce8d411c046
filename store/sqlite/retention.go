package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"log/slog"
	"time"

	"github.com/jmoiron/sqlx"

	"pulseboard/store"
)

const (
	// forgetBite is how many seqs of events are looked at in a transaction that
	// deletes, and how many steps and free pages are given back in one. So nobody
	// who writes waits for long.
	forgetBite = 5_000
	// forgetEvery is how often old data is looked for, and forgetPause how long
	// others may write between two bites.
	forgetEvery = time.Hour
	forgetPause = 20 * time.Millisecond
)

// Retention gives how long a tenant's data is kept, or store.ErrNotFound.
func (s *Store) Retention(ctx context.Context, tenant store.TenantID) (r store.Retention, err error) {
	defer wrap(&err, "Retention")
	err = s.reader.GetContext(ctx, &r, `SELECT event_days, rollup_days FROM tenants WHERE id = ?`, tenant)
	return r, err
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
	return moreEvents || moreSteps, err
}

// forgetEvents deletes a bite of the events that were received before a moment. They
// stand before all others, for events are kept in the order they come in.
func (s *Store) forgetEvents(ctx context.Context, tenant store.TenantID, before time.Time) (more bool, err error) {
	var head struct{ Events, Forgotten, Passed int64 }
	err = s.reader.GetContext(ctx, &head, `SELECT events, forgotten,
		(SELECT coalesce(min(upto), heads.events) FROM rollups WHERE rollups.tenant_id = heads.tenant_id AND wide = 0) AS passed
		FROM heads WHERE tenant_id = ?`, tenant)
	if err != nil || head.Forgotten >= head.Passed {
		return false, err
	}
	var first, received int64
	row := s.reader.QueryRowxContext(ctx, `SELECT seq, received FROM events NOT INDEXED
		WHERE seq > ? AND seq <= ? AND tenant_id = ? ORDER BY seq LIMIT 1`, head.Forgotten, head.Passed, tenant)
	err = row.Scan(&first, &received)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return false, err
	}
	last := min(first+forgetBite, head.Passed)
	switch old := err == nil && received < before.UnixMicro(); {
	case err != nil: // none of the tenant's stand there
		first, last = head.Passed+1, head.Passed
	case !old && first-head.Forgotten < forgetBite:
		return false, nil
	case !old: // others' events stand before it, and need not be looked at again
		last = first - 1
	}
	return true, s.write(ctx, func(ctx context.Context, tx *sqlx.Tx) error {
		result, err := tx.ExecContext(ctx, `DELETE FROM events WHERE seq >= ? AND seq <= ? AND tenant_id = ? AND received < ?`,
			first, last, tenant, before.UnixMicro())
		if err != nil {
			return err
		}
		gone, err := result.RowsAffected()
		if err != nil {
			return err
		}
		// The first that is left, if any, is where the next bite begins.
		_, err = tx.ExecContext(ctx, `UPDATE heads SET kept = kept - ?1, forgotten = coalesce(
			(SELECT min(seq) - 1 FROM events WHERE seq >= ?2 AND seq <= ?3 AND tenant_id = ?4), ?3) WHERE tenant_id = ?4`, gone, first, last, tenant)
		return err
	})
}

// forgetSteps deletes a bite of the steps of rollups that lie before a moment and were
// added to before it, and of those that have too many groups to be read.
func (s *Store) forgetSteps(ctx context.Context, tenant store.TenantID, before time.Time) (more bool, err error) {
	var old []struct {
		Rollup int64 `db:"rollup_id"`
		Tier   int64
		Start  int64
	}
	err = s.reader.SelectContext(ctx, &old, `SELECT rollup_id, tier, start FROM rollups JOIN rollup_steps ON rollup_id = id
		WHERE tenant_id = ? AND (wide = 1 OR start < ? AND changed < ?) LIMIT ?`, tenant, before.Unix(), daysOf(before), forgetBite)
	if err != nil || len(old) == 0 {
		return false, err
	}
	err = s.write(ctx, func(ctx context.Context, tx *sqlx.Tx) error {
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
	err = s.reader.GetContext(ctx, &pages, `SELECT freelist_count AS free, auto_vacuum AS kind FROM pragma_freelist_count, pragma_auto_vacuum`)
	if err != nil || pages.Free < forgetBite || pages.Kind != incrementalVacuum {
		return false, err // a few are needed again soon
	}
	return true, s.write(ctx, func(ctx context.Context, tx *sqlx.Tx) error {
		rows, err := tx.QueryContext(ctx, `PRAGMA incremental_vacuum(1000)`) // a page a row
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
	for _, t := range tenants {
		if err := untilDone(ctx, func() (bool, error) { return s.Forget(ctx, t.ID, time.Now()) }); err != nil {
			return err
		}
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
		store.Retention
		Events, Kept, Forgotten int64
	}
	err = s.reader.GetContext(ctx, &head, `SELECT event_days, rollup_days, events, kept, forgotten
		FROM tenants JOIN heads ON tenant_id = tenants.id WHERE tenants.id = ?`, tenant)
	if err != nil {
		return h, err
	}
	h = store.Holdings{Retention: head.Retention, Events: head.Kept}
	var oldest int64
	err = s.reader.GetContext(ctx, &oldest, `SELECT time FROM events INDEXED BY events_time WHERE tenant_id = ? ORDER BY time LIMIT 1`, tenant)
	if err == nil {
		h.Oldest = time.UnixMicro(oldest).UTC()
	} else if !errors.Is(err, sql.ErrNoRows) {
		return h, err
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
			h.Rollups = append(h.Rollups, store.RollupProgress{Rollup: rollup, Wide: row.Wide, Done: done(int64(row.Upto), head.Forgotten, head.Events)})
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
