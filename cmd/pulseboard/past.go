package main

import (
	"context"
	"errors"
	"time"

	"pulseboard/store"
	"pulseboard/store/sqlite"
)

const (
	// demoPast is how far back the demo's events reach: seven days to look at, and
	// seven to compare them with, each widened to whole steps.
	demoPast = 14*24*time.Hour + 4*time.Hour
	// demoRecent is how much of that is recorded before the server answers: the range
	// that its boards begin with, and as much to compare it with. The rest follows while
	// the server runs, the newest first, so a slow machine shows a live board at once too.
	demoRecent = 2 * time.Hour
)

// past records the events of the demo's shop from before the server was started. It
// goes by whole hours of the clock, each one transaction: an hour is there or is not,
// so a start after an interruption finds what is missing.
type past struct {
	st     *sqlite.Store
	tenant store.TenantID
	shop   *shop
	now    time.Time     // when the server was started
	reach  time.Duration // how far back it goes
}

// recordRecent records what is missing of the last hours, and the rest of the hour in
// which the server was stopped before.
func (p *past) recordRecent(ctx context.Context) error {
	recent := p.now.Add(-demoRecent).Truncate(time.Hour)
	last, err := p.st.LastEvent(ctx, p.tenant)
	switch {
	case errors.Is(err, store.ErrNotFound):
		return p.record(ctx, recent, p.now)
	case err != nil:
		return err
	}
	from := last.Truncate(time.Second).Add(time.Second)
	if from.Before(recent) {
		if err := p.record(ctx, from, hourAfter(from)); err != nil {
			return err
		}
		from = recent
	}
	return p.record(ctx, from, p.now)
}

// recordOlder records the hours before those, the newest first, that have no events yet.
func (p *past) recordOlder(ctx context.Context) error {
	for end := p.now.Add(-demoRecent).Truncate(time.Hour); end.After(p.now.Add(-p.reach)); end = end.Add(-time.Hour) {
		from := end.Add(-time.Hour)
		known, err := p.hasEvents(ctx, from, end)
		if err != nil {
			return err
		}
		if known {
			continue
		}
		if err := p.record(ctx, from, end); err != nil {
			return err
		}
	}
	return nil
}

// record simulates the time from one moment to another, hour by hour.
func (p *past) record(ctx context.Context, from, to time.Time) error {
	for from.Before(to) {
		end := hourAfter(from)
		if end.After(to) {
			end = to
		}
		var events []store.Event
		for ; from.Before(end); from = from.Add(time.Second) {
			events = append(events, p.shop.second(from)...)
		}
		if err := p.keep(ctx, events); err != nil {
			return err
		}
	}
	return nil
}

// keep records events, and waits while the store has too much else to do.
func (p *past) keep(ctx context.Context, events []store.Event) error {
	for {
		_, err := p.st.Record(ctx, p.tenant, events, p.now)
		if !errors.Is(err, store.ErrBusy) && !errors.Is(err, store.ErrOverloaded) {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(time.Second):
		}
	}
}

func hourAfter(at time.Time) time.Time { return at.Truncate(time.Hour).Add(time.Hour) }

// errSome ends a scan at the first event.
var errSome = errors.New("there is an event")

func (p *past) hasEvents(ctx context.Context, from, to time.Time) (bool, error) {
	err := p.st.EachEvent(ctx, p.tenant, store.Scan{From: from, To: to}, func(*store.Event) error { return errSome })
	if errors.Is(err, errSome) {
		return true, nil
	}
	return false, err
}
