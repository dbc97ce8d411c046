package main

import "testing"

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

// Many goroutines, as streams over TLS have, make no collector run without an end.
func TestTheHeapHasRoomForGoroutines(t *testing.T) {
	const views = 256 << 20
	few, many := heapLimit(views, 1<<20), heapLimit(views, 160<<20)
	if few < views+otherMemory || few > 440<<20 || many-few < 400<<20 {
		t.Errorf("with few goroutines the limit is %d MiB, with many %d MiB", few>>20, many>>20)
	}
	if n := stackBytes(); n < 1<<10 {
		t.Errorf("stacks take %d bytes", n)
	}
}
