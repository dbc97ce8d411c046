package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"math"
	"slices"
	"sync"
	"time"

	"github.com/jmoiron/sqlx"

	"pulseboard/store"
	"pulseboard/store/pack"
)

// Events stand in packs: bytes of package pack, some hundreds or thousands of events a row.
// The SQL table and its indexes are named segments, because they were made before the word was
// settled, and renaming them would be a migration.

const (
	// maxPackEvents and maxPackBytes bound the events of a pack that is written
	// when they come in, and what its texts take about.
	maxPackEvents = 2_000
	maxPackBytes  = 512 << 10
	// fullPack is how many events a pack has that is never merged again.
	fullPack = 1_000
	// tinyPack is how many events a pack has at most that came in alone, or
	// nearly so, and mergeAfter how many of those there are before they are merged.
	tinyPack   = 32
	mergeAfter = 32
)

// insertPack keeps a pack.
const insertPack = `INSERT INTO segments (tenant_id, first_seq, last_seq, first_time, last_time, events, received, packed) VALUES (?, ?, ?, ?, ?, ?, ?, ?)`

// packWriter keeps events of a tenant in packs, in the order they are added.
type packWriter struct {
	ctx      context.Context
	insert   *sqlx.Stmt
	tenant   store.TenantID
	received time.Time // of the latest

	waiting *packBuffer // nil when none is
	bytes   int
}

// packBuffer is room for the events of a pack and for what they are packed to.
type packBuffer struct {
	events []store.Event
	packed []byte
}

var packBuffers = sync.Pool{New: func() any { return &packBuffer{} }}

// add adds an event, which has its seq and its time.
func (w *packWriter) add(e *store.Event, received time.Time) error {
	if received.After(w.received) {
		w.received = received
	}
	if w.waiting == nil {
		w.waiting = packBuffers.Get().(*packBuffer)
	}
	w.waiting.events = append(w.waiting.events, *e)
	w.bytes += len(e.Name) + len(e.ID) + len(e.User)
	for _, p := range e.Properties {
		w.bytes += len(p.Key) + p.Value.Size()
	}
	if len(w.waiting.events) < maxPackEvents && w.bytes < maxPackBytes {
		return nil
	}
	return w.flush()
}

// flush writes what was added since the last time.
func (w *packWriter) flush() error {
	buffer := w.waiting
	if buffer == nil {
		return nil
	}
	p := newEventPack(buffer.packed[:0], buffer.events, w.received.UnixMicro())
	if err := p.write(w.ctx, w.insert, w.tenant); err != nil {
		return err
	}
	clear(buffer.events) // their texts need not be kept in memory
	buffer.events, buffer.packed = buffer.events[:0], p.packed
	packBuffers.Put(buffer)
	w.waiting, w.bytes = nil, 0
	return nil
}

// eventPack is a pack that is to be written.
type eventPack struct {
	firstSeq, lastSeq   store.EventSeq
	firstTime, lastTime int64 // µs since the epoch
	events              int
	received            int64 // of the latest, µs since the epoch
	packed              []byte
}

// newEventPack makes a pack of events, of which there must be some, and appends its
// bytes to b.
func newEventPack(b []byte, events []store.Event, received int64) eventPack {
	p := eventPack{
		firstSeq:  events[0].Seq,
		lastSeq:   events[len(events)-1].Seq,
		firstTime: math.MaxInt64,
		lastTime:  math.MinInt64,
		events:    len(events),
		received:  received,
		packed:    pack.AppendEvents(b, events),
	}
	for i := range events {
		µs := events[i].Time.UnixMicro()
		p.firstTime, p.lastTime = min(p.firstTime, µs), max(p.lastTime, µs)
	}
	return p
}

func (p *eventPack) write(ctx context.Context, insert *sqlx.Stmt, tenant store.TenantID) error {
	_, err := insert.ExecContext(ctx, int64(tenant), int64(p.firstSeq), int64(p.lastSeq), p.firstTime, p.lastTime, p.events, p.received, p.packed)
	return err
}

// selectPack reads packs for eachEvent.
const selectPack = `SELECT last_seq, first_time, last_time, events, packed FROM segments `

// eachEvent calls fn for each event of the packs in rows, and closes the rows. It leaves out
// packs that are damaged, and returns them.
func eachEvent(rows *sql.Rows, fn func(*store.Event) error) (lost []lostPack, err error) {
	defer rows.Close()
	for rows.Next() {
		var l lostPack
		var packed sql.RawBytes
		if err := rows.Scan(&l.LastSeq, &l.FirstTime, &l.LastTime, &l.Events, &packed); err != nil {
			return lost, err
		}
		events, err := pack.ReadEvents(packed)
		if err != nil {
			lost = append(lost, l)
			continue
		}
		for i := range events {
			if err := fn(&events[i]); err != nil {
				return lost, err
			}
		}
	}
	return lost, rows.Err()
}

// mergedTogether is how many packs are written in a transaction that puts them in the
// place of smaller ones.
const mergedTogether = 16

