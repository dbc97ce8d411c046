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

const (
	// segmentEvents and segmentBytes bound the events of a segment that is written
	// when they come in, and what its texts take about.
	segmentEvents = 2_000
	segmentBytes  = 512 << 10
	// fullSegment is how many events a segment has that is never merged again.
	fullSegment = 1_000
	// tinySegment is how many events a segment has at most that came in alone, or
	// nearly so, and mergeAfter how many of those there are before they are merged.
	tinySegment = 32
	mergeAfter  = 32
)

// insertSegment keeps a segment.
const insertSegment = `INSERT INTO segments (tenant_id, first_seq, last_seq, first_time, last_time, events, received, packed) VALUES (?, ?, ?, ?, ?, ?, ?, ?)`

// segmentWriter keeps events of a tenant in segments, in the order they are added.
type segmentWriter struct {
	ctx      context.Context
	insert   *sqlx.Stmt
	tenant   store.TenantID
	received time.Time // of the latest

	waiting *segmentBuffer // nil when none is
	bytes   int
}

// segmentBuffer is room for the events of a segment and for what they are packed to.
type segmentBuffer struct {
	events []store.Event
	packed []byte
}

var segmentBuffers = sync.Pool{New: func() any { return &segmentBuffer{} }}

// add adds an event, which has its seq and its time.
func (w *segmentWriter) add(e *store.Event, received time.Time) error {
	if received.After(w.received) {
		w.received = received
	}
	if w.waiting == nil {
		w.waiting = segmentBuffers.Get().(*segmentBuffer)
	}
	w.waiting.events = append(w.waiting.events, *e)
	w.bytes += len(e.Name) + len(e.ID) + len(e.User)
	for _, p := range e.Properties {
		w.bytes += len(p.Key) + p.Value.Size()
	}
	if len(w.waiting.events) < segmentEvents && w.bytes < segmentBytes {
		return nil
	}
	return w.flush()
}

// flush writes what was added since the last time.
func (w *segmentWriter) flush() error {
	buffer := w.waiting
	if buffer == nil {
		return nil
	}
	p := packSegment(buffer.packed[:0], buffer.events, w.received.UnixMicro())
	if err := p.write(w.ctx, w.insert, w.tenant); err != nil {
		return err
	}
	clear(buffer.events) // their texts need not be kept in memory
	buffer.events, buffer.packed = buffer.events[:0], p.packed
	segmentBuffers.Put(buffer)
	w.waiting, w.bytes = nil, 0
	return nil
}

// packedSegment is a row of segments.
type packedSegment struct {
	firstSeq, lastSeq   store.EventSeq
	firstTime, lastTime int64 // µs since the epoch
	events              int
	received            int64 // of the latest, µs since the epoch
	packed              []byte
}

