package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"slices"
	"sync/atomic"
	"time"

	"github.com/jmoiron/sqlx"

	"pulseboard/store"
	"pulseboard/store/fold"
)

// Rollups follow the events: they are not written by those who send events but
// behind them, in bites. A rollup says up to which seq it counts the events, in the
// same transaction as its steps, so that it counts each once whatever is killed
// when; and who reads one adds the events after that seq. So a reading is exact at
// every moment, and a rollup that is new needs nothing of its own to be filled: it
// follows from the beginning.

const (
	// bite is how far rollups follow at a time, in seqs of events.
	bite = 80_000
	// biteMemory is how many bytes the builders of a bite take at most: a bite in which many
	// groups or users are new ends earlier.
	biteMemory = 32 << 20
	// followAfter is how many events rollups may be behind before they follow, so
	// that a step is written for many events at once; followEvery is how long they
	// may be.
	followAfter = 40_000
	followEvery = 5 * time.Second
)

type rollupRow struct {
	ID   int64
	Key  fold.RollupKey
	Upto store.EventSeq
	Wide bool
}

// DefineRollups makes the rollups that a tenant's dashboards read, and drops those
// that none reads any more.
func (s *Store) DefineRollups(ctx context.Context, tenant store.TenantID) (err error) {
	defer wrap(&err, "DefineRollups")
	wanted, err := s.wantedRollups(ctx, tenant)
	if err != nil {
		return err
	}
	rows, err := s.rollupRows(ctx, tenant)
	if err != nil {
		return err
	}
	var unwanted []int64
	for _, row := range rows {
		if _, ok := wanted[row.Key]; ok {
			delete(wanted, row.Key)
		} else {
			unwanted = append(unwanted, row.ID)
		}
	}
	for _, id := range unwanted {
		if err := s.dropRollup(ctx, id); err != nil {
			return err
		}
	}
	if len(wanted) == 0 {
		return nil
	}
	return s.writeBehind(ctx, func(ctx context.Context, tx *sqlx.Tx) error {
		for key := range wanted {
			if _, err := tx.ExecContext(ctx, `INSERT INTO rollups (tenant_id, key, upto, wide) VALUES (?, ?, 0, 0) ON CONFLICT DO NOTHING`, tenant, key); err != nil {
				return err
			}
		}
		return nil
	})
}

func (s *Store) wantedRollups(ctx context.Context, tenant store.TenantID) (map[fold.RollupKey]fold.Rollup, error) {
	dashboards, err := s.Dashboards(ctx, tenant)
	wanted := map[fold.RollupKey]fold.Rollup{}
	for _, d := range dashboards {
		for key, r := range fold.RollupsOf(d) {
			wanted[key] = r
		}
	}
	return wanted, err
}

func (s *Store) rollupRows(ctx context.Context, tenant store.TenantID) (rows []rollupRow, err error) {
	err = s.reader.SelectContext(ctx, &rows, `SELECT id, key, upto, wide FROM rollups WHERE tenant_id = ? ORDER BY upto`, tenant)
	return rows, err
}

// stepsDropped is how many steps of a rollup are deleted in a transaction.
const stepsDropped = 2_000

// dropRollup forgets a rollup, a few steps at a time so that nobody waits long.
func (s *Store) dropRollup(ctx context.Context, id int64) error {
	for {
		left := int64(0)
		err := s.writeBehind(ctx, func(ctx context.Context, tx *sqlx.Tx) error {
			// From now on nobody reads it or lets it follow, even if a dashboard that
			// wants it again comes while half of it is gone.
			if _, err := tx.ExecContext(ctx, `UPDATE rollups SET upto = 0, key = 'dropped ' || id WHERE id = ?`, id); err != nil {
				return err
			}
			result, err := tx.ExecContext(ctx, `DELETE FROM rollup_steps WHERE (rollup_id, tier, start) IN
				(SELECT rollup_id, tier, start FROM rollup_steps WHERE rollup_id = ? LIMIT ?)`, id, stepsDropped)
			if err != nil {
				return err
			}
			if left, err = result.RowsAffected(); err != nil || left == stepsDropped {
				return err
			}
			_, err = tx.ExecContext(ctx, `DELETE FROM rollups WHERE id = ?`, id)
			return err
		})
		if err != nil || left < stepsDropped {
			return err
		}
	}
}

