package secret

import (
	"bytes"
	"regexp"
	"strings"
	"testing"
)

func TestPasswordIsVerified(t *testing.T) {
	hash, err := HashPassword("correct horse")
	if err != nil {
		t.Fatal(err)
	}
	if !VerifyPassword("correct horse", hash) {
		t.Error("the right password is refused")
	}
	for _, wrong := range []string{"", "correct hors", "Correct horse", "correct horse ", strings.Repeat("x", 1<<20)} {
		if VerifyPassword(wrong, hash) {
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
	if VerifyPassword("correct horse", "no hash at all") {
		t.Error("a broken hash lets somebody in")
	}
	DummyVerify("correct horse")
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
		if ok && !VerifyPassword(password, hash) {
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
