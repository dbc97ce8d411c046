package main

import (
	"context"
	"fmt"
	"math"
	"os"
	"runtime/debug"
	"runtime/metrics"
	"time"

	"github.com/KimMachineGun/automemlimit/memlimit"
	"github.com/dustin/go-humanize"
)

// byteSize is a number of bytes, written as people do: 256MiB, 2GB, 1000000.
type byteSize int

// UnmarshalText reads a size. It is what flags are read by.
func (b *byteSize) UnmarshalText(text []byte) error {
	n, err := humanize.ParseBytes(string(text))
	if err != nil || n > math.MaxInt {
		return fmt.Errorf("%q is not a size: use a number of bytes, or one such as 256MiB or 2GiB", text)
	}
	*b = byteSize(n)
	return nil
}

func (b byteSize) String() string { return humanize.IBytes(uint64(b)) }

const (
	// viewShare is the part of the machine's memory that views may take by default.
	viewShare = 4
	// leastViewMemory is enough for one large view and many small ones.
	leastViewMemory byteSize = 32 << 20
	// fallbackViewMemory is for systems that do not say how much memory they have.
	fallbackViewMemory byteSize = 1 << 30
)

// viewMemory is how many bytes views may take: as told, else a quarter of what the machine has
// or the container may use.
func (cmd *serveCmd) viewMemory() byteSize {
	if cmd.ViewMemory != 0 {
		return cmd.ViewMemory
	}
	least := uint64(math.MaxUint64)
	for _, provider := range []memlimit.Provider{memlimit.FromCgroup, memlimit.FromSystem} {
		if n, err := provider(); err == nil && n > 0 {
			least = min(least, n)
		}
	}
	if least == math.MaxUint64 {
		return fallbackViewMemory
	}
	return max(leastViewMemory, byteSize(least/viewShare))
}

const (
	// otherMemory is what the program needs besides views and goroutines.
	otherMemory = 128 << 20
	// stackTimes is what a goroutine takes in times of its stack, with what it holds: streams
	// over TLS have one each.
	stackTimes = 4
	// heapLooks is how often the limit of the heap is set anew.
	heapLooks = 5 * time.Second
)

// limitHeap makes the collector work harder before the program takes much more than its views
// may, where it would else wait until the heap has doubled. If GOMEMLIMIT is set, it holds.
func limitHeap(ctx context.Context, views byteSize) {
	if os.Getenv("GOMEMLIMIT") != "" {
		return
	}
	tick := time.NewTicker(heapLooks)
	defer tick.Stop()
	for {
		debug.SetMemoryLimit(heapLimit(int64(views), stackBytes()))
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// heapLimit is the limit of the heap, in bytes, while the stacks of goroutines take so many.
func heapLimit(views, stacks int64) int64 {
	return views + views/8 + otherMemory + stackTimes*stacks
}

// stackBytes is what the stacks of goroutines take.
func stackBytes() int64 {
	samples := []metrics.Sample{{Name: "/memory/classes/heap/stacks:bytes"}}
	metrics.Read(samples)
	if samples[0].Value.Kind() != metrics.KindUint64 {
		return 0
	}
	return int64(samples[0].Value.Uint64())
}
