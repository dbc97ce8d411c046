package sqlite

import (
	"cmp"
	"context"
	"database/sql"
	"math"
	"slices"
	"time"

	"github.com/jmoiron/sqlx"

	"pulseboard/store"
)

const selectEvent = `SELECT seq, name, time, user, properties FROM events `

// ScanEvents calls fn for each event of a scan, once, in any order, and gives the
// head: what After has to be for the next scan to go on from here. It reads as of
// one moment. An error of fn ends the scan and is returned.
//
// The event belongs to the scan and is overwritten after fn returns; its texts
// may be kept, and so may its Properties. fn must not use the store: with all
// connections scanning it would wait for ever. The error is store.ErrNotFound
// when there is no such tenant.
func (s *Store) ScanEvents(ctx context.Context, tenant store.TenantID, scan store.Scan, fn func(*store.Event) error) (head store.EventSeq, err error) {
	defer wrap(&err, "ScanEvents")
	return s.readAt(ctx, tenant, func(tx *sqlx.Tx, head store.EventSeq) error {
		return scanEvents(ctx, tx, tenant, head, scan, fn)
	})
}

// readAt calls fn to read as of one moment, and gives the tenant's head at it. The
// error is store.ErrNotFound when there is no such tenant.
func (s *Store) readAt(ctx context.Context, tenant store.TenantID, fn func(tx *sqlx.Tx, head store.EventSeq) error) (head store.EventSeq, err error) {
	tx, err := s.reader.BeginTxx(ctx, nil)
	if err != nil {
		return 0, err
	}
	defer tx.Rollback()
	if err := tx.GetContext(ctx, &head, `SELECT events FROM heads WHERE tenant_id = ?`, tenant); err != nil {
		return 0, err
	}
	return head, fn(tx, head)
}

// fewEvents is how many seqs are looked at one by one rather than by time.
const fewEvents = 100_000

// scanEvents does the work of ScanEvents in a transaction.
func scanEvents(ctx context.Context, tx *sqlx.Tx, tenant store.TenantID, head store.EventSeq, scan store.Scan, fn func(*store.Event) error) (err error) {
	from, to := microBounds(scan.From, scan.To)
	if scan.After >= head || from >= to {
		return nil
	}
	// The transaction sees no event past the head. Where the events after a seq are
	// few they lie together: in the order of seq only they are looked at.
	var rows *sqlx.Rows
	if head-scan.After > fewEvents {
		rows, err = tx.QueryxContext(ctx, selectEvent+`INDEXED BY events_time WHERE tenant_id = ? AND time >= ? AND time < ? AND seq > ?`, tenant, from, to, scan.After)
	} else {
		rows, err = tx.QueryxContext(ctx, selectEvent+`NOT INDEXED WHERE seq > ? AND tenant_id = ? AND time >= ? AND time < ?`, scan.After, tenant, from, to)
	}
	if err != nil {
		return err
	}
	return eachEvent(rows.Rows, fn)
}

// microBounds gives the µs since the epoch that a span covers; a zero time is open.
func microBounds(from, to time.Time) (first, end int64) {
	first, end = math.MinInt64, math.MaxInt64
	if !from.IsZero() {
		first = ceilMicro(from)
	}
	if !to.IsZero() {
		end = ceilMicro(to)
	}
	return first, end
}

// ceilMicro rounds up, so that whole µs compare with it as with t itself.
func ceilMicro(t time.Time) int64 {
	return t.Add(time.Microsecond - 1).UnixMicro()
}

// eachEvent calls fn for the event of each row, and closes the rows.
func eachEvent(rows *sql.Rows, fn func(*store.Event) error) error {
	defer rows.Close()
	var (
		e          store.Event
		µs         int64
		user       sql.NullString
		name       sql.RawBytes
		properties sql.RawBytes
		names      = interned{}
	)
	for rows.Next() {
		err := rows.Scan(&e.Seq, &name, &µs, &user, &properties)
		if err != nil {
			return err
		}
		e.Name, e.User, e.Time = names.text(name), user.String, time.UnixMicro(µs).UTC()
		if e.Properties, err = store.ParseProperties(properties); err != nil {
			return err
		}
		if err := fn(&e); err != nil {
			return err
		}
	}
	return rows.Err()
}

// interned gives equal bytes the same string. Events have few names.
type interned map[string]string

func (t interned) text(b []byte) string {
	if s, ok := t[string(b)]; ok {
		return s
	}
	s := string(b)
	if len(t) < 1_000 {
		t[s] = s
	}
	return s
}

// valuesScanned bounds the events that PropertyValues looks at.
const valuesScanned = 50_000

// PropertyValues gives distinct values of a property, or of "event" or "user", as
// text: the most frequent first, ties by text, at most limit of them. Only the
// newest 50,000 events of the time from from, up to but not at to, are looked at;
// a zero time is open.
func (s *Store) PropertyValues(ctx context.Context, tenant store.TenantID, property string, from, to time.Time, limit int) (values []string, err error) {
	defer wrap(&err, "PropertyValues")
	first, end := microBounds(from, to)
	rows, err := s.reader.QueryContext(ctx, selectEvent+`INDEXED BY events_time
		WHERE tenant_id = ? AND time >= ? AND time < ? ORDER BY time DESC LIMIT ?`, tenant, first, end, valuesScanned)
	if err != nil {
		return nil, err
	}
	count := map[string]int{}
	err = eachEvent(rows, func(e *store.Event) error {
		if v, ok := e.Field(property); ok {
			count[v.String()]++
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	for value := range count {
		values = append(values, value)
	}
	slices.SortFunc(values, func(a, b string) int {
		return cmp.Or(cmp.Compare(count[b], count[a]), cmp.Compare(a, b))
	})
	return values[:min(limit, len(values))], nil
}
