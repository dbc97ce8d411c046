// Package store holds the words of Pulseboard and their rules: what an
// [Event] is, how a [Metric] folds events into a [Reading], which instants a
// [Range] covers, and how a [Snapshot] and a [Delta] relate.
//
// It imports neither SQL nor HTTP nor HTML. Subpackages know one technique
// each: store/sqlite keeps things on disk, store/ingest reads events from wire
// formats, store/boardfile reads and writes dashboards as files, store/secret
// hashes what must not be kept in the clear, store/token signs embed tokens.
//
// # Concurrency
//
// Values are plain data. A value that has been handed on is not changed any
// more, so it may be read by any number of goroutines. The one exception is
// [Fold], which is changed by Add and Slide and belongs to one goroutine at a
// time.
package store
