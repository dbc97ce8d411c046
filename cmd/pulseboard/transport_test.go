package main

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"flag"
	"fmt"
	"io"
	"maps"
	"math/big"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
)

// frames can be set higher to look longer.
var frames = flag.Int("frames", 100, "frames that each reader of a compressed stream gets")

// pace is the time between two events that are to make a frame each.
const pace = 120 * time.Millisecond

// Clients that were written by others unpack a stream whose frames refer to those
// before, over every protocol there is, to the very bytes that a client gets who
// asked for none of it.
func TestEveryClientUnpacksTheSameBytes(t *testing.T) {
	slow(t)
	t.Parallel()
	for _, secure := range []bool{false, true} {
		t.Run(map[bool]string{false: "HTTP1", true: "HTTP2 and TLS"}[secure], func(t *testing.T) {
			t.Parallel()
			s := newTransportSite(t, secure)
			client := s.signIn(email)
			plain, packed := s.record(client, "identity"), map[string]func() string{
				"Go":       s.record(client, "gzip"),
				"curl":     s.recordCurl(client),
				"Chromium": s.recordChromium(),
			}
			packed["Go again"] = s.record(client, "gzip")
			for range *frames {
				s.post(signup())
				time.Sleep(pace)
			}
			time.Sleep(10 * pace)
			want := blocksOf(plain())
			if len(want) < *frames*9/10 {
				t.Fatalf("%d events made %d frames", *frames, len(want))
			}
			for name, got := range packed {
				compareBlocks(t, name, want, blocksOf(got()))
			}
		})
	}
}

// newTransportSite is a site whose updates come every 100 ms.
func newTransportSite(t *testing.T, secure bool) *site {
	s := &site{t: t, dir: t.TempDir(), args: []string{"--cycle", "100ms", "--heartbeat", "1s"}, secure: secure}
	if secure {
		certificate, key := selfSigned(t)
		s.args = append(s.args, "--tls-cert", certificate, "--tls-key", key)
		s.transport = &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, ForceAttemptHTTP2: true}
	}
	s.tenant("acme", email)
	s.key = s.command("", "key", "create", "--tenant", "acme")
	s.start()
	return s
}

func selfSigned(t *testing.T) (certificateFile, keyFile string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}}
	certificate, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	write := func(name, kind string, b []byte) string {
		path := filepath.Join(t.TempDir(), name)
		if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: b}), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	return write("cert.pem", "CERTIFICATE", certificate), write("key.pem", "PRIVATE KEY", private)
}

func (s *site) streamURL() string {
	return s.url + "/api/stream/dashboard/web?refresh=live&format=html"
}

// record reads a stream with Go's client until its text is asked for.
func (s *site) record(client *http.Client, encoding string) (text func() string) {
	s.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	s.t.Cleanup(cancel)
	r, _ := http.NewRequestWithContext(ctx, "GET", s.streamURL(), nil)
	if encoding == "identity" {
		r.Header.Set("Accept-Encoding", encoding)
	}
	response, err := client.Do(r) // it asks for gzip and unpacks it, unless told otherwise
	if err != nil {
		s.t.Fatal(err)
	}
	if packed := encoding == "gzip"; response.Uncompressed != packed || response.ProtoMajor != map[bool]int{false: 1, true: 2}[s.secure] {
		s.t.Fatalf("asked for %s: %s, unpacked %v", encoding, response.Proto, response.Uncompressed)
	}
	var b lockedBuffer
	go func() {
		defer response.Body.Close()
		_, _ = io.Copy(&b, response.Body)
	}()
	s.eventually("the stream begins", func() bool { return strings.Contains(b.String(), "event: heartbeat") })
	return b.String
}

func (s *site) recordCurl(client *http.Client) (text func() string) {
	s.t.Helper()
	at, _ := url.Parse(s.url)
	var cookies []string
	for _, c := range client.Jar.Cookies(at) {
		cookies = append(cookies, c.Name+"="+c.Value)
	}
	var b, head lockedBuffer
	cmd := exec.Command("curl", "--silent", "--insecure", "--compressed", "--no-buffer", "--dump-header", "/dev/stderr", "--cookie", strings.Join(cookies, "; "), s.streamURL())
	cmd.Stdout, cmd.Stderr = &b, &head
	if err := cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	s.eventually("curl's stream begins", func() bool { return strings.Contains(b.String(), "event: heartbeat") })
	if version := map[bool]string{false: "HTTP/1.1 200", true: "HTTP/2 200"}[s.secure]; !strings.HasPrefix(head.String(), version) || !strings.Contains(strings.ToLower(head.String()), "content-encoding: gzip") {
		s.t.Fatalf("curl got %s", head.String())
	}
	return b.String
}

