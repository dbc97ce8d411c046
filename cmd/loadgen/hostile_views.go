package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"pulseboard/store"
)

// The attacks of a viewer.

// repeat calls fn again and again until ctx ends, from some goroutines at once.
func repeat(ctx context.Context, atOnce int, fn func(i int)) {
	var next atomic.Int64
	together(atOnce, func(int) {
		for ctx.Err() == nil {
			fn(int(next.Add(1)) - 1)
		}
	})
}

// ask makes a request and counts the status of its answer under a kind, but not when ctx
// ended before the answer came. After a refusal it waits for a moment, so that an attack is
// not a loop of refusals alone.
func ask(ctx context.Context, got *tally, kind string, request func() (status int, err error)) {
	status, err := request()
	switch {
	case ctx.Err() != nil:
		return
	case err != nil:
		got.add(strings.TrimSpace(kind + " " + failure(err)))
	default:
		got.add(strings.TrimSpace(fmt.Sprint(kind, " ", status)))
	}
	if err != nil || status == http.StatusTooManyRequests || status == http.StatusServiceUnavailable {
		select {
		case <-ctx.Done():
		case <-time.After(20 * time.Millisecond):
		}
	}
}

func failure(err error) string {
	var slow interface{ Timeout() bool }
	if errors.As(err, &slow) && slow.Timeout() {
		return "no answer"
	}
	return "cut"
}

// shifted returns a range of a day; each number has another.
func shifted(i int) url.Values {
	at := time.Now().Add(-time.Duration(i) * 1009 * time.Millisecond)
	return url.Values{"from": {strconv.FormatInt(at.Add(-history).UnixMilli(), 10)}, "to": {strconv.FormatInt(at.UnixMilli(), 10)}}
}

func (t *target) snapshotOf(ctx context.Context, c *http.Client, board string, query url.Values) (status int, err error) {
	query.Set("token", t.bench.tokens[board])
	return openPage(ctx, c, t.snapshot(board, query), "")
}

func snapshotsOfShiftedRanges(ctx context.Context, t *target, got *tally) error {
	c := clientAt(addressOfAttacker)
	repeat(ctx, 4, func(i int) {
		ask(ctx, got, "", func() (int, error) { return t.snapshotOf(ctx, c, "busy", shifted(i)) })
	})
	return nil
}

func pagesOfShiftedRanges(ctx context.Context, t *target, got *tally) error {
	c := clientAt(addressOfColleague)
	status, cookie, err := t.signIn(ctx, c, colleague, password)
	if err != nil || cookie == "" {
		return fmt.Errorf("the attacker can't sign in: %d, %w", status, err)
	}
	repeat(ctx, 4, func(i int) {
		ask(ctx, got, "", func() (int, error) {
			return openPage(ctx, c, t.url("/dashboards/busy", shifted(i)), cookie)
		})
	})
	return nil
}

func streamsOfShiftedRanges(ctx context.Context, t *target, got *tally) error {
	clients := clientsAtMany()
	repeat(ctx, 4, func(i int) {
		query := shifted(i)
		query.Set("token", t.bench.tokens["busy"])
		ask(ctx, got, "", func() (int, error) {
			return openStream(ctx, clients[i%len(clients)], t.url("/api/stream/dashboard/busy", query))
		})
	})
	return nil
}

// clientsAtMany returns clients of many addresses, for one address may open few streams.
func clientsAtMany() (clients []*http.Client) {
	for i := range manyOnes {
		c := clientAt(manyAddresses(i))
		c.Transport.(*http.Transport).DisableKeepAlives = true // a stream takes its connection with it
		clients = append(clients, c)
	}
	return clients
}

