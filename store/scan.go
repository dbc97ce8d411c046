package store

import "time"

// Head is how far a tenant's data has come. A reader that knows the head knows
// whether it has something to read.
type Head struct {
	Events     EventSeq // the newest event
	Dashboards Revision
}

// Scan says which events to read: those kept after After whose time lies in
// [From, To). A zero From or To is open.
type Scan struct {
	After    EventSeq
	From, To time.Time
}
