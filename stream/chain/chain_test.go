package chain

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"math/rand/v2"
	"strconv"
	"testing"

	"pgregory.net/rapid"
)

// unpack reads a stream that was cut off after its last frame, as every stream is.
func unpack(t interface{ Fatalf(string, ...any) }, packed []byte) []byte {
	r, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		t.Fatalf("%v", err)
	}
	plain, err := io.ReadAll(r)
	if err != io.ErrUnexpectedEOF {
		t.Fatalf("after %d bytes: %v", len(plain), err)
	}
	return plain
}

// Readers come and go and miss frames; whatever each was sent it reads as it was
// meant.
func TestEveryReaderReadsWhatWasMeantForIt(t *testing.T) {
	type reader struct {
		packed, plain []byte
		run           int64
	}
	rapid.Check(t, func(t *rapid.T) {
		var c Chain
		var readers []*reader
		word := rapid.SampledFrom([]string{"event: metric_update\n", `<b id="widget-a--value">`, "17", "4", "\n\n", string(bytes.Repeat([]byte("abcdefg"), 3000)), ""})
		for range rapid.IntRange(1, 60).Draw(t, "frames") {
			plain := []byte{}
			for range rapid.IntRange(0, 8).Draw(t, "words") {
				plain = append(plain, word.Draw(t, "word")...)
			}
			f := c.Add(plain)
			for _, r := range readers {
				if rapid.IntRange(0, 9).Draw(t, "misses") == 0 {
					other := NewFrame([]byte("what it missed"))
					r.packed, r.plain, r.run = append(r.packed, other.Packed(0)...), append(r.plain, other.Plain...), 0
					continue
				}
				r.packed, r.plain, r.run = append(r.packed, f.Packed(r.run)...), append(r.plain, f.Plain...), r.run+1
			}
			if rapid.Bool().Draw(t, "joins") {
				join := NewFrame([]byte("the snapshot"))
				readers = append(readers, &reader{packed: append(bytes.Clone(Header), join.Packed(0)...), plain: bytes.Clone(join.Plain)})
			}
		}
		for i, r := range readers {
			if got := unpack(t, r.packed); !bytes.Equal(got, r.plain) {
				t.Fatalf("reader %d of %d read %d bytes, not the %d sent", i, len(readers), len(got), len(r.plain))
			}
		}
	})
}

func TestAllWhoMissNothingShareTheirBytes(t *testing.T) {
	var c Chain
	var f *Frame
	for i := range 200 {
		f = c.Add(fmt.Appendf(nil, "frame %d of many that look alike", i))
	}
	if len(f.before) > Window/20 || &f.Packed(200)[0] != &f.Packed(1000)[0] {
		t.Error("two who got everything got different bytes")
	}
	if alone := len(f.Packed(0)); len(f.Packed(200)) > alone/2 {
		t.Errorf("a frame like those before takes %d bytes, alone %d", len(f.Packed(200)), alone)
	}
}

// What was written is read before anything more is.
func TestAReaderNeverWaitsForTheNextFrame(t *testing.T) {
	reader, writer := io.Pipe()
	defer writer.Close()
	go func() { _, _ = writer.Write(Header) }()
	unpacked, err := gzip.NewReader(reader)
	if err != nil {
		t.Fatal(err)
	}
	var c Chain
	for i, packed := range [][]byte{
		NewFrame([]byte("0")).Packed(0), c.Add([]byte("1")).Packed(0), c.Add([]byte("2")).Packed(1), Stored([]byte("3")), c.Add([]byte("4")).Packed(0),
	} {
		go func() { _, _ = writer.Write(packed) }()
		got, plain := make([]byte, 1), strconv.Itoa(i)
		if _, err := io.ReadFull(unpacked, got); err != nil || string(got) != plain {
			t.Errorf("read %q, %v, want %q", got, err, plain)
		}
	}
}

func FuzzAnyFrames(f *testing.F) {
	f.Add([]byte("a\x00b\x00"), uint64(1))
	f.Fuzz(func(t *testing.T, data []byte, seed uint64) {
		random := rand.New(rand.NewPCG(seed, 0))
		var c Chain
		packed, plain, run := bytes.Clone(Header), []byte{}, int64(0)
		for frame := range bytes.SplitSeq(data, []byte{0}) {
			frame = bytes.Repeat(frame, 1+random.IntN(500))
			added := c.Add(frame)
			if random.IntN(5) == 0 {
				added, run = NewFrame(frame), -1
			}
			packed, plain, run = append(packed, added.Packed(max(0, run))...), append(plain, frame...), run+1
		}
		if got := unpack(t, packed); !bytes.Equal(got, plain) {
			t.Fatalf("%q is read as %q", plain, got)
		}
	})
}

func BenchmarkPack(b *testing.B) {
	var c Chain
	frame := bytes.Repeat([]byte(`<path d="M0 17l3 4l3 -2l3 9"/>`), 70)
	for i := range 100 {
		c.Add(fmt.Appendf(bytes.Clone(frame), "%d", i))
	}
	b.SetBytes(int64(len(frame)))
	for b.Loop() {
		c.Add(frame).Packed(1000)
	}
}
