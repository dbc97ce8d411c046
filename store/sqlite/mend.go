package sqlite

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/jmoiron/sqlx"

	"pulseboard/store"
	"pulseboard/store/fold"
)

// What a disk did to a block of a rollup or to a pack of events stops nobody's boards. A
// block is counted anew (rebuild.go), at once for its reader, and then on disk. A pack is left
// out, and its time becomes a gap. A reader that finds damage notes it, because readers don't
// write; KeepRollups mends what is noted, and the log says so once.

// damage is what was found and is not mended yet. The zero value is ready.
type damage struct {
	mu      sync.Mutex
	rollups map[int64]store.TenantID
	packs   map[lostPack]store.TenantID
	mended  []mended // that the log has not said yet
	gaps    []foundGap
}

// foundGap is a pack that nobody knew to be damaged.
type foundGap struct {
	tenant store.TenantID
	lostPack
}

// mended says what was done about a rollup.
type mended struct {
	tenant         store.TenantID
	rollup         fold.Rollup
	steps, partial int // blocks that were made anew; those of them that lack events
}

func (d *damage) noteRollup(tenant store.TenantID, rollup int64) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.rollups == nil {
		d.rollups = map[int64]store.TenantID{}
	}
	d.rollups[rollup] = tenant
}

func (d *damage) notePacks(tenant store.TenantID, lost []lostPack) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, l := range lost {
		if d.packs == nil {
			d.packs = map[lostPack]store.TenantID{}
		}
		d.packs[l] = tenant
	}
}

// take gives what was noted, and forgets it: what can't be mended now is noted again when
// it is next read.
func (d *damage) take() (rollups map[int64]store.TenantID, packs map[lostPack]store.TenantID) {
	d.mu.Lock()
	defer d.mu.Unlock()
	rollups, packs, d.rollups, d.packs = d.rollups, d.packs, nil, nil
	return rollups, packs
}

func (d *damage) report(m mended) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.mended = append(d.mended, m)
}

func (d *damage) reportGaps(tenant store.TenantID, found []lostPack) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, l := range found {
		d.gaps = append(d.gaps, foundGap{tenant, l})
	}
}

// say logs what was found and done.
func (d *damage) say(log *slog.Logger) {
	d.mu.Lock()
	all, gaps := d.mended, d.gaps
	d.mended, d.gaps = nil, nil
	d.mu.Unlock()
	for _, g := range gaps {
		log.Error("a pack of events is damaged and left out; widgets of its time say so", "tenant", g.tenant, "events", g.Events,
			"from", time.UnixMicro(g.FirstTime).UTC(), "to", time.UnixMicro(g.LastTime).UTC())
	}
	for _, m := range all {
		level, done := slog.LevelWarn, "a damaged rollup was counted anew"
		if m.partial > 0 {
			level, done = slog.LevelError, "a damaged rollup was counted anew, but for events that can't be read any more; its widgets say so"
		}
		log.Log(context.Background(), level, done, "tenant", m.tenant, "rollup", m.rollup.String(), "steps", m.steps, "incomplete", m.partial)
	}
}

// mend mends what was noted.
func (s *Store) mend(ctx context.Context, log *slog.Logger) {
	rollups, packs := s.damage.take()
	for tenant, lost := range byTenant(packs) {
		gaps, err := s.keepGaps(ctx, tenant, lost)
		s.damage.reportGaps(tenant, gaps)
		if err != nil && ctx.Err() == nil {
			log.Error("a damaged pack of events could not be noted; trying again when it is read", "tenant", tenant, "error", err)
		}
	}
	for tenant, damaged := range byTenant(rollups) {
		for _, id := range damaged {
			if err := s.mendRollup(ctx, tenant, id); err != nil && ctx.Err() == nil {
				log.Error("a damaged rollup could not be counted anew; trying again when it is read", "tenant", tenant, "error", err)
			}
		}
	}
	s.damage.say(log)
	if n := s.ids.TakeDamaged(); n > 0 {
		log.Error("ids of events are damaged; events that are sent again may be kept twice", "pages", n)
	}
}

