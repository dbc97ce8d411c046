package ids

import (
	"cmp"
	"context"
	"database/sql"
	"encoding/binary"
	"errors"
	"sync/atomic"
	"time"

	"github.com/bits-and-blooms/bloom/v3"
	"github.com/jmoiron/sqlx"

	"pulseboard/store"
)

const (
	// defaultSeal is how many ids become a run.
	defaultSeal = 1 << 15
	// maxFiltered bounds the ids of the runs whose filters are in memory. A filter has
	// filterBits for each id; with filterHashes one id in some 1,700 that is not in a run
	// passes the run's filter.
	maxFiltered  = 1 << 24
	filterBits   = 16
	filterHashes = 8
)

const (
	latestRuns      = selectRuns + `ORDER BY last_received DESC`
	recentRows      = `SELECT coalesce((SELECT min(id) FROM recent_ids), 0), coalesce((SELECT max(id) FROM recent_ids), 0)` // in one SELECT they would read all rows
	insertRecentIDs = `INSERT INTO recent_ids (packed) VALUES (?) RETURNING id`
	findIDPage      = `SELECT packed FROM id_pages WHERE run = ? AND first_hash <= ? ORDER BY first_hash DESC LIMIT 1`
)

// Write runs fn in a transaction of its own and commits what it did, or nothing of it.
type Write func(ctx context.Context, fn func(ctx context.Context, tx *sqlx.Tx) error) error

// Index knows the ids of a database. Use New.
type Index struct {
	// Seal is how many ids become a run. A test that wants many runs of few ids lowers it
	// before the first transaction.
	Seal int

	read       sqlx.QueryerContext
	write      Write
	statements statements

	recent      seenSet
	first, last int64 // of the rows of recent_ids that recent has
	unsure      bool  // recent is not what is on disk, because a transaction has not ended well
	filters     map[int64]*bloom.BloomFilter
	filtered    int64        // ids of the runs that have filters
	damaged     atomic.Int64 // see TakeDamaged
}

// New makes an index of the ids in a database. Its statements are prepared on writer, whose
// transactions Begin is given. Merge and Forget read with read and write with write, which may
// wait for other writers.
func New(ctx context.Context, writer sqlx.PreparerContext, read sqlx.QueryerContext, write Write) (*Index, error) {
	x := &Index{Seal: defaultSeal, read: read, write: write, recent: newSeenSet(), filters: map[int64]*bloom.BloomFilter{}}
	return x, x.statements.prepare(ctx, writer)
}

// TakeDamaged returns how many pages and filters were found damaged since the last call.
func (x *Index) TakeDamaged() int64 { return x.damaged.Swap(0) }

// Transaction looks ids up and adds some, within a transaction of the database.
type Transaction struct {
	ctx    context.Context
	ids    *Index
	tx     *sqlx.Tx
	do     *statements
	runs   []sortedRun // the one with the newest id first
	added  []Seen
	row    int64 // of recent_ids, where added was kept
	sealed bool  // added was kept in a run, with all other recent ids
}

// statements are what a transaction does with ids, prepared once: in the small transactions of
// small batches, parsing them would cost as much as what they do.
type statements struct{ latestRuns, recentRows, findPage, insert *sqlx.Stmt }

func (do *statements) prepare(ctx context.Context, db sqlx.PreparerContext) (err error) {
	for query, statement := range map[string]**sqlx.Stmt{
		latestRuns:      &do.latestRuns,
		recentRows:      &do.recentRows,
		findIDPage:      &do.findPage,
		insertRecentIDs: &do.insert,
	} {
		if *statement, err = sqlx.PreparexContext(ctx, db, query); err != nil {
			return err
		}
	}
	return nil
}

func (do *statements) within(ctx context.Context, tx *sqlx.Tx) *statements {
	return &statements{
		tx.StmtxContext(ctx, do.latestRuns),
		tx.StmtxContext(ctx, do.recentRows),
		tx.StmtxContext(ctx, do.findPage),
		tx.StmtxContext(ctx, do.insert),
	}
}

// Begin begins the work with ids within tx, and catches up with what other processes did since
// the last transaction. ctx is that of the whole transaction.
func (x *Index) Begin(ctx context.Context, tx *sqlx.Tx) (*Transaction, error) {
	do := x.statements.within(ctx, tx)
	t := &Transaction{ctx: ctx, ids: x, tx: tx, do: do}
	if err := do.latestRuns.SelectContext(ctx, &t.runs); err != nil {
		return nil, err
	}
	x.dropFilters(t.runs)
	return t, x.readRecent(ctx, tx, do)
}

// dropFilters drops the filters of runs that are gone.
func (x *Index) dropFilters(runs []sortedRun) {
	sizes := make(map[int64]int64, len(runs))
	for _, r := range runs {
		sizes[r.ID] = r.IDs
	}
	x.filtered = 0
	for run := range x.filters {
		if _, ok := sizes[run]; !ok {
			delete(x.filters, run)
		}
		x.filtered += sizes[run]
	}
}

