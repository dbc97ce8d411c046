package handlers

import (
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"errors"
	"io"
	"net/http"
	"net/url"
	"runtime"
	"strings"

	"github.com/klauspost/compress/zstd"

	"pulseboard/store"
)

// readBody reads a request's body as it was sent, at most store.MaxBatchBytes of it.
// Its memory is taken from share as the bytes come, for what a sender announces need not be true.
func readBody(r *http.Request, share *share) ([]byte, error) {
	if r.ContentLength > store.MaxBatchBytes {
		return nil, errTooLarge
	}
	received := receivedOf(r.Context()).body
	if received == nil {
		return nil, nil
	}
	received.allow(bodyTimeout)
	size := min(r.ContentLength+bytes.MinRead, believedSize)
	if r.ContentLength < 0 {
		size = bytes.MinRead
	}
	body, err := share.grow(nil, int(size))
	for err == nil {
		if len(body) == cap(body) {
			if body, err = share.grow(body, nextSize(cap(body), r.ContentLength)); err != nil {
				break
			}
		}
		var n int
		n, err = received.Read(body[len(body):cap(body)])
		if body = body[:len(body)+n]; len(body) > store.MaxBatchBytes {
			return nil, errTooLarge
		}
	}
	var refused *httpError
	switch {
	case err == io.EOF:
		return body, nil
	case errors.As(err, &refused):
		return nil, err
	}
	return nil, fail(http.StatusBadRequest, "incomplete", "The body broke off before its end. Nothing was kept; send it again.").because(err)
}

// nextSize gives how much memory is made ready, in bytes, for a body that has filled
// size: four times that, or what is announced if that is less.
func nextSize(size int, announced int64) int {
	next := min(4*size, store.MaxBatchBytes+bytes.MinRead)
	if whole := announced + bytes.MinRead; whole > int64(size) {
		next = min(next, int(whole))
	}
	return next
}

// unpackBody unpacks a body, to at most store.MaxBatchBytes.
func unpackBody(packed []byte, coding string) ([]byte, error) {
	if coding == "" {
		return packed, nil
	}
	unpacked, err := unpack(bytes.NewReader(packed), coding)
	if err == nil {
		defer unpacked.Close()
		packed, err = readLimited(unpacked)
	}
	if err != nil && !errors.Is(err, errTooLarge) {
		return nil, fail(http.StatusBadRequest, "unreadable", "The body could not be read as %s.", coding).because(err)
	}
	return packed, err
}

var errTooLarge = fail(http.StatusRequestEntityTooLarge, "too_large", "A batch may be %d MiB at most, unpacked. Send it in several.", store.MaxBatchBytes>>20)

// believedSize is how much memory is made ready for a body at first, in bytes, because its
// sender says that it is that large.
const believedSize = 16 << 10

// yieldingReader lets whatever else can go on do so between two reads: to unpack some MiB takes
// long beside an update that goes to a thousand screens.
type yieldingReader struct{ io.Reader }

func (r yieldingReader) Read(b []byte) (int, error) {
	runtime.Gosched()
	return r.Reader.Read(b)
}

// readLimited reads what may be a body's size; what is more gives errTooLarge.
func readLimited(r io.Reader) ([]byte, error) {
	body, err := io.ReadAll(io.LimitReader(yieldingReader{r}, store.MaxBatchBytes+1))
	if err == nil && len(body) > store.MaxBatchBytes {
		err = errTooLarge
	}
	return body, err
}

// contentCoding gives the coding of a body: gzip, zstd, or nothing for one that is sent as
// it is. Others are not read.
func contentCoding(h http.Header) (string, error) {
	switch coding := strings.ToLower(strings.TrimSpace(h.Get("Content-Encoding"))); coding {
	case "", "identity":
		return "", nil
	case "gzip", "x-gzip":
		return "gzip", nil
	case "zstd":
		return coding, nil
	default:
		return "", fail(http.StatusUnsupportedMediaType, "unsupported_encoding", "Content-Encoding %q is not supported: use identity, gzip or zstd.", coding)
	}
}

func unpack(packed io.Reader, coding string) (io.ReadCloser, error) {
	if coding == "gzip" {
		return gzip.NewReader(packed)
	}
	d, err := zstd.NewReader(packed, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(store.MaxBatchBytes))
	if err != nil {
		return nil, err
	}
	return d.IOReadCloser(), nil
}

// unwrap gives the JSON of an SDK's body: browsers send it packed without saying so
// in a header, or as the field data of a form, in base64 or as it is.
func unwrap(body []byte) ([]byte, error) {
	body, err := gunzip(body)
	if err != nil || looksLikeJSON(body) {
		return body, err
	}
	form, err := url.ParseQuery(string(body))
	if err != nil || !form.Has("data") {
		return body, nil // no form: who reads it says what is wrong
	}
	data := form.Get("data")
	if looksLikeJSON([]byte(data)) {
		return []byte(data), nil
	}
	// A plus that the sender did not escape was read as a space.
	body, err = base64.RawStdEncoding.DecodeString(strings.TrimRight(strings.ReplaceAll(strings.TrimSpace(data), " ", "+"), "="))
	if err != nil {
		return nil, fail(http.StatusBadRequest, "unreadable", "The field data of the form is neither JSON nor base64.").because(err)
	}
	return gunzip(body)
}

func looksLikeJSON(b []byte) bool {
	b = bytes.TrimSpace(b)
	return bytes.HasPrefix(b, []byte("{")) || bytes.HasPrefix(b, []byte("["))
}

// isGzip reports whether a body begins like gzip (RFC 1952, 2.3.1).
func isGzip(body []byte) bool { return bytes.HasPrefix(body, []byte{0x1f, 0x8b}) }

// gunzip unpacks what begins like gzip.
func gunzip(body []byte) ([]byte, error) {
	if !isGzip(body) {
		return body, nil
	}
	unpacked, err := gzip.NewReader(bytes.NewReader(body))
	if err == nil {
		body, err = readLimited(unpacked)
	}
	if err != nil && !errors.Is(err, errTooLarge) {
		return nil, fail(http.StatusBadRequest, "unreadable", "The body could not be read as gzip.").because(err)
	}
	return body, err
}
