package main

import (
	"database/sql"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

func TestCommandsPrintBareResults(t *testing.T) {
	t.Parallel()
	s := &site{t: t, dir: t.TempDir()}
	if got := s.command("", "tenant", "create", "acme", "--name", "Acme"); got != "acme" {
		t.Errorf("tenant create prints %q", got)
	}
	if got := s.command("", "tenant", "retention", "acme", "--event-days", "30"); got != "events 30 days\nrollups 730 days" {
		t.Errorf("tenant retention prints %q", got)
	}
	if got := s.command("a password\n", "user", "create", "--tenant", "acme", "--email", "A@b.c", "--role", "admin", "--password-stdin"); got != "1" {
		t.Errorf("user create prints %q", got)
	}
	if got := s.command("", "key", "create", "--tenant", "acme"); !strings.HasPrefix(got, "pb_") || strings.Contains(got, "\n") {
		t.Errorf("key create prints %q", got)
	}
	if got := s.command(webBoard, "dashboard", "apply", "--tenant", "acme", "-"); got != "web" {
		t.Errorf("dashboard apply prints %q", got)
	}
	exported := s.command("", "dashboard", "export", "--tenant", "acme", "web")
	s.command(exported, "dashboard", "apply", "--tenant", "acme", "-")
	if again := s.command("", "dashboard", "export", "--tenant", "acme", "web"); again != exported {
		t.Errorf("export, apply, export: %s\n%s", exported, again)
	}
	if got := s.command("", "token", "create", "--tenant", "acme", "--dashboard", "web", "--var", "host=a,b=c", "--ancestor", "https://a.example"); strings.Count(got, ".") != 2 {
		t.Errorf("token create prints %q", got)
	}
	if got := s.command("", "version"); !strings.HasPrefix(got, "pulseboard ") || !strings.Contains(got, "go1.") {
		t.Errorf("version prints %q", got)
	}
}

// Bad input gets one line that says what to do, and exit 1 or 2.
func TestBadInputIsExplainedInOneLine(t *testing.T) {
	t.Parallel()
	s := &site{t: t, dir: t.TempDir()}
	s.command("", "tenant", "create", "acme")
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	broken := t.TempDir()
	if err := os.WriteFile(filepath.Join(broken, "pulseboard.db"), []byte(strings.Repeat("not a database ", 100)), 0o600); err != nil {
		t.Fatal(err)
	}
	newer := t.TempDir()
	if _, stderr, code := s.try("", "tenant", "create", "x", "--data", newer); code != 0 {
		t.Fatal(stderr)
	}
	db, err := sql.Open("sqlite3", filepath.Join(newer, "pulseboard.db"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := db.Exec(`INSERT INTO goose_db_version (version_id, is_applied) VALUES (9999, 1)`); err != nil {
		t.Fatal(err)
	}
	db.Close()
	for _, c := range []struct {
		name  string
		stdin string
		args  string
		code  int
		says  string
	}{
		{"no command", "", "", 2, "--help"},
		{"unknown flag", "", "serve --nothing", 2, "--nothing"},
		{"cycle out of range", "", "serve --cycle 10ms", 2, "100ms to 60s"},
		{"half a certificate", "", "serve --tls-cert x", 2, "--tls-key"},
		{"missing certificate", "", "serve --tls-cert nothing.pem --tls-key nothing.key", 1, "nothing.pem"},
		{"unknown log format", "", "serve --log-format xml", 2, "text or json"},
		{"taken port", "", "serve --listen " + taken.Addr().String(), 1, "--listen"},
		{"folder is a file", "", "serve --data " + file, 1, "--data"},
		{"damaged database", "", "serve --data " + broken, 1, "damaged"},
		{"newer database", "", "serve --data " + newer, 1, "newer"},
		{"tenant twice", "", "tenant create acme", 1, "already exists"},
		{"rollups shorter than events", "", "tenant retention acme --rollup-days 10", 2, "use 90 to 3650"},
		{"bad slug", "", "tenant create A_B", 2, "a-z"},
		{"no such tenant", "", "key create --tenant none", 1, "tenant create none"},
		{"short password", "abc\n", "user create --tenant acme --email a@b.c --role viewer --password-stdin", 2, "8"},
		{"bad role", "long enough", "user create --tenant acme --email a@b.c --role king --password-stdin", 2, "viewer, editor or admin"},
		{"bad e-mail", "long enough", "user create --tenant acme --email ab --role viewer --password-stdin", 2, "name@example.com"},
		{"broken dashboard", "id: x\nwidgets:\n  - {key: a, kind: stat, mesure: count}\n", "dashboard apply --tenant acme -", 1, `-:3:26: unknown field "mesure" of a widget: did you mean measure?`},
		{"no such dashboard", "", "dashboard export --tenant acme none", 1, "dashboard apply"},
		{"long token", "", "token create --tenant acme --dashboard x --ttl 48h", 2, "24h"},
		{"bad format", "", "import --tenant acme --format xml", 2, "ndjson, csv, combined or common"},
		{"no file", "", "import --tenant acme --format csv nothing.csv", 1, "nothing.csv"},
	} {
		stdout, stderr, code := s.try(c.stdin, strings.Fields(c.args)...)
		if code != c.code || !strings.Contains(stderr, c.says) || stdout != "" {
			t.Errorf("%s: exit %d, stdout %q, stderr %q; want exit %d and %q", c.name, code, stdout, stderr, c.code, c.says)
		}
		if strings.Count(strings.TrimSpace(stderr), "\n") != 0 {
			t.Errorf("%s: more than a line: %q", c.name, stderr)
		}
	}
}

func TestApplyingSeveralFilesIsAllOrNothing(t *testing.T) {
	t.Parallel()
	s := &site{t: t, dir: t.TempDir()}
	s.command("", "tenant", "create", "acme")
	dir := t.TempDir()
	good, bad := filepath.Join(dir, "good.yaml"), filepath.Join(dir, "bad.yaml")
	for file, text := range map[string]string{good: webBoard, bad: "id: other\nwidgets: [{key: a, kind: pie}]\n"} {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if _, stderr, code := s.try("", "dashboard", "apply", "--tenant", "acme", good, bad); code != 1 || !strings.Contains(stderr, "bad.yaml:2:") {
		t.Errorf("exit %d, %q", code, stderr)
	}
	if _, _, code := s.try("", "dashboard", "export", "--tenant", "acme", "web"); code == 0 {
		t.Error("the good one was applied alone")
	}
}

func TestImportIsSafeToRunTwiceAndNamesBadLines(t *testing.T) {
	t.Parallel()
	s := &site{t: t, dir: t.TempDir()}
	s.command("", "tenant", "create", "acme")
	line := `1.2.3.4 - - [17/May/2015:10:05:03 +0000] "GET /a HTTP/1.1" 200 12 "-" "agent \"x\""` + "\n"
	log := line + line + "rubbish\n" + strings.Replace(line, "GET /a", "GET /b", 1)
	out, stderr, code := s.try(log, "import", "--tenant", "acme", "--format", "combined", "-")
	if code != 0 || out != "accepted 3\nduplicate 0\nrejected 1\n" || !strings.HasPrefix(stderr, "line 3: ") {
		t.Errorf("exit %d, %q, %q", code, out, stderr)
	}
	if out := s.command(log, "import", "--tenant", "acme", "--format", "combined"); out != "accepted 0\nduplicate 3\nrejected 1" {
		t.Errorf("the second time: %q", out)
	}
	csv := "event,user,time,amount,code\norder,u1,2026-02-09T15:12:00Z,12.5,007\norder,u2,1770649920,x,1\norder,u3\n"
	if out := s.command(csv, "import", "--tenant", "acme", "--format", "csv"); out != "accepted 2\nduplicate 0\nrejected 1" {
		t.Errorf("CSV: %q", out)
	}
}

func TestImportFeedsALiveBoardWhileItsInputGoesOn(t *testing.T) {
	t.Parallel()
	s := newSite(t, "--cycle", "200ms")
	stream := s.open(s.signIn(email), "refresh=live", "")
	stream.must("metric_update")
	cmd := exec.Command(binary, "import", "--data", s.dir, "--tenant", "acme", "--format", "common", "-")
	pipe, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer cmd.Wait()
	defer pipe.Close()
	_, _ = pipe.Write([]byte(`1.2.3.4 - - [` + time.Now().Format("02/Jan/2006:15:04:05 -0700") + `] "GET / HTTP/1.1" 200 12` + "\n"))
	if got := string(stream.must("metric_update").readings(t)["event_count"]); got != "1" {
		t.Errorf("the board counts %s", got)
	}
}

func TestAServerThatIsToldToStopDrains(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	stream := s.open(s.signIn(email), "", "")
	stream.must("metric_update")
	if err := s.process.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	told := time.Now()
	if err := s.process.Wait(); err != nil {
		t.Errorf("it ended with %v", err)
	}
	if took := time.Since(told); took > 10*time.Second {
		t.Errorf("it took %s", took)
	}
	for range stream.messages { // ends
	}
}

func TestTheDemoIsLabelledAndLive(t *testing.T) {
	slow(t)
	t.Parallel()
	s := &site{t: t, dir: t.TempDir(), args: []string{"--demo"}}
	s.start()
	b := newBrowser(t)
	b.do(demoSignIn(s)...)
	b.sees(liveState, "live")
	b.sees(`document.querySelector(".demo-label").textContent`, "Demo data")
	before := b.eval(numberOf("visitors"))
	s.eventually("a number changes", func() bool { return b.eval(numberOf("visitors")) != before })
}
