package sqlite

import (
	"context"
	"database/sql"
	"time"

	"github.com/jmoiron/sqlx"
	"github.com/jmoiron/sqlx/reflectx"

	"pulseboard/store"
	"pulseboard/store/sqlite/ids"
)

// packEvents is the step of migration 6: it packs the events of a store that kept one
// a row into packs. They keep their seqs. What the senders' ids were is not known any
// more, but those sent again are still told.
func packEvents(ctx context.Context, plain *sql.Tx) error {
	tx := &sqlx.Tx{Tx: plain, Mapper: reflectx.NewMapperFunc("db", sqlx.NameMapper)}
	insert, err := tx.PreparexContext(ctx, insertPack)
	if err != nil {
		return err
	}
	defer insert.Close()
	rows, err := tx.QueryxContext(ctx, `SELECT seq, tenant_id, name, time, user, properties, received, dedupe FROM events ORDER BY seq`)
	if err != nil {
		return err
	}
	defer rows.Close()
	writers := map[store.TenantID]*packWriter{}
	var seen []ids.Seen
	for rows.Next() {
		var row eventRow
		if err := rows.StructScan(&row); err != nil {
			return err
		}
		if writers[row.Tenant] == nil {
			writers[row.Tenant] = &packWriter{ctx: ctx, insert: insert, tenant: row.Tenant}
		}
		e, err := row.event()
		if err != nil {
			return err
		}
		if err := writers[row.Tenant].add(&e, time.UnixMicro(row.Received)); err != nil {
			return err
		}
		if row.Dedupe != nil {
			seen = append(seen, ids.Seen{Hash: ids.HashOfTenant(row.Tenant, row.Dedupe), Time: row.Time, Received: row.Received})
		}
		if len(seen) == idsTogether {
			if err := ids.WriteRun(ctx, tx, seen); err != nil {
				return err
			}
			seen = seen[:0]
		}
	}
	if err := rows.Err(); err != nil {
		return err
	}
	for _, w := range writers {
		if err := w.flush(); err != nil {
			return err
		}
	}
	if len(seen) > 0 {
		if err := ids.WriteRun(ctx, tx, seen); err != nil {
			return err
		}
	}
	_, err = tx.ExecContext(ctx, `DROP TABLE events`)
	return err
}

// idsTogether is how many ids are made a run of.
const idsTogether = 1 << 20

// eventRow is an event as it was kept before.
type eventRow struct {
	Seq            store.EventSeq
	Tenant         store.TenantID `db:"tenant_id"`
	Name           string
	Time, Received int64 // µs since the epoch
	User           sql.NullString
	Properties     []byte
	Dedupe         []byte // 16 bytes of SHA-256 of name and id
}

func (r eventRow) event() (store.Event, error) {
	properties, err := store.ParseProperties(r.Properties)
	return store.Event{Seq: r.Seq, Name: r.Name, Time: time.UnixMicro(r.Time).UTC(), User: r.User.String, Properties: properties}, err
}
