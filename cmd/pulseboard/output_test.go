package main

import (
	"bytes"
	"context"
	"errors"
	"io"
	"strings"
	"testing"
)

// full is a file on a disk without room.
type full struct{}

func (full) Write([]byte) (int, error) { return 0, errors.New("no space left on device") }

// A script that keeps a key in a file must not go on without it.
func TestACommandWhoseOutputIsLostFails(t *testing.T) {
	dir := t.TempDir()
	do := func(out io.Writer, errs io.Writer, line string) int {
		stdin := strings.NewReader(password + "\n")
		return run(&console{context.Background(), stdin, out, errs}, append(strings.Fields(line), "--data", dir))
	}
	if code := do(io.Discard, io.Discard, "tenant create acme"); code != 0 {
		t.Fatalf("tenant create: exit %d", code)
	}
	for _, line := range []string{
		"version", "help", "help formats", "--help", "tenant create other", "key create --tenant acme", "tenant retention acme",
		"user create --tenant acme --email a@example.com --role viewer --password-stdin", "import --tenant acme --format ndjson",
	} {
		var errs bytes.Buffer
		if code := do(full{}, &errs, line); code != exitFailure || !strings.Contains(errs.String(), "no space left") {
			t.Errorf("%s: exit %d, and says %q", line, code, errs.String())
		}
	}
}
