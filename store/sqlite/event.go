package sqlite

import (
	"context"
	"database/sql"
	"time"

	"github.com/jmoiron/sqlx"

	"pulseboard/store"
	"pulseboard/store/sqlite/ids"
)

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
func (s *Store) Record(ctx context.Context, tenant store.TenantID, events []store.Event, received time.Time) (r store.Recorded, err error) {
	defer nameMethod(&err, "Record") // the committer's errors are translated
	return s.committer.record(ctx, &batch{tenant: tenant, events: events, received: received})
}

// keepBatches does the work of Record for the batches that it is given when its
// transaction has begun.
func (s *Store) keepBatches(ctx context.Context, take func() []*batch) error {
	var seen *ids.Transaction
	kept := 0
	err := s.write(ctx, func(ctx context.Context, tx *sqlx.Tx) (err error) {
		if seen, err = s.ids.Begin(ctx, tx); err != nil {
			return err
		}
		keepers := map[store.TenantID]*keeper{}
		for _, b := range take() {
			k := keepers[b.tenant]
			if k == nil {
				if k, err = s.newKeeper(ctx, tx, b.tenant, seen); err != nil {
					return err
				}
				keepers[b.tenant] = k
			}
			if err := k.keep(b); err != nil {
				return err
			}
		}
		for _, k := range keepers {
			if err := k.finish(); err != nil {
				return err
			}
			kept += k.kept
		}
		return seen.Save()
	})
	if err != nil {
		return err
	}
	seen.Committed()
	s.news.add(kept)
	if seen.Sealed() {
		s.background.start(s.ids.Merge)
	}
	return nil
}

const (
	headOf   = `SELECT events FROM heads WHERE tenant_id = ?`
	moveHead = `UPDATE heads SET events = ?, kept = kept + ? WHERE tenant_id = ?`
)

// keeper keeps the batches of one tenant in a transaction.
type keeper struct {
	packWriter
	tx       *sqlx.Tx
	ids      *ids.Transaction
	moveHead *sqlx.Stmt
	head     store.EventSeq
	kept     int

	event store.Event // that is being kept
}

func (s *Store) newKeeper(ctx context.Context, tx *sqlx.Tx, tenant store.TenantID, seen *ids.Transaction) (*keeper, error) {
	k := &keeper{
		packWriter: packWriter{ctx: ctx, insert: tx.StmtxContext(ctx, s.statements.insertPack), tenant: tenant},
		tx:         tx,
		ids:        seen,
		moveHead:   tx.StmtxContext(ctx, s.statements.moveHead),
	}
	return k, tx.StmtxContext(ctx, s.statements.headOf).GetContext(ctx, &k.head, tenant)
}

// keep keeps the events of a batch that are no duplicates.
func (k *keeper) keep(b *batch) error {
	r := store.Recorded{Duplicate: make([]bool, len(b.events))}
	for i := range b.events {
		e := &k.event
		*e = b.events[i]
		duplicate, err := k.prepare(b, e)
		if err != nil {
			return err
		}
		if duplicate {
			r.Duplicate[i] = true
			continue
		}
		k.head++
		k.kept++
		e.Seq = k.head
		if err := k.add(e, b.received); err != nil {
			return err
		}
	}
	r.Head = k.head
	b.result = r
	return nil
}

// prepare makes an event what is kept of it, unless it is a duplicate.
func (k *keeper) prepare(b *batch, e *store.Event) (duplicate bool, err error) {
	given := !e.Time.IsZero()
	e.Time = b.happened(e)
	properties, duplicate, err := counted(k.ctx, k.tx, b, e)
	if err == nil && !duplicate && e.ID != "" {
		duplicate, err = k.ids.Duplicate(k.tenant, e, b.received, given)
	}
	e.Properties, e.Counter = properties, nil
	return duplicate, err
}

// happened is the time of an event of a batch.
func (b *batch) happened(e *store.Event) time.Time {
	if e.Time.IsZero() {
		return b.received.UTC().Truncate(time.Microsecond)
	}
	return e.Time.UTC().Truncate(time.Microsecond)
}

// finish writes what is left, and how far the tenant has come.
func (k *keeper) finish() error {
	if err := k.flush(); err != nil {
		return err
	}
	_, err := k.moveHead.ExecContext(k.ctx, k.head, k.kept, k.tenant)
	return err
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
	var µs sql.NullInt64
	err = s.reader.GetContext(ctx, &µs, `SELECT max(last_time) FROM segments WHERE tenant_id = ?`, tenant)
	if err != nil {
		return time.Time{}, err
	}
	if !µs.Valid {
		return time.Time{}, store.ErrNotFound
	}
	return time.UnixMicro(µs.Int64).UTC(), nil
}
