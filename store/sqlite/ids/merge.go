package ids

import (
	"context"
	"database/sql"
	"errors"
	"iter"
	"math"
	"slices"

	"github.com/jmoiron/sqlx"
)

const (
	// mergeRunsOf runs of about a size become one; those of runSizes-1 merges stay as
	// they are.
	mergeRunsOf = 4
	runSizes    = 4
	// pagesTogether is how many pages are written or deleted in one transaction.
	pagesTogether = 32
)

// errMergedElsewhere is the error of a merge whose runs are not as they were read.
var errMergedElsewhere = errors.New("another process merged these runs")

// Merge puts bigger runs in the place of runs of about a size.
func (x *Index) Merge(ctx context.Context) error {
	for {
		var runs []sortedRun
		if err := sqlx.SelectContext(ctx, x.read, &runs, selectRuns+`ORDER BY last_received`); err != nil {
			return err
		}
		some := mergeableRuns(runs, int64(x.Seal))
		if some == nil {
			return nil
		}
		err := x.mergeSome(ctx, some)
		if err != nil && !errors.Is(err, errMergedElsewhere) {
			return err
		}
	}
}

// mergeableRuns returns the oldest runs of a size of which there are enough, if any.
func mergeableRuns(runs []sortedRun, seal int64) []sortedRun {
	atLeast, below := int64(0), 2*seal
	for range runSizes - 1 {
		var some []sortedRun
		for _, r := range runs {
			if r.IDs >= atLeast && r.IDs < below {
				some = append(some, r)
			}
		}
		if len(some) >= mergeRunsOf {
			return some[:mergeRunsOf]
		}
		atLeast, below = below, below*mergeRunsOf
	}
	return nil
}

// mergeSome puts one run in the place of some. It writes in bites, and until the last
// one the new run is not there.
func (x *Index) mergeSome(ctx context.Context, some []sortedRun) error {
	total := int64(0)
	for _, r := range some {
		total += r.IDs
	}
	w := newRunWriter(total)
	if err := x.writeMerged(ctx, some, w); err != nil {
		return errors.Join(err, x.deletePages(context.WithoutCancel(ctx), w.ID))
	}
	for _, r := range some {
		if err := x.deletePages(ctx, r.ID); err != nil {
			return err
		}
	}
	return nil
}

// writeMerged writes the ids of some runs to a new one that is to replace them.
func (x *Index) writeMerged(ctx context.Context, some []sortedRun, w *runWriter) error {
	for id, err := range x.idsOf(ctx, some) {
		if err != nil {
			return err
		}
		if w.add(id); len(w.pages) < pagesTogether {
			continue
		}
		if err := x.write(ctx, w.write); err != nil {
			return err
		}
		w.pages = w.pages[:0]
	}
	return x.write(ctx, func(ctx context.Context, tx *sqlx.Tx) error { return replaceRuns(ctx, tx, some, w) })
}

// replaceRuns finishes a run and deletes those that it was made of.
func replaceRuns(ctx context.Context, tx *sqlx.Tx, some []sortedRun, w *runWriter) error {
	for _, r := range some {
		result, err := tx.ExecContext(ctx, `DELETE FROM id_runs WHERE id = ?`, r.ID)
		if err != nil {
			return err
		}
		if n, err := result.RowsAffected(); err != nil || n == 0 {
			return errors.Join(err, errMergedElsewhere)
		}
	}
	if err := w.finish(ctx, tx); err != nil {
		return err
	}
	var pages int
	if err := tx.GetContext(ctx, &pages, `SELECT count(*) FROM id_pages WHERE run = ?`, w.ID); err != nil {
		return err
	}
	if pages != w.count {
		return errMergedElsewhere // another process took them for those of a run that is gone
	}
	return nil
}

// idsOf returns the ids of some runs in the order of their hashes.
func (x *Index) idsOf(ctx context.Context, runs []sortedRun) iter.Seq2[Seen, error] {
	return func(yield func(Seen, error) bool) {
		type source struct {
			Seen
			next func() (Seen, error, bool)
		}
		var sources []*source
		for _, r := range runs {
			next, stop := iter.Pull2(x.idsOfRun(ctx, r.ID))
			defer stop()
			sources = append(sources, &source{next: next})
		}
		advance := func(from *source) (more bool, err error) {
			from.Seen, err, more = from.next()
			return more, err
		}
		for i := 0; i < len(sources); {
			switch more, err := advance(sources[i]); {
			case err != nil:
				yield(Seen{}, err)
				return
			case !more:
				sources = slices.Delete(sources, i, i+1)
			default:
				i++
			}
		}
		for len(sources) > 0 {
			least := 0
			for i := range sources {
				if sources[i].Hash < sources[least].Hash {
					least = i
				}
			}
			if !yield(sources[least].Seen, nil) {
				return
			}
			switch more, err := advance(sources[least]); {
			case err != nil:
				yield(Seen{}, err)
				return
			case !more:
				sources = slices.Delete(sources, least, least+1)
			}
		}
	}
}

// idsOfRun returns the ids of a run, reading page after page.
func (x *Index) idsOfRun(ctx context.Context, run int64) iter.Seq2[Seen, error] {
	return func(yield func(Seen, error) bool) {
		at, within := int64(math.MinInt64), `first_hash >= ?`
		for {
			var packed []byte
			err := x.read.QueryRowxContext(ctx, `SELECT first_hash, packed FROM id_pages WHERE run = ? AND `+within+` ORDER BY first_hash LIMIT 1`, run, at).Scan(&at, &packed)
			if errors.Is(err, sql.ErrNoRows) {
				return
			}
			if err != nil {
				yield(Seen{}, err)
				return
			}
			ids, sound := soundIDs(packed)
			if !sound {
				x.damaged.Add(1)
			}
			for _, id := range ids {
				if !yield(id, nil) {
					return
				}
			}
			within = `first_hash > ?`
		}
	}
}

// deletePages deletes the pages of a run that is gone.
func (x *Index) deletePages(ctx context.Context, run int64) error {
	for {
		gone := int64(0)
		err := x.write(ctx, func(ctx context.Context, tx *sqlx.Tx) error {
			result, err := tx.ExecContext(ctx, `DELETE FROM id_pages WHERE rowid IN (SELECT rowid FROM id_pages WHERE run = ? LIMIT ?)`, run, pagesTogether)
			if err != nil {
				return err
			}
			gone, err = result.RowsAffected()
			return err
		})
		if err != nil || gone < pagesTogether {
			return err
		}
	}
}

// Forget deletes the runs of ids that all came in before a moment, in µs since the epoch, and
// pages that a process left behind when it was killed.
func (x *Index) Forget(ctx context.Context, before int64) error {
	err := x.write(ctx, func(ctx context.Context, tx *sqlx.Tx) error {
		_, err := tx.ExecContext(ctx, `DELETE FROM id_runs WHERE last_received < ?`, before)
		return err
	})
	for run := int64(-1); err == nil; {
		var gone bool
		err = x.read.QueryRowxContext(ctx, `SELECT run, NOT EXISTS (SELECT 1 FROM id_runs WHERE id = run) FROM id_pages WHERE run > ? ORDER BY run LIMIT 1`, run).Scan(&run, &gone)
		if errors.Is(err, sql.ErrNoRows) {
			return nil
		}
		if err == nil && gone {
			err = x.deletePages(ctx, run)
		}
	}
	return err
}
