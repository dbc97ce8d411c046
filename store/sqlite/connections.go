package sqlite

import (
	"errors"
	"fmt"
	"time"

	"github.com/jmoiron/sqlx"
)

// pool states the connections for one kind of read. cache is how many KiB of the file SQLite keeps
// at most for each of them. It matters within one read only: as soon as anything was written, the
// next read of the connection begins with an empty cache, and finds the pages in the system's.
type pool struct{ connections, cache int }

// No kind of read takes the connections of another, so none waits behind another, however long that
// lasts. In all their caches are not bigger than 15 MiB, and idle connections have none.
var (
	// readerPool is for what is read in a moment.
	readerPool = pool{4, 512}
	// scanPool is for views that are open, which read the newest events.
	scanPool = pool{4, 512}
	// valuePool is for the values of variables, which pages wait for.
	valuePool = pool{2, 512}
	// buildPool is for views that are read from the beginning. These take seconds, and longer while
	// they give way to watchers. Package stream lets people open four at once; two more are for views
	// that are watched already and have to be read anew.
	buildPool = pool{6, 1_024}
	// chorePool is for what is done in the background, and for exports. Its cache is bigger because
	// rollups that follow read single steps from all over the file.
	chorePool = pool{2, 2_048}
)

// writerCache is what SQLite keeps of the file for the writer, in KiB.
const writerCache = 16_000

// idleTime is how long a connection that reads is kept while nobody needs it.
const idleTime = 3 * time.Minute

// readers are the connections that read, by what they are for.
type readers struct {
	reader, scans, values, builds, chores *sqlx.DB
}

func (r *readers) open(path string, wait time.Duration) error {
	var errs []error
	for _, kind := range []struct {
		db **sqlx.DB
		pool
	}{{&r.reader, readerPool}, {&r.scans, scanPool}, {&r.values, valuePool}, {&r.builds, buildPool}, {&r.chores, chorePool}} {
		db, err := kind.connect(path, wait)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		*kind.db = db
	}
	return errors.Join(errs...)
}

func (r *readers) close() error {
	var errs []error
	for _, db := range []*sqlx.DB{r.reader, r.scans, r.values, r.builds, r.chores} {
		if db != nil {
			errs = append(errs, db.Close())
		}
	}
	return errors.Join(errs...)
}

// connect makes connections that can't write.
func (p pool) connect(path string, wait time.Duration) (*sqlx.DB, error) {
	db, err := connect(path, wait, "&_query_only=1"+cacheOf(p.cache), p.connections)
	if err == nil {
		db.SetConnMaxIdleTime(idleTime)
	}
	return db, err
}

// cacheOf is the option for a cache of so many KiB.
func cacheOf(kib int) string { return fmt.Sprintf("&_cache_size=-%d", kib) }

// connect makes a pool of connections. What holds for each of them stands in the
// address: a PRAGMA sent once would reach one connection only.
func connect(path string, wait time.Duration, options string, connections int) (*sqlx.DB, error) {
	dsn := fmt.Sprintf("file:%s?_journal_mode=WAL&_synchronous=FULL&_foreign_keys=1&_busy_timeout=%d%s",
		escapePath(path), wait.Milliseconds(), options)
	db, err := sqlx.Open("sqlite3", dsn)
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", path, err)
	}
	db.SetMaxOpenConns(connections)
	db.SetMaxIdleConns(connections)
	return db, nil
}

// escapePath keeps the characters that end a path in an SQLite URI out of it.
func escapePath(path string) string {
	escaped := make([]byte, 0, len(path))
	for i := 0; i < len(path); i++ {
		switch c := path[i]; c {
		case '?', '#', '%':
			escaped = fmt.Appendf(escaped, "%%%02X", c)
		default:
			escaped = append(escaped, c)
		}
	}
	return string(escaped)
}
