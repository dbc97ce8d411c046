package main

import (
	"cmp"
	"crypto/sha256"
	"database/sql"
	"encoding/binary"
	"fmt"
	"path/filepath"
	"time"

	_ "github.com/mattn/go-sqlite3"

	"pulseboard/store"
	"pulseboard/store/pack"
	"pulseboard/store/sqlite"
)

// ingest: what it costs to keep events and to count them, against keeping the very
// same rows without thinking, and against the table that one usually makes.
func (cmd *metricsCmd) ingest() error {
	kept, usual := filepath.Join(cmd.scratch, "kept"), filepath.Join(cmd.scratch, "usual")
	log := weblog{time.Now().UTC().Truncate(time.Second).Add(-12 * time.Hour), 20 * time.Millisecond}
	if err := cmd.fill(kept, log); err != nil {
		return err
	}
	bareUsual, err := newPlain(usual, usualTable)
	if err != nil {
		return err
	}
	defer bareUsual.Close()
	if _, err := bareUsual.keep(log, 0, cmd.Kept, 1_000, false); err != nil {
		return err
	}
	bareRows, err := newPlain(filepath.Join(cmd.scratch, "rows"), rowsTable)
	if err != nil {
		return err
	}
	defer bareRows.Close()
	if _, err := bareRows.keep(log, 0, cmd.Kept, 1_000, false); err != nil {
		return err
	}
	at := cmd.Kept        // up to where bareRows has events
	var orderly []float64 // events a second in batches of 1,000
	for i, arm := range []struct {
		what   string
		batch  int
		late   bool
		wanted float64
	}{
		{"durable ingest, batches of 1,000 of 4 senders", 1_000, false, 0.6},
		{"durable ingest, batches of 100 of 4 senders", 100, false, 0.5},
		{"durable ingest, a fifth up to an hour late", 1_000, true, 0.4},
	} {
		var ratios, ours, bare, tableRatios, table []float64
		for round := range cmd.Rounds {
			dir := filepath.Join(cmd.scratch, fmt.Sprint("arm", i, "-", round))
			full, rows, err := cmd.bothWays(kept, dir, log, arm.batch, arm.late)
			if err != nil {
				return err
			}
			cmd.say("    %.0f and %.0f events/s", full, rows)
			ratios, ours, bare = append(ratios, full/rows), append(ours, full), append(bare, rows)
			rows, err = bareRows.keep(log, at, cmd.Burst, arm.batch, arm.late)
			if err != nil {
				return err
			}
			at += cmd.Burst
			tableRatios, table = append(tableRatios, full/rows), append(table, rows)
		}
		if i == 0 {
			orderly = ours
		}
		cmd.row(row{arm.what + ", against a row an event", atLeast, arm.wanted, middle(tableRatios), "×", fmt.Sprintf("%.0f and %.0f events/s", middle(ours), middle(table))})
		cmd.row(row{arm.what + ", against the same segments", atLeast, arm.wanted, middle(ratios), "×", fmt.Sprintf("%.0f and %.0f events/s", middle(ours), middle(bare))})
	}
	var ratios, all []float64
	for round := range cmd.Rounds {
		usual, err := bareUsual.keep(log, cmd.Kept+round*cmd.Burst, cmd.Burst, 1_000, false)
		if err != nil {
			return err
		}
		ratios, all = append(ratios, orderly[round]/usual), append(all, usual)
	}
	cmd.row(row{"durable ingest, batches of 1,000, against the usual table", atLeast, 2, middle(ratios), "×", fmt.Sprintf("which takes %.0f events/s", middle(all))})
	return nil
}

// fill makes a store that keeps events and counts them.
func (cmd *metricsCmd) fill(dir string, log weblog) error {
	k, err := openKeep(cmd.ctx, dir)
	if err != nil {
		return err
	}
	defer k.close()
	if _, err := k.take(cmd, log, 0, cmd.Kept, 1_000, false); err != nil {
		return err
	}
	return k.close()
}

// take keeps events in batches, sent by several senders at once, until all are counted,
// and gives the events a second.
func (k *keep) take(cmd *metricsCmd, log weblog, first, n, size int, lately bool) (float64, error) {
	var spent time.Duration
	for at := first; at < first+n; at += cmd.Burst {
		made := log.batch(at, min(cmd.Burst, first+n-at))
		for i := 0; lately && i < len(made); i += size {
			late(made[i:min(i+size, len(made))])
		}
		begun := time.Now()
		err := batches(0, len(made), size, senders, func(i, n int) error {
			_, err := k.Record(cmd.ctx, k.tenant, made[i:i+n], time.Now())
			return err
		})
		if err == nil {
			err = k.followed(cmd.ctx)
		}
		if err != nil {
			return 0, err
		}
		spent += time.Since(begun)
	}
	return float64(n) / spent.Seconds(), nil
}

