package main

import (
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/klauspost/compress/zstd"
)

// The attacks of a sender that has an ingest key.

// bomb is a body that is much larger when it is unpacked.
type bomb struct {
	kind, coding, path string
	packed             []byte
	unpacked           int
}

const bombers = 8

func sendBombs(ctx context.Context, t *target, got *tally) error {
	bombs, err := makeBombs()
	if err != nil {
		return err
	}
	c := clientAt(addressOfAttacker)
	repeat(ctx, bombers, func(i int) {
		b := bombs[i%len(bombs)]
		ask(ctx, got, b.kind, func() (int, error) {
			status, accepted, err := postBatch(ctx, c, t, b.path, t.bench.attackKey, b.coding, b.packed)
			if accepted > 0 {
				got.accepted.Add(int64(len(b.packed)))
			}
			return status, err
		})
	})
	return nil
}

// makeBombs packs bodies that are too large, and bodies just below the limit, which the
// server has to read.
func makeBombs() (bombs []bomb, err error) {
	const most = 8 << 20 // bytes of a batch that is taken
	filled := func(head, fill, tail string) func(io.Writer) (int, error) {
		body := head + strings.Repeat(fill, (most-len(head)-len(tail))/len(fill)) + tail
		return func(w io.Writer) (int, error) { return io.WriteString(w, body) }
	}
	zeros := func(w io.Writer) (int, error) {
		n, err := io.CopyN(w, zero{}, 64<<20)
		return int(n), err
	}
	for _, b := range []struct {
		kind, path string
		write      func(io.Writer) (int, error)
	}{
		{"zeros", "/api/events", zeros},
		{"blanks", "/api/events", filled(`[{"event":"bomb"}`, " ", `]`)},
		{"nested", "/api/events", filled(`{"event":"bomb","properties":{"deep":`, "[", ``)},
		{"nested", "/v1/batch", filled(`{"batch":[{"type":"track","event":"bomb","properties":{"deep":`, `{"a":`, ``)},
		{"items", "/api/events", filled(`[{}`, ",{}", `]`)},
		{"rejected", "/api/events", func(w io.Writer) (int, error) {
			return io.WriteString(w, "["+strings.Repeat(`{"event":""},`, 9_999)+"{}]")
		}},
		{"long value", "/api/events", filled(`{"event":"bomb","properties":{"text":"`, "x", `"}}`)},
	} {
		for _, coding := range []string{"gzip", "zstd"} {
			var packed bytes.Buffer
			var to io.WriteCloser = gzip.NewWriter(&packed)
			if coding == "zstd" {
				if to, err = zstd.NewWriter(&packed); err != nil {
					return nil, err
				}
			}
			n, err := b.write(to)
			if err != nil {
				return nil, err
			}
			if err := to.Close(); err != nil {
				return nil, err
			}
			bombs = append(bombs, bomb{coding + " " + b.kind, coding, b.path, packed.Bytes(), n})
		}
	}
	return bombs, nil
}

// zero reads as zeros without an end.
type zero struct{}

func (zero) Read(b []byte) (int, error) {
	clear(b)
	return len(b), nil
}

const (
	namesOfABatch  = 1_000
	batchesASecond = 25
)

// sendNames sends events of which each has names of its own, while streams show them.
func sendNames(ctx context.Context, t *target, got *tally) error {
	c := clientAt(addressOfAttacker)
	var all sync.WaitGroup
	defer all.Wait()
	for _, board := range []string{"kinds", "lines", "busy", "table"} {
		all.Go(func() { t.watch(ctx, board) })
	}
	var batch = make(chan int)
	all.Go(func() {
		defer close(batch)
		every := time.NewTicker(time.Second / batchesASecond)
		defer every.Stop()
		for i := range names / namesOfABatch {
			select {
			case <-ctx.Done():
				return
			case <-every.C:
			}
			select {
			case <-ctx.Done():
				return
			case batch <- i:
			}
		}
	})
	together(senders, func(int) {
		for i := range batch {
			body := batchOfNames(i)
			ask(ctx, got, "", func() (int, error) {
				status, accepted, err := postBatch(ctx, c, t, "/api/events", t.bench.attackKey, "", body)
				got.accepted.Add(int64(len(body) * accepted / namesOfABatch))
				return status, err
			})
		}
	})
	return nil
}

// batchOfNames has no name in common with another.
func batchOfNames(i int) []byte {
	var b bytes.Buffer
	for n := i * namesOfABatch; n < (i+1)*namesOfABatch; n++ {
		fmt.Fprintf(&b, `{"event":"e%d","user":"x%d","properties":{"p%d":%d,"path":"/x/%d","name":"x%d"}}`+"\n", n, n, n, n, n, n)
	}
	return b.Bytes()
}

// watch holds a stream of a board of the attacked tenant open.
func (t *target) watch(ctx context.Context, board string) {
	c := clientAt(addressOfAttacker)
	c.Timeout = 0
	r, err := http.NewRequestWithContext(ctx, "GET", t.url("/api/stream/dashboard/"+board, nil)+"?token="+t.bench.tokens[board], nil)
	if err != nil {
		return
	}
	for ctx.Err() == nil {
		if answer, err := c.Do(r); err == nil {
			_, _ = io.Copy(io.Discard, answer.Body)
			answer.Body.Close()
		}
		pause(ctx, time.Second)
	}
}
