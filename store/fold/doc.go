// Package fold turns events into readings. It is the arithmetic of Pulseboard: everything a
// widget shows is computed here.
//
// A [Fold] holds the events of one view, folded: for each widget, step and group a cell with
// just enough in it to give the widget's reading. A [Rollup] is the same kept on disk, for all
// views at once: a [RollupBuilder] folds events into steps of a few fixed lengths, the [Tiers],
// a step is kept as a block of bytes, and a Fold is restored from blocks and then adds only the
// events that no block counts.
//
// The files, from the bottom up:
//
//	sum.go, percentiles.go, uniques.go   one figure of many numbers or users, in bounded memory
//	cell.go, groups.go                   all that a metric needs of some events; cells by group
//	block.go, step.go                    the cells of one step, as kept on disk; packed in memory
//	rollup.go, builder.go                what rollups there are; how a damaged block is made anew
//	fold.go, widget.go, total.go,        the fold of a view; the part of it that a widget reads;
//	restore.go, gap.go, memory.go        what it begins with and lacks; how it stays below its limit
//
// # The law
//
// A reading depends on the set of events alone: not on their order, nor on which of them came
// from a rollup, nor on how often the window moved. Cells merge, and the merger of two cells
// reads like the cell of all their events. Sums are exact, and percentiles and uniques are
// exact up to a number of values that the files name, and estimated beyond.
//
// # Concurrency
//
// A Fold, a RollupBuilder with its steps, and a [BlockBuilder] each belong to one goroutine at
// a time; different ones share nothing that changes. A Rollup and a block never change, so any
// number of goroutines may read them. Functions are safe for concurrent use.
package fold
