// Package store holds the words of Pulseboard and their rules: what an [Event] is, which
// events a [Metric] counts, what a [Dashboard] may hold, which instants a [Range] covers, what
// a [Reading] is, and how a [Snapshot] and a [Delta] relate. There is a file for each noun.
//
// It imports neither SQL nor HTTP nor HTML, and none of its subpackages. Those know one
// technique each: store/fold computes readings from events, store/pack packs events into
// bytes, store/formula computes with the numbers of widgets, store/sqlite keeps things on disk,
// store/ingest reads events from wire formats, store/boardfile reads and writes dashboards as
// files, store/secret hashes what must not be kept in the clear, store/token signs embed tokens.
//
// # Concurrency
//
// Values are plain data. A value that has been handed on is not changed any more, so any number
// of goroutines may read it.
package store