func byTenant[K comparable](noted map[K]store.TenantID) map[store.TenantID][]K {
	by := map[store.TenantID][]K{}
	for what, tenant := range noted {
		by[tenant] = append(by[tenant], what)
	}
	return by
}

// mendTogether is how many blocks are mended in one transaction.
const mendTogether = 500

// mendRollup makes all damaged blocks of a rollup anew.
func (s *Store) mendRollup(ctx context.Context, tenant store.TenantID, id int64) error {
	wanted, err := s.wantedRollups(ctx, tenant)
	if err != nil {
		return err
	}
	done := mended{tenant: tenant}
	defer func() {
		if done.steps > 0 {
			s.damage.report(done)
		}
	}()
	for {
		some, rollup, err := s.rebuildSome(ctx, tenant, id, wanted)
		if err != nil || len(some) == 0 {
			return err
		}
		done.rollup = rollup
		steps, partial, err := s.replaceBlocks(ctx, id, some)
		if err != nil {
			return err
		}
		done.steps, done.partial = done.steps+steps, done.partial+partial
		if len(some) < mendTogether {
			return nil
		}
	}
}

// newBlock is what takes the place of a damaged block.
type newBlock struct {
	tier, start int64
	was, block  []byte
	partial     bool
}

// rebuildSome makes some of the damaged blocks of a rollup anew, without writing them.
func (s *Store) rebuildSome(ctx context.Context, tenant store.TenantID, id int64, wanted map[fold.RollupKey]fold.Rollup) (some []newBlock, rollup fold.Rollup, err error) {
	_, err = s.readAt(ctx, s.chores, tenant, func(tx *sqlx.Tx, _ store.EventSeq) error {
		var row rollupRow
		err := tx.GetContext(ctx, &row, `SELECT id, key, upto, wide FROM rollups WHERE id = ? AND tenant_id = ?`, id, tenant)
		if errors.Is(err, sql.ErrNoRows) {
			return nil // dropped meanwhile
		}
		known := false
		if rollup, known = wanted[row.Key]; err != nil || !known {
			return err
		}
		if some, err = damagedBlocks(ctx, tx, id, rollup); err != nil || len(some) == 0 {
			return err
		}
		r, err := newRebuilder(ctx, tx, tenant, row, rollup, &s.damage)
		if err != nil {
			return err
		}
		for i := range some {
			b := &some[i]
			if b.block, b.partial, err = r.block(b.tier, b.start); err != nil {
				return err
			}
		}
		return nil
	})
	return some, rollup, err
}

// damagedBlocks finds blocks of a rollup that can't be read, the shortest steps first.
func damagedBlocks(ctx context.Context, tx *sqlx.Tx, id int64, rollup fold.Rollup) (some []newBlock, err error) {
	rows, err := tx.QueryContext(ctx, `SELECT tier, start, cells FROM rollup_steps WHERE rollup_id = ? ORDER BY tier, start`, id)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() && len(some) < mendTogether {
		var b newBlock
		var cells sql.RawBytes
		if err := rows.Scan(&b.tier, &b.start, &cells); err != nil {
			return nil, err
		}
		if rollup.VerifyBlock(cells) != nil {
			b.was = append([]byte{}, cells...)
			some = append(some, b)
		}
	}
	return some, rows.Err()
}

// replaceBlocks writes blocks in the place of those that are still as they were found: one
// that a process has added to or mended meanwhile is right.
func (s *Store) replaceBlocks(ctx context.Context, id int64, some []newBlock) (steps, partial int, err error) {
	err = s.writeBehind(ctx, func(ctx context.Context, tx *sqlx.Tx) error {
		steps, partial = 0, 0
		for _, b := range some {
			result, err := tx.ExecContext(ctx, `UPDATE rollup_steps SET cells = ? WHERE rollup_id = ? AND tier = ? AND start = ? AND cells = ?`, b.block, id, b.tier, b.start, b.was)
			if err != nil {
				return err
			}
			n, err := result.RowsAffected()
			if err != nil {
				return err
			}
			if steps += int(n); b.partial {
				partial += int(n)
			}
		}
		return nil
	})
	return steps, partial, err
}