func (s *site) recordChromium() (text func() string) {
	s.t.Helper()
	b := newBrowser(s.t.(*testing.T), chromedp.Flag("ignore-certificate-errors", true))
	b.signIn(s, email, "/dashboards/web")
	b.eval(fmt.Sprintf(`(fetch(%q).then(async (r) => {
		window.text = ""
		window.encoding = r.headers.get("Content-Encoding")
		const reader = r.body.pipeThrough(new TextDecoderStream()).getReader()
		for (let c; !(c = await reader.read()).done;) window.text += c.value
	}), "")`, strings.TrimPrefix(s.streamURL(), s.url)))
	b.sees(`Boolean(window.text && window.text.includes("event: heartbeat"))`, "true")
	b.sees(`window.encoding`, "gzip")
	if got, want := b.eval(`performance.getEntriesByType("navigation")[0].nextHopProtocol`), map[bool]string{false: "http/1.1", true: "h2"}[s.secure]; got != want {
		s.t.Fatalf("Chromium speaks %s, not %s", got, want)
	}
	return func() string { return b.eval(`window.text`) }
}

// block is an update of a stream, to the byte, and the id of the one before it.
type block struct{ text, after string }

// blocksOf gives the updates by id, but for the first, which is for one reader alone.
func blocksOf(stream string) map[string]block {
	blocks := map[string]block{}
	last := ""
	for text := range strings.SplitSeq(stream, "\n\n") {
		rest, isUpdate := strings.CutPrefix(text, "event: metric_update\nid: ")
		if !isUpdate {
			continue
		}
		id, _, _ := strings.Cut(rest, "\n")
		if last != "" {
			blocks[id] = block{text, last}
		}
		last = id
	}
	return blocks
}

// compareBlocks compares what two got. One who was slow may have got two updates in
// one, which then is another; that is to be rare.
func compareBlocks(t *testing.T, name string, want, got map[string]block) {
	t.Helper()
	same := 0
	for id, g := range got {
		w, ok := want[id]
		switch {
		case ok && w == g:
			same++
		case ok && w.after == g.after:
			t.Errorf("%s: update %s is %q, want %q", name, id, g.text, w.text)
		}
	}
	if same < len(want)*9/10 {
		t.Errorf("%s: only %d of %d updates are the same; it got %d", name, same, len(want), len(got))
	}
	newest := func(m map[string]block) string { return slices.Max(slices.Collect(maps.Keys(m))) }
	if len(got) > 0 && newest(got) != newest(want) {
		t.Errorf("%s: the newest update is %s, want %s", name, newest(got), newest(want))
	}
	t.Logf("%s: %d of %d updates are the same to the byte", name, same, len(want))
}

// nginx as it comes passes events on when they happen, and compressed ones too.
func TestBehindNginxEventsArriveAtOnce(t *testing.T) {
	slow(t)
	t.Parallel()
	s := newTransportSite(t, false)
	dir := t.TempDir()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	front := listener.Addr().String()
	listener.Close()
	// Only what it needs to run here; all that concerns streams is as it comes.
	config := fmt.Sprintf(`
daemon off; pid %[1]s/pid; error_log stderr; worker_processes 1;
events {}
http {
	access_log off;
	client_body_temp_path %[1]s/a; proxy_temp_path %[1]s/b; fastcgi_temp_path %[1]s/c; uwsgi_temp_path %[1]s/d; scgi_temp_path %[1]s/e;
	server { listen %[2]s; location / { proxy_pass %[3]s; } }
}`, dir, front, s.url)
	if err := os.WriteFile(dir+"/nginx.conf", []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	nginx := exec.Command("nginx", "-p", dir, "-c", dir+"/nginx.conf")
	var log bytes.Buffer
	nginx.Stderr = &log
	if err := nginx.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = nginx.Process.Signal(os.Interrupt)
		_ = nginx.Wait()
		if t.Failed() {
			t.Log(log.String())
		}
	})
	s.eventually("nginx listens", func() bool {
		conn, err := net.Dial("tcp", front)
		if err == nil {
			conn.Close()
		}
		return err == nil
	})
	client := s.signIn(email)
	behind := *s
	behind.url = "http://" + front
	for _, encoding := range []string{"identity", "gzip"} {
		text := behind.record(client, encoding)
		time.Sleep(time.Second) // a quiet time, so that the next goes out at once
		before := text()
		posted := s.post(signup())
		s.eventually("the update comes", func() bool {
			return len(text()) > len(before) && strings.Contains(text()[len(before):], "event: metric_update")
		})
		if took := time.Since(posted); took > time.Second {
			t.Errorf("%s: an update took %v", encoding, took)
		}
	}
}
