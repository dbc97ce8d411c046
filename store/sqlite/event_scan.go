package sqlite

import (
	"cmp"
	"context"
	"errors"
	"math"
	"slices"
	"time"

	"github.com/jmoiron/sqlx"

	"pulseboard/store"
)

// ScanEvents calls fn for each event of a scan, once, in any order, and gives the
// head: what After has to be for the next scan to go on from here. It reads as of
// one moment. An error of fn ends the scan and is returned.
//
// The event belongs to the scan; its texts may be kept, and so may its Properties, and
// then keep those of its neighbours too. fn must not use the store: with all
// connections scanning it would wait for ever. Events that are damaged are left out, and
// widgets of their time say so. The error is store.ErrNotFound when there is no such tenant.
func (s *Store) ScanEvents(ctx context.Context, tenant store.TenantID, scan store.Scan, fn func(*store.Event) error) (head store.EventSeq, err error) {
	defer wrap(&err, "ScanEvents")
	read := func(tx *sqlx.Tx, head store.EventSeq) error {
		lost, err := scanEvents(ctx, tx, tenant, head, scan, fn)
		s.damage.notePacks(tenant, lost)
		return err
	}
	head, err = s.readAt(ctx, s.scans, tenant, func(tx *sqlx.Tx, head store.EventSeq) error {
		if head-scan.After > shortScan {
			return errLong
		}
		return read(tx, head)
	})
	if errors.Is(err, errLong) {
		return s.readAt(ctx, s.builds, tenant, read)
	}
	return head, err
}

// shortScan is how many events at the head are read on the connections for views that are open,
// which takes about a tenth of a second. A longer scan is like reading a view from the beginning,
// and uses the connections for that.
const shortScan = 100_000

// errLong ends a scan that is not for the connections that it has begun on.
var errLong = errors.New("too long a scan")

// readAt calls fn to read as of one moment, and gives the tenant's head at it. The
// error is store.ErrNotFound when there is no such tenant.
func (s *Store) readAt(ctx context.Context, db *sqlx.DB, tenant store.TenantID, fn func(tx *sqlx.Tx, head store.EventSeq) error) (head store.EventSeq, err error) {
	tx, err := db.BeginTxx(ctx, nil)
	if err != nil {
		return 0, err
	}
	defer tx.Rollback()
	if err := tx.GetContext(ctx, &head, `SELECT events FROM heads WHERE tenant_id = ?`, tenant); err != nil {
		return 0, err
	}
	return head, fn(tx, head)
}

// fewEvents is how many events at the head are looked for by seq rather than by time.
const fewEvents = 1_000_000

// scanEvents does the work of ScanEvents in a transaction, and gives the packs that it
// can't read.
func scanEvents(ctx context.Context, tx *sqlx.Tx, tenant store.TenantID, head store.EventSeq, scan store.Scan, fn func(*store.Event) error) (lost []lostPack, err error) {
	from, to := microBounds(scan.From, scan.To)
	if scan.After >= head || from >= to {
		return nil, nil
	}
	by := `INDEXED BY segments_seq `
	if head-scan.After > fewEvents {
		by = `INDEXED BY segments_time `
	}
	rows, err := tx.QueryContext(ctx, selectPack+by+`WHERE tenant_id = ? AND last_seq > ? AND last_time >= ? AND first_time < ?`,
		tenant, scan.After, from, to)
	if err != nil {
		return nil, err
	}
	return eachEvent(rows, func(e *store.Event) error {
		if µs := e.Time.UnixMicro(); e.Seq <= scan.After || µs < from || µs >= to {
			return nil
		}
		return fn(e)
	})
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

// valuesScanned bounds the events that PropertyValues looks at.
const valuesScanned = 50_000

// PropertyValues gives distinct values of a property, or of "event" or "user", as
// text: the most frequent first, ties by text, at most limit of them. Only about
// 50,000 of the newest events of the time from from, up to but not at to, are looked
// at; a zero time is open.
func (s *Store) PropertyValues(ctx context.Context, tenant store.TenantID, property string, from, to time.Time, limit int) (values []string, err error) {
	defer wrap(&err, "PropertyValues")
	first, end := microBounds(from, to)
	rows, err := s.values.QueryContext(ctx, selectPack+`INDEXED BY segments_time
		WHERE tenant_id = ? AND last_time >= ? AND first_time < ? ORDER BY last_time DESC`, tenant, first, end)
	if err != nil {
		return nil, err
	}
	count := map[string]int{}
	seen := 0
	lost, err := eachEvent(rows, func(e *store.Event) error {
		if seen == valuesScanned {
			return errEnough
		}
		if µs := e.Time.UnixMicro(); µs < first || µs >= end {
			return nil
		}
		seen++
		if v, ok := e.Field(property); ok {
			count[v.String()]++
		}
		return nil
	})
	s.damage.notePacks(tenant, lost)
	if err != nil && !errors.Is(err, errEnough) {
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

// errEnough ends a scan that has seen enough.
var errEnough = errors.New("enough")
