package main

import (
	"path/filepath"
	"strings"
	"testing"
)

func TestABackupOfARunningServerIsRestored(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	client := s.signIn(email)
	s.post(request("u1", "/", 200), request("u2", "/", 200))
	file := filepath.Join(t.TempDir(), "backup.db")
	s.command("", "backup", file)
	s.post(request("u3", "/", 200))

	if _, stderr, code := s.try("", "backup", file); code != exitUsage || !strings.Contains(stderr, "is there already") {
		t.Errorf("a second time: exit %d, %s", code, stderr)
	}
	if _, stderr, code := s.try("", "restore", file); code != exitFailure || !strings.Contains(stderr, "stop the server") {
		t.Errorf("while the server runs: exit %d, %s", code, stderr)
	}
	s.kill()
	if _, stderr, code := s.try("", "restore", file); code != 0 || !strings.Contains(stderr, "is kept as") {
		t.Fatalf("exit %d, %s", code, stderr)
	}
	s.start()
	if got := string(s.readings(client)["event_count"]); got != "2" {
		t.Errorf("%s events are restored, want the 2 of before the backup", got)
	}
}
