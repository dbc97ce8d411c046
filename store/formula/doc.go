// Package formula knows expressions such as `100 * signups / visits`: which names one reads,
// and what it computes when each name has a value. It knows nothing of widgets or readings.
//
// Formulas are written by strangers. Whatever one says, [Parse] returns an error that says
// what would be right, or a formula that takes a time bounded by its length and gives a finite
// number or none.
//
// # Concurrency
//
// [Parse] and [Names] are safe for concurrent use. A [Formula] has memory of its own that it
// reuses, so it belongs to one goroutine at a time.
package formula
