package main

import (
	"fmt"
	"log/slog"
	"math"
	"os"
	"runtime/debug"

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

// otherMemory is what the program needs besides views: for streams, for batches that come in,
// for what SQLite keeps of the file.
const otherMemory = 96 << 20

// limitHeap makes the collector work harder before the program takes much more than its views
// may, where it would else wait until the heap has doubled. Who sets GOMEMLIMIT knows better.
func limitHeap(views byteSize, log *slog.Logger) {
	if os.Getenv("GOMEMLIMIT") != "" {
		return
	}
	limit := int64(views) + int64(views)/8 + otherMemory
	debug.SetMemoryLimit(limit)
	log.Debug("memory", "views", views.String(), "heap", humanize.IBytes(uint64(limit)))
}
