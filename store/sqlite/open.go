package sqlite

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/jmoiron/sqlx"
	sqlite3 "github.com/mattn/go-sqlite3"

	"pulseboard/store/sqlite/ids"
)

// File is the name of the database in the data folder.
const File = "pulseboard.db"

const (
	// requestWait is how long a writer waits for another process when a request waits for
	// it, and lockTimeout when none does: in the background, or of a command.
	requestWait = 2 * time.Second
	lockTimeout = 10 * time.Second
	// lockSlice is how long a writer waits inside SQLite at a time: a wait in there
	// can't be interrupted, and callers may give up.
	lockSlice = 50 * time.Millisecond
	// logPages is the size of the log, in pages of 4 KiB, from which it is emptied
	// into the database. A longer log brings a page that changes often home once
	// for several batches.
	logPages = 8_000
)

// Store is an open data folder. Use Open.
type Store struct {
	path   string
	waits  waits
	writer *sqlx.DB
	readers

	statements statements

	ids        *ids.Index
	background background
	committer  *committer
	news       news
	damage     damage
	dashboards dashboardCache
}

// Open opens the store in a folder and brings its tables to this program's
// version. It makes the folder, for its owner only, when there is none. Errors
// say what to do; a file that can't be used is left as it is.
//
// A method that writes waits 2 s for a writer of another process, which is as long as a
// request should wait; with Patient it waits longer. Opening waits 10 s.
func Open(ctx context.Context, dir string, options ...Option) (*Store, error) {
	waits := waits{requestWait, lockTimeout}
	for _, option := range options {
		option(&waits)
	}
	return open(ctx, dir, waits)
}

// Option changes how a store is used. See Patient.
type Option func(*waits)

// Patient lets every method that writes wait 10 s for a writer of another process: for
// commands, where a person waits rather than a request.
func Patient(w *waits) { w.request = w.patience }

// waits are how long a writer waits for those of other processes: when a request waits for
// it, and when none does.
type waits struct{ request, patience time.Duration }

func open(ctx context.Context, dir string, waits waits) (_ *Store, err error) {
	path, err := prepareFile(dir)
	if err != nil {
		return nil, err
	}
	if err := migrate(ctx, path, waits.patience); err != nil {
		return nil, err
	}
	s := &Store{path: path, waits: waits, news: news{many: make(chan struct{}, 1)}}
	defer func() {
		if err != nil {
			s.Close()
		}
	}()
	if s.writer, err = connect(path, min(waits.request, lockSlice), "&_txlock=immediate"+cacheOf(writerCache), 1); err != nil {
		return nil, err
	}
	if err := s.readers.open(path, waits.request); err != nil {
		return nil, err
	}
	if err := s.check(ctx); err != nil {
		return nil, openingError(path, err)
	}
	// Another process that ends at this moment holds the file while it empties the log.
	err = s.retryBusy(func() error {
		// This one can't stand in the address. A connection that came in place of
		// the writer would lack it, and be slower, not wrong.
		if _, err := s.writer.ExecContext(ctx, fmt.Sprintf(`PRAGMA wal_autocheckpoint = %d`, logPages)); err != nil {
			return err
		}
		return s.prepare(ctx)
	})
	if err != nil {
		return nil, openingError(path, err)
	}
	s.committer = newCommitter(waits.request, func(ctx context.Context, take func() []*batch) error {
		return translate(s.keepBatches(ctx, take))
	})
	return s, nil
}

// statements are what events are kept and counted with, prepared once: in the small
// transactions of small batches, parsing them would cost as much as what they do.
type statements struct {
	headOf, moveHead, insertPack *sqlx.Stmt // of writer
	selectStep                   *sqlx.Stmt // of chores
}

func (s *Store) prepare(ctx context.Context) (err error) {
	if s.ids, err = ids.New(ctx, s.writer, s.chores, s.writeBehind); err != nil {
		return err
	}
	err = prepareAll(ctx, s.writer, map[string]**sqlx.Stmt{
		headOf:     &s.statements.headOf,
		moveHead:   &s.statements.moveHead,
		insertPack: &s.statements.insertPack,
	})
	return errors.Join(err,
		prepareAll(ctx, s.chores, map[string]**sqlx.Stmt{selectStep: &s.statements.selectStep}))
}

func prepareAll(ctx context.Context, db sqlx.PreparerContext, all map[string]**sqlx.Stmt) (err error) {
	for query, statement := range all {
		if *statement, err = sqlx.PreparexContext(ctx, db, query); err != nil {
			return err
		}
	}
	return nil
}

