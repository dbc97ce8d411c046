package sqlite

import (
	"context"
	"fmt"
	"time"

	"github.com/jmoiron/sqlx"

	"pulseboard/store"
)

// write runs fn in a transaction and commits what it did, or nothing of it. It is for what
// a request waits for.
//
// It waits for the writers before it in this process and for those of others, so long in
// all as a request should; then the error is store.ErrBusy. While it waits, ctx may end
// it. Once begun it is completed: the context that fn gets does not end.
func (s *Store) write(ctx context.Context, fn func(ctx context.Context, tx *sqlx.Tx) error) error {
	return s.writeWithin(ctx, s.waits.request, fn)
}

// writeBehind does the same in the background: it waits longer.
func (s *Store) writeBehind(ctx context.Context, fn func(ctx context.Context, tx *sqlx.Tx) error) error {
	return s.writeWithin(ctx, s.waits.patience, fn)
}

func (s *Store) writeWithin(ctx context.Context, wait time.Duration, fn func(ctx context.Context, tx *sqlx.Tx) error) error {
	waiting, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	conn, err := s.writer.Connx(waiting)
	if err != nil {
		return waitedInVain(ctx, waiting, wait, err)
	}
	defer conn.Close()

	begun := context.WithoutCancel(ctx)
	tx, err := conn.BeginTxx(begun, nil)
	for ; isBusy(err); tx, err = conn.BeginTxx(begun, nil) {
		if waiting.Err() != nil {
			return waitedInVain(ctx, waiting, wait, err)
		}
	}
	if err != nil {
		return err
	}
	defer tx.Rollback() // does nothing after Commit
	if err := fn(begun, tx); err != nil {
		return err
	}
	return tx.Commit()
}

// retryBusy calls fn, which needs the file by itself, until no other process is in its
// way, for s.waits.patience at most.
func (s *Store) retryBusy(fn func() error) error {
	deadline := time.Now().Add(s.waits.patience)
	err := fn()
	for isBusy(err) && time.Now().Before(deadline) {
		err = fn()
	}
	return err
}

// waitedInVain tells a caller that gave up from a lock that stayed.
func waitedInVain(ctx, waiting context.Context, wait time.Duration, err error) error {
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case waiting.Err() != nil:
		return fmt.Errorf("%w: no turn to write within %s", store.ErrBusy, wait)
	}
	return err
}
