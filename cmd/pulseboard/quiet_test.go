package main

import (
	"context"
	"crypto/tls"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
)

// defaults lets tests run that take minutes, with servers whose times are the usual ones.
var defaults = flag.Bool("defaults", false, "watch servers with their default times, which takes four minutes")

// way is how a client gets to the server.
type way struct {
	name  string
	url   string // of the server, or of a proxy in front of it
	http1 bool   // the client speaks HTTP/1.1 although TLS would let it speak HTTP/2
}

// protocol is the protocol that a client is to see, in the words of Go.
func (w way) protocol() string {
	if w.http1 || strings.HasPrefix(w.url, "http:") {
		return "HTTP/1.1"
	}
	return "HTTP/2.0"
}

// tape is what a client read of a stream so far.
type tape struct {
	name  string
	text  func() string
	ended func() string // "" while the stream is open, endedWell, or what went wrong
}

// endedWell is how a stream ends whose server meant it to.
const endedWell = "well"

// player opens a stream with a client that was written by others.
type player func(t *testing.T, w way, query string) tape

func streamPath(query string) string { return "/api/stream/dashboard/web?" + query }

func playGo(t *testing.T, w way, query string) tape {
	t.Helper()
	transport := &http.Transport{
		TLSClientConfig:    &tls.Config{InsecureSkipVerify: true},
		DisableCompression: true, // a packed stream has no end to check
		Protocols:          new(http.Protocols),
	}
	transport.Protocols.SetHTTP1(true)
	transport.Protocols.SetHTTP2(!w.http1)
	ctx, cancel := context.WithCancel(context.Background())
	t.Cleanup(func() { cancel(); transport.CloseIdleConnections() })
	r, _ := http.NewRequestWithContext(ctx, "GET", w.url+streamPath(query), nil)
	response, err := (&http.Client{Transport: transport}).Do(r)
	if err != nil {
		t.Fatal(err)
	}
	if response.StatusCode != http.StatusOK || response.Proto != w.protocol() {
		t.Fatalf("%s: %s %s, want %s", w.name, response.Proto, response.Status, w.protocol())
	}
	var b, end lockedBuffer
	go func() {
		defer response.Body.Close()
		_, err := io.Copy(&b, response.Body)
		end.end(err)
	}()
	return tape{"Go", b.String, end.String}
}

// end notes how a stream ended.
func (l *lockedBuffer) end(err error) {
	if err == nil {
		err = errors.New(endedWell)
	}
	_, _ = io.WriteString(l, err.Error())
}

func playCurl(t *testing.T, w way, query string) tape {
	t.Helper()
	version := map[string]string{"HTTP/1.1": "--http1.1", "HTTP/2.0": "--http2"}[w.protocol()]
	var b, errs, end lockedBuffer
	curl := exec.Command("curl", "--silent", "--show-error", "--fail", "--insecure", "--no-buffer", version, w.url+streamPath(query))
	curl.Stdout, curl.Stderr = &b, &errs
	if err := curl.Start(); err != nil {
		t.Fatal(err)
	}
	var over sync.WaitGroup
	over.Go(func() {
		err := curl.Wait()
		if err != nil {
			err = fmt.Errorf("%w: %s", err, errs.String())
		}
		end.end(err)
	})
	t.Cleanup(func() {
		_ = curl.Process.Kill()
		over.Wait()
	})
	return tape{"curl", b.String, end.String}
}

// newChromium returns a player whose streams are read by the script of one page.
func newChromium(t *testing.T, w way) player {
	t.Helper()
	b := newBrowser(t, chromedp.Flag("ignore-certificate-errors", true), chromedp.Flag("disable-http2", w.http1))
	b.do(chromedp.Navigate(w.url + "/login"))
	if got, want := b.eval(`performance.getEntriesByType("navigation")[0].nextHopProtocol`), map[string]string{"HTTP/1.1": "http/1.1", "HTTP/2.0": "h2"}[w.protocol()]; got != want {
		t.Fatalf("%s: Chromium speaks %s, not %s", w.name, got, want)
	}
	b.eval(`window.tapes = []`)
	return func(t *testing.T, w way, query string) tape {
		n := b.eval(fmt.Sprintf(`(() => {
			const tape = {text: "", ended: ""}
			fetch(%q).then(async (r) => {
				if (!r.ok) throw new Error(r.status)
				const reader = r.body.pipeThrough(new TextDecoderStream()).getReader()
				for (let c; !(c = await reader.read()).done;) tape.text += c.value
			}).then(() => { tape.ended = %q }, (why) => { tape.ended = String(why) })
			return window.tapes.push(tape) - 1
		})()`, streamPath(query), endedWell))
		return tape{
			"Chromium",
			func() string { return b.eval(`window.tapes[` + n + `].text`) },
			func() string { return b.eval(`window.tapes[` + n + `].ended`) },
		}
	}
}

