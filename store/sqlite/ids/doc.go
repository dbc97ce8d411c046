// Package ids recognises events that were kept before by their ids, of which it keeps a hash
// and two times for each, in the SQLite file of package sqlite. It knows tables of its own
// (recent_ids, id_runs, id_pages) and nothing of events on disk or of rollups; transactions and
// connections are handed to it.
//
// The ids that came in last are in memory, all of them, and on disk in the order they came. When
// they are many they become a run: sorted pages that never change, with a filter that rules out
// most ids that are not in it. [Index.Merge] puts bigger runs in the place of small ones in the
// background, and [Index.Forget] deletes old ones. So a new id costs a few bytes at the end of a
// table and a look at some filters, however many ids are kept in all. What is in memory only
// saves looking; what counts is on disk.
//
// Damaged ids stop no sender: what can still be read of a page reveals duplicates, and a filter
// is made anew from its pages. An event whose id is lost is kept again when it is sent again.
//
// # Concurrency
//
// A transaction that [Index.Begin] begins belongs to the goroutine that holds the write lock of
// the database, and ends before another begins. Other processes may write between two: Begin
// catches up with them. Merge and Forget may run beside transactions and in several processes
// at once: each of their own transactions leaves every id known, and of two merges of the same
// runs one wins. [Index.TakeDamaged] may be called at any time.
package ids