// openStream opens a stream, reads its first update and closes it.
func openStream(ctx context.Context, c *http.Client, address string) (status int, err error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, "GET", address, nil)
	if err != nil {
		return 0, err
	}
	answer, err := c.Do(r)
	if err != nil {
		return 0, err
	}
	defer answer.Body.Close()
	lines := bufio.NewReader(answer.Body)
	for {
		line, err := lines.ReadString('\n')
		if errors.Is(err, io.EOF) {
			return answer.StatusCode, nil
		}
		if err != nil || line == "event: metric_update\n" || line == "event: heartbeat\n" {
			return answer.StatusCode, err
		}
	}
}

func wideBoards(ctx context.Context, t *target, got *tally) error {
	c := clientAt(addressOfAttacker)
	repeat(ctx, 4, func(i int) {
		board := []string{"lines", "table"}[i%2]
		ask(ctx, got, board, func() (int, error) { return t.snapshotOf(ctx, c, board, shifted(i)) })
	})
	return nil
}

const (
	longValue = 1_900     // characters of a property's value, which may have 2,000
	hugeValue = 900 << 10 // bytes, nearly all that a request's head may have
)

func distinctVariables(ctx context.Context, t *target, got *tally) error {
	c := clientAt(addressOfAttacker)
	repeat(ctx, 4, func(i int) {
		values := []string{distinctText(i, longValue)}
		kind := "long"
		switch i % 4 {
		case 1:
			kind, values = "huge", []string{distinctText(i, hugeValue)}
		case 3:
			kind, values = "many", nil
			for n := range hugeValue / longValue {
				values = append(values, distinctText(i<<10+n, longValue))
			}
		}
		ask(ctx, got, kind, func() (int, error) {
			return t.snapshotOf(ctx, c, "picked", url.Values{"var-path": values})
		})
	})
	return nil
}

// distinctText is a text of n characters that no other number has.
func distinctText(i, n int) string {
	text := make([]byte, 0, n+16)
	for at := uint64(i) << 20; len(text) < n; at++ {
		text = strconv.AppendUint(text, mixed(at), 36)
	}
	return string(text[:n])
}

// cursorsASecond is no faster than is cheap to ask: this program shares the machine with
// the server that it measures.
const cursorsASecond = 200

// epochBits are those of an id that all ids of a view have in common.
const epochBits = 12

func inventedCursors(ctx context.Context, t *target, got *tally) error {
	clients := clientsAtMany()
	newest, err := t.newestID(ctx, clients[0], "table")
	if err != nil {
		return err
	}
	steadily(ctx, cursorsASecond, func(i int) {
		cursor := uint64(newest) - uint64(1+i)<<epochBits
		if i%4 == 3 {
			cursor = mixed(uint64(i)) >> 11
		}
		query := url.Values{"token": {t.bench.tokens["table"]}, "format": {"html"}, "last_event_id": {strconv.FormatUint(cursor, 10)}}
		ask(ctx, got, "", func() (int, error) {
			return openStream(ctx, clients[i%len(clients)], t.url("/api/stream/dashboard/table", query))
		})
	})
	return nil
}

// newestID changes a board once, so that its ids span the time since it was seeded, and
// returns the newest.
func (t *target) newestID(ctx context.Context, c *http.Client, board string) (store.Seq, error) {
	status, _, err := postBatch(ctx, c, t, "/api/events", t.bench.attackKey, "", []byte(`{"event":"request","properties":{"path":"/shop/1"}}`))
	if err != nil || status != http.StatusAccepted {
		return 0, fmt.Errorf("the attacker can't send an event: %d, %w", status, err)
	}
	r, err := http.NewRequestWithContext(ctx, "GET", t.snapshot(board, url.Values{"token": {t.bench.tokens[board]}}), nil)
	if err != nil {
		return 0, err
	}
	var snapshot struct{ ID string }
	if err := readJSON(c, r, &snapshot); err != nil {
		return 0, err
	}
	seq, ok := store.ParseSeq(snapshot.ID)
	if !ok {
		return 0, fmt.Errorf("the snapshot of %s has the id %q", board, snapshot.ID)
	}
	return seq, nil
}
