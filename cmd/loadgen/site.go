package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// site is pulseboard with a tenant of its own in a folder of its own.
type site struct {
	*process
	binary, dir, key, cookie string
	args                     []string
	client                   *http.Client
	sent                     int // events
}

const (
	mail     = "load@example.com"
	password = "correct horse battery"
)

var listening = regexp.MustCompile(`msg=listening address=(\S+)`)

func newSite(ctx context.Context, binary string, boards []string, args ...string) (*site, error) {
	dir, err := os.MkdirTemp("", "loadgen")
	if err != nil {
		return nil, err
	}
	return newSiteIn(ctx, dir, binary, boards, args...)
}

// siteCycle is how often a site looks for news.
const siteCycle = 100 * time.Millisecond

func newSiteIn(ctx context.Context, dir, binary string, boards []string, args ...string) (_ *site, err error) {
	s := &site{binary: binary, dir: dir, args: append([]string{"serve", "--data", dir, "--cycle", siteCycle.String(), "--max-connections-per-user", "100000", "--max-connects-per-minute", "1000000", "--log-level", "error"}, args...)}
	commands := [][]string{{"", "tenant", "create", "load"}, {password, "user", "create", "--tenant", "load", "--email", mail, "--role", "viewer", "--password-stdin"}}
	for _, board := range boards {
		commands = append(commands, []string{board, "dashboard", "apply", "--tenant", "load", "-"})
	}
	for _, c := range append(commands, []string{"", "key", "create", "--tenant", "load"}) {
		if s.key, err = s.command(ctx, c[0], c[1:]...); err != nil {
			return nil, err
		}
	}
	return s, s.start(ctx)
}

func (s *site) command(ctx context.Context, input string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, s.binary, args...)
	cmd.Env = append(os.Environ(), "PULSEBOARD_DATA="+s.dir)
	cmd.Stdin = strings.NewReader(input)
	var out, problem bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &problem
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("pulseboard %s: %w: %s", strings.Join(args, " "), err, problem.String())
	}
	return strings.TrimSpace(out.String()), nil
}

// start serves, on the address of before if there was one, and signs in.
func (s *site) start(ctx context.Context) (err error) {
	address := "127.0.0.1:0"
	if s.process != nil {
		address = s.address
	}
	// The address is logged at level info, which a port that is known need not be.
	args := append(append([]string(nil), s.args...), "--listen", address, "--log-level", "info")
	s.process, err = start(ctx, func(line string) (string, bool) {
		m := listening.FindStringSubmatch(line)
		if m == nil {
			return "", false
		}
		return m[1], true
	}, s.binary, args...)
	if err != nil || s.client != nil {
		return err
	}
	jar, _ := cookiejar.New(nil) // it cannot fail without options
	s.client = &http.Client{Jar: jar}
	r, err := s.client.PostForm("http://"+s.address+"/login", url.Values{"email": {mail}, "password": {password}})
	if err != nil {
		return err
	}
	r.Body.Close()
	at, _ := url.Parse("http://" + s.address)
	var cookies []string
	for _, c := range jar.Cookies(at) {
		cookies = append(cookies, c.Name+"="+c.Value)
	}
	s.cookie = strings.Join(cookies, "; ")
	return nil
}

func (s *site) close() {
	s.kill()
	os.RemoveAll(s.dir)
}

// post sends an event.
func (s *site) post() error {
	s.sent++
	body := fmt.Sprintf(`{"event":"request","user":"u%d","properties":{"path":"/p%d","status":%d,"duration_ms":%d}}`,
		s.sent%97, s.sent%7, 200+s.sent%5/4*300, 10+s.sent*37%400)
	r, err := http.NewRequest("POST", "http://"+s.address+"/api/events", strings.NewReader(body))
	if err != nil {
		return err
	}
	r.Header.Set("Authorization", "Bearer "+s.key)
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	if text, _ := io.ReadAll(answer.Body); answer.StatusCode != http.StatusAccepted {
		return fmt.Errorf("POST /api/events: %s %s", answer.Status, text)
	}
	return nil
}

func (s *site) get(path, accept string) ([]byte, error) {
	r, err := http.NewRequest("GET", "http://"+s.address+path, nil)
	if err != nil {
		return nil, err
	}
	r.Header.Set("Accept", accept)
	answer, err := s.client.Do(r)
	if err != nil {
		return nil, err
	}
	defer answer.Body.Close()
	return io.ReadAll(answer.Body)
}

// readings are what a fresh snapshot says.
func (s *site) readings(board string) (map[string]string, error) {
	text, err := s.get("/api/dashboards/"+board+"/snapshot", "application/json")
	if err != nil {
		return nil, err
	}
	var snapshot struct{ Readings map[string]json.RawMessage }
	if err := json.Unmarshal(text, &snapshot); err != nil {
		return nil, fmt.Errorf("%s: %w", text, err)
	}
	values := map[string]string{}
	for key, value := range snapshot.Readings {
		values[key] = string(value)
	}
	return values, nil
}

// metric gives the sum of a metric over its labels.
func (s *site) metric(name string) (total float64) {
	text, err := s.get("/metrics", "text/plain")
	if err != nil {
		return 0
	}
	for line := range strings.SplitSeq(string(text), "\n") {
		rest, ok := strings.CutPrefix(line, name)
		if !ok || rest == "" || (rest[0] != ' ' && rest[0] != '{') {
			continue
		}
		n, _ := strconv.ParseFloat(rest[strings.LastIndexByte(rest, ' ')+1:], 64)
		total += n
	}
	return total
}

// self is the path of this program.
func self() string {
	path, err := os.Executable()
	if err != nil {
		return filepath.Base(os.Args[0])
	}
	return path
}