// lostPack is a pack that can't be read. Times are µs since the epoch.
type lostPack struct {
	LastSeq   store.EventSeq `db:"last_seq"`
	FirstTime int64          `db:"first_time"`
	LastTime  int64          `db:"last_time"`
	Events    int64
}

func (l lostPack) gap() fold.Gap {
	return fold.Gap{From: time.UnixMicro(l.FirstTime).Unix(), To: time.UnixMicro(l.LastTime).Unix() + 1}
}

// keepGaps remembers that packs are damaged, before any rollup goes past them, and gives
// those that nobody knew of.
func (s *Store) keepGaps(ctx context.Context, tenant store.TenantID, lost []lostPack) (found []lostPack, err error) {
	err = s.writeBehind(ctx, func(ctx context.Context, tx *sqlx.Tx) error {
		found = nil
		for _, l := range lost {
			result, err := tx.ExecContext(ctx, `INSERT INTO gaps (tenant_id, last_seq, first_time, last_time, events, counted)
				SELECT ?1, ?2, ?3, ?4, ?5, json_group_array(id) FROM rollups WHERE tenant_id = ?1 AND wide = 0 AND upto >= ?2
				ON CONFLICT DO NOTHING`, tenant, l.LastSeq, l.FirstTime, l.LastTime, l.Events)
			if err != nil {
				return err
			}
			if n, err := result.RowsAffected(); err != nil {
				return err
			} else if n > 0 {
				found = append(found, l)
			}
		}
		return nil
	})
	return found, err
}

// damagedPacks returns the packs of a tenant that are known to be damaged.
func (s *Store) damagedPacks(ctx context.Context, tenant store.TenantID) (map[store.EventSeq]bool, error) {
	var seqs []store.EventSeq
	err := s.chores.SelectContext(ctx, &seqs, `SELECT last_seq FROM gaps WHERE tenant_id = ?`, tenant)
	damaged := map[store.EventSeq]bool{}
	for _, seq := range seqs {
		damaged[seq] = true
	}
	return damaged, err
}

// oldGaps are those before a moment whose packs are forgotten.
const oldGaps = `FROM gaps WHERE tenant_id = ?1 AND last_time < ?2 AND last_seq <= (SELECT forgotten FROM heads WHERE tenant_id = ?1)`

// forgetGaps forgets the gaps before a moment from which rollups are kept.
func (s *Store) forgetGaps(ctx context.Context, tenant store.TenantID, before time.Time) error {
	var old int
	err := s.chores.GetContext(ctx, &old, `SELECT count(*) `+oldGaps, tenant, before.UnixMicro())
	if err != nil || old == 0 {
		return err
	}
	return s.writeBehind(ctx, func(ctx context.Context, tx *sqlx.Tx) error {
		_, err := tx.ExecContext(ctx, `DELETE `+oldGaps, tenant, before.UnixMicro())
		return err
	})
}

// lackGaps tells a fold the known gaps of its time. read are the rollups that it has begun
// with, which lack nothing that they had counted before.
func lackGaps(ctx context.Context, tx *sqlx.Tx, tenant store.TenantID, f *fold.Fold, read map[fold.RollupKey]rollupRow) error {
	var gaps []struct {
		lostPack
		Counted string
	}
	err := tx.SelectContext(ctx, &gaps, `SELECT last_seq, first_time, last_time, events, counted FROM gaps
		WHERE tenant_id = ? AND last_time >= ?`, tenant, time.Unix(f.From(), 0).UnixMicro())
	if err != nil {
		return err
	}
	for _, g := range gaps {
		var counted []int64
		if err := json.Unmarshal([]byte(g.Counted), &counted); err != nil {
			return err
		}
		for key := range f.RollupsRead() {
			if row := read[key]; row.Wide || !slices.Contains(counted, row.ID) {
				f.Lack(key, g.gap())
			}
		}
	}
	return nil
}

// lackPacks tells a fold of packs that a scan has found damaged, but for those that a
// rollup had counted.
func lackPacks(f *fold.Fold, read map[fold.RollupKey]rollupRow, lost []lostPack) {
	for key := range f.RollupsRead() {
		for _, l := range lost {
			if row := read[key]; row.Wide || row.Upto < l.LastSeq {
				f.Lack(key, l.gap())
			}
		}
	}
}
