package main

import (
	"context"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"pulseboard/store"
	"pulseboard/store/sqlite"
	"pulseboard/store/token"
)

const (
	requests = 200_000 // events of the attacked tenant that its boards count
	paths    = 20_000
	names    = 300_000 // events with a name and a user each of their own
	history  = 24 * time.Hour

	owner     = "owner@example.com" // of the account that is guessed at
	colleague = "colleague@example.com"
)

// boardsAttacked stand in the tenant "attacked".
const boardsAttacked = `
id: busy
title: Busy
range: now-24h
widgets:
  - {key: requests, title: Requests, kind: stat, measure: count, event: request}
  - {key: visitors, title: Visitors, kind: stat, measure: uniques}
  - {key: pages, title: Pages, kind: bars, measure: count, by: path, event: request}
  - {key: slowest, title: Slowest, kind: table, measure: p95, property: duration_ms, by: path, event: request}
  - {key: traffic, title: Traffic, kind: line, measure: count, by: path, event: request}
---
id: lines
title: Lines
range: now-24h
widgets:
  - {key: names, title: Names, kind: line, measure: count, by: name, limit: 100}
---
id: table
title: Table
range: now-24h
widgets:
  - {key: pages, title: Pages, kind: table, measure: count, by: path, limit: 1000, event: request}
---
id: picked
title: Picked
range: now-24h
variables:
  - {name: path, property: path}
widgets:
  - {key: requests, title: Requests, kind: stat, measure: count, event: request}
  - {key: pages, title: Pages, kind: bars, measure: count, by: path, event: request}
---
id: small
title: Small
range: now-24h
widgets:
  - {key: requests, title: Requests, kind: stat, measure: count, event: request}
---
id: kinds
title: Kinds
range: now-24h
widgets:
  - {key: events, title: Events, kind: bars, measure: count, by: event}
  - {key: users, title: Users, kind: bars, measure: count, by: user}
  - {key: visitors, title: Visitors, kind: stat, measure: uniques}
  - {key: names, title: Names, kind: table, measure: count, by: name, limit: 100}
`

// boardCalm is the board that the others watch, in the tenant "calm". Each of its rooms is a view.
const boardCalm = `
id: calm
title: Calm
range: now-24h
variables:
  - {name: room, property: room}
widgets:
  - {key: requests, title: Requests, kind: stat, measure: count, event: request}
  - {key: visitors, title: Visitors, kind: stat, measure: uniques, event: request}
  - {key: traffic, title: Traffic, kind: line, measure: count, event: request}
  - {key: pages, title: Pages, kind: bars, measure: count, by: path, event: request}
`

// hostileBench is a data folder that servers get copies of.
type hostileBench struct {
	site
	keys      []string          // of the tenant calm
	attackKey string            // of the tenant attacked
	memberKey string            // of the tenant attacked, too
	tokens    map[string]string // of the tenant attacked, by board
	bytes     int64             // of the folder

	freshKey, freshToken string // of the tenant fresh, which has the attacked boards and no events

	sign, signMember func(board, subject string, vars store.Vars) (string, error) // for viewers of calm, and of attacked
}

// newHostileBench seeds a data folder by the program's own commands.
func newHostileBench(ctx context.Context, binary, memory string) (*hostileBench, error) {
	dir, err := os.MkdirTemp("", "hostile")
	if err != nil {
		return nil, err
	}
	b := &hostileBench{site: site{binary: binary, dir: filepath.Join(dir, "seed"), args: []string{"serve"}}, tokens: map[string]string{}}
	if err := b.prepare(ctx, memory); err != nil {
		b.close()
		return nil, err
	}
	return b, nil
}

func (b *hostileBench) prepare(ctx context.Context, memory string) error {
	help, err := exec.CommandContext(ctx, b.binary, "serve", "--help").Output()
	if err != nil {
		return fmt.Errorf("%s serve --help: %w", b.binary, err)
	}
	if strings.Contains(string(help), "--view-memory") {
		b.args = append(b.args, "--view-memory", memory)
	} else {
		say("%s knows no --view-memory: it serves without", b.binary)
	}
	if err := b.seed(ctx); err != nil {
		return err
	}
	for range 2 { // a server finishes some housekeeping only when it starts again
		if err := b.settle(ctx); err != nil {
			return err
		}
	}
	b.bytes, err = b.size(ctx, "VACUUM")
	return err
}

func (b *hostileBench) close() { os.RemoveAll(filepath.Dir(b.dir)) }

