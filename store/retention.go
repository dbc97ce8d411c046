package store

import (
	"fmt"
	"time"
)

// Retention is how long a tenant's data is kept, counted from when it came in: a
// history that is imported today is kept as long as what happens today.
type Retention struct {
	EventDays  int // events, which new metrics are filled from
	RollupDays int // what is counted of them for dashboards
}

// DefaultRetention is how long data is kept where nobody said otherwise.
var DefaultRetention = Retention{EventDays: 90, RollupDays: 730}

// MaxRetentionDays bounds both.
const MaxRetentionDays = 3650

// Validate says what is wrong with a retention.
func (r Retention) Validate() error {
	switch {
	case r.EventDays < 1 || r.EventDays > MaxRetentionDays:
		return fmt.Errorf("events can't be kept for %d days: use 1 to %d", r.EventDays, MaxRetentionDays)
	case r.RollupDays < r.EventDays || r.RollupDays > MaxRetentionDays:
		return fmt.Errorf("what is counted can't be kept for %d days: use %d to %d, at least as long as the events", r.RollupDays, r.EventDays, MaxRetentionDays)
	}
	return nil
}

// EventsBefore returns the moment before which events are old.
func (r Retention) EventsBefore(now time.Time) time.Time { return now.AddDate(0, 0, -r.EventDays) }

// RollupsBefore returns the moment before which rollups are old.
func (r Retention) RollupsBefore(now time.Time) time.Time { return now.AddDate(0, 0, -r.RollupDays) }

// Holdings is what the store holds of a tenant.
type Holdings struct {
	Retention
	Events  int64
	Oldest  time.Time // of the events; zero without one
	Rollups []RollupProgress
}

// RollupProgress is how far a rollup has followed the events.
type RollupProgress struct {
	What string  // what it folds, in the words of a dashboard file: "count, rate · event request"
	Done float64 // share of the events, from 0 to 1; 1 when it lacks but the newest few
	Wide bool    // it has too many groups to be kept, so it is read from the events
}
