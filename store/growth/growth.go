// Package growth tests that the time a parser takes grows no faster than its input, but
// for a logarithm: what a stranger sends must not take the square of its length.
package growth

import (
	"runtime"
	"testing"
	"time"
)

const (
	// measurable is a time beside which what the runtime does on the side is small, and
	// plenty one that a square, if there is one, makes most of.
	measurable = 20 * time.Millisecond
	plenty     = 100 * time.Millisecond
	// most is how many times as long twice the input may take. It is 2 for n, a bit more
	// for n log n, and 4 for n².
	most   = 3
	rounds = 2
)

// Check makes inputs of from to limit bytes, each about twice as long as the one before,
// and fails when the time that parsing them takes grows like their square. Inputs that
// take next to no time pass. build makes an input of about n bytes; parse reads it,
// whatever it makes of it.
//
// The time is that of the processor on one thread, so a busy machine does not count, and
// the best of several. Growth counts when two doublings in a row show it, or the last
// one there is, as caches make for a step.
func Check[T any](t *testing.T, from, limit int, build func(n int) T, parse func(input T)) {
	t.Helper()
	steep := 0
	for n := from; 2*n <= limit; n *= 2 {
		shorter, longer := build(n), build(2*n)
		short := timeOf(func() { parse(shorter) })
		if short < measurable {
			continue
		}
		long := timeOf(func() { parse(longer) })
		for i := 0; i < rounds && long > most*short; i++ {
			runtime.GC() // what was left before is not this one's
			short = min(short, timeOf(func() { parse(shorter) }))
			long = min(long, timeOf(func() { parse(longer) }))
		}
		switch {
		case long > most*short:
			if steep++; steep == 2 || 4*n > limit {
				t.Errorf("%d bytes take %v, and twice as many %v", n, short, long)
				return
			}
		case long > plenty:
			return
		default:
			steep = 0
		}
	}
}

func timeOf(do func()) time.Duration {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	start := threadTime()
	do()
	return threadTime() - start
}
