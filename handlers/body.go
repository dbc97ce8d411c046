package handlers

import (
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/klauspost/compress/zstd"

	"pulseboard/store"
)

// bodyTimeout bounds how long a sender may take to send a batch.
const bodyTimeout = time.Minute

// readBody reads and unpacks a request's body, at most store.MaxBatchBytes of it,
// packed and unpacked.
func readBody(w http.ResponseWriter, r *http.Request) ([]byte, error) {
	_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(bodyTimeout)) // where it is not supported, the server's own limits hold
	packed := http.MaxBytesReader(w, r.Body, store.MaxBatchBytes)
	coding := strings.ToLower(strings.TrimSpace(r.Header.Get("Content-Encoding")))
	unpacked, err := unpack(packed, coding)
	if errors.Is(err, errCoding) {
		return nil, fail(http.StatusUnsupportedMediaType, "unsupported_encoding", "Content-Encoding %q is not supported: use identity, gzip or zstd.", coding)
	}
	if err == nil {
		defer unpacked.Close()
		var body []byte
		if body, err = readLimited(unpacked, r.ContentLength); err == nil {
			return body, nil
		}
	}
	var tooMany *http.MaxBytesError
	if errors.As(err, &tooMany) || errors.Is(err, errTooLarge) {
		return nil, errTooLarge
	}
	return nil, fail(http.StatusBadRequest, "unreadable", "The body could not be read as %s.", codingName(coding)).because(err)
}

var errTooLarge = fail(http.StatusRequestEntityTooLarge, "too_large", "A batch may be %d MiB at most, unpacked. Send it in several.", store.MaxBatchBytes>>20)

// believedSize is how much memory is made ready for a body, in bytes, because its sender
// says that it is that large.
const believedSize = 1 << 20

// readLimited reads what may be a body's size; what is more gives errTooLarge. expected is
// what the sender says it is.
func readLimited(r io.Reader, expected int64) ([]byte, error) {
	var body bytes.Buffer
	body.Grow(int(min(max(expected, 0), believedSize)) + bytes.MinRead)
	if _, err := body.ReadFrom(io.LimitReader(r, store.MaxBatchBytes+1)); err != nil {
		return nil, err
	}
	if body.Len() > store.MaxBatchBytes {
		return nil, errTooLarge
	}
	return body.Bytes(), nil
}

var errCoding = errors.New("unsupported content encoding")

func codingName(coding string) string {
	if coding == "" {
		return "identity"
	}
	return coding
}

func unpack(packed io.ReadCloser, coding string) (io.ReadCloser, error) {
	switch coding {
	case "", "identity":
		return packed, nil
	case "gzip", "x-gzip":
		return gzip.NewReader(packed)
	case "zstd":
		d, err := zstd.NewReader(packed, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(store.MaxBatchBytes))
		if err != nil {
			return nil, err
		}
		return d.IOReadCloser(), nil
	}
	return nil, errCoding
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

// gunzip unpacks what begins like gzip.
func gunzip(body []byte) ([]byte, error) {
	if !bytes.HasPrefix(body, []byte{0x1f, 0x8b}) {
		return body, nil
	}
	unpacked, err := gzip.NewReader(bytes.NewReader(body))
	if err == nil {
		body, err = readLimited(unpacked, 0)
	}
	if err != nil && !errors.Is(err, errTooLarge) {
		return nil, fail(http.StatusBadRequest, "unreadable", "The body could not be read as gzip.").because(err)
	}
	return body, err
}
