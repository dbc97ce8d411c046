package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"pulseboard/store"
	"pulseboard/store/pack"
)

// EachEvent calls fn for each event of a scan, in the order of their seqs, that is kept
// when it begins. It reads piece by piece and holds nothing between, so fn may take its
// time, and use the store; what is deleted meanwhile may be missing. An error of fn ends
// it and is returned. What is damaged is left out, and then the error is store.ErrDamaged
// after all the rest.
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
	damaged := int64(0)
	for after := scan.After; after < head; {
		var row packedRow
		err := s.chores.GetContext(ctx, &row, selectPack+`INDEXED BY segments_seq
			WHERE tenant_id = ? AND last_seq > ? AND last_time >= ? AND first_time < ? ORDER BY last_seq LIMIT 1`, tenant, after, first, end)
		if errors.Is(err, sql.ErrNoRows) {
			break
		}
		if err != nil {
			return err
		}
		given := after
		after = row.LastSeq
		events, err := pack.ReadEvents(row.Packed)
		if err != nil {
			s.damage.notePacks(tenant, []lostPack{row.lostPack})
			damaged += row.Events
		}
		for i := range events {
			e := &events[i]
			if µs := e.Time.UnixMicro(); e.Seq <= given || e.Seq > head || µs < first || µs >= end {
				continue
			}
			if err := fn(e); err != nil {
				return err
			}
		}
	}
	if damaged > 0 {
		return fmt.Errorf("%w: some of %d events can't be read and were left out", store.ErrDamaged, damaged)
	}
	return nil
}
