package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"slices"
	"time"

	"github.com/jmoiron/sqlx"

	"pulseboard/store"
	"pulseboard/store/fold"
)

// rebuilder makes blocks of a rollup anew, as of the moment of a transaction: those of long
// steps of the shorter ones in them, the shortest of the events. Of events that retention
// has taken or that are damaged themselves nothing is left; a block that may lack some is
// partial.
type rebuilder struct {
	ctx    context.Context
	tx     *sqlx.Tx
	tenant store.TenantID
	row    rollupRow
	rollup fold.Rollup
	damage *damage // where damaged packs are noted

	forgotten  bool  // some events are gone
	eventsFrom int64 // seconds since the epoch from which none of them can have happened
	stepsFrom  int64 // and before which steps are gone
	quarters   map[int64]*quarter
	ahead      int64 // how many quarters to count together the next time
}

// maxAhead bounds how many quarters are counted in one scan: four days of them. Where one
// block is damaged the next may be whole, but where many are, each scan would read the same
// packs again.
const maxAhead = 4 * 96

// quarter is a step of the second tier, whose parts are counted from the events together.
type quarter struct {
	parts    map[int64]*fold.BlockBuilder
	complete bool
}

func newRebuilder(ctx context.Context, tx *sqlx.Tx, tenant store.TenantID, row rollupRow, rollup fold.Rollup, damage *damage) (*rebuilder, error) {
	var kept struct {
		retentionRow
		Forgotten store.EventSeq
		Oldest    sql.NullInt64 // when the first events that are kept came in
	}
	err := tx.GetContext(ctx, &kept, `SELECT event_days, rollup_days, forgotten,
		(SELECT received FROM segments WHERE segments.tenant_id = heads.tenant_id ORDER BY last_seq LIMIT 1) AS oldest
		FROM heads JOIN tenants ON id = tenant_id WHERE tenant_id = ?`, tenant)
	if err != nil {
		return nil, err
	}
	oldest := time.Now()
	if kept.Oldest.Valid {
		oldest = time.UnixMicro(kept.Oldest.Int64)
	}
	return &rebuilder{
		ctx: ctx, tx: tx, tenant: tenant, row: row, rollup: rollup, damage: damage,
		forgotten:  kept.Forgotten > 0,
		eventsFrom: oldest.Add(store.MaxFuture + time.Hour).Unix(), // an hour for those that came in at once
		stepsFrom:  store.Retention(kept.retentionRow).RollupsBefore(time.Now()).Unix(),
		quarters:   map[int64]*quarter{},
		ahead:      1,
	}, nil
}

// block makes a block anew and says whether it is partial.
func (r *rebuilder) block(tier, start int64) (block []byte, partial bool, err error) {
	b, err := r.build(tier, start)
	if err != nil {
		return nil, false, err
	}
	return b.Block(), b.Partial(), nil
}

func (r *rebuilder) build(tier, start int64) (*fold.BlockBuilder, error) {
	shorter := slices.Index(fold.Tiers, tier) - 1
	if shorter < 0 {
		return r.recount(start)
	}
	b := &fold.BlockBuilder{}
	parts, err := r.kept(fold.Tiers[shorter], start, start+tier)
	if err != nil {
		return nil, err
	}
	for _, part := range parts {
		if b.AddBlock(part.block) == nil {
			continue
		}
		block, _, err := r.block(part.tier, part.start)
		if err != nil {
			return nil, err
		}
		if err := b.AddBlock(block); err != nil {
			return nil, err
		}
	}
	if len(parts) == 0 || start < r.stepsFrom {
		b.Lack() // retention has taken shorter steps
	}
	return b, nil
}

// kept gives the blocks of a span.
func (r *rebuilder) kept(tier, from, to int64) (parts []newBlock, err error) {
	rows, err := r.tx.QueryContext(r.ctx, `SELECT start, cells FROM rollup_steps WHERE rollup_id = ? AND tier = ? AND start >= ? AND start < ?`, r.row.ID, tier, from, to)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		part := newBlock{tier: tier}
		if err := rows.Scan(&part.start, &part.block); err != nil {
			return nil, err
		}
		parts = append(parts, part)
	}
	return parts, rows.Err()
}

// recount makes a block of the first tier from the events.
func (r *rebuilder) recount(start int64) (*fold.BlockBuilder, error) {
	tier := fold.Tiers[1]
	at := start - (start%tier+tier)%tier
	if r.quarters[at] == nil {
		if err := r.recountQuarters(at, at+r.ahead*tier); err != nil {
			return nil, err
		}
		r.ahead = min(2*r.ahead, maxAhead)
	}
	q := r.quarters[at]
	b := q.parts[start]
	if b == nil {
		b = &fold.BlockBuilder{}
	}
	if !q.complete {
		b.Lack()
	}
	return b, nil
}

func (r *rebuilder) recountQuarters(from, to int64) error {
	builder := fold.NewRollupBuilder(r.rollup)
	scan := store.Scan{From: time.Unix(from, 0), To: time.Unix(to, 0)}
	lost, err := scanEvents(r.ctx, r.tx, r.tenant, r.row.Upto, scan, func(e *store.Event) error {
		if e.Seq <= r.row.Upto {
			builder.Add(e)
		}
		return nil
	})
	if err != nil {
		return err
	}
	r.damage.notePacks(r.tenant, lost)
	tier := fold.Tiers[1]
	for at := from; at < to; at += tier {
		r.quarters[at] = &quarter{parts: map[int64]*fold.BlockBuilder{}}
	}
	for step := range builder.Steps() {
		if step.Tier == fold.Tiers[0] {
			b := &fold.BlockBuilder{}
			b.AddStep(step)
			r.quarters[from+(step.Start-from)/tier*tier].parts[step.Start] = b
		}
	}
	for at := from; at < to; at += tier {
		lacks := slices.ContainsFunc(lost, func(l lostPack) bool {
			g := l.gap()
			return l.LastSeq <= r.row.Upto && g.From < at+tier && g.To > at
		})
		q := r.quarters[at]
		if q.complete = !lacks && (!r.forgotten || at >= r.eventsFrom); q.complete {
			continue
		}
		if q.complete, err = r.addsUp(q, at, at+tier); err != nil {
			return err
		}
	}
	return nil
}

// addsUp says whether what was counted anew in a quarter is all that was counted in it
// before: with the parts that can be read it is as many events as the whole says.
func (r *rebuilder) addsUp(q *quarter, from, to int64) (bool, error) {
	whole := &fold.BlockBuilder{}
	wholes, err := r.kept(fold.Tiers[1], from, to)
	if err != nil || len(wholes) != 1 || whole.AddBlock(wholes[0].block) != nil || whole.Partial() {
		return false, err
	}
	parts, err := r.kept(fold.Tiers[0], from, to)
	if err != nil {
		return false, err
	}
	sum := int64(0)
	for _, part := range parts {
		b := &fold.BlockBuilder{}
		if err := b.AddBlock(part.block); err != nil {
			if !errors.Is(err, store.ErrDamaged) {
				return false, err
			}
			if b = q.parts[part.start]; b == nil {
				continue
			}
		}
		sum += b.Events()
	}
	return sum == whole.Events(), nil
}
