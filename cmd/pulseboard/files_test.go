package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
)

func gzipped(t *testing.T, text string) string {
	t.Helper()
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	if _, err := w.Write([]byte(text)); err != nil {
		t.Fatal(err)
	}
	w.Close()
	return b.String()
}

func zstandard(t *testing.T, text string) string {
	t.Helper()
	w, err := zstd.NewWriter(nil)
	if err != nil {
		t.Fatal(err)
	}
	return string(w.EncodeAll([]byte(text), nil))
}

func writeFile(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestCSVIsImportedByTheColumnsOfTheFlags(t *testing.T) {
	t.Parallel()
	s := &site{t: t, dir: t.TempDir()}
	s.command("", "tenant", "create", "acme")
	file := filepath.Join(t.TempDir(), "orders.csv")
	writeFile(t, file, "\ufeffwhen,buyer,what,nr,note,amount\r\n09.02.2026 15:12,u1,order,7,\"two\r\nlines\",12.5\r\nyesterday,u2,order,8,,\r\n09.02.2026 15:13,u3,order,9\r\n")
	flags := []string{"import", "--tenant", "acme", "--format", "csv", "--time-column", "when", "--time-format", "%d.%m.%Y %H:%M", "--user-column", "buyer", "--id-column", "nr"}
	out, stderr, code := s.try("", append(flags, "--name-column", "what", file)...)
	if code != 0 || out != "accepted 1\nduplicate 0\nrejected 2\n" {
		t.Errorf("exit %d, %q", code, out)
	}
	if want := file + `:4: time "yesterday" is not of the form "%d.%m.%Y %H:%M"` + "\n" + file + ":5: the row has 4 cells, but the header 6\n"; stderr != want {
		t.Errorf("%s, want %s", stderr, want)
	}
	s.command("", append(flags, "--name", "sale", file)...)
	want := `{"event":"order","id":"7","time":"2026-02-09T15:12:00Z","user":"u1","properties":{"amount":12.5,"note":"two�lines"}}
{"event":"sale","id":"7","time":"2026-02-09T15:12:00Z","user":"u1","properties":{"amount":12.5,"note":"two�lines","what":"order"}}`
	if got := s.command("", "export", "events", "--tenant", "acme"); got != want {
		t.Errorf("%s\nwant\n%s", got, want)
	}
}

func TestWrongFlagsOfImportAndExportAreExplained(t *testing.T) {
	t.Parallel()
	s := &site{t: t, dir: t.TempDir()}
	s.command("", "tenant", "create", "acme")
	for _, c := range []struct {
		stdin, args string
		code        int
		says        string
	}{
		{"a,b\n", "import --tenant acme --format csv", 1, `line 1: the header has no column "event" for the name of the event: it has a, b; say which column it is with --name-column`},
		{"event\n", "import --tenant acme --format csv --time-column ts", 1, `line 1: the header has no column "ts" for the time: it has event`},
		{"", "import --tenant acme --format csv --name a --name-column b", 2, "give one of the two"},
		{"", "import --tenant acme --format csv --time-format 2006-01-02", 2, "strftime"},
		{"", "import --tenant acme --format ndjson --user-column b", 2, "--format csv"},
		{"", "import --tenant acme --format ndjson --follow", 2, "--follow needs the name of a file"},
		{"", "import --tenant acme --format ndjson --follow " + s.dir, 1, "only files can be followed"},
		{"", "export events", 2, "--tenant"},
		{"", "export events --tenant none", 1, "tenant create none"},
		{"", "export events --tenant acme --from yesterday", 2, `--from: time "yesterday" is unknown: use now`},
		{"", "export events --tenant acme --to 99999999999999999", 2, "--to: time"},
		{"", "export events --tenant acme --from now --to now-1h", 2, "--from must lie before --to"},
		{"", "export events --tenant acme --output " + s.dir, 1, "is a directory"},
	} {
		_, stderr, code := s.try(c.stdin, strings.Fields(c.args)...)
		if code != c.code || !strings.Contains(stderr, c.says) || strings.Count(stderr, "\n") != 1 {
			t.Errorf("%s: exit %d, %q; want %d, %q", c.args, code, stderr, c.code, c.says)
		}
	}
}

func TestCompressedFilesAreImportedWhateverTheirName(t *testing.T) {
	slow(t)
	t.Parallel()
	s := &site{t: t, dir: t.TempDir()}
	s.command("", "tenant", "create", "acme")
	lines := func(from, to int) string {
		var b strings.Builder
		for i := from; i < to; i++ {
			fmt.Fprintf(&b, `{"event":"visit","time":%d,"properties":{"n":%d}}`+"\n", 1770649920+i, i*i*7919%10007)
		}
		return b.String()
	}
	file := filepath.Join(t.TempDir(), "events.txt")
	writeFile(t, file, gzipped(t, lines(0, 10))+gzipped(t, lines(10, 20)))
	if out := s.command("", "import", "--tenant", "acme", "--format", "ndjson", file); out != "accepted 20\nduplicate 0\nrejected 0" {
		t.Errorf("gzip: %q", out)
	}
	if out := s.command(zstandard(t, lines(10, 20))+zstandard(t, lines(20, 30)), "import", "--tenant", "acme", "--format", "ndjson"); out != "accepted 10\nduplicate 10\nrejected 0" {
		t.Errorf("zstd: %q", out)
	}
	csv := "event,id\nsale,1\nsale,2\n"
	if out := s.command(gzipped(t, csv), "import", "--tenant", "acme", "--format", "csv", "-"); out != "accepted 2\nduplicate 0\nrejected 0" {
		t.Errorf("CSV: %q", out)
	}
	for packing, packed := range map[string]string{"gzip": gzipped(t, lines(0, 200_000)), "zstd": zstandard(t, lines(0, 200_000))} {
		tenant := packing
		s.command("", "tenant", "create", tenant)
		writeFile(t, file, packed[:len(packed)/2])
		out, stderr, code := s.try("", "import", "--tenant", tenant, "--format", "ndjson", file)
		var accepted, duplicate, rejected int
		if _, err := fmt.Sscanf(out, "accepted %d\nduplicate %d\nrejected %d\n", &accepted, &duplicate, &rejected); err != nil || accepted < 50_000 || rejected > 0 {
			t.Errorf("half of %s: %q", packing, out)
		}
		if code != 1 || !strings.Contains(stderr, file+": the file is truncated: its "+packing+" data ends too early; what came before is kept") {
			t.Errorf("half of %s: exit %d, %q", packing, code, stderr)
		}
		writeFile(t, file, packed)
		if out := s.command("", "import", "--tenant", tenant, "--format", "ndjson", file); out != fmt.Sprintf("accepted %d\nduplicate %d\nrejected 0", 200_000-accepted, accepted) {
			t.Errorf("all of %s after %d: %q", packing, accepted, out)
		}
	}
}

// followed is an import that follows a log.
type followed struct {
	s        *site
	path     string
	process  *exec.Cmd
	out, err lockedBuffer
}

func (s *site) follow(path, format string) *followed {
	s.t.Helper()
	f := &followed{s: s, path: path}
	f.process = exec.Command(binary, "import", "--data", s.dir, "--tenant", "acme", "--format", format, "--follow", path)
	f.process.Stdout, f.process.Stderr = &f.out, &f.err
	if err := f.process.Start(); err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { _ = f.process.Process.Kill() })
	return f
}