// prepareFile makes folder and file where there are none, readable by their
// owner only, and refuses a file that holds something else than a database.
func prepareFile(dir string) (path string, err error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", fmt.Errorf("the data folder %s can't be made: %w; choose another with --data", dir, pathCause(err))
	}
	path = filepath.Join(dir, File)
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return "", fmt.Errorf("the database %s can't be opened for writing: %w; mend its rights or choose another folder with --data", path, pathCause(err))
	}
	defer f.Close()
	header := make([]byte, 100)
	if n, _ := f.ReadAt(header, 0); n > 0 && string(header[:len(fileHeader)]) != fileHeader {
		return "", damaged(path, "it is no SQLite file")
	}
	info, err := f.Stat()
	if err != nil {
		return "", err
	}
	if log, err := os.Stat(path + "-wal"); err == nil && log.Size() > 0 {
		return path, nil // what is missing may stand in the log
	}
	if says := sizeOf(header); info.Size() < says {
		return "", damaged(path, fmt.Sprintf("it has %d of its %d bytes", info.Size(), says))
	}
	return path, nil
}

// sizeOf gives the bytes that the header of a database says it has, 0 when it says
// nothing; see https://www.sqlite.org/fileformat.html#in_header_database_size.
func sizeOf(header []byte) int64 {
	page := int64(binary.BigEndian.Uint16(header[16:]))
	if page == 1 {
		page = 1 << 16
	}
	changes, valid := binary.BigEndian.Uint32(header[24:]), binary.BigEndian.Uint32(header[92:])
	if changes != valid {
		return 0
	}
	return page * int64(binary.BigEndian.Uint32(header[28:]))
}

// checkedSize is the size up to which a database is checked as a whole when it is opened,
// which takes some ms. Of a bigger one damage shows when it is read.
const checkedSize = 32 << 20

// check says what is wrong with a small database.
func (s *Store) check(ctx context.Context) error {
	if size, err := s.Size(ctx); err != nil || size > checkedSize {
		return err
	}
	var result string
	if err := s.reader.GetContext(ctx, &result, `PRAGMA quick_check(1)`); err != nil {
		return err
	}
	if result != "ok" {
		line, _, _ := strings.Cut(strings.TrimSpace(result), "\n")
		return damaged(s.path, line)
	}
	return nil
}

// fileHeader begins every SQLite file but one that nothing was written to yet.
const fileHeader = "SQLite format 3\x00"

var errDamaged = errors.New("damaged")

func damaged(path, why string) error {
	return fmt.Errorf("the database %s is %w (%s) and was left as it is: put a backup in its place with `pulseboard restore FILE`, or choose another folder with --data", path, errDamaged, why)
}

// openingError makes what SQLite says about a file a line that says what to do.
func openingError(path string, err error) error {
	if errors.Is(err, errDamaged) {
		return err
	}
	var se sqlite3.Error
	if errors.As(err, &se) {
		switch se.Code {
		case sqlite3.ErrCorrupt, sqlite3.ErrNotADB:
			return damaged(path, se.Error())
		case sqlite3.ErrCantOpen, sqlite3.ErrReadonly, sqlite3.ErrPerm:
			return fmt.Errorf("the database %s can't be written (%w): make the folder and its files writable, or choose another with --data", path, err)
		case sqlite3.ErrBusy, sqlite3.ErrLocked:
			return fmt.Errorf("the database %s is held by another program: %w; end that, or try again", path, translate(err))
		}
	}
	return fmt.Errorf("open %s: %w", path, translate(err))
}

// pathCause drops the name of the call and the path from an error that names both.
func pathCause(err error) error {
	var pe *fs.PathError
	if errors.As(err, &pe) {
		return pe.Err
	}
	return err
}

// Close keeps what waits to be kept and ends all connections; the last one of the file empties its log.
func (s *Store) Close() error {
	if s.committer != nil {
		s.committer.close()
	}
	s.background.end()
	err := s.readers.close()
	if s.writer != nil {
		err = errors.Join(err, s.writer.Close())
	}
	return err
}

// Ping says whether the store can be read.
func (s *Store) Ping(ctx context.Context) (err error) {
	defer wrap(&err, "Ping")
	var tables int
	return s.reader.GetContext(ctx, &tables, `SELECT count(*) FROM sqlite_schema`)
}

// Size is the size of the database on disk in bytes, with its log.
func (s *Store) Size(context.Context) (bytes int64, err error) {
	defer wrap(&err, "Size")
	for _, suffix := range []string{"", "-wal"} {
		info, err := os.Stat(s.path + suffix)
		if errors.Is(err, fs.ErrNotExist) && suffix != "" {
			continue // no log is there while nobody writes
		}
		if err != nil {
			return 0, err
		}
		bytes += info.Size()
	}
	return bytes, nil
}
