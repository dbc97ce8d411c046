package main

import (
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"
)

// Whatever comes slowly, also what net/http refuses before a handler hears of it, holds a
// connection for some seconds only.
func TestWhatComesSlowlyHoldsNoConnection(t *testing.T) {
	slow(t)
	t.Parallel()
	s := newSite(t)
	_, address, _ := strings.Cut(s.url, "://")
	const most = 25 * time.Second
	var all sync.WaitGroup
	for _, c := range []struct{ head, answer string }{
		{"POST /api/events HTTP/1.1\r\nHost: a\r\nContent-Length: 999\r\n\r\n", "401"},
		{"POST /login HTTP/1.1\r\nHost: a\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: 999\r\n\r\n", "408"},
		{"GET /healthz HTTP/1.1\r\nHost: a\r\nContent-Length: 999\r\n\r\n", "200"},
		{"GET /healthz HTTP/1.1\r\nHost: a\r\nExpect: wonders\r\nContent-Length: 999\r\n\r\n", "417"},
		{"OPTIONS * HTTP/1.1\r\nHost: a\r\nContent-Length: 999\r\n\r\n", "404"},
		{"GET /healthz HTTP/1.1\r\nX: ", ""},
		{"", ""},
	} {
		all.Go(func() {
			conn, err := net.Dial("tcp", address)
			if err != nil {
				t.Error(err)
				return
			}
			defer conn.Close()
			began := time.Now()
			go func() {
				text := c.head
				for {
					if _, err := io.WriteString(conn, text); err != nil {
						return
					}
					text = "x"
					time.Sleep(500 * time.Millisecond)
				}
			}()
			_ = conn.SetReadDeadline(began.Add(patience))
			answer, _ := io.ReadAll(conn)
			if took := time.Since(began); took > most {
				t.Errorf("%q holds its connection for %v", c.head, took)
			}
			if c.answer != "" && !strings.HasPrefix(string(answer), fmt.Sprintf("HTTP/1.1 %s ", c.answer)) {
				t.Errorf("%q is answered %.300q", c.head, answer)
			}
		})
	}
	all.Wait()
}
