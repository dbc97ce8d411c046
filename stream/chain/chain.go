// Package chain compresses a stream of bytes once for any number of readers.
//
// All who read the same frames in the same order get the same packed bytes. Each
// packed frame ends at a byte, so it is readable at once, and refers back only to
// what its readers have: [Chain.Add] remembers what went before, and
// [Frame.Packed] is told how many frames a reader got in a row until this one.
// A reader who joined late, or missed a frame, so gets a frame that refers back
// less far, and after a few frames the same bytes as everybody. The state of a
// reader is one number.
//
// It works because DEFLATE names repetitions by their distance (RFC 1951, 3.2.4)
// and a block may begin anywhere: where a reader's history agrees for as far as a
// frame refers back, the frame reads the same.
//
// A Chain belongs to one goroutine at a time. A Frame never changes to those who
// look at it, and any number of goroutines may.
package chain

import (
	"bytes"
	"math/bits"
	"slices"
	"sync"

	"github.com/klauspost/compress/flate"
)

// Window is how far back a packed frame may refer, in bytes (RFC 1951, 2).
const Window = 32 << 10

// Header begins a gzip member (RFC 1952, 2.3.1): method deflate, no name, no time,
// system unknown. The stream has no trailer, for it has no end that all readers share.
var Header = []byte{0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff}

// Stored gives bytes as they are, in a form that fits between packed frames
// (RFC 1951, 3.2.4). At most 64 KiB. It ends with an empty block, as a packed
// frame does, for there are readers that hand on what they have at such only.
func Stored(plain []byte) []byte {
	n := uint16(len(plain))
	b := make([]byte, 0, 5+len(plain)+5)
	b = append(b, 0, byte(n), byte(n>>8), byte(^n), byte(^n>>8))
	b = append(b, plain...)
	return append(b, 0, 0, 0, 0xff, 0xff)
}

// Chain is the frames of one stream as everybody gets them who misses none.
type Chain struct {
	recent [][]byte // the frames that lie in the window, oldest first; never changed in place
	size   int      // of them, in bytes
}

// Add appends a frame. plain must not change from then on.
func (c *Chain) Add(plain []byte) *Frame {
	f := &Frame{Plain: plain, before: c.recent}
	c.recent = append(slices.Clip(c.recent), plain) // Clip: other frames look at the old ones
	c.size += len(plain)
	for len(c.recent) > 1 && c.size-len(c.recent[0]) >= Window {
		c.size -= len(c.recent[0])
		c.recent = c.recent[1:]
	}
	return f
}

// Frame is some bytes, and their packed forms as far as anybody asked for them.
type Frame struct {
	Plain []byte

	before [][]byte
	mu     sync.Mutex
	packed [maxDepths][]byte
}

// maxDepths bounds the packed forms of a frame: it has one for each power of two
// of frames in the window, and one that refers to nothing.
const maxDepths = 18

// NewFrame makes a frame that belongs to no chain.
func NewFrame(plain []byte) *Frame { return &Frame{Plain: plain} }

// Packed gives the frame for a reader who got the run frames before it, in a row,
// just before.
func (f *Frame) Packed(run int64) []byte {
	depth := depthOf(min(run, int64(len(f.before))))
	if run >= int64(len(f.before)) {
		depth = maxDepths - 1 // all there is, whatever power of two that is
	}
	if len(f.before) == 0 {
		depth = 0
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.packed[depth] == nil {
		refer := f.before
		if depth < maxDepths-1 {
			refer = f.before[len(f.before)-(1<<depth)>>1:]
		}
		f.packed[depth] = pack(f.Plain, refer)
	}
	return f.packed[depth]
}

// depthOf gives 0 for 0 and 1 + log2 of others: a reader who got n frames may be
// told to refer to the last power of two below.
func depthOf(n int64) int { return min(bits.Len64(uint64(n)), maxDepths-2) }

// level of compression. Each frame is packed once for all readers, so what it
// costs hardly counts; what it saves, every reader saves.
const level = 9

// packers are kept, for each takes most of a megabyte.
var packers = sync.Pool{New: func() any {
	w, _ := flate.NewWriter(nil, level) // the level exists
	return &packer{writer: w}
}}

type packer struct {
	writer *flate.Writer
	before []byte // reused
}

// pack compresses plain so that it may refer to what stands before it.
func pack(plain []byte, before [][]byte) []byte {
	p := packers.Get().(*packer)
	defer packers.Put(p)
	p.before = p.before[:0]
	for _, b := range before {
		p.before = append(p.before, b...)
	}
	var out bytes.Buffer
	p.writer.ResetDict(&out, p.before[max(0, len(p.before)-Window):])
	_, _ = p.writer.Write(plain) // a buffer takes everything
	_ = p.writer.Flush()
	return slices.Clip(out.Bytes())
}
