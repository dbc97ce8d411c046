package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"math"
	"slices"
	"time"

	"github.com/jmoiron/sqlx"

	"pulseboard/store"
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

	events []store.Event
	bytes  int
	packed []byte
}

// add adds an event, which has its seq and its time.
func (w *segmentWriter) add(e *store.Event, received time.Time) error {
	if received.After(w.received) {
		w.received = received
	}
	w.events = append(w.events, *e)
	w.bytes += len(e.Name) + len(e.ID) + len(e.User)
	for _, p := range e.Properties {
		w.bytes += len(p.Key) + p.Value.Size()
	}
	if len(w.events) < segmentEvents && w.bytes < segmentBytes {
		return nil
	}
	return w.flush()
}

// flush writes what was added since the last time.
func (w *segmentWriter) flush() error {
	n := len(w.events)
	if n == 0 {
		return nil
	}
	first, last := int64(math.MaxInt64), int64(math.MinInt64)
	for i := range w.events {
		µs := w.events[i].Time.UnixMicro()
		first, last = min(first, µs), max(last, µs)
	}
	w.packed = store.AppendSegment(w.packed[:0], w.events)
	_, err := w.insert.ExecContext(w.ctx, int64(w.tenant), int64(w.events[0].Seq), int64(w.events[n-1].Seq), first, last, n, w.received.UnixMicro(), w.packed)
	clear(w.events) // their texts need not be kept in memory
	w.events, w.bytes = w.events[:0], 0
	return err
}

const selectSegment = `SELECT packed FROM segments `

// eachEvent calls fn for each event of some segments' rows, and closes the rows.
func eachEvent(rows *sql.Rows, fn func(*store.Event) error) error {
	defer rows.Close()
	for rows.Next() {
		var packed sql.RawBytes
		if err := rows.Scan(&packed); err != nil {
			return err
		}
		events, err := store.ReadSegment(packed)
		if err != nil {
			return err
		}
		for i := range events {
			if err := fn(&events[i]); err != nil {
				return err
			}
		}
	}
	return rows.Err()
}

// mergeSegments merges a tenant's newest segments where many are small. Nobody sees a
// difference: the events keep their places. Several processes may do it at once.
func (s *Store) mergeSegments(ctx context.Context, tenant store.TenantID) error {
	for {
		var tail []segmentRow
		err := s.reader.SelectContext(ctx, &tail, segmentRows+`WHERE tenant_id = ? ORDER BY last_seq DESC LIMIT ?`, tenant, segmentEvents)
		if err != nil {
			return err
		}
		some := mergeable(tail)
		if len(some) == 0 {
			return nil
		}
		err = s.write(ctx, func(ctx context.Context, tx *sqlx.Tx) error { return s.merge(ctx, tx, tenant, some) })
		if err != nil && !errors.Is(err, errMergedElsewhere) {
			return err
		}
	}
}

// segmentRow is a segment without its events.
type segmentRow struct {
	ID, Events, Received, Bytes int64
	LastSeq                     int64 `db:"last_seq"`
}

const segmentRows = `SELECT id, last_seq, events, received, length(packed) AS bytes FROM segments `

// errMergedElsewhere says that segments are not as they were read.
var errMergedElsewhere = errors.New("another process merged these segments")

// mergeable gives neighbours, newest first, that are to be one segment: of the newest the
// tiny ones when there are many, or all that are small when they are enough for a full
// one; of the others all small ones that stand together.
func mergeable(tail []segmentRow) []segmentRow {
	newest := smallRun(tail)
	tiny := slices.IndexFunc(append(newest[:len(newest):len(newest)], segmentRow{Events: fullSegment}), func(r segmentRow) bool { return r.Events >= tinySegment })
	switch {
	case len(newest) > 1 && (len(newest) >= 2*mergeAfter || isFull(newest)):
		return newest
	case tiny >= mergeAfter:
		return newest[:tiny]
	}
	for at := max(1, len(newest)); at < len(tail); {
		run := smallRun(tail[at:])
		if len(run) > 1 {
			return run
		}
		at++
	}
	return nil
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

// merge puts one segment in the place of some, newest first.
func (s *Store) merge(ctx context.Context, tx *sqlx.Tx, tenant store.TenantID, some []segmentRow) error {
	insert := tx.StmtxContext(ctx, s.insertSegment)
	defer insert.Close()
	w := segmentWriter{ctx: ctx, insert: insert, tenant: tenant}
	for i := len(some) - 1; i >= 0; i-- {
		var packed []byte
		err := tx.GetContext(ctx, &packed, `DELETE FROM segments WHERE id = ? AND last_seq = ? AND events = ? RETURNING packed`, some[i].ID, some[i].LastSeq, some[i].Events)
		if errors.Is(err, sql.ErrNoRows) {
			return errMergedElsewhere
		}
		if err != nil {
			return err
		}
		events, err := store.ReadSegment(packed)
		if err != nil {
			return err
		}
		w.events = append(w.events, events...)
		if received := time.UnixMicro(some[i].Received); received.After(w.received) {
			w.received = received
		}
	}
	return w.flush()
}
