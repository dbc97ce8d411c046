package sqlite

import (
	"cmp"
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/binary"
	"errors"
	"maps"
	"slices"
	"sync/atomic"
	"time"

	"github.com/bits-and-blooms/bloom/v3"
	"github.com/jmoiron/sqlx"

	"pulseboard/store"
)

// Ids tell duplicates. Those that came in last stand in memory, all of them, and on
// disk in the order they came. When they are many they become a run: sorted pages that
// never change, with a filter that says of most ids that they are not in it. Small runs
// are merged into bigger ones in the background. So a new id costs a few bytes at the
// end of a table, and a look at some filters, whatever is kept in all. What is in
// memory only saves looking; what counts is on disk.

const (
	// sealIDs is how many ids become a run.
	sealIDs = 1 << 15
	// maxFilterIDs bounds the ids of the runs whose filters are in memory, which take
	// filterBits for each; with filterHashes of them one id in some 1,700 that a run does not
	// have looks as if it had.
	maxFilterIDs = 1 << 24
	filterBits   = 16
	filterHashes = 8
)

const (
	latestRuns      = idRuns + `ORDER BY last_received DESC`
	recentRows      = `SELECT coalesce((SELECT min(id) FROM recent_ids), 0), coalesce((SELECT max(id) FROM recent_ids), 0)` // in one SELECT they would read all rows
	insertRecentIDs = `INSERT INTO recent_ids (packed) VALUES (?) RETURNING id`
	findIDPage      = `SELECT packed FROM id_pages WHERE run = ? AND first_hash <= ? ORDER BY first_hash DESC LIMIT 1`
)

// idHash is what events of a tenant with the same name and id have in common. Two others
// have it by chance once in 37 times that a thousand million come in within two days.
func idHash(tenant store.TenantID, e *store.Event) int64 {
	b := make([]byte, 0, 128)
	b = append(b, e.Name...)
	b = append(b, 0) // a name has no control characters, so pairs stay apart
	b = append(b, e.ID...)
	sum := sha256.Sum256(b)
	return hashOfTenant(tenant, sum[:])
}

// hashOfTenant takes 64 bits of a digest, other ones for each tenant.
func hashOfTenant(tenant store.TenantID, digest []byte) int64 {
	return int64(binary.BigEndian.Uint64(digest) ^ uint64(tenant)*0x9e3779b97f4a7c15)
}

// seenID is when an event with an id happened and came in, µs since the epoch.
type seenID struct{ hash, time, received int64 }

// seenIDs are some of those by their hashes, of which few have several.
type seenIDs struct {
	by   map[int64]seenID
	more map[int64][]seenID // beyond the one in by
}

func newSeenIDs() seenIDs { return seenIDs{map[int64]seenID{}, map[int64][]seenID{}} }

func (s seenIDs) clear() {
	clear(s.by)
	clear(s.more)
}

func (s seenIDs) add(id seenID) {
	if _, ok := s.by[id.hash]; ok {
		s.more[id.hash] = append(s.more[id.hash], id)
		return
	}
	s.by[id.hash] = id
}

func (s seenIDs) contains(hash int64, same func(seenID) bool) bool {
	id, ok := s.by[hash]
	return ok && (same(id) || slices.ContainsFunc(s.more[hash], same))
}

// all appends them in the order of their hashes.
func (s seenIDs) all(ids []seenID) []seenID {
	ids = slices.AppendSeq(ids, maps.Values(s.by))
	for _, more := range s.more {
		ids = append(ids, more...)
	}
	return sortIDs(ids)
}

// sortIDs sorts ids by their hashes.
func sortIDs(ids []seenID) []seenID {
	slices.SortFunc(ids, func(a, b seenID) int {
		if a.hash != b.hash { // as they nearly always are
			return cmp.Compare(a.hash, b.hash)
		}
		return cmp.Or(cmp.Compare(a.time, b.time), cmp.Compare(a.received, b.received))
	})
	return ids
}

// ids is what is in memory. It belongs to whoever holds the write lock of the store.
type ids struct {
	seal        int // ids that become a run
	recent      seenIDs
	first, last int64 // of the rows of recent_ids that recent has
	unsure      bool  // recent is not what is on disk, for a transaction has not ended well
	filters     map[int64]*bloom.BloomFilter
	filtered    int64        // ids of their runs
	damaged     atomic.Int64 // pages and filters that were found damaged and the log has not said yet
}

func newIDs() ids {
	return ids{seal: sealIDs, recent: newSeenIDs(), filters: map[int64]*bloom.BloomFilter{}}
}