// serveHere serves the site's folder inside the test, where times can be set that no
// flag sets, and on a new port.
func (s *site) serveHere(t *testing.T, cmd serveCmd) {
	t.Helper()
	s.log = &lockedBuffer{}
	cmd.Listen, cmd.LogFormat, cmd.LogLevel = "127.0.0.1:0", "text", "info"
	cmd.MaxConnectionsPerUser, cmd.MaxConnectsPerMinute = 10, 60
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	log := s.log
	go func() { ended <- cmd.Run(&console{ctx, nil, io.Discard, log}, &cli{Data: s.dir}) }()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Errorf("serving ended: %v", err)
		}
		if t.Failed() {
			t.Log(log.String())
		}
	})
	s.eventually("the server listens", func() bool { return listening.MatchString(log.String()) })
	s.url = map[bool]string{false: "http://", true: "https://"}[cmd.TLSCert != ""] + listening.FindStringSubmatch(log.String())[1]
}

// quietTimes are the times of a server whose streams are quiet for longer than a
// reader may take nothing.
func quietTimes() serveCmd {
	return serveCmd{Cycle: 100 * time.Millisecond, Heartbeat: 2 * time.Second, stallTimeout: time.Second}
}

// shortLife is how long a token lasts whose end a test waits for: long enough to open
// all its streams.
const shortLife = 6 * time.Second

// newQuietSite has the tenant acme, a certificate and no server yet.
func newQuietSite(t *testing.T) (s *site, certificate, key string) {
	t.Helper()
	s = &site{t: t, dir: t.TempDir()}
	s.tenant("acme", email)
	s.key = s.command("", "key", "create", "--tenant", "acme")
	s.transport = &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}
	certificate, key = selfSigned(t)
	return s, certificate, key
}

func (s *site) token(ttl time.Duration) string {
	s.t.Helper()
	return s.command("", "token", "create", "--tenant", "acme", "--dashboard", "web", "--ttl", ttl.String())
}

// heartbeats are those that a stream brought after the one it began with.
func (p tape) heartbeats() int { return strings.Count(p.text(), "event: heartbeat\n") - 1 }

func (p tape) updates() int { return strings.Count(p.text(), "event: metric_update\n") }

// watched is a stream of a client on one way.
type watched struct {
	tape
	way way
}

func (w watched) String() string { return w.tape.name + ", " + w.way.name }

// begin opens a stream with each client on each way, all with one token.
func begin(t *testing.T, ways []way, clients func(w way) []player, token string) []watched {
	t.Helper()
	var all []watched
	for _, w := range ways {
		for _, play := range clients(w) {
			all = append(all, watched{play(t, w, "refresh=live&token="+token), w})
		}
	}
	return all
}

// everyClient returns Go's client, curl and Chromium, the same ones for the same way.
func everyClient(t *testing.T) func(w way) []player {
	chromium := map[string]player{}
	return func(w way) []player {
		if chromium[w.name] == nil {
			chromium[w.name] = newChromium(t, w)
		}
		return []player{playGo, playCurl, chromium[w.name]}
	}
}

// staysQuiet fails the test unless each stream brings so many heartbeats, nothing
// else, and stays open.
func (s *site) staysQuiet(t *testing.T, streams []watched, heartbeats int, interval time.Duration) {
	t.Helper()
	deadline := time.Now().Add(time.Duration(heartbeats)*interval + patience)
	for _, w := range streams {
		for w.heartbeats() < heartbeats {
			if why := w.ended(); why != "" {
				t.Errorf("%s: the stream ended after %d of %d heartbeats: %s", w, w.heartbeats(), heartbeats, why)
				break
			}
			if time.Now().After(deadline) {
				t.Errorf("%s: %d of %d heartbeats came", w, w.heartbeats(), heartbeats)
				break
			}
			time.Sleep(20 * time.Millisecond)
		}
		if n := w.updates(); n != 1 {
			t.Errorf("%s: %d updates came, want the first alone", w, n)
		}
	}
}

// hearAnEvent fails the test unless an event that is posted now comes on each stream.
func (s *site) hearAnEvent(t *testing.T, streams []watched) {
	t.Helper()
	s.post(signup())
	for _, w := range streams {
		s.eventually(w.String()+": the event comes on the same stream", func() bool { return w.updates() == 2 || w.ended() != "" })
		if why := w.ended(); why != "" {
			t.Errorf("%s: the stream ended: %s", w, why)
		}
	}
}

