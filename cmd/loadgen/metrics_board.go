package main

import (
	"context"
	"database/sql"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"pulseboard/store"
	"pulseboard/store/fold"
)

// board: what it costs to read a board that nobody had open.
func (cmd *metricsCmd) board() error {
	big, err := openKeep(cmd.ctx, cmd.Data)
	if err != nil {
		return err
	}
	defer big.close()
	end, err := big.LastEvent(cmd.ctx, big.tenant)
	if err != nil {
		return err
	}
	small, err := openKeep(cmd.ctx, filepath.Join(cmd.scratch, "small"))
	if err != nil {
		return err
	}
	defer small.close()
	// The newest events are the same in both, so that only what lies before them differs.
	const few, ago = 100_000, "now-6h"
	every := (loadedOver / time.Duration(cmd.Events)).Truncate(time.Microsecond)
	log := weblog{end.Add(-every * few), every}
	if _, err := small.take(cmd, log, 0, few, 1_000, false); err != nil {
		return err
	}
	if err := big.followed(cmd.ctx); err != nil {
		return err
	}
	var ratios, bigs, smalls []float64
	for range cmd.Rounds {
		ofBig, err := big.read(cmd.ctx, ago, end)
		if err != nil {
			return err
		}
		ofSmall, err := small.read(cmd.ctx, ago, end)
		if err != nil {
			return err
		}
		ratios, bigs, smalls = append(ratios, ofBig/ofSmall), append(bigs, ofBig), append(smalls, ofSmall)
	}
	kept, err := big.EventCount(cmd.ctx)
	if err != nil {
		return err
	}
	cmd.row(row{fmt.Sprintf("12 widgets over 6 h: %d events kept against %d", kept, few), atMost, 1.3, middle(ratios), "×", fmt.Sprintf("%.1f and %.1f ms", middle(bigs), middle(smalls))})
	month, err := big.read(cmd.ctx, "now-30d", end)
	if err != nil {
		return err
	}
	cmd.say("  30 days: %.1f ms", month)
	for _, other := range others {
		begun := time.Now()
		db, err := other.load(cmd, big, other.path(cmd))
		if err != nil {
			return fmt.Errorf("%s: %w", other.name, err)
		}
		cmd.say("  %s has the events after %.0f s", other.name, time.Since(begun).Seconds())
		took, err := readSQL(cmd.ctx, db, other.quantile, end)
		db.Close()
		if err != nil {
			return fmt.Errorf("%s: %w", other.name, err)
		}
		cmd.row(row{"the same over 30 days against " + other.name, atLeast, other.wanted, took / month, "×", fmt.Sprintf("%.1f and %.0f ms", month, took)})
	}
	return nil
}

// read gives the ms it takes to read the board, the median of many times.
func (k *keep) read(ctx context.Context, from string, at time.Time) (ms float64, err error) {
	r, err := store.ParseRange(from, "now")
	if err != nil {
		return 0, err
	}
	window, err := r.Window(at)
	if err != nil {
		return 0, err
	}
	view := store.View{Tenant: k.tenant, Dashboard: k.board.ID, Range: r}
	var all []float64
	for len(all) < 21 {
		begun := time.Now()
		f := fold.New(k.board, view, window)
		if _, err := k.FoldView(ctx, k.tenant, f, time.Time{}); err != nil {
			return 0, err
		}
		f.Readings()
		all = append(all, time.Since(begun).Seconds()*1e3)
	}
	return middle(all), nil
}

// otherWay is a database that has the events in a table of plain columns.
type otherWay struct {
	name     string
	wanted   float64
	quantile string // of duration_ms
	load     func(cmd *metricsCmd, from *keep, path string) (*sql.DB, error)
}

var others = []otherWay{{"plain SQL", 500, "", loadSQLite}}

func (o otherWay) path(cmd *metricsCmd) string {
	if o.name == "plain SQL" {
		return cmd.Data + ".sqlite"
	}
	return cmd.Data + ".duckdb"
}

