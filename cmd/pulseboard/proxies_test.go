package main

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// Streams stay open behind the proxies that stand in front of many servers, too: they
// speak HTTP/2 to clients, and HTTP/1 or HTTP/2 to the server.
func TestBehindProxiesQuietStreamsStayOpen(t *testing.T) {
	slow(t)
	t.Parallel()
	times := quietTimes()
	s, certificate, key := newQuietSite(t)
	s.serveHere(t, times)
	plain := s.url
	times.TLSCert, times.TLSKey = certificate, key
	s.serveHere(t, times)
	ways := proxyWays(t, s, plain, s.url, certificate, key)
	clients := func(way) []player { return []player{playGo, playCurl} }
	streams := begin(t, ways, clients, s.token(time.Hour))
	s.staysQuiet(t, streams, 3, times.Heartbeat)
	s.hearAnEvent(t, streams)
	s.sayGoodbye(t, begin(t, ways, clients, s.token(shortLife)))
}

// proxyWays runs nginx and Caddy in front of a server, both as they come, and returns
// the ways through them: HTTP/2 to the proxy, then HTTP/1, or TLS with the newest protocol
// that the proxy speaks to servers.
func proxyWays(t *testing.T, s *site, plain, secure, certificate, key string) []way {
	t.Helper()
	var ways []way
	front := func(name string) string {
		address := freeAddress(t)
		ways = append(ways, way{name: name, url: "https://" + address})
		return address
	}
	// Only what they need to run here; all that concerns streams is as it comes.
	nginx := fmt.Sprintf(nginxConfig, t.TempDir(), certificate, key,
		front("behind nginx"), plain, front("behind nginx, over TLS"), secure)
	caddy := fmt.Sprintf(caddyConfig, certificate, key,
		front("behind Caddy"), plain, front("behind Caddy, over TLS"), secure)
	startProxy(t, "nginx", nginx, "-c")
	startProxy(t, "caddy", caddy, "run", "--adapter", "caddyfile", "--config")
	for _, w := range ways {
		s.eventually(w.name+": the proxy listens", func() bool { return accepts(strings.TrimPrefix(w.url, "https://")) })
	}
	return ways
}

const nginxConfig = `
daemon off; pid %[1]s/pid; error_log stderr; worker_processes 1;
events {}
http {
	access_log off;
	client_body_temp_path %[1]s/a; proxy_temp_path %[1]s/b; fastcgi_temp_path %[1]s/c; uwsgi_temp_path %[1]s/d; scgi_temp_path %[1]s/e;
	ssl_certificate %[2]s; ssl_certificate_key %[3]s;
	server { listen %[4]s ssl http2; location / { proxy_pass %[5]s; } }
	server { listen %[6]s ssl http2; location / { proxy_pass %[7]s; } }
}`

const caddyConfig = `
{
	admin off
	auto_https off
	default_sni 127.0.0.1
	servers {
		protocols h1 h2
	}
}
https://%[3]s {
	tls %[1]s %[2]s
	reverse_proxy %[4]s
}
https://%[5]s {
	tls %[1]s %[2]s
	reverse_proxy %[6]s {
		transport http {
			tls_insecure_skip_verify
		}
	}
}
`

// startProxy runs a proxy until the test is over. Its last argument is the file with
// its configuration.
func startProxy(t *testing.T, program, config string, args ...string) {
	t.Helper()
	slow(t)
	dir := t.TempDir()
	file := filepath.Join(dir, "config")
	if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	var log lockedBuffer
	proxy := exec.Command(program, append(args, file)...)
	proxy.Env = append(os.Environ(), "HOME="+dir, "XDG_CONFIG_HOME="+dir, "XDG_DATA_HOME="+dir)
	proxy.Stdout, proxy.Stderr = &log, &log
	if err := proxy.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = proxy.Process.Signal(syscall.SIGTERM)
		_ = proxy.Wait()
		if t.Failed() {
			t.Log(log.String())
		}
	})
}

// freeAddress returns an address that nobody listens on.
func freeAddress(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	return listener.Addr().String()
}

func accepts(address string) bool {
	conn, err := net.Dial("tcp", address)
	if err == nil {
		conn.Close()
	}
	return err == nil
}
