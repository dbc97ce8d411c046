package sqlite

import (
	"context"
	"database/sql"
	"errors"

	"pulseboard/store"
)

// EachEvent calls fn for each event of a scan, in the order of their seqs, that is kept
// when it begins. It reads piece by piece and holds nothing between, so fn may take its
// time, and use the store; what is deleted meanwhile may be missing. An error of fn ends
// it and is returned.
//
// The event is fn's until it returns. The error is store.ErrNotFound when there is no such
// tenant.
func (s *Store) EachEvent(ctx context.Context, tenant store.TenantID, scan store.Scan, fn func(*store.Event) error) (err error) {
	defer wrap(&err, "EachEvent")
	var head store.EventSeq
	if err := s.reader.GetContext(ctx, &head, `SELECT events FROM heads WHERE tenant_id = ?`, tenant); err != nil {
		return err
	}
	first, end := microBounds(scan.From, scan.To)
	for after := scan.After; after < head; {
		var packed []byte
		err := s.reader.GetContext(ctx, &packed, selectSegment+`INDEXED BY segments_seq
			WHERE tenant_id = ? AND last_seq > ? AND last_time >= ? AND first_time < ? ORDER BY last_seq LIMIT 1`, tenant, after, first, end)
		if errors.Is(err, sql.ErrNoRows) {
			return nil
		}
		if err != nil {
			return err
		}
		events, err := store.ReadSegment(packed)
		if err != nil {
			return err
		}
		for i := range events {
			e := &events[i]
			if µs := e.Time.UnixMicro(); e.Seq <= after || e.Seq > head || µs < first || µs >= end {
				continue
			}
			if err := fn(e); err != nil {
				return err
			}
		}
		after = max(after, events[len(events)-1].Seq)
	}
	return nil
}