// FollowRollups lets those of a tenant's rollups that are furthest behind follow
// the events, by a bite. It gives how many seqs the one furthest behind still lacks.
// Several processes may do it at once; each event is counted once.
func (s *Store) FollowRollups(ctx context.Context, tenant store.TenantID) (behind store.EventSeq, err error) {
	defer wrap(&err, "FollowRollups")
	wanted, err := s.wantedRollups(ctx, tenant)
	if err != nil {
		return 0, err
	}
	rows, err := s.rollupRows(ctx, tenant)
	if err != nil {
		return 0, err
	}
	rows = slices.DeleteFunc(rows, func(r rollupRow) bool { _, ok := wanted[r.Key]; return r.Wide || !ok })
	if len(rows) == 0 {
		return 0, nil
	}
	from := rows[0].Upto
	rows = rows[:slices.IndexFunc(append(rows, rollupRow{Upto: math.MaxInt64}), func(r rollupRow) bool { return r.Upto > from })]
	builders := make([]*fold.RollupBuilder, len(rows))
	for i, row := range rows {
		builders[i] = fold.NewRollupBuilder(wanted[row.Key])
	}
	taken := 0
	head, upto, err := s.scanBite(ctx, tenant, from, func(e *store.Event) error {
		for _, builder := range builders {
			taken += builder.Add(e)
		}
		if taken > biteMemory {
			return errEnough
		}
		return nil
	})
	if err != nil || upto == from {
		return 0, err
	}
	grown := make([]grownRollup, len(rows))
	for i, row := range rows {
		grown[i], err = s.growRollup(ctx, row, builders[i])
		if errors.Is(err, store.ErrDamaged) {
			return head - from, s.mendRollup(ctx, tenant, row.ID)
		}
		if err != nil {
			return 0, err
		}
	}
	err = s.writeBehind(ctx, func(ctx context.Context, tx *sqlx.Tx) error {
		for _, g := range grown {
			if err := g.write(ctx, tx, upto); err != nil {
				return err
			}
		}
		return nil
	})
	return head - upto, err
}

// scanBite calls fn for the events of a bite after a seq, in their order, and gives
// the head and the seq up to which there are no others. What is damaged in between is
// known as a gap then.
func (s *Store) scanBite(ctx context.Context, tenant store.TenantID, after store.EventSeq, fn func(*store.Event) error) (head, upto store.EventSeq, err error) {
	upto = after
	var lost []lostPack
	head, err = s.readAt(ctx, s.chores, tenant, func(tx *sqlx.Tx, head store.EventSeq) error {
		if head <= after {
			return nil
		}
		rows, err := tx.QueryContext(ctx, selectPack+`INDEXED BY segments_seq WHERE tenant_id = ? AND last_seq > ? ORDER BY last_seq`, tenant, after)
		if err != nil {
			return err
		}
		first := store.EventSeq(0) // after seqs of events that were deleted
		lost, err = eachEvent(rows, func(e *store.Event) error {
			if e.Seq <= after {
				return nil
			}
			if first == 0 {
				first = e.Seq
			}
			if e.Seq >= first+bite {
				return errEnough
			}
			upto = e.Seq
			return fn(e)
		})
		if err == nil {
			upto = head
		}
		if errors.Is(err, errEnough) {
			return nil
		}
		return err
	})
	if err == nil && len(lost) > 0 {
		var found []lostPack
		found, err = s.keepGaps(ctx, tenant, lost)
		s.damage.reportGaps(tenant, found)
	}
	return head, upto, err
}

// grownRollup is a rollup with the steps that a bite adds to.
type grownRollup struct {
	rollupRow
	steps []grownStep
}

type grownStep struct {
	tier, start int64
	block       []byte
}

// selectStep reads a step.
const selectStep = `SELECT cells FROM rollup_steps WHERE rollup_id = ? AND tier = ? AND start = ?`

