package store

import "errors"

// Errors that callers tell apart. Everything else is a failure of the store
// itself, of interest to the operator and not to the user.
var (
	// ErrNotFound: no such thing in this tenant. Another tenant's things are not found either.
	ErrNotFound = errors.New("not found")
	// ErrExists: a thing of that name is already there.
	ErrExists = errors.New("already exists")
	// ErrAmbiguous: the e-mail address belongs to users of several tenants.
	ErrAmbiguous = errors.New("belongs to several tenants")
	// ErrFull: the disk has no room. Nothing of the batch was kept.
	ErrFull = errors.New("disk is full")
	// ErrBusy: another process held the store for too long. Nothing was kept.
	ErrBusy = errors.New("store is busy")
	// ErrOverloaded: more events wait to be kept than there is room for. Nothing was
	// kept.
	ErrOverloaded = errors.New("too many events wait")
	// ErrDamaged: a block of a rollup or a pack of events is not what was written.
	ErrDamaged = errors.New("damaged")
)