const plainTable = `CREATE TABLE events (time BIGINT NOT NULL, name TEXT NOT NULL, user_id TEXT, path TEXT, status INTEGER, duration_ms DOUBLE, bytes DOUBLE)`

func loadSQLite(cmd *metricsCmd, from *keep, path string) (*sql.DB, error) {
	_, missing := os.Stat(path)
	db, err := connect(path)
	if err != nil || missing == nil {
		return db, err
	}
	if _, err := db.Exec(plainTable + `; CREATE INDEX events_time ON events (name, time)`); err != nil {
		return nil, err
	}
	tx, err := db.Begin()
	if err != nil {
		return nil, err
	}
	insert, err := tx.Prepare(`INSERT INTO events VALUES (?, ?, ?, ?, ?, ?, ?)`)
	if err != nil {
		return nil, err
	}
	_, err = from.ScanEvents(cmd.ctx, from.tenant, store.Scan{}, func(e *store.Event) error {
		_, err := insert.Exec(plainRow(e)...)
		return err
	})
	if err != nil {
		return nil, err
	}
	return db, tx.Commit()
}

// plainRow gives the columns of an event.
func plainRow(e *store.Event) []any {
	number := func(key string) float64 {
		v, _ := e.Field(key)
		n, _ := v.Number()
		return n
	}
	path, _ := e.Field("path")
	return []any{e.Time.UnixMicro(), e.Name, e.User, path.String(), int32(number("status")), number("duration_ms"), number("bytes")}
}

// readSQL gives the ms that the widgets of the board take as queries.
func readSQL(ctx context.Context, db *sql.DB, quantile string, end time.Time) (ms float64, err error) {
	const step = int64(6 * time.Hour / time.Microsecond)
	where := fmt.Sprintf(` FROM events WHERE name = 'request' AND time >= %d AND time < %d`, end.Add(-loadedOver).UnixMicro(), end.UnixMicro())
	slow, slowest := `SELECT `+quantile+where, `SELECT path, `+quantile+` AS slow`+where+` GROUP BY path ORDER BY slow DESC LIMIT 10`
	if quantile == "" {
		slow = `SELECT duration_ms` + where + ` ORDER BY duration_ms LIMIT 1 OFFSET (SELECT count(*) * 95 / 100` + where + `)`
		slowest = `SELECT path, min(duration_ms) AS slow FROM (SELECT path, duration_ms, percent_rank() OVER (PARTITION BY path ORDER BY duration_ms) AS rank` + where + `)
			WHERE rank >= 0.95 GROUP BY path ORDER BY slow DESC LIMIT 10`
	}
	begun := time.Now()
	for _, query := range []string{
		`SELECT count(*)` + where,
		`SELECT count(DISTINCT user_id)` + where,
		`SELECT avg(CASE WHEN status >= 500 THEN 1.0 ELSE 0 END)` + where,
		slow,
		`SELECT avg(duration_ms)` + where,
		`SELECT max(duration_ms)` + where,
		fmt.Sprintf(`SELECT time - time %% %d AS step, count(*)%s GROUP BY step`, step, where),
		fmt.Sprintf(`SELECT time - time %% %d AS step, status, count(*)%s GROUP BY step, status`, step, where),
		fmt.Sprintf(`SELECT time - time %% %d AS step, sum(bytes)%s GROUP BY step`, step, where),
		`SELECT path, count(*) AS n` + where + ` GROUP BY path ORDER BY n DESC LIMIT 10`,
		slowest,
		`SELECT path, count(*) AS n` + where + ` AND status = 404 GROUP BY path ORDER BY n DESC LIMIT 10`,
	} {
		rows, err := db.QueryContext(ctx, query)
		if err != nil {
			return 0, fmt.Errorf("%s: %w", query, err)
		}
		for rows.Next() {
		}
		if err := rows.Err(); err != nil {
			return 0, err
		}
		rows.Close()
	}
	return time.Since(begun).Seconds() * 1e3, nil
}