func (b *hostileBench) seed(ctx context.Context) error {
	for _, c := range [][]string{
		{"", "tenant", "create", "attacked"},
		{"", "tenant", "create", "calm"},
		{password, "user", "create", "--tenant", "attacked", "--email", owner, "--role", "admin", "--password-stdin"},
		{password, "user", "create", "--tenant", "attacked", "--email", colleague, "--role", "viewer", "--password-stdin"},
		{password, "user", "create", "--tenant", "calm", "--email", mail, "--role", "viewer", "--password-stdin"},
		{boardsAttacked, "dashboard", "apply", "--tenant", "attacked", "-"},
		{"", "tenant", "create", "fresh"},
		{boardsAttacked, "dashboard", "apply", "--tenant", "fresh", "-"},
		{boardCalm, "dashboard", "apply", "--tenant", "calm", "-"},
		{seedEvents(time.Now()), "import", "--tenant", "attacked", "--format", "ndjson", "-"},
	} {
		if _, err := b.command(ctx, c[0], c[1:]...); err != nil {
			return err
		}
	}
	var err error
	if b.attackKey, err = b.command(ctx, "", "key", "create", "--tenant", "attacked"); err != nil {
		return err
	}
	if b.memberKey, err = b.command(ctx, "", "key", "create", "--tenant", "attacked"); err != nil {
		return err
	}
	if b.freshKey, err = b.command(ctx, "", "key", "create", "--tenant", "fresh"); err != nil {
		return err
	}
	if b.freshToken, err = b.command(ctx, "", "token", "create", "--tenant", "fresh", "--dashboard", "busy"); err != nil {
		return err
	}
	for range 4 {
		key, err := b.command(ctx, "", "key", "create", "--tenant", "calm")
		if err != nil {
			return err
		}
		b.keys = append(b.keys, key)
	}
	for _, board := range []string{"busy", "lines", "table", "picked", "kinds"} {
		if b.tokens[board], err = b.command(ctx, "", "token", "create", "--tenant", "attacked", "--dashboard", board); err != nil {
			return err
		}
	}
	if _, err := b.command(ctx, "", "token", "create", "--tenant", "calm", "--dashboard", "calm"); err != nil {
		return err // it makes the tenant's signing secret
	}
	if b.sign, err = signer(ctx, b.dir, "calm"); err != nil {
		return err
	}
	b.signMember, err = signer(ctx, b.dir, "attacked")
	return err
}

// seedEvents are events of the last day, as NDJSON.
func seedEvents(now time.Time) string {
	var lines []byte
	write := func(i, n int, event, user string, fields string) {
		lines = append(lines, `{"event":"`+event+`","user":"`+user+`","time":"`...)
		lines = now.Add(-history*time.Duration(n-i)/time.Duration(n)).UTC().AppendFormat(lines, "2006-01-02T15:04:05.000000Z")
		lines = append(lines, `","properties":{`+fields+"}}\n"...)
	}
	for i := range requests {
		write(i, requests, "request", "u"+strconv.Itoa(i%5_000), fmt.Sprintf(`"path":"/shop/%d","status":200,"duration_ms":%d`, mixed(uint64(i))%paths, 1+mixed(uint64(i))%900))
	}
	for i := range names {
		write(i, names, "named", "w"+strconv.Itoa(i), `"name":"n`+strconv.Itoa(i)+`"`)
	}
	return string(lines)
}

// signer signs tokens of a tenant, as a host application does that knows its viewers. The
// secret is read from the database as it is, for opening it as the program does might
// bring its tables to another version than the binary's.
func signer(ctx context.Context, dir string, tenant store.Slug) (func(board, subject string, vars store.Vars) (string, error), error) {
	db, err := connect(filepath.Join(dir, sqlite.File))
	if err != nil {
		return nil, err
	}
	defer db.Close()
	var kid string
	var secret []byte
	err = db.QueryRowContext(ctx, `SELECT kid, secret FROM signing_secrets JOIN tenants ON tenants.id = tenant_id WHERE slug = ?`, tenant).Scan(&kid, &secret)
	if err != nil {
		return nil, fmt.Errorf("read the signing secret: %w", err)
	}
	return func(board, subject string, vars store.Vars) (string, error) {
		now := time.Now()
		claims := token.Claims{Tenant: tenant, Dashboard: store.DashboardID(board), IssuedAt: now, Expires: now.Add(time.Hour), Vars: vars, Subject: subject}
		return token.Sign(claims, kid, secret)
	}, nil
}

