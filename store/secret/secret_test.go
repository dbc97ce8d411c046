package secret

import (
	"bytes"
	"context"
	"regexp"
	"runtime"
	"strings"
	"testing"
)

func TestPasswordIsVerified(t *testing.T) {
	hash, err := HashPassword("correct horse")
	if err != nil {
		t.Fatal(err)
	}
	if !verify(t, "correct horse", hash) {
		t.Error("the right password is refused")
	}
	for _, wrong := range []string{"", "correct hors", "Correct horse", "correct horse ", strings.Repeat("x", 1<<20)} {
		if verify(t, wrong, hash) {
			t.Errorf("%.20q is taken for the password", wrong)
		}
	}
	again, err := HashPassword("correct horse")
	if err != nil {
		t.Fatal(err)
	}
	if again == hash {
		t.Error("two users with the same password have the same hash")
	}
	if verify(t, "correct horse", "no hash at all") {
		t.Error("a broken hash lets somebody in")
	}
	if err := NewLine(1).DummyVerify(t.Context(), "correct horse"); err != nil {
		t.Error(err)
	}
}

func verify(t *testing.T, password, hash string) bool {
	t.Helper()
	match, err := NewLine(1).VerifyPassword(t.Context(), password, hash)
	if err != nil {
		t.Fatal(err)
	}
	return match
}

func TestAFullLineRefusesAndHoldsUpNoOther(t *testing.T) {
	hash, err := HashPassword("correct horse")
	if err != nil {
		t.Fatal(err)
	}
	for range cap(hashing) { // nothing is hashed until these are given back
		hashing <- struct{}{}
	}
	crowd, other := NewLine(3), NewLine(1)
	type result struct {
		match bool
		err   error
	}
	results := make(chan result, 10)
	check := func(ctx context.Context, l *Line) {
		match, err := l.VerifyPassword(ctx, "correct horse", hash)
		results <- result{match, err}
	}
	for range 10 {
		go check(t.Context(), crowd)
	}
	for range 7 {
		if r := <-results; r.err != ErrBusy || r.match {
			t.Fatalf("a full line: %+v", r)
		}
	}
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	check(cancelled, other)
	if r := <-results; r.err != context.Canceled {
		t.Errorf("given up while waiting: %+v", r)
	}
	go check(t.Context(), other)
	for range cap(hashing) {
		<-hashing
	}
	for range 4 {
		if r := <-results; r.err != nil || !r.match {
			t.Errorf("a place in the line: %+v", r)
		}
	}
	if !verify(t, "correct horse", hash) {
		t.Error("places were not given back")
	}
}

func TestLinesTakeTurns(t *testing.T) {
	hash, err := HashPassword("correct horse")
	if err != nil {
		t.Fatal(err)
	}
	for range cap(hashing) {
		hashing <- struct{}{}
	}
	const many = 20
	crowd, other := NewLine(many), NewLine(1)
	done := make(chan *Line, many+1)
	check := func(l *Line) {
		_, _ = l.VerifyPassword(t.Context(), "correct horse", hash)
		done <- l
	}
	await := func(l *Line, places int) {
		for len(l.places) < places || len(l.front) == 0 {
			runtime.Gosched()
		}
	}
	for range many {
		go check(crowd)
	}
	await(crowd, many)
	go check(other)
	await(other, 1)
	for range cap(hashing) {
		<-hashing
	}
	for before := range many + 1 {
		if l := <-done; l == other && before > 4 {
			t.Errorf("%d of the crowd came before the only one in the other line", before)
		}
	}
}

func TestPasswordLengthsAreCharacters(t *testing.T) {
	for password, ok := range map[string]bool{
		"1234567":                  false,
		"12345678":                 true,
		"äöüßÄÖÜ":                  false,
		strings.Repeat("漢", 8):     true,
		strings.Repeat("漢", 1_000): true,
		strings.Repeat("a", 1_001): false,
	} {
		hash, err := HashPassword(password)
		if (err == nil) != ok {
			t.Errorf("%.20q: error %v", password, err)
		}
		if err != nil && !strings.Contains(err.Error(), "8 to 1000") {
			t.Errorf("the error does not say which lengths are right: %v", err)
		}
		if ok && !verify(t, password, hash) {
			t.Errorf("%.20q is taken and then refused", password)
		}
	}
}

func TestKeysAndSecretsDiffer(t *testing.T) {
	shape := regexp.MustCompile(`^pb_[0-9A-Za-z]{32}$`)
	seen := map[string]bool{}
	for range 1_000 {
		key := NewKey()
		if !shape.MatchString(key) {
			t.Fatalf("key %q", key)
		}
		if seen[key] {
			t.Fatal("a key was drawn twice")
		}
		seen[key] = true
	}
	if key := NewKey(); !bytes.Equal(HashKey(key), HashKey(key)) || len(HashKey(key)) != 32 {
		t.Error("the hash of a key is not stable")
	}
	if a, b := NewSecret(32), NewSecret(32); len(a) != 32 || bytes.Equal(a, b) {
		t.Error("secrets are not random")
	}
}
