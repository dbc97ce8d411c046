package ingest

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
)

// maxWindow bounds how far back a zstd file may refer, in bytes, and with that the memory
// it takes. It is what the zstd program takes too.
const maxWindow = 128 << 20

// packing is a form in which files are compressed.
type packing struct {
	name string
	open func(io.Reader) (io.Reader, error)
}

// packingOf recognises a file by its first bytes; ok is false when it is not compressed.
// Sources: https://www.rfc-editor.org/rfc/rfc1952, https://www.rfc-editor.org/rfc/rfc8878
func packingOf(head []byte) (p packing, ok bool) {
	switch {
	case bytes.HasPrefix(head, []byte{0x1f, 0x8b, 8}):
		return packing{"gzip", func(r io.Reader) (io.Reader, error) { return gzip.NewReader(r) }}, true
	case bytes.HasPrefix(head, []byte{0x28, 0xb5, 0x2f, 0xfd}),
		len(head) >= 4 && head[0]&0xf0 == 0x50 && bytes.Equal(head[1:4], []byte{0x2a, 0x4d, 0x18}): // to be skipped
		return packing{"zstd", func(r io.Reader) (io.Reader, error) {
			return zstd.NewReader(r, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxWindow(maxWindow), zstd.WithDecoderMaxMemory(1<<62))
		}}, true
	}
	return packing{}, false
}

// Packed says whether the first bytes of a file are those of a compressed one, and how.
func Packed(head []byte) (name string, ok bool) {
	p, ok := packingOf(head)
	return p.name, ok
}

// PackedHead is how many first bytes tell a compressed file.
const PackedHead = 4

// Unpack reads a file that may be compressed by gzip or zstd, one member or several; other
// files are read as they are. Reading gives a *PackedError where the file ends too early
// or is damaged, after all that came before it.
func Unpack(r io.Reader) (io.Reader, error) {
	source := &source{r: r}
	in := bufio.NewReaderSize(source, 64<<10)
	head, err := in.Peek(PackedHead)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	p, packed := packingOf(head)
	if !packed {
		return in, nil
	}
	u := &unpacked{packing: p.name, source: source}
	if u.r, err = p.open(in); err != nil {
		return nil, u.explain(err)
	}
	return u, nil
}

// PackedError says that a compressed file can't be read to its end.
type PackedError struct {
	Packing   string // gzip or zstd
	Truncated bool   // it ends too early; else it is damaged
	Err       error
}

// Error says whether the file is cut off or damaged.
func (e *PackedError) Error() string {
	if e.Truncated {
		return fmt.Sprintf("the file is truncated: its %s data ends too early", e.Packing)
	}
	return fmt.Sprintf("the file is damaged: its %s data can't be unpacked: %v", e.Packing, e.Err)
}

// Unwrap returns what the decompressor said.
func (e *PackedError) Unwrap() error { return e.Err }

// source keeps what went wrong when a file was read, apart from what is wrong in it.
type source struct {
	r   io.Reader
	err error
}

func (s *source) Read(p []byte) (int, error) {
	n, err := s.r.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		s.err = err
	}
	return n, err
}

type unpacked struct {
	packing string
	source  *source
	r       io.Reader
}

func (u *unpacked) Read(p []byte) (int, error) {
	n, err := u.r.Read(p)
	return n, u.explain(err)
}

func (u *unpacked) explain(err error) error {
	switch {
	case err == nil, err == io.EOF:
		return err
	case u.source.err != nil:
		return u.source.err
	}
	return &PackedError{u.packing, errors.Is(err, io.ErrUnexpectedEOF), err}
}
