package ingest

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
)

// packings compress a text into one member.
var packings = map[string]func(string) []byte{
	"gzip": func(text string) []byte {
		var b bytes.Buffer
		w := gzip.NewWriter(&b)
		_, _ = io.WriteString(w, text)
		w.Close()
		return b.Bytes()
	},
	"zstd": func(text string) []byte {
		w, _ := zstd.NewWriter(nil)
		return w.EncodeAll([]byte(text), nil)
	},
}

// manyLines is text that takes several blocks.
func manyLines(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "line %d %x\n", i, i*i*7919)
	}
	return b.String()
}

func unpackAll(r io.Reader) (string, error) {
	in, err := Unpack(r)
	if err != nil {
		return "", err
	}
	all, err := io.ReadAll(in)
	return string(all), err
}

func TestCompressedFilesAreRecognisedByTheirBytes(t *testing.T) {
	text := manyLines(50_000)
	for name, pack := range packings {
		packed := pack(text)
		for what, data := range map[string][]byte{
			"one member":      packed,
			"several members": append(append(bytes.Clone(packed), pack("")...), pack(text)...),
			"byte by byte":    packed,
		} {
			var r io.Reader = bytes.NewReader(data)
			if what == "byte by byte" {
				r = iotest.OneByteReader(r)
			}
			got, err := unpackAll(r)
			if want := strings.Repeat(text, map[bool]int{true: 2, false: 1}[what == "several members"]); err != nil || got != want {
				t.Errorf("%s, %s: %d bytes of %d, %v", name, what, len(got), len(want), err)
			}
		}
	}
	skippable := append([]byte{0x53, 0x2a, 0x4d, 0x18, 3, 0, 0, 0, 1, 2, 3}, packings["zstd"](text)...)
	if got, err := unpackAll(bytes.NewReader(skippable)); err != nil || got != text {
		t.Errorf("zstd after what is to be skipped: %d bytes, %v", len(got), err)
	}
	for _, plain := range []string{"", "a", "\x1f\x8b", text} {
		if got, err := unpackAll(strings.NewReader(plain)); err != nil || got != plain {
			t.Errorf("%.10q: %.10q, %v", plain, got, err)
		}
	}
}

func TestATruncatedFileGivesWhatCameBefore(t *testing.T) {
	text := manyLines(200_000)
	for name, pack := range packings {
		packed := pack(text)
		for _, length := range []int{5, len(packed) / 2, len(packed) - 1} {
			got, err := unpackAll(bytes.NewReader(packed[:length]))
			bad := (*PackedError)(nil)
			if !errors.As(err, &bad) || !bad.Truncated || bad.Packing != name || !strings.HasPrefix(text, got) {
				t.Errorf("%s, %d bytes of %d: %v", name, length, len(packed), err)
			}
			if length > 5 && len(got) < len(text)/3 {
				t.Errorf("%s, %d bytes of %d give %d bytes of %d", name, length, len(packed), len(got), len(text))
			}
		}
		packed[len(packed)/2] ^= 0x55
		bad := (*PackedError)(nil)
		if _, err := unpackAll(bytes.NewReader(packed)); !errors.As(err, &bad) || bad.Truncated {
			t.Errorf("%s, damaged: %v", name, err)
		}
		broken := errors.New("the disk is broken")
		if _, err := unpackAll(io.MultiReader(bytes.NewReader(packed[:100]), iotest.ErrReader(broken))); err != broken {
			t.Errorf("%s, not readable: %v", name, err)
		}
	}
}
