package main

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// freezer is a connection whose owner can stop reading, as a process that is halted does.
type freezer struct {
	net.Conn
	frozen *atomic.Bool
	thaw   chan struct{}
}

func (f freezer) Read(b []byte) (int, error) {
	if f.frozen.Load() {
		<-f.thaw
	}
	return f.Conn.Read(b)
}

// A client that stops reading its connection at all, with room left in the windows of
// its streams, loses its places in the time of one that takes nothing.
func TestAHaltedClientLosesItsPlaces(t *testing.T) {
	slow(t)
	if !*defaults {
		t.Skip("takes half a minute, for its times are no flags: ask for it with -defaults")
	}
	t.Parallel()
	s, certificate, key := newQuietSite(t)
	s.command(strings.Replace(webBoard, "by: path, event: request}", "by: path, event: request, limit: 1000}", 1), "dashboard", "apply", "--tenant", "acme", "-")
	s.secure, s.args = true, []string{"--tls-cert", certificate, "--tls-key", key, "--cycle", "100ms"}
	s.start()
	var events []map[string]any
	for i := range 1000 {
		events = append(events, request("u", fmt.Sprintf("/%d%s", i, strings.Repeat("x", 1900)), 200))
	}
	s.post(events...)
	frozen, thaw := new(atomic.Bool), make(chan struct{})
	t.Cleanup(func() { close(thaw) })
	transport := &http.Transport{
		DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
			conn, err := new(net.Dialer).DialContext(ctx, network, address)
			if err != nil {
				return nil, err
			}
			return freezer{conn, frozen, thaw}, conn.(*net.TCPConn).SetReadBuffer(64 << 10)
		},
		TLSClientConfig:    &tls.Config{InsecureSkipVerify: true},
		Protocols:          new(http.Protocols),
		DisableCompression: true,
	}
	transport.Protocols.SetHTTP2(true)
	client := &http.Client{Transport: transport}
	token := s.token(time.Hour)
	for range 5 {
		response, err := client.Get(s.url + streamPath("token="+token))
		if err != nil {
			t.Fatal(err)
		}
		defer response.Body.Close()
		go func() { _, _ = io.Copy(io.Discard, response.Body) }()
	}
	s.eventually("the streams are open", func() bool { return s.metric("pulseboard_streams") == "5" })
	frozen.Store(true)
	began := time.Now()
	for s.metric("pulseboard_streams") != "0" {
		if time.Since(began) > 40*time.Second {
			t.Fatalf("%s streams are still open", s.metric("pulseboard_streams"))
		}
		s.post(request("u", fmt.Sprintf("/%d%s", time.Since(began)/time.Millisecond%1000, strings.Repeat("x", 1900)), 200))
		time.Sleep(200 * time.Millisecond)
	}
	t.Logf("its places were free after %v", time.Since(began))
}
