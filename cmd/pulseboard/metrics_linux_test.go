package main

import (
	"context"
	"io"
	"net"
	"net/http"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

var metricsListening = regexp.MustCompile(`msg="metrics listening" address=(\S+)`)

// newMetricsSite serves a site inside the test, with /metrics on an address of its own.
// stop ends it, ended receives how it ended.
func newMetricsSite(t *testing.T) (s *site, metrics string, stop func(), ended chan error) {
	t.Helper()
	s = &site{t: t, dir: t.TempDir(), log: &lockedBuffer{}}
	cmd := serveCmd{
		Listen: "127.0.0.1:0", MetricsListen: "127.0.0.1:0", LogFormat: "text", LogLevel: "info",
		Cycle: time.Second, Heartbeat: time.Second, MaxConnectionsPerUser: 10, MaxConnectsPerMinute: 60,
	}
	ctx, stop := context.WithCancel(context.Background())
	ended = make(chan error, 1)
	go func() { ended <- cmd.Run(&console{ctx, nil, io.Discard, s.log}, &cli{Data: s.dir}) }()
	t.Cleanup(stop)
	s.eventually("the server listens", func() bool { return listening.MatchString(s.log.String()) })
	s.url = "http://" + listening.FindStringSubmatch(s.log.String())[1]
	return s, metricsListening.FindStringSubmatch(s.log.String())[1], stop, ended
}

func endOf(t *testing.T, ended chan error) error {
	t.Helper()
	select {
	case err := <-ended:
		return err
	case <-time.After(patience):
		t.Fatal("the server did not end")
		return nil
	}
}

func TestMetricsAreServedUntilTheServerStops(t *testing.T) {
	t.Parallel()
	s, metrics, stop, ended := newMetricsSite(t)
	client := &http.Client{Transport: &http.Transport{}} // keeps its connection, which is idle then
	for address, want := range map[string]int{"http://" + metrics: http.StatusOK, s.url: http.StatusNotFound} {
		response, err := client.Get(address + "/metrics")
		if err != nil {
			t.Fatal(err)
		}
		_, _ = io.Copy(io.Discard, response.Body)
		response.Body.Close()
		if response.StatusCode != want {
			t.Errorf("%s/metrics: %s", address, response.Status)
		}
	}
	stop()
	if err := endOf(t, ended); err != nil {
		t.Errorf("it ended with %v", err)
	}
	if accepts(metrics) {
		t.Error("the address of the metrics is still open")
	}
	if log := s.log.String(); strings.Contains(log, "level=WARN") || strings.Contains(log, "level=ERROR") {
		t.Errorf("the log says %s", log)
	}
}

// A server that nobody can watch should not look healthy: when metrics can't be served any
// more, the server ends, and its supervisor starts it again.
func TestAServerWhoseMetricsCannotBeServedEndsWithTheCause(t *testing.T) {
	t.Parallel()
	s, metrics, _, ended := newMetricsSite(t)
	breakListener(t, metrics)
	err := endOf(t, ended)
	if err == nil || !strings.Contains(err.Error(), "serving metrics ended: ") || !strings.Contains(err.Error(), "invalid argument") {
		t.Errorf("it ended with %v", err)
	}
	if log := s.log.String(); !strings.Contains(log, "msg=stopped") {
		t.Errorf("it did not drain: %s", log)
	}
}

func TestAnAddressThatCannotBeListenedOnIsNamedWithItsFlag(t *testing.T) {
	t.Parallel()
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	s := &site{t: t, dir: t.TempDir()}
	for _, flag := range []string{"--listen", "--metrics-listen"} {
		args := []string{"serve", "--listen", "127.0.0.1:0", flag, taken.Addr().String()}
		if _, stderr, code := s.try("", args...); code != exitFailure || !strings.Contains(stderr, taken.Addr().String()) || !strings.HasSuffix(stderr, "with "+flag+"\n") {
			t.Errorf("%s: exit %d, %s", flag, code, stderr)
		}
	}
}

// breakListener makes a listening socket of this process fail, as no test could from
// outside.
func breakListener(t *testing.T, address string) {
	t.Helper()
	_, text, _ := net.SplitHostPort(address)
	port, _ := strconv.Atoi(text)
	files, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		fd, _ := strconv.Atoi(file.Name())
		name, err := unix.Getsockname(fd)
		if v4, ok := name.(*unix.SockaddrInet4); err != nil || !ok || v4.Port != port {
			continue
		}
		if listens, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_ACCEPTCONN); err != nil || listens == 0 {
			continue
		}
		if err := unix.Shutdown(fd, unix.SHUT_RDWR); err != nil {
			t.Fatal(err)
		}
		return
	}
	t.Fatalf("nothing here listens on %s", address)
}