// mergePacks merges a tenant's newest packs where many are small. Nobody sees a
// difference: the events keep their places. Those that are damaged stay as they are.
// Several processes may do it at once.
func (s *Store) mergePacks(ctx context.Context, tenant store.TenantID) error {
	for {
		var tail []packRow
		err := s.chores.SelectContext(ctx, &tail, packRows+`WHERE tenant_id = ? ORDER BY last_seq DESC LIMIT ?`, tenant, maxPackEvents)
		if err != nil {
			return err
		}
		damaged, err := s.damagedPacks(ctx, tenant)
		if err != nil {
			return err
		}
		for i := range tail {
			if damaged[tail[i].LastSeq] {
				tail[i].Events = fullPack // never merged
			}
		}
		merges := mergeable(tail)
		if len(merges) == 0 {
			return nil
		}
		for some := range slices.Chunk(merges, mergedTogether) {
			err := s.merge(ctx, tenant, some)
			if errors.Is(err, store.ErrDamaged) {
				return nil // it is noted, and stays out the next time
			}
			if err != nil && !errors.Is(err, errMergedElsewhere) {
				return err
			}
		}
	}
}

// packRow is a pack without its events.
type packRow struct {
	ID, Events, Received, Bytes int64
	LastSeq                     store.EventSeq `db:"last_seq"`
}

// packedRow is what selectPack reads.
type packedRow struct {
	lostPack
	Packed []byte
}

const packRows = `SELECT id, last_seq, events, received, length(packed) AS bytes FROM segments `

// errMergedElsewhere says that packs are not as they were read.
var errMergedElsewhere = errors.New("another process merged these packs")

// mergeable returns groups of neighbours, newest first, each of which is to be one pack:
// of the newest the tiny ones when there are many, or all that are small when they are
// enough for a full one; of the others all small ones that stand together.
func mergeable(tail []packRow) (merges [][]packRow) {
	newest := smallNeighbours(tail)
	tiny := slices.IndexFunc(append(newest[:len(newest):len(newest)], packRow{Events: fullPack}), func(r packRow) bool { return r.Events >= tinyPack })
	switch {
	case len(newest) > 1 && (len(newest) >= 2*mergeAfter || isFull(newest)):
		merges = append(merges, newest)
	case tiny >= mergeAfter:
		merges = append(merges, newest[:tiny])
	}
	for at := max(1, len(newest)); at < len(tail); {
		small := smallNeighbours(tail[at:])
		if len(small) > 1 {
			merges = append(merges, small)
		}
		at += max(1, len(small))
	}
	return merges
}

// smallNeighbours returns the small packs at the beginning that fit in one.
func smallNeighbours(rows []packRow) []packRow {
	events, bytes := int64(0), int64(0)
	for i, r := range rows {
		if events, bytes = events+r.Events, bytes+r.Bytes; r.Events >= fullPack || events > maxPackEvents || bytes > maxPackBytes {
			return rows[:i]
		}
	}
	return rows
}

// isFull reports whether small packs are enough for a full one.
func isFull(neighbours []packRow) bool {
	events, bytes := int64(0), int64(0)
	for _, r := range neighbours {
		events, bytes = events+r.Events, bytes+r.Bytes
	}
	return events >= fullPack || bytes >= maxPackBytes/2
}

// merge puts one pack in the place of each group of neighbours. It packs them before the
// transaction that writes them, because others wait for that.
func (s *Store) merge(ctx context.Context, tenant store.TenantID, merges [][]packRow) error {
	merged := make([]eventPack, len(merges))
	for i, neighbours := range merges {
		var err error
		if merged[i], err = s.repack(ctx, tenant, neighbours); err != nil {
			return err
		}
	}
	return s.writeBehind(ctx, func(ctx context.Context, tx *sqlx.Tx) error {
		insert := tx.StmtxContext(ctx, s.statements.insertPack)
		for i, neighbours := range merges {
			if err := deletePacks(ctx, tx, neighbours); err != nil {
				return err
			}
			if err := merged[i].write(ctx, insert, tenant); err != nil {
				return err
			}
		}
		return nil
	})
}

// deletePacks deletes packs that are all as they were read.
func deletePacks(ctx context.Context, tx *sqlx.Tx, rows []packRow) error {
	for _, row := range rows {
		deleted, err := tx.ExecContext(ctx, `DELETE FROM segments WHERE id = ? AND last_seq = ? AND events = ?`, row.ID, row.LastSeq, row.Events)
		if err != nil {
			return err
		}
		if n, err := deleted.RowsAffected(); err != nil || n == 0 {
			return errors.Join(err, errMergedElsewhere)
		}
	}
	return nil
}

// repack makes one pack of neighbours, which come newest first.
func (s *Store) repack(ctx context.Context, tenant store.TenantID, neighbours []packRow) (eventPack, error) {
	var all []store.Event
	received := int64(0)
	for _, row := range slices.Backward(neighbours) {
		var small packedRow
		err := s.chores.GetContext(ctx, &small, selectPack+`WHERE id = ? AND last_seq = ? AND events = ?`, row.ID, row.LastSeq, row.Events)
		if errors.Is(err, sql.ErrNoRows) {
			return eventPack{}, errMergedElsewhere
		}
		if err != nil {
			return eventPack{}, err
		}
		events, err := pack.ReadEvents(small.Packed)
		if err != nil {
			s.damage.notePacks(tenant, []lostPack{small.lostPack})
			return eventPack{}, err
		}
		all = append(all, events...)
		received = max(received, row.Received)
	}
	return newEventPack(nil, all, received), nil
}
