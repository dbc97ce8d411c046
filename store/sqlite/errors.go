package sqlite

import (
	"database/sql"
	"errors"
	"fmt"
	"syscall"

	sqlite3 "github.com/mattn/go-sqlite3"

	"pulseboard/store"
)

// wrap gives an error the name of the method it comes from, and makes it one of
// package store's where callers tell it apart. Every exported method defers it.
func wrap(err *error, method string) {
	*err = translate(*err)
	nameMethod(err, method)
}

// nameMethod gives an error that is translated already the name of the method it comes from.
func nameMethod(err *error, method string) {
	if *err != nil && *err != store.ErrNotFound {
		*err = fmt.Errorf("%s: %w", method, *err)
	}
}

// translate gives the errors of package store for those of SQLite that callers
// tell apart.
func translate(err error) error {
	var se sqlite3.Error
	switch {
	case err == nil:
		return nil
	case errors.Is(err, sql.ErrNoRows):
		return store.ErrNotFound
	case !errors.As(err, &se):
		return err
	case isBusy(err):
		return fmt.Errorf("%w: %w", store.ErrBusy, err)
	case se.Code == sqlite3.ErrFull, errors.Is(se.SystemErrno, syscall.ENOSPC), errors.Is(se.SystemErrno, syscall.EDQUOT):
		return fmt.Errorf("%w: %w", store.ErrFull, err)
	case se.ExtendedCode == sqlite3.ErrConstraintUnique, se.ExtendedCode == sqlite3.ErrConstraintPrimaryKey:
		return fmt.Errorf("%w: %w", store.ErrExists, err)
	case se.ExtendedCode == sqlite3.ErrConstraintForeignKey:
		return store.ErrNotFound // what the row belongs to
	case se.Code == sqlite3.ErrCorrupt, se.Code == sqlite3.ErrNotADB:
		return fmt.Errorf("the database is damaged; stop the server and put a backup in its place with `pulseboard restore FILE`: %w", err)
	}
	return err
}

func isBusy(err error) bool {
	var se sqlite3.Error
	return errors.As(err, &se) && (se.Code == sqlite3.ErrBusy || se.Code == sqlite3.ErrLocked)
}
