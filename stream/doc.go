// Package stream knows who is watching. It keeps each watched view up to date,
// renders what changed once, and gives every watcher the newest state it lacks.
//
// # From a commit to a watcher
//
// A [Hub] holds one [Pool] a view: tenant, dashboard, range and variables.
// [Hub.Announce] says, after the commit, that a tenant's data moved on. A watched
// pool refreshes when some of its watchers may be sent something: it reads the
// events it has not folded, compares readings, renders the widgets that changed,
// writes durably when each last changed, and only then makes the result, a
// rendition, the current one. However many events come and however many people
// watch, that happens at most once in the shortest cadence the view is watched at;
// after a quiet time it happens at once.
//
// A [Watcher] is one open stream. What its reader has is one number, the id of a
// rendition, and every later rendition gives the difference to it, encoded once
// for all who ask the same. Watchers of the same cadence are a lane: they get
// their updates and heartbeats at the same moments, as turns, and so the same
// bytes, compressed once too (see package chain). A watcher that missed a turn, for
// its reader was slow, has no queue that could grow: it gets the difference between
// what its reader has and the newest turn, and is one of all again.
//
// Connections over plain HTTP/1 are written by a few writers (see package wire),
// others each by its goroutine in [Watcher.Run]; both ask [Watcher.Next].
//
// # Memory
//
// What each pool takes is counted as it grows and may not exceed a budget, see
// [Hub.LimitMemory]. When there is no room, the pools go that nobody uses; then views that
// nobody watches are refused, and watched ones merge groups to take their share. Views that
// have to be read from the beginning wait for their turn (see package turns) and give way to
// screens that are being brought up to date.
//
// # What is promised
//
//   - Ids of a view only grow, over restarts and jumps of the clock too.
//   - A frame is sent only after what it says about changes is on disk. A watcher
//     that comes back with a cursor gets every widget that changed since; one whose
//     cursor the view did not issue gets a snapshot. Ids that pages get while nobody watches
//     are loose: they are not on disk before a watcher comes, and another epoch tells them apart.
//   - Reading waits for no writer: a page shows what was read, and a stream begins, also
//     while another program holds the store.
//   - Watchers never wait for each other. A pool waits for nothing but the store.
//   - A heartbeat is sent only to readers that have all that their cadence allows;
//     the first follows what a stream begins with.
//   - When [Hub.Stop] returns, nothing reads or writes the store any more.
//
// # Locks
//
// Hub.mu guards the pools, the heads and the memory; it is never held while reading
// the store. Pool.flightMu guards who waits for the refresh under way; one refresh of a pool
// runs at a time, and what it reads belongs to it. Pool.keeping holds one while ids are
// written. Pool.lanesMu guards lanes and watchers and is held for
// moments. The order is Pool.lanesMu, Hub.mu, then those of the writers; flightMu is held
// with no other but that of the turns.
// What watchers read while they write, renditions and turns, never changes once it
// is published. [Roster] has a lock of its own, held for map operations only.
package stream
