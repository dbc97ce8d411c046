package sqlite

import (
	"context"
	"crypto/rand"
	"database/sql"
	"encoding/binary"
	"errors"
	"iter"
	"math"
	"slices"

	"github.com/bits-and-blooms/bloom/v3"
	"github.com/jmoiron/sqlx"
)

const (
	// pageIDs is how many ids a page of a run has, about.
	pageIDs = 500
	// mergeRunsOf runs of about a size become one; those of runSizes-1 merges stay as
	// they are.
	mergeRunsOf = 4
	runSizes    = 4
	// pagesTogether is how many pages are written or deleted in one transaction.
	pagesTogether = 32
)

// idRun is some ids, sorted by their hashes, in pages that never change.
type idRun struct {
	ID           int64
	IDs          int64 `db:"ids"`
	FirstTime    int64 `db:"first_time"`
	LastTime     int64 `db:"last_time"`
	LastReceived int64 `db:"last_received"`
}

const idRuns = `SELECT id, ids, first_time, last_time, last_received FROM id_runs `

// appendIDs packs ids, sorted by their hashes: the earliest times, then of each the
// distance to the one before, and its times after those.
func appendIDs(b []byte, ids []seenID) []byte {
	first := seenID{0, math.MaxInt64, math.MaxInt64}
	for _, id := range ids {
		first.time, first.received = min(first.time, id.time), min(first.received, id.received)
	}
	b = binary.AppendVarint(b, first.time)
	b = binary.AppendVarint(b, first.received)
	hash := int64(math.MinInt64)
	for _, id := range ids {
		b = binary.AppendUvarint(b, uint64(id.hash-hash))
		b = binary.AppendUvarint(b, uint64(id.time-first.time))
		b = binary.AppendUvarint(b, uint64(id.received-first.received))
		hash = id.hash
	}
	return b
}

var errBadIDs = errors.New("a page of ids is damaged")

// unpackIDs reads what appendIDs wrote.
func unpackIDs(b []byte) iter.Seq2[seenID, error] {
	return func(yield func(seenID, error) bool) {
		ok := true
		signed := func() int64 {
			v, n := binary.Varint(b)
			if ok = ok && n > 0; ok {
				b = b[n:]
			}
			return v
		}
		unsigned := func() int64 {
			v, n := binary.Uvarint(b)
			if ok = ok && n > 0; ok {
				b = b[n:]
			}
			return int64(v)
		}
		time, received, hash := signed(), signed(), int64(math.MinInt64)
		for ok && len(b) > 0 {
			hash += unsigned()
			id := seenID{hash, time + unsigned(), received + unsigned()}
			if ok && !yield(id, nil) {
				return
			}
		}
		if !ok {
			yield(seenID{}, errBadIDs)
		}
	}
}

// runWriter makes a run of ids that come sorted. The run is not there until finish.
type runWriter struct {
	idRun
	filter *bloom.BloomFilter
	page   []seenID
	pages  []idPage // that are to be written
	count  int      // pages in all
}

type idPage struct {
	firstHash int64
	packed    []byte
}

func newRunWriter(ids int64) *runWriter {
	var number [8]byte
	rand.Read(number[:])
	return &runWriter{
		idRun:  idRun{ID: int64(binary.LittleEndian.Uint64(number[:]) >> 1), FirstTime: math.MaxInt64, LastTime: math.MinInt64, LastReceived: math.MinInt64},
		filter: bloom.New(filterBits*uint(max(ids, 64)), filterHashes),
	}
}

// add adds an id. Those with the same hash stay on one page.
func (w *runWriter) add(id seenID) {
	if len(w.page) >= pageIDs && w.page[len(w.page)-1].hash != id.hash {
		w.endPage()
	}
	w.page = append(w.page, id)
	w.filter.Add(hashBytes(id.hash))
	w.IDs++
	w.FirstTime, w.LastTime = min(w.FirstTime, id.time), max(w.LastTime, id.time)
	w.LastReceived = max(w.LastReceived, id.received)
}

func (w *runWriter) endPage() {
	if len(w.page) > 0 {
		w.pages = append(w.pages, idPage{w.page[0].hash, appendIDs(nil, w.page)})
		w.page = w.page[:0]
		w.count++
	}
}

// write writes the pages that are full.
func (w *runWriter) write(ctx context.Context, tx *sqlx.Tx) error {
	for _, p := range w.pages {
		if _, err := tx.ExecContext(ctx, `INSERT INTO id_pages (run, first_hash, packed) VALUES (?, ?, ?)`, w.ID, p.firstHash, p.packed); err != nil {
			return err
		}
	}
	return nil
}

// finish writes the rest, after which the run is there.
func (w *runWriter) finish(ctx context.Context, tx *sqlx.Tx) error {
	w.endPage()
	if err := w.write(ctx, tx); err != nil {
		return err
	}
	filter, err := w.filter.MarshalBinary()
	if err != nil {
		return err
	}
	_, err = tx.ExecContext(ctx, `INSERT INTO id_runs (id, ids, first_time, last_time, last_received, filter) VALUES (?, ?, ?, ?, ?, ?)`,
		w.ID, w.IDs, w.FirstTime, w.LastTime, w.LastReceived, filter)
	return err
}

// writeRun makes a run of ids that are sorted.
func writeRun(ctx context.Context, tx *sqlx.Tx, ids []seenID) error {
	w := newRunWriter(int64(len(ids)))
	for _, id := range ids {
		w.add(id)
	}
	return w.finish(ctx, tx)
}