func (f *followed) append(lines string) {
	f.s.t.Helper()
	file, err := os.OpenFile(f.path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		f.s.t.Fatal(err)
	}
	defer file.Close()
	if _, err := file.WriteString(lines); err != nil {
		f.s.t.Fatal(err)
	}
}

// stop ends it with a signal and gives its summary.
func (f *followed) stop(signal os.Signal) string {
	f.s.t.Helper()
	if err := f.process.Process.Signal(signal); err != nil {
		f.s.t.Fatal(err)
	}
	if err := f.process.Wait(); err != nil {
		f.s.t.Errorf("it ended with %v: %s", err, f.err.String())
	}
	return strings.TrimSpace(f.out.String())
}

func TestAFollowedLogFeedsALiveBoardOverRotationsAndRestarts(t *testing.T) {
	slow(t)
	t.Parallel()
	s := newSite(t, "--cycle", "100ms")
	stream := s.open(s.signIn(email), "refresh=live", "")
	stream.must("metric_update")
	count := 0
	counts := func(n int) {
		t.Helper()
		for deadline := time.Now().Add(patience); count < n && time.Now().Before(deadline); {
			_, _ = fmt.Sscan(string(stream.must("metric_update").readings(t)["event_count"]), &count)
		}
		if count != n {
			t.Fatalf("the board counts %d of %d", count, n)
		}
	}
	line := func(path string, at int) string {
		return fmt.Sprintf(`1.2.3.4 - - [09/Feb/2026:15:12:%02d +0000] "GET %s HTTP/1.1" 200 12`+"\n", at, path)
	}
	f := s.follow(filepath.Join(t.TempDir(), "access.log"), "common")
	f.append(line("/", 1) + line("/", 1))
	counts(2)
	asked := time.Now()
	f.append(line("/", 2) + line("/part", 3)[:40])
	counts(3)
	if took := time.Since(asked); took > time.Second && !raceEnabled {
		t.Errorf("a line took %s to the board", took)
	}
	f.append(line("/part", 3)[40:])
	counts(4)
	if err := os.Rename(f.path, f.path+".1"); err != nil {
		t.Fatal(err)
	}
	f.append(line("/", 4) + "rubbish\n")
	counts(5)
	if err := os.Truncate(f.path, 0); err != nil {
		t.Fatal(err)
	}
	f.append(line("/", 5) + line("/", 5))
	counts(7)
	f.append(line("/", 6)[:20])
	if got := f.stop(syscall.SIGTERM); got != "accepted 7\nduplicate 0\nrejected 1" {
		t.Errorf("the summary: %q", got)
	}
	if got := f.err.String(); !strings.HasPrefix(got, f.path+":2: ") || strings.Count(got, "\n") != 1 {
		t.Errorf("what it said: %q", got)
	}
	f.append(line("/", 6)[20:])
	f = s.follow(f.path, "common")
	counts(8)
	if got := f.stop(os.Interrupt); got != "accepted 1\nduplicate 2\nrejected 0" {
		t.Errorf("the summary after a restart: %q", got)
	}
}