// readRecent reads the recent ids that are not yet known.
func (x *Index) readRecent(ctx context.Context, tx *sqlx.Tx, do *statements) error {
	var first, last int64
	err := do.recentRows.QueryRowContext(ctx).Scan(&first, &last)
	if err != nil || !x.unsure && first == x.first && last == x.last {
		return err
	}
	if x.unsure || first != x.first { // another process has put those before into a run
		x.recent.clear()
		x.last = 0
	}
	var rows []struct {
		ID     int64
		Packed []byte
	}
	if err := tx.SelectContext(ctx, &rows, `SELECT id, packed FROM recent_ids WHERE id > ?`, x.last); err != nil {
		return err
	}
	x.unsure = true // until all are read
	for _, row := range rows {
		ids, sound := soundIDs(row.Packed)
		for _, id := range ids {
			x.recent.add(id)
		}
		if !sound {
			x.damaged.Add(1)
			if _, err := tx.ExecContext(ctx, `UPDATE recent_ids SET packed = ? WHERE id = ?`, appendIDs(nil, ids), row.ID); err != nil {
				return err
			}
		}
	}
	x.first, x.last, x.unsure = first, last, false
	return nil
}

// Duplicate reports whether an event with an id was kept before: one of its name and id
// and, if the sender gave one, its time, or one that came in within store.DuplicateSpan before
// received. If none was, the id is added.
func (t *Transaction) Duplicate(tenant store.TenantID, e *store.Event, received time.Time, given bool) (bool, error) {
	id := Seen{hashOf(tenant, e), e.Time.UnixMicro(), received.UnixMicro()}
	since := received.Add(-store.DuplicateSpan).UnixMicro()
	same := func(was Seen) bool { return given && was.Time == id.Time || was.Received >= since }
	if t.ids.recent.contains(id.Hash, same) {
		return true, nil
	}
	locations := bloom.Locations(hashBytes(id.Hash), filterHashes)
	for i := range t.runs {
		run := &t.runs[i]
		if run.LastReceived < since && !(given && run.FirstTime <= id.Time && id.Time <= run.LastTime) {
			continue
		}
		filter, err := t.filterOf(run)
		if err != nil {
			return false, err
		}
		if filter != nil && !filter.TestLocations(locations) {
			continue
		}
		if found, err := t.inRun(run, id.Hash, same); err != nil || found {
			return found, err
		}
	}
	t.added = append(t.added, id)
	t.ids.recent.add(id)
	t.ids.unsure = true // until the commit
	return false, nil
}

func hashBytes(hash int64) []byte {
	return binary.LittleEndian.AppendUint64(make([]byte, 0, 8), uint64(hash))
}

// filterOf returns the filter of a run, or nil when there is no room for it.
func (t *Transaction) filterOf(run *sortedRun) (*bloom.BloomFilter, error) {
	if f := t.ids.filters[run.ID]; f != nil {
		return f, nil
	}
	if t.ids.filtered+run.IDs > maxFiltered {
		return nil, nil
	}
	var packed []byte
	if err := t.tx.GetContext(t.ctx, &packed, `SELECT filter FROM id_runs WHERE id = ?`, run.ID); err != nil {
		return nil, err
	}
	f := readFilter(packed)
	if f == nil {
		var err error
		if f, err = t.mendFilter(run); err != nil {
			return nil, err
		}
	}
	t.ids.filters[run.ID] = f
	t.ids.filtered += run.IDs
	return f, nil
}

// inRun looks an id up on disk.
func (t *Transaction) inRun(run *sortedRun, hash int64, same func(Seen) bool) (bool, error) {
	var packed []byte
	err := t.do.findPage.GetContext(t.ctx, &packed, run.ID, hash)
	if errors.Is(err, sql.ErrNoRows) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	for id, err := range unpackIDs(packed) {
		if err != nil {
			return false, t.mendPage(run, hash, packed)
		}
		if id.Hash == hash && same(id) {
			return true, nil
		}
		if id.Hash > hash {
			break
		}
	}
	return false, nil
}

// Save writes the ids that were added. It comes last before the commit.
func (t *Transaction) Save() (err error) {
	if len(t.added) == 0 {
		return nil
	}
	if len(t.ids.recent.by) < t.ids.Seal {
		return t.do.insert.GetContext(t.ctx, &t.row, appendIDs(nil, sortIDs(t.added)))
	}
	t.sealed = true
	if err := writeRun(t.ctx, t.tx, t.ids.recent.all(nil)); err != nil {
		return err
	}
	_, err = t.tx.ExecContext(t.ctx, `DELETE FROM recent_ids`)
	return err
}

// Sealed reports whether Save made a run of the recent ids, so that merging may be due.
func (t *Transaction) Sealed() bool { return t.sealed }

// Committed tells the index that what was added is on disk. Without it the next transaction
// reads the recent ids anew.
func (t *Transaction) Committed() {
	switch {
	case t.sealed:
		t.ids.recent.clear()
		t.ids.first, t.ids.last = 0, 0
	case t.row != 0:
		t.ids.first, t.ids.last = cmp.Or(t.ids.first, t.row), t.row
	}
	t.ids.unsure = false
}
