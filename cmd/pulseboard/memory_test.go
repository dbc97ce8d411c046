package main

import (
	"runtime"
	"testing"
)

func TestSizesAreReadAsPeopleWriteThem(t *testing.T) {
	for text, want := range map[string]byteSize{"256MiB": 256 << 20, "2GB": 2e9, "1000000": 1e6, "1 GiB": 1 << 30} {
		var b byteSize
		if err := b.UnmarshalText([]byte(text)); err != nil || b != want {
			t.Errorf("%q is %d, %v", text, b, err)
		}
	}
	for _, text := range []string{"", "much", "-1", "20EiB"} {
		var b byteSize
		if err := b.UnmarshalText([]byte(text)); err == nil {
			t.Errorf("%q is read as %d", text, b)
		}
	}
}

// The heap may always grow by as much again as what is alive besides views: else the collector
// would run without an end where many streams are open.
func TestTheHeapHasRoomForWhatIsNoView(t *testing.T) {
	const views = 256 << 20
	for _, c := range []struct{ alive, used int64 }{{0, 0}, {40 << 20, 0}, {250 << 20, 190 << 20}, {900 << 20, 0}, {900 << 20, 256 << 20}} {
		limit := heapLimit(views, c.alive, c.used)
		if other := c.alive - c.used; limit < views+2*other || limit < views+otherMemory {
			t.Errorf("with %d MiB alive, %d of them views', the limit is %d MiB", c.alive>>20, c.used>>20, limit>>20)
		}
	}
	if limit := heapLimit(views, 250<<20, 190<<20); limit > 420<<20 {
		t.Errorf("full of views the limit is %d MiB", limit>>20)
	}
	runtime.GC()
	if aliveBytes() < 100<<10 {
		t.Errorf("%d bytes are alive", aliveBytes())
	}
}
