package sqlite

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/jmoiron/sqlx"
)

// Backup writes a copy of the store to a new file, for its owner only: as of one moment,
// while others go on writing. The file is there when it is whole. The error is
// fs.ErrExist when there is one already.
func (s *Store) Backup(ctx context.Context, file string) (err error) {
	defer wrap(&err, "Backup")
	if _, err := os.Lstat(file); err == nil {
		return fmt.Errorf("%s: %w", file, fs.ErrExist)
	}
	part, err := os.CreateTemp(filepath.Dir(file), ".pulseboard-backup-*") // 0600
	if err != nil {
		return err
	}
	defer os.Remove(part.Name())
	defer part.Close()
	db, err := connect(s.path, s.waits.request, "", 1)
	if err != nil {
		return err
	}
	defer db.Close()
	if _, err := db.ExecContext(ctx, `VACUUM INTO ?`, part.Name()); err != nil {
		return err
	}
	if err := part.Sync(); err != nil {
		return err
	}
	if err := os.Link(part.Name(), file); err != nil { // does not replace a file
		return err
	}
	return syncFolder(filepath.Dir(file))
}

// Restore puts a copy of a backup into a folder, where nobody may be using the store,
// and says where the database that was there is kept now, if there was one. A file
// that is no sound backup changes nothing.
func Restore(ctx context.Context, dir, file string) (kept string, err error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", fmt.Errorf("the data folder %s can't be made: %w; choose another with --data", dir, pathCause(err))
	}
	// In a folder of its own, for the database may make files beside it.
	work, err := os.MkdirTemp(dir, ".restore-*")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(work)
	part, path := filepath.Join(work, File), filepath.Join(dir, File)
	if err := copyFile(part, file); err != nil {
		return "", err
	}
	if err := checkBackup(ctx, part, file); err != nil {
		return "", err
	}
	if err := unused(ctx, path); err != nil {
		return "", err
	}
	if _, err := os.Lstat(path); err == nil {
		kept = fmt.Sprintf("%s.replaced-%s", path, time.Now().UTC().Format("20060102T150405Z"))
		for _, suffix := range []string{"-wal", "-shm", ""} {
			if err := os.Rename(path+suffix, kept+suffix); err != nil && !errors.Is(err, fs.ErrNotExist) {
				return "", err
			}
		}
	}
	if err := os.Rename(part, path); err != nil {
		return kept, err
	}
	return kept, syncFolder(dir)
}

// checkBackup says what is wrong with a copy of a backup file.
func checkBackup(ctx context.Context, part, file string) error {
	bad := func(why any) error {
		return fmt.Errorf("%s is no backup that can be used: %s", file, strings.Join(strings.Fields(fmt.Sprint(why)), " "))
	}
	header := make([]byte, len(fileHeader))
	f, err := os.Open(part)
	if err != nil {
		return err
	}
	_, err = io.ReadFull(f, header)
	f.Close()
	if err != nil || string(header) != fileHeader {
		return bad("it is no SQLite file")
	}
	db, err := connect(part, lockTimeout, "", 1)
	if err != nil {
		return err
	}
	var result string
	err = db.GetContext(ctx, &result, `PRAGMA quick_check(1)`)
	version := int64(0)
	if err == nil {
		version, err = schemaVersion(ctx, db.DB)
	}
	if err := cmp.Or(err, db.Close()); err != nil {
		return bad(err)
	}
	switch {
	case result != "ok":
		return bad(result)
	case version == 0:
		return bad("pulseboard did not write it")
	}
	// Brought to this program's version, or refused as too new.
	return migrate(ctx, part, lockTimeout)
}

// unused says whether others have a database open, by the locks they hold.
func unused(ctx context.Context, path string) error {
	if _, err := os.Lstat(path); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	db, err := sqlx.Open("sqlite3", fmt.Sprintf("file:%s?_locking_mode=EXCLUSIVE&_txlock=exclusive&_busy_timeout=0", escapePath(path)))
	if err != nil {
		return err
	}
	defer db.Close()
	db.SetMaxOpenConns(1)
	tx, err := db.BeginTx(ctx, nil)
	if err == nil {
		return tx.Rollback()
	}
	if isBusy(err) {
		return fmt.Errorf("the database %s is in use: stop the server, then restore", path)
	}
	return nil // damaged, maybe, and to be replaced
}

func copyFile(to, from string) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	defer out.Close()
	if _, err := io.Copy(out, in); err != nil {
		return err
	}
	return errors.Join(out.Sync(), out.Close())
}

// syncFolder lets new names in a folder survive the loss of power.
func syncFolder(dir string) error {
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer f.Close()
	return f.Sync()
}
