package follow

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// follower is a log that is followed, and what it gave.
type follower struct {
	t    *testing.T
	path string
	log  *Log
	stop context.CancelFunc
	got  chan string // lines as they come, "(over N)" where a file is, N bytes being unfinished; then the error
}

// follow follows a log in a folder of its own; poll without the help of the system.
func follow(t *testing.T, text string, poll bool) *follower {
	t.Helper()
	f := &follower{t: t, path: filepath.Join(t.TempDir(), "log"), got: make(chan string, 1000)}
	if text != "" {
		f.append(text)
	}
	ctx, stop := context.WithCancel(t.Context())
	f.stop = stop
	f.log = Open(ctx, f.path)
	if poll {
		f.log.watcher.Close()
		f.log.watcher = nil
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		f.read()
	}()
	t.Cleanup(func() {
		stop()
		<-done
		f.log.Close()
	})
	return f
}

func (f *follower) read() {
	buffer := make([]byte, 1<<20)
	rest := ""
	for {
		n, err := f.log.Read(buffer)
		rest += string(buffer[:n])
		for line, after, ok := strings.Cut(rest, "\n"); ok; line, after, ok = strings.Cut(rest, "\n") {
			rest = after
			f.got <- line
		}
		if errors.Is(err, io.EOF) {
			f.got <- fmt.Sprintf("(over %d)", f.log.Unfinished())
			err = f.log.Next()
		}
		if err != nil {
			f.got <- err.Error()
			return
		}
	}
}

func (f *follower) append(text string) {
	f.t.Helper()
	file, err := os.OpenFile(f.path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err == nil {
		_, err = file.WriteString(text)
		file.Close()
	}
	f.must(err)
}

func (f *follower) must(err error) {
	f.t.Helper()
	if err != nil {
		f.t.Fatal(err)
	}
}

func (f *follower) wants(lines ...string) {
	f.t.Helper()
	for _, want := range lines {
		select {
		case got := <-f.got:
			if !strings.Contains(got, want) {
				f.t.Fatalf("got %q, want %q", got, want)
			}
		case <-time.After(20 * time.Second):
			f.t.Fatalf("%q does not come", want)
		}
	}
}

// both runs a test with and without the help of the system.
func both(t *testing.T, test func(t *testing.T, poll bool)) {
	for name, poll := range map[string]bool{"notified": false, "polling": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, poll)
		})
	}
}

func TestALogIsFollowedOverRotations(t *testing.T) {
	both(t, func(t *testing.T, poll bool) {
		f := follow(t, "", poll)
		f.append("a\nb\npart")
		f.wants("a", "b")
		f.append("ly\nc\n")
		f.wants("partly", "c")
		f.must(os.Rename(f.path, f.path+".1"))
		f.append("") // there, but empty
		old, err := os.OpenFile(f.path+".1", os.O_APPEND|os.O_WRONLY, 0)
		f.must(err)
		_, _ = old.WriteString("late\nunfin")
		old.Close()
		f.wants("late")
		f.append("d\n")
		f.wants("(over 5)", "d")
		f.must(os.Remove(f.path))
		f.append("e\n")
		f.wants("(over 0)", "e")
	})
}

func TestALogThatIsCutToItsBeginningIsReadAnew(t *testing.T) {
	both(t, func(t *testing.T, poll bool) {
		f := follow(t, "a\nb\n", poll)
		f.wants("a", "b")
		f.must(os.Truncate(f.path, 0))
		f.wants("(over 0)")
		f.append("c\n")
		f.wants("c")
		f.append("d")
		f.must(os.WriteFile(f.path, []byte("more than before\n"), 0o600)) // cut and grown at once
		f.wants("(over ", "more than before")
	})
}

func TestOnlyFilesWithPlainTextAreFollowed(t *testing.T) {
	f := follow(t, "\x1f\x8b\x08\x00", false)
	f.wants("compressed by gzip")
	log := Open(t.Context(), t.TempDir())
	defer log.Close()
	if _, err := log.Read(nil); err == nil || !strings.Contains(err.Error(), "only files can be followed") {
		t.Errorf("a folder: %v", err)
	}
}

func TestFollowingEndsWhenItIsTold(t *testing.T) {
	for _, text := range []string{"", "a\nrest"} {
		f := follow(t, text, false)
		if text != "" {
			f.wants("a")
		}
		f.stop()
		f.wants(context.Canceled.Error())
	}
}

func TestALineWithoutEndIsNotHeldForever(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	if err := os.WriteFile(path, []byte(strings.Repeat("x", maxLine+1)), 0o600); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithTimeout(t.Context(), 20*time.Second)
	defer stop()
	log := Open(ctx, path)
	defer log.Close()
	if n, err := io.ReadFull(log, make([]byte, maxLine)); err != nil {
		t.Errorf("%d bytes, %v", n, err)
	}
}