// sayGoodbye fails the test unless each stream ends with the news that its token
// expired, and then as it should.
func (s *site) sayGoodbye(t *testing.T, streams []watched) {
	t.Helper()
	for _, w := range streams {
		s.eventually(w.String()+": the stream ends", func() bool { return w.ended() != "" })
		if why := w.ended(); why != endedWell {
			t.Errorf("%s: the stream ended: %s", w, why)
		}
		const last = "\n\nevent: goodbye\ndata: {\"reason\":\"expired\"}\n\n"
		if text := w.text(); !strings.HasSuffix(text, last) {
			t.Errorf("%s: the stream ended with %q", w, text[max(0, len(text)-len(last)):])
		}
	}
}

// ownWays are the ways to a server without a proxy.
func ownWays(plain, secure string) []way {
	return []way{{"HTTP/2", secure, false}, {"HTTP/1 and TLS", secure, true}, {"HTTP/1", plain, false}}
}

// A stream on which nothing happens for longer than a write may take stays open,
// whatever it is sent over, and its last event comes.
func TestQuietStreamsStayOpen(t *testing.T) {
	slow(t)
	t.Parallel()
	times := quietTimes()
	s, certificate, key := newQuietSite(t)
	s.serveHere(t, times)
	plain := s.url
	times.TLSCert, times.TLSKey = certificate, key
	s.serveHere(t, times)
	ways, clients := ownWays(plain, s.url), everyClient(t)
	streams := begin(t, ways, clients, s.token(time.Hour))
	s.staysQuiet(t, streams, 3, times.Heartbeat)
	s.hearAnEvent(t, streams)
	s.sayGoodbye(t, begin(t, ways, clients, s.token(shortLife)))
}

// The same with times as they are by default, for three minutes.
func TestQuietStreamsStayOpenForThreeMinutesByDefault(t *testing.T) {
	if !*defaults {
		t.Skip("takes over three minutes: ask for it with -defaults")
	}
	t.Parallel()
	s, certificate, key := newQuietSite(t)
	s.start()
	plain := s.url
	s.url, s.secure, s.args = "", true, []string{"--tls-cert", certificate, "--tls-key", key}
	s.start()
	ways := append(ownWays(plain, s.url), proxyWays(t, s, plain, s.url, certificate, key)...)
	every := everyClient(t)
	clients := func(w way) []player {
		if strings.Contains(w.name, "behind") {
			return []player{playGo, playCurl}
		}
		return every(w)
	}
	const heartbeat, minutes = 30 * time.Second, 3
	began := time.Now()
	expiring := begin(t, ways, clients, s.token(minutes*time.Minute+45*time.Second))
	streams := begin(t, ways, clients, s.token(time.Hour))
	s.staysQuiet(t, append(streams, expiring...), minutes*int(time.Minute/heartbeat), heartbeat)
	t.Logf("%d streams were open and quiet for %v", len(streams)+len(expiring), time.Since(began).Round(time.Second))
	s.hearAnEvent(t, streams)
	time.Sleep(time.Until(began.Add(minutes*time.Minute + 45*time.Second)))
	s.sayGoodbye(t, expiring)
	t.Logf("%d streams ended with their goodbye after %v", len(expiring), time.Since(began).Round(time.Second))
}

// A server that is told to stop ends streams as an answer ends, not as a connection
// breaks.
func TestAServerThatStopsEndsStreamsCleanly(t *testing.T) {
	slow(t)
	t.Parallel()
	s, certificate, key := newQuietSite(t)
	s.args = []string{"--cycle", "100ms", "--heartbeat", "1s"}
	s.start()
	plain, plainServer := s.url, s.process
	s.url, s.secure, s.args = "", true, append(s.args, "--tls-cert", certificate, "--tls-key", key)
	s.start()
	streams := begin(t, ownWays(plain, s.url), everyClient(t), s.token(time.Hour))
	for _, w := range streams {
		s.eventually(w.String()+": the stream begins", func() bool { return w.heartbeats() >= 0 })
	}
	began := time.Now()
	for _, server := range []*exec.Cmd{plainServer, s.process} {
		stop(t, server)
	}
	if took := time.Since(began); took > 10*time.Second {
		t.Errorf("stopping took %v", took)
	}
	for _, w := range streams {
		s.eventually(w.String()+": the stream ends", func() bool { return w.ended() != "" })
		if why := w.ended(); why != endedWell {
			t.Errorf("%s: the stream ended: %s", w, why)
		}
	}
}

// stop ends a server as an operator does.
func stop(t *testing.T, server *exec.Cmd) {
	t.Helper()
	if err := server.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := server.Wait(); err != nil {
		t.Errorf("the server ended with %v", err)
	}
}
