package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"sync"
	"sync/atomic"
	"time"
)

const (
	futureStreams    = 100 // as many as one address may have open
	futureBatch      = 10  // streams that are opened at once
	futureBatchEvery = 250 * time.Millisecond

	// futureAgain is how long a stream that ended or was refused waits: with so many of
	// them that is the 600 connects a minute that one address may make.
	futureAgain = 10 * time.Second

	futurePatience     = 3 * time.Second // for an answer to each stream before the events come in
	futureEvents       = 30_000
	futureEventsOver   = 15 * time.Second
	futureEventsOfPost = 100
)

// futureOfAttacked attacks where others watch too; there a view has much to read first.
func futureOfAttacked(ctx context.Context, t *target, got *tally) error {
	t.watchTheFuture(ctx, got, t.bench.tokens["busy"], t.bench.attackKey, futurePatience)
	return nil
}

// futureOfFresh attacks where nothing has come in so far: all streams are open before it does.
func futureOfFresh(ctx context.Context, t *target, got *tally) error {
	t.watchTheFuture(ctx, got, t.bench.freshToken, t.bench.freshKey, futurePatience)
	return nil
}

// watchTheFuture holds streams of ranges that end in the future open, so that all that
// comes in belongs to each of them, and sends paths and users that were never there, as soon
// as each stream had an answer or it ran out of patience.
func (t *target) watchTheFuture(ctx context.Context, got *tally, token, key string, patience time.Duration) {
	c := clientAt(addressOfAttacker)
	c.Timeout = 0 // of streams
	began := time.Now()
	var answered atomic.Int64
	var all sync.WaitGroup
	for i := range futureStreams {
		all.Go(func() {
			pause(ctx, time.Duration(i/futureBatch)*futureBatchEvery)
			query := untilLater(began, i)
			query.Set("token", token)
			first := sync.OnceFunc(func() { answered.Add(1) })
			for ctx.Err() == nil {
				ask(ctx, got, "stream", func() (int, error) {
					return holdStream(ctx, c, t.url("/api/stream/dashboard/busy", query), func() {
						first()
						got.add("stream open")
					})
				})
				first()
				pause(ctx, futureAgain)
			}
		})
	}
	waitFor(patience, func() bool { return answered.Load() == futureStreams })
	t.sendNewGroups(ctx, got, key)
	all.Wait()
}

// untilLater returns a range from a minute ago to some time ahead; each number has another.
func untilLater(now time.Time, i int) url.Values {
	return url.Values{"from": {"now-1m"}, "to": {now.Add(time.Duration(i+1) * time.Minute).UTC().Format(time.RFC3339)}}
}

// holdStream reads a stream until it ends, and calls open when it gives something first.
func holdStream(ctx context.Context, c *http.Client, address string, open func()) (status int, err error) {
	r, err := http.NewRequestWithContext(ctx, "GET", address, nil)
	if err != nil {
		return 0, err
	}
	answer, err := c.Do(r)
	if err != nil {
		return 0, err
	}
	defer answer.Body.Close()
	if answer.StatusCode == http.StatusOK {
		if _, err := io.ReadFull(answer.Body, make([]byte, 1)); err != nil {
			return answer.StatusCode, err
		}
		open()
	}
	_, err = io.Copy(io.Discard, answer.Body)
	return answer.StatusCode, err
}

// sendNewGroups sends events for a while, evenly. What is refused isn't sent again.
func (t *target) sendNewGroups(ctx context.Context, got *tally, key string) {
	const posts = futureEvents / futureEventsOfPost
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	c := clientAt(addressOfAttacker)
	steadily(ctx, int(posts/futureEventsOver.Seconds()), func(i int) {
		if i >= posts {
			cancel()
			return
		}
		body := batchOfNewGroups(i)
		ask(ctx, got, "events", func() (int, error) {
			status, accepted, err := postBatch(ctx, c, t, "/api/events", key, "", body)
			got.accepted.Add(int64(len(body) * accepted / futureEventsOfPost))
			return status, err
		})
	})
}

// batchOfNewGroups has no path and no user in common with another; the widgets of the
// attacked board count all of it.
func batchOfNewGroups(i int) []byte {
	var b bytes.Buffer
	for n := i * futureEventsOfPost; n < (i+1)*futureEventsOfPost; n++ {
		fmt.Fprintf(&b, `{"event":"request","user":"f%d","properties":{"path":"/new/%d","status":200,"duration_ms":%d}}`+"\n", n, n, 1+mixed(uint64(n))%900)
	}
	return b.Bytes()
}
