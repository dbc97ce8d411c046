package sqlite

import (
	"context"
	"database/sql"
	"encoding/binary"
	"time"

	"github.com/jmoiron/sqlx"
	"github.com/jmoiron/sqlx/reflectx"

	"pulseboard/store"
)

// packEvents is the step of migration 6: it packs the events of a store that kept one
// a row into segments. They keep their seqs. What the senders' ids were is not known any
// more, but those sent again are still told.
func packEvents(ctx context.Context, plain *sql.Tx) error {
	tx := &sqlx.Tx{Tx: plain, Mapper: reflectx.NewMapperFunc("db", sqlx.NameMapper)}
	insert, err := tx.PreparexContext(ctx, insertSegment)
	if err != nil {
		return err
	}
	defer insert.Close()
	rows, err := tx.QueryxContext(ctx, `SELECT seq, tenant_id, name, time, user, properties, received, dedupe FROM events ORDER BY seq`)
	if err != nil {
		return err
	}
	defer rows.Close()
	writers := map[store.TenantID]*segmentWriter{}
	ids, err := newIDPacker(ctx, tx)
	if err != nil {
		return err
	}
	defer ids.do.close()
	for rows.Next() {
		var row eventRow
		if err := rows.StructScan(&row); err != nil {
			return err
		}
		if writers[row.Tenant] == nil {
			writers[row.Tenant] = &segmentWriter{ctx: ctx, insert: insert, tenant: row.Tenant}
		}
		e, err := row.event()
		if err != nil {
			return err
		}
		if err := writers[row.Tenant].add(e, time.UnixMicro(row.Received)); err != nil {
			return err
		}
		if err := ids.add(row); err != nil {
			return err
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
	if err := ids.save(); err != nil {
		return err
	}
	_, err = tx.ExecContext(ctx, `DROP TABLE events`)
	return err
}

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

// idPacker keeps the ids of events in generations.
type idPacker struct {
	*idTransaction
	count int
}

func newIDPacker(ctx context.Context, tx *sqlx.Tx) (*idPacker, error) {
	do, err := prepareIDs(ctx, tx)
	if err != nil {
		return nil, err
	}
	t, err := new(ids).begin(ctx, tx, do)
	return &idPacker{idTransaction: t}, err
}

func (p *idPacker) add(r eventRow) error {
	if r.Dedupe == nil {
		return nil
	}
	key := idKey{r.Tenant, int64(binary.BigEndian.Uint64(r.Dedupe))}
	p.added[key] = append(p.added[key], idSeen{r.Time, r.Received})
	if p.count++; p.count < generationIDs {
		return nil
	}
	p.count = 0
	if err := p.save(); err != nil {
		return err
	}
	t, err := p.ids.begin(p.ctx, p.tx, p.do)
	p.idTransaction = t
	return err
}
