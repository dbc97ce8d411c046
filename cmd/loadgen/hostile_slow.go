package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"
)

const (
	slowOnes  = 64 // senders of each kind
	slowBytes = 2_000
)

// slowSender sends a request whose body comes a byte a second.
type slowSender struct{ kind, method, path, header string }

func sendSlowly(ctx context.Context, t *target, got *tally) error {
	key := "Authorization: Bearer " + t.bench.attackKey + "\r\n"
	const form = "Content-Type: application/x-www-form-urlencoded\r\n"
	var senders []slowSender
	for i := range slowOnes {
		senders = append(senders, slowSender{"keyed", "POST", "/api/events", key}, slowSender{"keyless", "POST", "/v1/batch", ""},
			[]slowSender{{"page", "POST", "/login", form}, {"page", "GET", "/healthz", ""}}[i%2])
	}
	var all sync.WaitGroup
	all.Go(func() {
		together(len(senders), func(i int) {
			for ctx.Err() == nil {
				status, err := senders[i].send(ctx, t.address, manyAddresses(i))
				got.add(senders[i].kind + " " + outcome(ctx, status, err))
				pause(ctx, time.Second)
			}
		})
	})
	all.Go(func() { steadily(ctx, 20, func(i int) { t.sendHalfClosed(ctx, i, got) }) })
	all.Go(func() { steadily(ctx, 20, func(int) { t.sendCut(ctx, got) }) })
	all.Wait()
	return nil
}

// outcome names how a slow request ended.
func outcome(ctx context.Context, status int, err error) string {
	switch {
	case status != 0:
		return fmt.Sprint(status)
	case ctx.Err() != nil:
		return "held to the end"
	case err != nil:
		return "cut"
	}
	return "closed"
}

func pause(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}

// send sends until the server answers or closes, or ctx ends; then the status is 0.
func (s slowSender) send(ctx context.Context, address, from string) (status int, err error) {
	conn, err := dialer(from).DialContext(ctx, "tcp", address)
	if err != nil {
		return 0, err
	}
	defer conn.Close()
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	defer stop()
	if _, err := fmt.Fprintf(conn, "%s %s HTTP/1.1\r\nHost: %s\r\n%sContent-Length: %d\r\n\r\n", s.method, s.path, address, s.header, slowBytes); err != nil {
		return 0, err
	}
	answered := make(chan struct{})
	go func() {
		defer close(answered)
		status = readStatus(conn)
	}()
	body := `{"event":"slow","properties":{"text":"` + strings.Repeat("x", slowBytes)
	for i := range slowBytes {
		select {
		case <-answered:
			return status, nil
		case <-time.After(time.Second):
		}
		if _, err := io.WriteString(conn, body[i:i+1]); err != nil {
			<-answered
			return status, err
		}
	}
	<-answered
	return status, nil
}

// readStatus reads the head of an answer; 0 is none.
func readStatus(conn net.Conn) int {
	answer, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		return 0
	}
	answer.Body.Close()
	return answer.StatusCode
}

// sendHalfClosed sends a whole batch, shuts its side of the connection, as some senders
// do, and still waits for the answer.
func (t *target) sendHalfClosed(ctx context.Context, i int, got *tally) {
	body := fmt.Sprintf(`{"event":"half-closed","properties":{"number":%d}}`, i)
	status := 0
	err := t.onConnection(ctx, func(conn *net.TCPConn) error {
		if err := t.writeEvents(conn, len(body), body); err != nil {
			return err
		}
		if err := conn.CloseWrite(); err != nil {
			return err
		}
		status = readStatus(conn)
		return nil
	})
	if status == http.StatusAccepted {
		got.accepted.Add(int64(len(body)))
	} else if status/100 == 2 {
		got.falseYes.Add(1)
	}
	got.add("half-closed " + outcome(ctx, status, err))
}

// sendCut sends half of a batch and breaks off without a word.
func (t *target) sendCut(ctx context.Context, got *tally) {
	const half = `{"event":"cut","properties":{"text":"`
	err := t.onConnection(ctx, func(conn *net.TCPConn) error {
		if err := t.writeEvents(conn, 2*len(half), half); err != nil {
			return err
		}
		pause(ctx, 100*time.Millisecond)
		return conn.SetLinger(0)
	})
	if err == nil {
		got.add("cut short")
	}
}

// onConnection calls fn with a connection that ends with ctx, or when it takes too long.
func (t *target) onConnection(ctx context.Context, fn func(*net.TCPConn) error) error {
	conn, err := dialer(addressOfAttacker).DialContext(ctx, "tcp", t.address)
	if err != nil {
		return err
	}
	defer conn.Close()
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	defer stop()
	if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
		return err
	}
	return fn(conn.(*net.TCPConn))
}

// writeEvents sends a request of the attacker's key whose body is said to have a length.
func (t *target) writeEvents(conn net.Conn, length int, body string) error {
	_, err := fmt.Fprintf(conn, "POST /api/events HTTP/1.1\r\nHost: %s\r\nAuthorization: Bearer %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", t.address, t.bench.attackKey, length, body)
	return err
}
