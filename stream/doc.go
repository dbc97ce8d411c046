// Package stream knows who is watching. It keeps each watched view up to date,
// renders what changed once, and gives every watcher the newest state it lacks.
//
// # From a commit to a watcher
//
// A [Hub] holds one [Pool] a view: tenant, dashboard, range and variables.
// [Hub.Announce] says, after the commit, that a tenant's data moved on. A
// watched pool then refreshes: it reads the events it has not folded, compares
// readings, renders the widgets that changed, writes durably when each widget
// last changed, and only then tells its watchers. A pool refreshes because of
// announcements at most once a cycle, however many events come and however many
// people watch; after a quiet cycle it does so at once.
//
// A [Watcher] is one open stream. Its whole state is one number, the id of the
// state it has. When it may send, it asks the pool for the difference between
// that and now. The answer is a [Frame], encoded once for all watchers that ask
// the same. So a slow reader has no queue that could grow: while it is busy the
// pool moves on, and its next frame is made of the newest readings.
//
// # What is promised
//
//   - Ids of a view only grow, over restarts and jumps of the clock too.
//   - A frame is sent only after what it says about changes is on disk. A watcher
//     that comes back with a cursor gets every widget that changed since; one whose
//     cursor the view did not issue gets a snapshot.
//   - Watchers never wait for each other. A pool waits for nothing but the store.
//
// # Locks
//
// Hub.mu guards the map of pools and the heads; it is never held while reading
// the store. Pool.mu guards one view and is held during its refresh, so those who
// want that view wait for the refresh, and get its result. The order is Pool.mu
// before Hub.mu; nobody takes a Pool.mu while holding Hub.mu. [Roster] has a lock
// of its own, held for map operations only.
package stream