// allBoard has every measure, with filters and groups.
const allBoard = `
id: all
title: All
range: now-800d
variables:
  - {name: text, property: text}
widgets:
  - {key: count, kind: stat, measure: count}
  - {key: by_event, kind: table, measure: count, by: event, limit: 100}
  - {key: by_user, kind: bars, measure: count, by: user, limit: 100}
  - {key: by_text, kind: bars, measure: count, by: text, limit: 100}
  - {key: by_mixed, kind: table, measure: count, by: mixed, limit: 100}
  - {key: series, kind: line, measure: count, by: mixed}
  - {key: users, kind: stat, measure: uniques}
  - {key: users_line, kind: line, measure: uniques}
  - {key: sum, kind: stat, measure: sum, property: number}
  - {key: avg, kind: line, measure: avg, property: number}
  - {key: min, kind: stat, measure: min, property: number}
  - {key: max, kind: stat, measure: max, property: number}
  - {key: p50, kind: stat, measure: p50, property: small}
  - {key: p90, kind: line, measure: p90, property: small}
  - {key: p99, kind: bars, measure: p99, property: small, by: event}
  - {key: ratio, kind: gauge, measure: ratio, where: ["small > 3"], of: ["mixed != true"]}
  - {key: missing, kind: stat, measure: count, where: ["nothing != x"]}
  - {key: nested, kind: stat, measure: count, where: ['nested contains "k"']}
  - {key: rate, kind: line, measure: rate, per: 1h, event: visit}
  - {key: formula, kind: stat, measure: formula, formula: "100 * count / users"}
`