// mergeRuns merges runs of about a size into bigger ones. Several processes may do it
// at once.
func (s *Store) mergeRuns(ctx context.Context) error {
	for {
		var runs []idRun
		if err := s.chores.SelectContext(ctx, &runs, idRuns+`ORDER BY last_received`); err != nil {
			return err
		}
		some := mergeableRuns(runs, int64(s.ids.seal))
		if some == nil {
			return nil
		}
		err := s.mergeSomeRuns(ctx, some)
		if err != nil && !errors.Is(err, errMergedElsewhere) {
			return err
		}
	}
}

// mergeableRuns gives the oldest runs of a size of which there are enough, if any.
func mergeableRuns(runs []idRun, seal int64) []idRun {
	atLeast, below := int64(0), 2*seal
	for range runSizes - 1 {
		var some []idRun
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

// mergeSomeRuns puts one run in the place of some. It writes in bites, and until the last
// one the new run is not there.
func (s *Store) mergeSomeRuns(ctx context.Context, some []idRun) error {
	total := int64(0)
	for _, r := range some {
		total += r.IDs
	}
	w := newRunWriter(total)
	if err := s.writeMerged(ctx, some, w); err != nil {
		return errors.Join(err, s.deletePages(context.WithoutCancel(ctx), w.ID))
	}
	for _, r := range some {
		if err := s.deletePages(ctx, r.ID); err != nil {
			return err
		}
	}
	return nil
}

// writeMerged writes the ids of some runs to a new one that is to replace them.
func (s *Store) writeMerged(ctx context.Context, some []idRun, w *runWriter) error {
	for id, err := range s.idsOf(ctx, some) {
		if err != nil {
			return err
		}
		if w.add(id); len(w.pages) < pagesTogether {
			continue
		}
		if err := s.writeBehind(ctx, w.write); err != nil {
			return err
		}
		w.pages = w.pages[:0]
	}
	return s.writeBehind(ctx, func(ctx context.Context, tx *sqlx.Tx) error { return s.replaceRuns(ctx, tx, some, w) })
}

// replaceRuns finishes a run and takes those that it was made of away.
func (s *Store) replaceRuns(ctx context.Context, tx *sqlx.Tx, some []idRun, w *runWriter) error {
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

// idsOf gives the ids of some runs in the order of their hashes.
func (s *Store) idsOf(ctx context.Context, runs []idRun) iter.Seq2[seenID, error] {
	return func(yield func(seenID, error) bool) {
		type source struct {
			seenID
			next func() (seenID, error, bool)
		}
		var sources []*source
		for _, r := range runs {
			next, stop := iter.Pull2(s.idsOfRun(ctx, r.ID))
			defer stop()
			sources = append(sources, &source{next: next})
		}
		advance := func(x *source) (more bool, err error) {
			x.seenID, err, more = x.next()
			return more, err
		}
		for i := 0; i < len(sources); {
			switch more, err := advance(sources[i]); {
			case err != nil:
				yield(seenID{}, err)
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
				if sources[i].hash < sources[least].hash {
					least = i
				}
			}
			if !yield(sources[least].seenID, nil) {
				return
			}
			switch more, err := advance(sources[least]); {
			case err != nil:
				yield(seenID{}, err)
				return
			case !more:
				sources = slices.Delete(sources, least, least+1)
			}
		}
	}
}

// idsOfRun gives the ids of a run, reading page after page.
func (s *Store) idsOfRun(ctx context.Context, run int64) iter.Seq2[seenID, error] {
	return func(yield func(seenID, error) bool) {
		at, within := int64(math.MinInt64), `first_hash >= ?`
		for {
			var packed []byte
			err := s.chores.QueryRowContext(ctx, `SELECT first_hash, packed FROM id_pages WHERE run = ? AND `+within+` ORDER BY first_hash LIMIT 1`, run, at).Scan(&at, &packed)
			if errors.Is(err, sql.ErrNoRows) {
				return
			}
			if err != nil {
				yield(seenID{}, err)
				return
			}
			ids, sound := soundIDs(packed)
			if !sound {
				s.ids.damaged.Add(1)
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

// deletePages deletes the pages of a run that is no more.
func (s *Store) deletePages(ctx context.Context, run int64) error {
	for {
		gone := int64(0)
		err := s.writeBehind(ctx, func(ctx context.Context, tx *sqlx.Tx) error {
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

// forgetIDs deletes the runs of ids that all came in before a moment, and pages that a
// process left behind when it was killed.
func (s *Store) forgetIDs(ctx context.Context, before int64) error {
	err := s.writeBehind(ctx, func(ctx context.Context, tx *sqlx.Tx) error {
		_, err := tx.ExecContext(ctx, `DELETE FROM id_runs WHERE last_received < ?`, before)
		return err
	})
	for run := int64(-1); err == nil; {
		var gone bool
		err = s.chores.QueryRowContext(ctx, `SELECT run, NOT EXISTS (SELECT 1 FROM id_runs WHERE id = run) FROM id_pages WHERE run > ? ORDER BY run LIMIT 1`, run).Scan(&run, &gone)
		if errors.Is(err, sql.ErrNoRows) {
			return nil
		}
		if err == nil && gone {
			err = s.deletePages(ctx, run)
		}
	}
	return err
}
