package sqlite

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"time"

	"github.com/jmoiron/sqlx"

	"pulseboard/store"
)

// Recorded is what became of a batch of events.
type Recorded struct {
	Duplicate []bool         // by the event's place in the batch; the others were kept
	Head      store.EventSeq // of the tenant, after the batch
}

// insertEvent keeps an event unless it is a duplicate, which is decided within
// the same statement: with an id, when a kept event of the same name and id has
// the same time, or was received at ?9 or later. ?10 is the time as far as the
// sender gave one.
const insertEvent = `INSERT INTO events (tenant_id, name, time, user, properties, received, dedupe)
	SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7
	WHERE ?7 IS NULL OR NOT EXISTS (
		SELECT 1 FROM events WHERE tenant_id = ?1 AND dedupe = ?7 AND (time = ?8 OR received >= ?9))`

// Record keeps a batch of events, all or none of them, and leaves out duplicates.
// An event with an ID is one when a kept event of the same name and ID has the
// same time, or was received within store.DuplicateSpan before; so is the second
// of two such events in the batch. A zero Time means that the sender gave none:
// the event happens at received, and only the span tells duplicates.
//
// An event with a Counter is a duplicate too when its time is not after the
// counter's last; else the counter and the event are kept together.
//
// When it returns, the events are on disk and every scan that begins then sees
// them. Batches that come at the same time share a transaction. Errors:
// store.ErrFull, store.ErrBusy, store.ErrOverloaded, store.ErrNotFound without such
// a tenant; then nothing was kept.
func (s *Store) Record(ctx context.Context, tenant store.TenantID, events []store.Event, received time.Time) (r Recorded, err error) {
	defer wrap(&err, "Record")
	return s.committer.record(ctx, &batch{tenant: tenant, events: events, received: received})
}

// keepBatch keeps the events of a batch in a transaction.
func keepBatch(ctx context.Context, tx *sqlx.Tx, insert *sqlx.Stmt, b *batch) error {
	r := Recorded{Duplicate: make([]bool, len(b.events))}
	var (
		last       int64
		kept       int
		properties []byte
	)
	for i := range b.events {
		e := &b.events[i]
		own, duplicate, err := counted(ctx, tx, b, e)
		if err != nil {
			return err
		}
		if duplicate {
			r.Duplicate[i] = true
			continue
		}
		properties = own.AppendJSON(properties[:0])
		happened := b.happened(e).UnixMicro()
		given := sql.NullInt64{Int64: happened, Valid: !e.Time.IsZero()}
		result, err := insert.ExecContext(ctx, int64(b.tenant), e.Name, happened,
			sql.NullString{String: e.User, Valid: e.User != ""}, string(properties), b.received.UnixMicro(),
			dedupeHash(e), given, b.received.Add(-store.DuplicateSpan).UnixMicro())
		if err != nil {
			return err
		}
		if n, err := result.RowsAffected(); err != nil {
			return err
		} else if n == 0 {
			r.Duplicate[i] = true
			continue
		}
		kept++
		if last, err = result.LastInsertId(); err != nil {
			return err
		}
	}
	err := tx.GetContext(ctx, &r.Head, `UPDATE heads SET events = max(events, ?), kept = kept + ?
		WHERE tenant_id = ? RETURNING events`, last, kept, b.tenant)
	if err == nil {
		b.result = r
	}
	return err
}

// happened is the time of an event of a batch.
func (b *batch) happened(e *store.Event) time.Time {
	if e.Time.IsZero() {
		return b.received
	}
	return e.Time
}

// dedupeHash is what events of one name and id have in common: 16 bytes, or nil
// without an id. With 128 bits no two pairs have ever the same by chance.
func dedupeHash(e *store.Event) []byte {
	if e.ID == "" {
		return nil
	}
	b := make([]byte, 0, 128)
	b = append(b, e.Name...)
	b = append(b, 0) // a name has no control characters, so pairs stay apart
	b = append(b, e.ID...)
	sum := sha256.Sum256(b)
	return sum[:16]
}

// EventCount is the number of events kept, of all tenants.
func (s *Store) EventCount(ctx context.Context) (n int64, err error) {
	defer wrap(&err, "EventCount")
	err = s.reader.GetContext(ctx, &n, `SELECT coalesce(sum(kept), 0) FROM heads`)
	return n, err
}

// LastEvent is the time of a tenant's latest event, or store.ErrNotFound.
func (s *Store) LastEvent(ctx context.Context, tenant store.TenantID) (at time.Time, err error) {
	defer wrap(&err, "LastEvent")
	var µs int64
	err = s.reader.GetContext(ctx, &µs, `SELECT time FROM events INDEXED BY events_time
		WHERE tenant_id = ? ORDER BY time DESC LIMIT 1`, tenant)
	if err != nil {
		return time.Time{}, err
	}
	return time.UnixMicro(µs).UTC(), nil
}