// snapshot is what a user sees of a board.
func (s *site) snapshot(email, board string) string {
	s.t.Helper()
	response, err := s.signIn(email).Get(s.url + "/api/dashboards/" + board + "/snapshot")
	if err != nil {
		s.t.Fatal(err)
	}
	defer response.Body.Close()
	var snapshot struct{ Readings json.RawMessage }
	if err := json.NewDecoder(response.Body).Decode(&snapshot); err != nil || response.StatusCode != 200 {
		s.t.Fatalf("%s: %v", response.Status, err)
	}
	return string(snapshot.Readings)
}

// anyEvents makes events of all kinds.
func anyEvents(random *rand.Rand, batch, n int) (events []map[string]any) {
	pick := func(of ...any) any { return of[random.IntN(len(of))] }
	for i := range n {
		e := map[string]any{"event": pick("visit", "visit", "Kauf – ☕", "a,\"b\"", "<&>\u2028", strings.Repeat("ü", 200))}
		for key, value := range map[string]any{
			"id":   pick(nil, fmt.Sprint(batch, "-", i), fmt.Sprint("☕ ", batch, "\"", i)),
			"user": pick(nil, fmt.Sprint("u", random.IntN(30)), "Zoë", "\U0001f600"),
			"time": pick(nil, time.Now().UnixMilli()-random.Int64N(700*86_400_000), float64(time.Now().Unix())+0.123456, "2026-02-09T15:12:00.123456Z", "2026-02-09T15:12:00+01:00"),
		} {
			if value != nil {
				e[key] = value
			}
		}
		properties := map[string]any{}
		for key, value := range map[string]any{
			"number":   pick(nil, 0, -1.5, 0.1, 1e200, -1e200, 5e-324, 1e-7, 1e21, 9007199254740993, random.NormFloat64()),
			"small":    pick(nil, random.IntN(10), random.Float64()),
			"text":     pick(nil, "", "007", "12", "true", "null", "two\nlines", "tab\t", "\\\"", "\U0001f600", strings.Repeat("\u2028", 2000)),
			"mixed":    pick(nil, true, false, "true", 1, "1", 1.0),
			"nested":   pick(nil, map[string]any{"k": []any{1, nil, "x"}}, []any{}, []any{map[string]any{}}),
			"key ü.\"": pick(nil, 1),
		} {
			if value != nil {
				properties[key] = value
			}
		}
		if random.IntN(3) == 0 {
			properties["nothing"] = nil
		}
		if len(properties) > 0 || random.IntN(2) == 0 {
			e["properties"] = properties
		}
		events = append(events, e)
	}
	return events
}

func TestWhatIsExportedAndImportedReadsTheSame(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.tenant("copy", "bob@example.com")
	for _, tenant := range []string{"acme", "copy"} {
		s.command(allBoard, "dashboard", "apply", "--tenant", tenant, "-")
	}
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	for batch := range 20 {
		events := anyEvents(random, batch, 1+random.IntN(100))
		s.post(events...)
	}
	s.post(signup(), signup()) // equal, of one moment, and without ids
	s.command(strings.Repeat(`1.2.3.4 - - [17/May/2025:10:05:03 +0000] "GET /a HTTP/1.1" 200 12`+"\n", 3), "import", "--tenant", "acme", "--format", "common")

	exported := s.command("", "export", "events", "--tenant", "acme")
	lines := strings.Count(exported, "\n") + 1
	if out := s.command(exported, "import", "--tenant", "copy", "--format", "ndjson"); out != fmt.Sprintf("accepted %d\nduplicate 0\nrejected 0", lines) {
		t.Errorf("importing %d events: %s", lines, out)
	}
	s.eventually("the copy is seen", func() bool { return s.snapshot("bob@example.com", "all") == s.snapshot(email, "all") })
	if readings := s.snapshot(email, "all"); !strings.Contains(readings, fmt.Sprintf(`"count":%d`, lines)) {
		t.Errorf("%d lines are %s", lines, readings)
	}
	if again := s.command("", "export", "events", "--tenant", "copy"); again != exported {
		t.Error("the copy is exported otherwise")
	}
	if out := s.command(exported, "import", "--tenant", "copy", "--format", "ndjson"); out != fmt.Sprintf("accepted 0\nduplicate %d\nrejected 0", lines) {
		t.Errorf("the second time: %s", out)
	}
}

