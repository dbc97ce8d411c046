// Package growth tests that the time a parser takes grows no faster than its input, but
// for a logarithm: what a stranger sends must not take the square of its length.
//
// [Check] may run in several goroutines at once: on Linux, each measures its own thread only.
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
	// steps is how much longer the longer input is, and most how many times as long it may
	// take: between the 4 of n, or a bit more of n log n, and the 16 of n², as far from
	// either as noise and caches can't reach.
	steps  = 4
	most   = 9
	rounds = 4
)

// Check makes inputs of from to limit bytes and
// fails when the time that parsing them takes grows like their square. Inputs that
// take next to no time pass. build makes an input of about n bytes; parse reads it,
// whatever it makes of it.
//
// With -short the test is skipped.
//
// The time is that of the processor on one thread, so a busy machine does not count, and
// the best of several.
func Check[T any](t *testing.T, from, limit int, build func(n int) T, parse func(input T)) {
	t.Helper()
	if testing.Short() {
		t.Skip("takes seconds")
	}
	for n := from; steps*n <= limit; n *= 2 {
		shorter, longer := build(n), build(steps*n)
		short := timeOf(func() { parse(shorter) })
		if short < measurable && 2*steps*n <= limit {
			continue
		}
		long := timeOf(func() { parse(longer) })
		for i := 0; i < rounds && long > most*short && long > plenty; i++ {
			runtime.GC() // what was left before is not this one's
			short = min(short, timeOf(func() { parse(shorter) }))
			long = min(long, timeOf(func() { parse(longer) }))
		}
		if long > most*short && long > plenty {
			t.Errorf("%d bytes take %v, and %d times as many %v", n, short, steps, long)
		}
		if long > plenty {
			return
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
