package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"iter"
	"time"

	"github.com/jmoiron/sqlx"

	"pulseboard/store"
	"pulseboard/store/fold"
)

// FoldView fills a new fold with all events of its window, from rollups as far as
// there are some, and gives the head that the next scan has to begin after. It
// reads as of one moment. What is damaged is counted anew from the events; the widgets that
// lack some of them say so. The error is store.ErrNotFound when there is no such tenant.
func (s *Store) FoldView(ctx context.Context, tenant store.TenantID, f *fold.Fold, to time.Time) (head store.EventSeq, err error) {
	defer wrap(&err, "FoldView")
	return s.readAt(ctx, s.builds, tenant, func(tx *sqlx.Tx, head store.EventSeq) error {
		restorer := restorer{ctx: ctx, tx: tx, tenant: tenant, fold: f, damage: &s.damage, rows: map[fold.RollupKey]rollupRow{}, known: f.RollupsRead()}
		if err := restorer.restore(); err != nil {
			return err
		}
		if err := lackGaps(ctx, tx, tenant, f, restorer.rows); err != nil {
			return err
		}
		scan := store.Scan{After: f.Upto(), From: time.Unix(f.From(), 0), To: to}
		lost, err := scanEvents(ctx, tx, tenant, head, scan, func(e *store.Event) error {
			return f.Add(e)
		})
		s.damage.notePacks(tenant, lost)
		lackPacks(f, restorer.rows, lost)
		return err
	})
}

// restorer gives a fold the rollups that there are.
type restorer struct {
	ctx    context.Context
	tx     *sqlx.Tx
	tenant store.TenantID
	fold   *fold.Fold
	damage *damage
	rows   map[fold.RollupKey]rollupRow // that were looked for; zero where there is none
	known  map[fold.RollupKey]fold.Rollup
}

func (r *restorer) restore() error {
	for _, span := range r.fold.Spans() {
		row, ok := r.rows[span.Key]
		if !ok {
			err := r.tx.GetContext(r.ctx, &row, `SELECT id, upto, wide FROM rollups WHERE tenant_id = ? AND key = ? AND upto > 0`, r.tenant, span.Key)
			if err != nil && !errors.Is(err, sql.ErrNoRows) {
				return err
			}
			r.rows[span.Key] = row
			if row.Wide {
				r.fold.CountDirectly(span.Key)
			}
		}
		if row.ID == 0 || row.Wide {
			continue // all its events are to be read
		}
		steps, done := r.steps(row, span)
		err := errors.Join(r.fold.Restore(span, row.Upto, steps), done())
		if errors.Is(err, store.ErrDamaged) {
			r.damage.noteRollup(r.tenant, row.ID) // by more than its checksum says; the next time it is mended
		}
		if err != nil {
			return fmt.Errorf("rollup %d: %w", row.ID, err)
		}
	}
	return nil
}

// steps gives the blocks of a span of a rollup by their starts; a damaged one as it is made
// anew, last of all. A block is valid until the next. done says what went wrong.
func (r *restorer) steps(row rollupRow, span fold.Span) (steps iter.Seq2[int64, []byte], done func() error) {
	var failed error
	return func(yield func(int64, []byte) bool) {
		var damaged []int64
		var more bool
		if damaged, more, failed = r.soundSteps(row, span, yield); failed != nil || !more || len(damaged) == 0 {
			return
		}
		r.damage.noteRollup(r.tenant, row.ID)
		rebuilder, err := newRebuilder(r.ctx, r.tx, r.tenant, row, r.known[span.Key], r.damage)
		if failed = err; err != nil {
			return
		}
		for _, start := range damaged {
			block, partial, err := rebuilder.block(span.Tier, start)
			if failed = err; err != nil {
				return
			}
			if r.note(span, start, partial); !yield(start, block) {
				return
			}
		}
	}, func() error { return failed }
}

// soundSteps yields the blocks of a span that are as they were written, and gives the starts of
// the others. more says whether more are wanted.
func (r *restorer) soundSteps(row rollupRow, span fold.Span, yield func(int64, []byte) bool) (damaged []int64, more bool, err error) {
	rows, err := r.tx.QueryContext(r.ctx, `SELECT start, cells FROM rollup_steps WHERE rollup_id = ? AND tier = ? AND start >= ? AND start < ?`, row.ID, span.Tier, span.From, span.To)
	if err != nil {
		return nil, false, err
	}
	defer rows.Close()
	var start int64
	var cells sql.RawBytes
	for rows.Next() {
		if err := rows.Scan(&start, &cells); err != nil {
			return nil, false, err
		}
		partial, err := fold.CheckBlock(cells)
		if err != nil {
			damaged = append(damaged, start)
			continue
		}
		if r.note(span, start, partial); !yield(start, cells) {
			return nil, false, nil
		}
	}
	return damaged, true, rows.Err()
}

// note tells the fold of a step that lacks events.
func (r *restorer) note(span fold.Span, start int64, partial bool) {
	if partial {
		r.fold.Lack(span.Key, fold.Gap{From: start, To: start + span.Tier})
	}
}
