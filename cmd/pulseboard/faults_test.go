package main

import (
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"
)

// A server that can't open more files tells new viewers to come later, and goes on
// for those it has; connections that don't even say what they want can wait.
func TestWhenThereIsNoRoomForMoreOthersLive(t *testing.T) {
	slow(t)
	t.Parallel()
	const files, places = 700, 700 - reservedFiles
	s := &site{t: t, dir: t.TempDir(), args: []string{"--cycle", "100ms", "--max-connections-per-user", "10000", "--max-connects-per-minute", "10000"}, files: files}
	s.tenant("acme", email)
	s.key = s.command("", "key", "create", "--tenant", "acme")
	s.start()
	client := s.signIn(email)
	streams := make([]*reader, places)
	for i := range streams {
		streams[i] = s.open(client, "refresh=live&format=json", "")
		streams[i].must("heartbeat")
	}
	refused := s.open(client, "refresh=live&format=json", "")
	if wait, _ := strconv.Atoi(refused.header.Get("Retry-After")); refused.status != http.StatusServiceUnavailable || wait < 1 {
		t.Errorf("one too many gets %d, Retry-After %d", refused.status, wait)
	}

	// Now the rest of the files is taken, by connections that say nothing.
	address, _ := url.Parse(s.url)
	var idle []net.Conn
	for range files {
		conn, err := net.DialTimeout("tcp", address.Host, time.Second)
		if err != nil {
			break // the backlog is full too
		}
		idle = append(idle, conn)
	}
	full := func() int { return strings.Count(s.log.String(), "no room for more connections") }
	s.eventually("the log says why", func() bool { return full() > 0 })
	time.Sleep(2 * time.Second) // it goes on trying
	if full() != 1 {
		t.Errorf("the log says it %d times", full())
	}
	for _, stream := range streams { // who is there is served
		stream.discard()
	}
	s.command(`{"event":"signup"}`, "import", "--tenant", "acme", "--format", "ndjson", "-") // by another process, for this one hears nobody
	for i, stream := range streams {
		if _, ok := stream.next("metric_update", patience); !ok {
			t.Fatalf("stream %d of %d got nothing while there was no room", i, len(streams))
		}
	}
	for _, conn := range idle {
		conn.Close()
	}
	s.post(signup())
	for _, stream := range streams {
		stream.must("metric_update")
	}
	streams[0].stop()
	s.eventually("a place is free", func() bool { return s.open(client, "refresh=live&format=json", "").status == http.StatusOK })
}