// bothWays takes the same events into two copies of a store: as the server does, and
// as a bare loop that inserts the rows.
func (cmd *metricsCmd) bothWays(kept, dir string, log weblog, size int, lately bool) (full, bare float64, err error) {
	one, other := filepath.Join(dir, "full"), filepath.Join(dir, "bare")
	for _, to := range []string{one, other} {
		if err := copyFolder(to, kept); err != nil {
			return 0, 0, err
		}
	}
	k, err := openKeep(cmd.ctx, one)
	if err != nil {
		return 0, 0, err
	}
	full, err = k.take(cmd, log, cmd.Kept, cmd.Burst, size, lately)
	if err := cmp.Or(err, k.close()); err != nil {
		return 0, 0, err
	}
	bare, err = cmd.bareLoop(filepath.Join(other, sqlite.File), log, size, lately)
	return full, bare, err
}

func connect(path string) (*sql.DB, error) {
	db, err := sql.Open("sqlite3", "file:"+path+"?_journal_mode=WAL&_synchronous=FULL&_busy_timeout=5000&_txlock=immediate&_cache_size=-16000")
	if err != nil {
		return nil, err
	}
	db.SetMaxOpenConns(1)
	_, err = db.Exec(`PRAGMA wal_autocheckpoint = 8000`)
	return db, err
}

// bareLoop packs events and their ids and inserts the rows, in transactions of a batch,
// as pulseboard does, but looks for no duplicates and counts nothing.
func (cmd *metricsCmd) bareLoop(path string, log weblog, size int, lately bool) (perSecond float64, err error) {
	db, err := connect(path)
	if err != nil {
		return 0, err
	}
	defer db.Close()
	segment, err := db.Prepare(`INSERT INTO segments (tenant_id, first_seq, last_seq, first_time, last_time, events, received, packed) VALUES (1, ?, ?, ?, ?, ?, ?, ?)`)
	if err != nil {
		return 0, err
	}
	ids, err := db.Prepare(`INSERT INTO recent_ids (packed) VALUES (?)`)
	if err != nil {
		return 0, err
	}
	var spent time.Duration
	var packed, packedIDs []byte
	for at := cmd.Kept; at < cmd.Kept+cmd.Burst; at += size {
		events := log.batch(at, size)
		if lately {
			events = late(events)
		}
		begun := time.Now()
		for i := range events {
			events[i].Seq = store.EventSeq(at + i + 1)
		}
		packed = pack.AppendEvents(packed[:0], events)
		packedIDs = packedIDs[:0]
		for _, e := range events {
			sum := sha256.Sum256([]byte(e.Name + "\x00" + e.ID))
			packedIDs = append(packedIDs, sum[:8]...)
			packedIDs = binary.AppendVarint(packedIDs, e.Time.UnixMicro())
		}
		tx, err := db.Begin()
		if err != nil {
			return 0, err
		}
		if _, err := tx.Stmt(segment).Exec(at+1, at+size, at, at+size, size, at, packed); err != nil {
			return 0, err
		}
		if _, err := tx.Stmt(ids).Exec(packedIDs); err != nil {
			return 0, err
		}
		if err := tx.Commit(); err != nil {
			return 0, err
		}
		spent += time.Since(begun)
	}
	return float64(cmd.Burst) / spent.Seconds(), nil
}

// plain is a table with a row for each event.
type plain struct {
	*sql.DB
	insert string
}

const (
	// usualTable is what one makes first to keep events.
	usualTable = `CREATE TABLE events (id TEXT NOT NULL UNIQUE, tenant INTEGER NOT NULL, name TEXT NOT NULL, time INTEGER NOT NULL, user TEXT, properties TEXT NOT NULL);
		CREATE INDEX events_time ON events (tenant, name, time)`
	// rowsTable is the fastest that we know: neighbours in time are neighbours in the tree,
	// and it has no other index.
	rowsTable = `CREATE TABLE events (id BLOB NOT NULL, tenant INTEGER NOT NULL, name TEXT NOT NULL, time INTEGER NOT NULL, user TEXT, properties TEXT NOT NULL,
		PRIMARY KEY (tenant, name, time, id)) WITHOUT ROWID`
)

func newPlain(path, table string) (plain, error) {
	db, err := connect(path)
	if err != nil {
		return plain{}, err
	}
	_, err = db.Exec(table)
	return plain{db, `INSERT INTO events VALUES (?, 1, ?, ?, ?, ?)`}, err
}

// keep inserts events in transactions of a batch, and gives the events a second.
func (t plain) keep(log weblog, first, n, size int, lately bool) (perSecond float64, err error) {
	insert, err := t.Prepare(t.insert)
	if err != nil {
		return 0, err
	}
	defer insert.Close()
	var spent time.Duration
	for at := first; at < first+n; at += size {
		events := log.batch(at, size)
		if lately {
			events = late(events)
		}
		properties := make([]string, size)
		for i, e := range events {
			properties[i] = string(e.Properties.AppendJSON(nil))
		}
		begun := time.Now()
		tx, err := t.Begin()
		if err != nil {
			return 0, err
		}
		one := tx.Stmt(insert)
		for i, e := range events {
			if _, err := one.Exec(e.ID, e.Name, e.Time.UnixMicro(), e.User, properties[i]); err != nil {
				return 0, err
			}
		}
		if err := tx.Commit(); err != nil {
			return 0, err
		}
		spent += time.Since(begun)
	}
	return float64(n) / spent.Seconds(), nil
}