// growRollup adds a bite to the steps of a rollup. It does so before the transaction that
// writes them, for others wait for that; if another process has added to the rollup
// meanwhile, its upto has changed and nothing of this is written.
func (s *Store) growRollup(ctx context.Context, row rollupRow, builder *fold.RollupBuilder) (g grownRollup, err error) {
	g.rollupRow = row
	for step := range builder.Steps() {
		var kept []byte
		err := s.statements.selectStep.GetContext(ctx, &kept, row.ID, step.Tier, step.Start)
		if err != nil && !errors.Is(err, sql.ErrNoRows) {
			return g, err
		}
		block, wide, err := step.Merge(kept)
		if err != nil {
			return g, fmt.Errorf("rollup %d: %w", row.ID, err)
		}
		if wide {
			g.Wide = true
			return g, nil
		}
		g.steps = append(g.steps, grownStep{step.Tier, step.Start, block})
	}
	return g, nil
}

// write writes the steps, after which the rollup counts the events up to a seq.
func (g grownRollup) write(ctx context.Context, tx *sqlx.Tx, upto store.EventSeq) error {
	moved, err := tx.ExecContext(ctx, `UPDATE rollups SET upto = ?, wide = ? WHERE id = ? AND upto = ?`, upto, g.Wide, g.ID, g.Upto)
	if err != nil {
		return err
	}
	if n, err := moved.RowsAffected(); err != nil || n == 0 || g.Wide {
		return err // another process has done it, or the rollup is gone
	}
	insert, err := tx.PreparexContext(ctx, `INSERT INTO rollup_steps (rollup_id, tier, start, cells, changed) VALUES (?, ?, ?, ?, ?)
		ON CONFLICT DO UPDATE SET cells = excluded.cells, changed = excluded.changed`)
	if err != nil {
		return err
	}
	defer insert.Close()
	today := daysOf(time.Now())
	for _, step := range g.steps {
		if _, err := insert.ExecContext(ctx, g.ID, step.tier, step.start, step.block, today); err != nil {
			return err
		}
	}
	return nil
}

// KeepRollups lets the rollups of all tenants follow the events until ctx ends.
func (s *Store) KeepRollups(ctx context.Context, log *slog.Logger) {
	known := map[store.TenantID]rollupProgress{}
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		s.mend(ctx, log)
		more := s.keepRollups(ctx, log, known)
		s.damage.say(log)
		if ctx.Err() != nil {
			return
		}
		if more {
			continue
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		case <-s.news.many:
		}
	}
}

// news says when so many events came in that rollups are to follow at once.
type news struct {
	events atomic.Int64
	many   chan struct{}
}

func (n *news) add(events int) {
	if n.events.Add(int64(events)) < followAfter {
		return
	}
	n.events.Store(0)
	select {
	case n.many <- struct{}{}:
	default: // they are about to
	}
}

type rollupProgress struct {
	store.Head
	behind bool
	at     time.Time
}

// keepRollups gives each tenant whose rollups have something to do one turn, and
// says whether any has more to do at once.
func (s *Store) keepRollups(ctx context.Context, log *slog.Logger, known map[store.TenantID]rollupProgress) (more bool) {
	heads, err := s.Heads(ctx)
	if err != nil {
		return false
	}
	for tenant, head := range heads {
		was := known[tenant]
		redefined, news := head.Dashboards != was.Dashboards, head.Events-was.Events
		if !redefined && !was.behind && (news == 0 || news < followAfter && time.Since(was.at) < followEvery) {
			continue
		}
		behind := store.EventSeq(0)
		err := error(nil)
		if redefined {
			err = s.DefineRollups(ctx, tenant)
		}
		if err == nil {
			behind, err = s.FollowRollups(ctx, tenant)
		}
		if err == nil && behind == 0 {
			err = s.mergePacks(ctx, tenant)
		}
		if err != nil {
			if ctx.Err() == nil {
				log.Error("rollups could not follow; trying again", "tenant", tenant, "error", err)
			}
			continue
		}
		known[tenant] = rollupProgress{head, behind > 0, time.Now()}
		more = more || behind > 0
	}
	return more
}