// settle serves the folder until all is counted, so that no attack is blamed for it.
func (b *hostileBench) settle(ctx context.Context) error {
	t, err := b.serve(ctx, b.dir)
	if err != nil {
		return err
	}
	defer t.kill()
	const seeding = time.Minute
	if !waitFor(seeding, func() bool { return t.metric("pulseboard_store_rollup_lag_events") == 0 }) {
		return fmt.Errorf("the rollups do not catch up within %s", seeding)
	}
	// The views of these boards begin to have ids.
	for board, text := range b.tokens {
		answer, err := t.client.Get(t.snapshot(board, url.Values{"token": {text}}))
		if err != nil {
			return err
		}
		answer.Body.Close()
	}
	time.Sleep(2 * time.Second) // runs of ids and segments are merged
	return t.end()
}

// size returns the bytes of all files in the folder of a site that is not served, after it
// ran statements on the database and emptied its log. A seeded folder needs a VACUUM: its
// free pages would hide as much growth, or look like shrinking when the server gives them
// back.
func (s *site) size(ctx context.Context, statements ...string) (bytes int64, err error) {
	db, err := connect(filepath.Join(s.dir, sqlite.File))
	if err != nil {
		return 0, err
	}
	for _, statement := range append(statements, "PRAGMA wal_checkpoint(TRUNCATE)") {
		if _, err := db.ExecContext(ctx, statement); err != nil {
			db.Close()
			return 0, fmt.Errorf("%s: %w", statement, err)
		}
	}
	if err := db.Close(); err != nil {
		return 0, err
	}
	err = filepath.WalkDir(s.dir, func(_ string, f fs.DirEntry, err error) error {
		if err != nil || f.IsDir() {
			return err
		}
		info, err := f.Info()
		if err == nil {
			bytes += info.Size()
		}
		return err
	})
	return bytes, err
}

// target is a server under attack.
type target struct {
	*site
	bench *hostileBench
}

// start serves a copy of the folder.
func (b *hostileBench) start(ctx context.Context) (*target, error) {
	dir, err := os.MkdirTemp(filepath.Dir(b.dir), "attack")
	if err != nil {
		return nil, err
	}
	if err := os.CopyFS(dir, os.DirFS(b.dir)); err != nil {
		return nil, err
	}
	return b.serve(ctx, dir)
}

func (b *hostileBench) serve(ctx context.Context, dir string) (*target, error) {
	s := b.site
	s.dir, s.args = dir, append(append([]string(nil), b.args...), "--data", dir)
	t := &target{&s, b}
	return t, t.site.start(ctx)
}

func (t *target) url(path string, query url.Values) string {
	return (&url.URL{Scheme: "http", Host: t.address, Path: path, RawQuery: query.Encode()}).String()
}

func (t *target) snapshot(board string, query url.Values) string {
	return t.url("/api/dashboards/"+board+"/snapshot", query)
}

// patience is how long anybody waits for an answer.
const patience = 10 * time.Second

// endingTime is how long a server may take to end: 10 s by the contract, and some more here.
const endingTime = 12 * time.Second

// end lets the server close its store, and kills it where that takes too long: then and
// where it fails the error is not nil.
func (t *target) end() error {
	late := time.AfterFunc(endingTime, func() { _ = t.cmd.Process.Kill() })
	defer late.Stop()
	return t.site.end()
}

// Addresses of this machine that people come from.
const (
	addressOfOthers    = "127.0.0.2"
	addressOfOwner     = "127.0.0.3"
	addressOfColleague = "127.0.0.4"
	addressOfAttacker  = "127.0.0.66"
)

// manyAddresses returns for an attacker one of 64 addresses.
func manyAddresses(i int) string { return fmt.Sprintf("127.0.1.%d", 1+i%64) }

func dialer(from string) *net.Dialer {
	return &net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}, Timeout: patience}
}

// clientAt is a client that comes from an address, follows no redirects and has no cookies.
func clientAt(from string) *http.Client {
	return &http.Client{
		Transport:     &http.Transport{DialContext: dialer(from).DialContext, MaxIdleConnsPerHost: manyOnes, IdleConnTimeout: 30 * time.Second},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Timeout:       patience,
	}
}

// signIn returns the status of a sign-in and the cookies that it set.
func (t *target) signIn(ctx context.Context, c *http.Client, email, word string) (status int, cookie string, err error) {
	form := url.Values{"email": {email}, "password": {word}}.Encode()
	r, err := http.NewRequestWithContext(ctx, "POST", t.url("/login", nil), strings.NewReader(form))
	if err != nil {
		return 0, "", err
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	answer, err := c.Do(r)
	if err != nil {
		return 0, "", err
	}
	defer answer.Body.Close()
	var cookies []string
	for _, c := range answer.Cookies() {
		cookies = append(cookies, c.Name+"="+c.Value)
	}
	return answer.StatusCode, strings.Join(cookies, "; "), nil
}