func TestExportKeepsToItsFlags(t *testing.T) {
	t.Parallel()
	s := &site{t: t, dir: t.TempDir()}
	s.command("", "tenant", "create", "acme")
	s.command("", "tenant", "create", "other")
	s.command(`{"event":"other","id":"1"}`, "import", "--tenant", "other", "--format", "ndjson")
	if out, stderr, code := s.try("", "export", "events", "--tenant", "acme"); out != "" || stderr != "" || code != 0 {
		t.Errorf("without events: exit %d, %q, %q", code, out, stderr)
	}
	now := time.Now()
	var events string
	for i, ago := range []time.Duration{0, 3 * time.Hour, time.Hour, 2 * time.Hour, 0} {
		events += fmt.Sprintf(`{"event":"%s","id":"%d","time":%d}`+"\n", []string{"a", "b,c", "d"}[i%3], i, now.Add(-ago).UnixMilli())
	}
	s.command(events, "import", "--tenant", "acme", "--format", "ndjson")
	at := func(ago time.Duration) string { return now.Add(-ago).UTC().Format(time.RFC3339Nano) }
	for args, want := range map[string]string{
		"":                             "[0 1 2 3 4]",
		"--from now-150m":              "[0 2 3 4]",
		"--from now-150m --to now-90m": "[3]",
		"--to " + at(2*time.Hour):      "[1]",
		"--from " + at(2*time.Hour) + " --to " + at(time.Hour-time.Millisecond): "[2 3]",
		"--name a":            "[0 3]",
		"--name b,c --name d": "[1 2 4]",
		"--name none":         "[]",
	} {
		ids := []string{}
		for _, line := range strings.Split(s.command("", append([]string{"export", "events", "--tenant", "acme"}, strings.Fields(args)...)...), "\n") {
			var e struct{ ID string }
			if _ = json.Unmarshal([]byte(line), &e); e.ID != "" {
				ids = append(ids, e.ID)
			}
		}
		if got := fmt.Sprint(ids); got != want {
			t.Errorf("%s: %s, want %s", args, got, want)
		}
	}
	file := filepath.Join(t.TempDir(), "events.ndjson")
	if out := s.command("", "export", "events", "--tenant", "acme", "--output", file); out != "" {
		t.Errorf("beside the file it prints %q", out)
	}
	written, err := os.ReadFile(file)
	if err != nil || strings.TrimSpace(string(written)) != s.command("", "export", "events", "--tenant", "acme") {
		t.Errorf("the file: %.200s, %v", written, err)
	}
	if info, _ := os.Stat(file); info.Mode().Perm() != 0o600 {
		t.Errorf("others may read it: %s", info.Mode())
	}
}

func TestExportEndsQuietlyWhenNobodyReadsOn(t *testing.T) {
	t.Parallel()
	s := &site{t: t, dir: t.TempDir()}
	s.command("", "tenant", "create", "acme")
	s.command(strings.Repeat(`{"event":"visit"}`+"\n", 50_000), "import", "--tenant", "acme", "--format", "ndjson")
	cmd := exec.Command(binary, "export", "events", "--tenant", "acme", "--data", s.dir)
	var stderr lockedBuffer
	cmd.Stderr = &stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil || !strings.HasPrefix(line, `{"event":"visit","id":"`) {
		t.Errorf("%q, %v", line, err)
	}
	out.Close()
	_ = cmd.Wait()
	if code := cmd.ProcessState.ExitCode(); code != 1 || stderr.String() != "" {
		t.Errorf("exit %d, %q", code, stderr.String())
	}
}
