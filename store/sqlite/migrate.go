package sqlite

import (
	"context"
	"database/sql"
	"embed"
	"fmt"
	"io/fs"
	"os"
	"time"

	"github.com/pressly/goose/v3"
)

//go:embed migrations/*.sql
var migrations embed.FS

// migrate brings the tables to this program's version, each step in one
// transaction. Other processes may be doing the same: the write lock orders
// them, and a step that another has made in between fails and is undone (see
// goose_db_version_once), so that looking again finds it done.
func migrate(ctx context.Context, path string, wait time.Duration) (err error) {
	// Each of goose's own tries waits anew: short waits keep the sum near wait.
	options := "&_txlock=immediate"
	if info, err := os.Stat(path); err == nil && info.Size() == 0 {
		options += "&_auto_vacuum=incremental" // can be said of a new file only
	}
	db, err := connect(path, min(wait, lockSlice), options, 1)
	if err != nil {
		return err
	}
	defer db.Close()
	for deadline := time.Now().Add(wait); ; {
		done, err := migrateOnce(ctx, db.DB, path)
		if done {
			return err
		}
		if ctx.Err() != nil || time.Now().After(deadline) {
			return openingError(path, err)
		}
		select {
		case <-ctx.Done():
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// migrateOnce makes the steps that are missing. done says that there is no use
// in trying again: all is as it should be, or err says why it can't be.
func migrateOnce(ctx context.Context, db *sql.DB, path string) (done bool, err error) {
	// A provider remembers the failure of its first try: each try has its own.
	provider, err := goose.NewProvider(goose.DialectSQLite3, db, migrationFiles(), goose.WithLogger(goose.NopLogger()),
		goose.WithGoMigrations(goose.NewGoMigration(6, &goose.GoFunc{RunTx: packEvents}, nil)))
	if err != nil {
		return true, fmt.Errorf("read this program's tables: %w", err)
	}
	sources := provider.ListSources()
	newest := sources[len(sources)-1].Version
	version, err := schemaVersion(ctx, db)
	switch {
	case err != nil && !isBusy(err):
		return true, openingError(path, err)
	case err != nil:
		return false, err
	case version > newest:
		return true, fmt.Errorf("the database %s is of version %d and this program knows versions up to %d: use the newer pulseboard, or restore a backup made by this one", path, version, newest)
	case version == newest:
		return true, nil
	}
	_, err = provider.Up(ctx)
	return err == nil, err
}

// schemaVersion gives the version of the tables, 0 for a new file.
func schemaVersion(ctx context.Context, db *sql.DB) (int64, error) {
	var tables int
	err := db.QueryRowContext(ctx, `SELECT count(*) FROM sqlite_schema WHERE name = ?`, goose.DefaultTablename).Scan(&tables)
	if err != nil || tables == 0 {
		return 0, err
	}
	var version sql.NullInt64
	err = db.QueryRowContext(ctx, `SELECT max(version_id) FROM `+goose.DefaultTablename+` WHERE is_applied`).Scan(&version)
	return version.Int64, err
}

// migrationFiles are the steps that are SQL.
func migrationFiles() fs.FS {
	steps, err := fs.Sub(migrations, "migrations")
	if err != nil {
		panic(err) // its name is wrong
	}
	return steps
}