// idTransaction is the ids of one transaction.
type idTransaction struct {
	ctx    context.Context
	ids    *ids
	tx     *sqlx.Tx
	do     *idStatements
	runs   []idRun // those that came in last first
	added  []seenID
	row    int64 // where they were kept
	sealed bool  // or in a run, with all others
}

// idStatements are what a transaction does with ids.
type idStatements struct{ latestRuns, recentRows, findPage, insert *sqlx.Stmt }

func (do *idStatements) prepare(ctx context.Context, db sqlx.PreparerContext) error {
	return prepareAll(ctx, db, map[string]**sqlx.Stmt{
		latestRuns:      &do.latestRuns,
		recentRows:      &do.recentRows,
		findIDPage:      &do.findPage,
		insertRecentIDs: &do.insert,
	})
}

func (do *idStatements) within(ctx context.Context, tx *sqlx.Tx) *idStatements {
	return &idStatements{
		tx.StmtxContext(ctx, do.latestRuns),
		tx.StmtxContext(ctx, do.recentRows),
		tx.StmtxContext(ctx, do.findPage),
		tx.StmtxContext(ctx, do.insert),
	}
}

// begin learns what other processes did since the last transaction.
func (x *ids) begin(ctx context.Context, tx *sqlx.Tx, do *idStatements) (*idTransaction, error) {
	t := &idTransaction{ctx: ctx, ids: x, tx: tx, do: do}
	if err := do.latestRuns.SelectContext(ctx, &t.runs); err != nil {
		return nil, err
	}
	x.dropFilters(t.runs)
	return t, x.readRecent(ctx, tx, do)
}

// dropFilters drops the filters of runs that are no more.
func (x *ids) dropFilters(runs []idRun) {
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
func (x *ids) readRecent(ctx context.Context, tx *sqlx.Tx, do *idStatements) error {
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

// duplicate says whether an event with an id was kept before: one of its name and id
// and, if given, its time, or one that came in within store.DuplicateSpan before
// received. If not, it remembers the event.
func (t *idTransaction) duplicate(tenant store.TenantID, e *store.Event, received time.Time, given bool) (bool, error) {
	id := seenID{idHash(tenant, e), e.Time.UnixMicro(), received.UnixMicro()}
	since := received.Add(-store.DuplicateSpan).UnixMicro()
	same := func(was seenID) bool { return given && was.time == id.time || was.received >= since }
	if t.ids.recent.contains(id.hash, same) {
		return true, nil
	}
	locations := bloom.Locations(hashBytes(id.hash), filterHashes)
	for i := range t.runs {
		run := &t.runs[i]
		if run.LastReceived < since && !(given && run.FirstTime <= id.time && id.time <= run.LastTime) {
			continue
		}
		filter, err := t.filterOf(run)
		if err != nil {
			return false, err
		}
		if filter != nil && !filter.TestLocations(locations) {
			continue
		}
		if found, err := t.inRun(run, id.hash, same); err != nil || found {
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

// filterOf gives the filter of a run, or nil when there is no room for it.
func (t *idTransaction) filterOf(run *idRun) (*bloom.BloomFilter, error) {
	if f := t.ids.filters[run.ID]; f != nil {
		return f, nil
	}
	if t.ids.filtered+run.IDs > maxFilterIDs {
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
func (t *idTransaction) inRun(run *idRun, hash int64, same func(seenID) bool) (bool, error) {
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
		if id.hash == hash && same(id) {
			return true, nil
		}
		if id.hash > hash {
			break
		}
	}
	return false, nil
}

// save keeps the ids that were added.
func (t *idTransaction) save() (err error) {
	if len(t.added) == 0 {
		return nil
	}
	if len(t.ids.recent.by) < t.ids.seal {
		return t.do.insert.GetContext(t.ctx, &t.row, appendIDs(nil, sortIDs(t.added)))
	}
	t.sealed = true
	if err := writeRun(t.ctx, t.tx, t.ids.recent.all(nil)); err != nil {
		return err
	}
	_, err = t.tx.ExecContext(t.ctx, `DELETE FROM recent_ids`)
	return err
}

// committed says that what was added is on disk.
func (t *idTransaction) committed() {
	switch {
	case t.sealed:
		t.ids.recent.clear()
		t.ids.first, t.ids.last = 0, 0
	case t.row != 0:
		t.ids.first, t.ids.last = cmp.Or(t.ids.first, t.row), t.row
	}
	t.ids.unsure = false
}