// packSegment makes a segment of events, of which there must be some, and appends its
// bytes to b.
func packSegment(b []byte, events []store.Event, received int64) packedSegment {
	p := packedSegment{
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

func (p *packedSegment) write(ctx context.Context, insert *sqlx.Stmt, tenant store.TenantID) error {
	_, err := insert.ExecContext(ctx, int64(tenant), int64(p.firstSeq), int64(p.lastSeq), p.firstTime, p.lastTime, p.events, p.received, p.packed)
	return err
}

// selectSegment reads segments for eachEvent.
const selectSegment = `SELECT last_seq, first_time, last_time, events, packed FROM segments `

// eachEvent calls fn for each event of some segments' rows, and closes the rows. It leaves
// out segments that are damaged, and gives them.
func eachEvent(rows *sql.Rows, fn func(*store.Event) error) (lost []lostSegment, err error) {
	defer rows.Close()
	for rows.Next() {
		var l lostSegment
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

// mergedTogether is how many segments are written in a transaction that puts them in the
// place of smaller ones.
const mergedTogether = 16

// mergeSegments merges a tenant's newest segments where many are small. Nobody sees a
// difference: the events keep their places. Those that are damaged stay as they are.
// Several processes may do it at once.
func (s *Store) mergeSegments(ctx context.Context, tenant store.TenantID) error {
	for {
		var tail []segmentRow
		err := s.scans.SelectContext(ctx, &tail, segmentRows+`WHERE tenant_id = ? ORDER BY last_seq DESC LIMIT ?`, tenant, segmentEvents)
		if err != nil {
			return err
		}
		damaged, err := s.damagedSegments(ctx, tenant)
		if err != nil {
			return err
		}
		for i := range tail {
			if damaged[tail[i].LastSeq] {
				tail[i].Events = fullSegment // never merged
			}
		}
		runs := mergeable(tail)
		if len(runs) == 0 {
			return nil
		}
		for some := range slices.Chunk(runs, mergedTogether) {
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

// segmentRow is a segment without its events.
type segmentRow struct {
	ID, Events, Received, Bytes int64
	LastSeq                     store.EventSeq `db:"last_seq"`
}

// packedRow is what selectSegment reads.
type packedRow struct {
	lostSegment
	Packed []byte
}

const segmentRows = `SELECT id, last_seq, events, received, length(packed) AS bytes FROM segments `

// errMergedElsewhere says that segments are not as they were read.
var errMergedElsewhere = errors.New("another process merged these segments")

// mergeable gives runs of neighbours, newest first, each of which is to be one segment:
// of the newest the tiny ones when there are many, or all that are small when they are
// enough for a full one; of the others all small ones that stand together.
func mergeable(tail []segmentRow) (runs [][]segmentRow) {
	newest := smallRun(tail)
	tiny := slices.IndexFunc(append(newest[:len(newest):len(newest)], segmentRow{Events: fullSegment}), func(r segmentRow) bool { return r.Events >= tinySegment })
	switch {
	case len(newest) > 1 && (len(newest) >= 2*mergeAfter || isFull(newest)):
		runs = append(runs, newest)
	case tiny >= mergeAfter:
		runs = append(runs, newest[:tiny])
	}
	for at := max(1, len(newest)); at < len(tail); {
		run := smallRun(tail[at:])
		if len(run) > 1 {
			runs = append(runs, run)
		}
		at += max(1, len(run))
	}
	return runs
}

// smallRun gives the small segments at the beginning that fit in one.
func smallRun(rows []segmentRow) []segmentRow {
	events, bytes := int64(0), int64(0)
	for i, r := range rows {
		if events, bytes = events+r.Events, bytes+r.Bytes; r.Events >= fullSegment || events > segmentEvents || bytes > segmentBytes {
			return rows[:i]
		}
	}
	return rows
}

// isFull says whether small segments are enough for a full one.
func isFull(run []segmentRow) bool {
	events, bytes := int64(0), int64(0)
	for _, r := range run {
		events, bytes = events+r.Events, bytes+r.Bytes
	}
	return events >= fullSegment || bytes >= segmentBytes/2
}

// merge puts one segment in the place of each of some runs. It packs them before the
// transaction that writes them, for others wait for that.
func (s *Store) merge(ctx context.Context, tenant store.TenantID, runs [][]segmentRow) error {
	merged := make([]packedSegment, len(runs))
	for i, run := range runs {
		var err error
		if merged[i], err = s.packRun(ctx, tenant, run); err != nil {
			return err
		}
	}
	return s.writeBehind(ctx, func(ctx context.Context, tx *sqlx.Tx) error {
		insert := tx.StmtxContext(ctx, s.statements.insertSegment)
		for i, run := range runs {
			if err := deleteRun(ctx, tx, run); err != nil {
				return err
			}
			if err := merged[i].write(ctx, insert, tenant); err != nil {
				return err
			}
		}
		return nil
	})
}

// deleteRun deletes segments that are all as they were read.
func deleteRun(ctx context.Context, tx *sqlx.Tx, run []segmentRow) error {
	for _, row := range run {
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

// packRun makes one segment of a run, newest first.
func (s *Store) packRun(ctx context.Context, tenant store.TenantID, run []segmentRow) (packedSegment, error) {
	var all []store.Event
	received := int64(0)
	for _, row := range slices.Backward(run) {
		var segment packedRow
		err := s.scans.GetContext(ctx, &segment, selectSegment+`WHERE id = ? AND last_seq = ? AND events = ?`, row.ID, row.LastSeq, row.Events)
		if errors.Is(err, sql.ErrNoRows) {
			return packedSegment{}, errMergedElsewhere
		}
		if err != nil {
			return packedSegment{}, err
		}
		events, err := pack.ReadEvents(segment.Packed)
		if err != nil {
			s.damage.noteSegments(tenant, []lostSegment{segment.lostSegment})
			return packedSegment{}, err
		}
		all = append(all, events...)
		received = max(received, row.Received)
	}
	return packSegment(nil, all, received), nil
}
