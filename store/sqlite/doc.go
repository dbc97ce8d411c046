// Package sqlite keeps Pulseboard's data in one SQLite file: tenants, users and their sessions,
// keys and secrets, dashboards, events, the rollups that count them, and what open views show. It
// knows SQL and the layout on disk; the words and their rules are package store's, folding is
// store/fold's, and the bytes of packed events are store/pack's.
//
// # Promises
//
// What a method has written when it returns without an error is on disk and survives the loss of power (WAL with
// synchronous=FULL). A method that fails has changed nothing, but for those that work in bites and
// say so. Errors that callers tell apart are those of package store.
//
// # Concurrency
//
// A [Store] may be used by any number of goroutines, and several processes may have the same file
// open: the server and commands beside it.
//
// Connections are of six kinds, and no kind takes the connections of another (connections.go):
//
//	writer   1   every transaction that writes
//	reader   4   what is read in a moment: pages, keys, sessions
//	scans    4   open views, which read the newest events
//	values   2   values of variables, which pages wait for
//	builds   6   views that are read from the beginning
//	chores   2   background work, and exports
//
// Changes, Backup and opening have short-lived connections of their own.
//
// What waits for what:
//
//   - A read waits for a connection of its kind, until its context ends, and never for a writer. It
//     sees the last commit before it began. No writer waits for a read.
//   - A write waits for its turn on the one writer, behind those that came before it, and then for
//     the file, which a writer of another process may hold. Both waits together last 2 s for a
//     request, 10 s in the background or of a command (see [Patient]); then the error is
//     store.ErrBusy. A context that ends while a write waits ends the wait. A transaction that has
//     begun is completed, because it is short.
//   - Batches of events wait in the committer, which takes one turn of the writer for all that have
//     arrived by then. Tenants take turns within it, and more events than may wait are refused at
//     once with store.ErrOverloaded (committer.go).
//   - Background work takes a turn for each bite, so a request waits behind a bite and not behind
//     the whole work. Packs are merged and events counted before the transaction that writes the
//     result.
//   - The mutexes within a Store are held for a look or an entry in memory, never during SQL.
//   - Close waits until what waits in the committer is kept and background merges have stopped.
//     KeepRollups, KeepTidy and Changes belong to their callers, who end them before.
//
// # Layout
//
// Events stand in packs (pack.go), their ids in runs (package ids), and rollups follow behind them
// (rollup.go). Packs, runs and rollups are written in bites in the background, and each bite
// leaves all as true as it was: a process that is killed between two loses nothing, and two
// processes that do the same work do it once.
//
// Blocks of rollups, packs and pages of ids that are damaged are counted anew or left out
// (mend.go), so that a bad sector stops nobody's boards and nobody's events.
package sqlite
