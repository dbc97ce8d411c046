package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"slices"
	"time"

	"github.com/jmoiron/sqlx"

	"pulseboard/store"
)

// counted gives the properties that an event is kept with: its own and, when it
// reads a counter, what that grew by. It is a duplicate when the counter was read
// at that time or later, for what it counts is counted then.
//
// A new reading is kept even if the event then proves a duplicate by its id: it
// was counted before the counter was forgotten.
func counted(ctx context.Context, tx *sqlx.Tx, b *batch, e *store.Event) (ps store.Properties, duplicate bool, err error) {
	if e.Counter == nil {
		return e.Properties, false, nil
	}
	var last struct {
		Time       int64
		Count, Sum sql.NullFloat64
	}
	happened, series := b.happened(e).UnixMicro(), e.Counter.Series[:]
	err = tx.GetContext(ctx, &last, `SELECT time, count, sum FROM counters WHERE tenant_id = ? AND series = ?`, b.tenant, series)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return nil, false, err
	}
	if err == nil && happened <= last.Time {
		return nil, true, nil
	}
	totals := e.Counter.Totals
	_, err = tx.ExecContext(ctx, `INSERT INTO counters (tenant_id, series, time, count, sum, touched) VALUES (?, ?, ?, ?, ?, ?)
		ON CONFLICT DO UPDATE SET time = excluded.time, count = excluded.count, sum = excluded.sum, touched = excluded.touched`,
		b.tenant, series, happened, nullNumber(totals.Count), nullNumber(totals.Sum), b.received.UnixMicro())
	grown := totals.Since(store.Totals{Count: numberOrNull(last.Count), Sum: numberOrNull(last.Sum)})
	return store.NewProperties(append(slices.Clone(e.Properties), grown.Properties()...)), false, err
}

func nullNumber(v store.Value) sql.NullFloat64 {
	f, ok := v.Number()
	return sql.NullFloat64{Float64: f, Valid: ok}
}

func numberOrNull(n sql.NullFloat64) store.Value {
	if !n.Valid {
		return store.Null
	}
	return store.Num(n.Float64)
}

// countersForgotten is how many counters are forgotten in one transaction.
const countersForgotten = 5_000

// PruneCounters forgets the counters that were last read before a time. One that
// is read again counts like a new one: all that it counted since it began.
func (s *Store) PruneCounters(ctx context.Context, olderThan time.Time) (err error) {
	defer wrap(&err, "PruneCounters")
	return untilDone(ctx, func() (more bool, err error) {
		err = s.writeBehind(ctx, func(ctx context.Context, tx *sqlx.Tx) error {
			result, err := tx.ExecContext(ctx, `DELETE FROM counters WHERE (tenant_id, series) IN
				(SELECT tenant_id, series FROM counters WHERE touched < ? LIMIT ?)`, olderThan.UnixMicro(), countersForgotten)
			if err != nil {
				return err
			}
			n, err := result.RowsAffected()
			more = n == countersForgotten
			return err
		})
		return more, err
	})
}
