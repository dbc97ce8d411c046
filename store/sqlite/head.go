package sqlite

import (
	"context"
	"time"

	"github.com/jmoiron/sqlx"

	"pulseboard/store"
)

// Heads gives how far the data of each tenant has come.
func (s *Store) Heads(ctx context.Context) (heads map[store.TenantID]store.Head, err error) {
	defer wrap(&err, "Heads")
	var rows []struct {
		Tenant store.TenantID
		store.Head
	}
	err = s.reader.SelectContext(ctx, &rows, `SELECT tenant_id AS tenant, events, dashboards FROM heads`)
	heads = make(map[store.TenantID]store.Head, len(rows))
	for _, row := range rows {
		heads[row.Tenant] = row.Head
	}
	return heads, err
}

// Changes calls fn after commits, of this process and of others, until ctx ends.
// It looks every so often, so one call may stand for many commits. One call
// comes at the start, for what was committed before it began to look, and one
// after a failure to look.
func (s *Store) Changes(ctx context.Context, every time.Duration, fn func()) {
	look := time.NewTicker(every)
	defer look.Stop()
	for ctx.Err() == nil {
		s.watch(ctx, look.C, fn)
		select {
		case <-ctx.Done():
		case <-look.C:
		}
	}
}

// watch does the work of Changes until looking fails or ctx ends.
func (s *Store) watch(ctx context.Context, look <-chan time.Time, fn func()) {
	// SQLite counts the commits of other connections only, as a connection sees
	// them: so it is one that never changes and never writes.
	db, err := pool{connections: 1, cache: readerPool.cache}.connect(s.path, s.waits.request)
	if err != nil {
		return
	}
	defer db.Close()
	conn, err := db.Connx(ctx)
	if err != nil {
		return
	}
	defer conn.Close()
	for seen := int64(-1); ; {
		version, err := dataVersion(ctx, conn)
		if err != nil {
			return
		}
		if version != seen {
			seen = version
			fn()
		}
		select {
		case <-ctx.Done():
			return
		case <-look:
		}
	}
}

func dataVersion(ctx context.Context, conn *sqlx.Conn) (version int64, err error) {
	err = conn.GetContext(ctx, &version, `PRAGMA data_version`)
	return version, err
}
