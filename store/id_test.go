package store

import (
	"testing"
	"time"
)

func TestNamesAreChecked(t *testing.T) {
	for text, ok := range map[string]bool{"acme": true, "a-1": true, "": false, "-a": false, "A": false, "a b": false, "../x": false} {
		if _, err := ParseSlug(text); (err == nil) != ok {
			t.Errorf("slug %q: %v", text, err)
		}
	}
	for text, ok := range map[string]bool{"a@b": true, " Ann@Example.COM ": true, "a": false, "@b": false, "a@": false, "a@b@c": false, "a b@c": false} {
		if _, err := ParseEmail(text); (err == nil) != ok {
			t.Errorf("e-mail %q: %v", text, err)
		}
	}
	for text, ok := range map[string]bool{"1": true, "0": false, "-1": false, "+1": false, "01": false, "": false, " 1": false, "1.0": false, "9223372036854775808": false} {
		if _, got := ParseSeq(text); got != ok {
			t.Errorf("cursor %q: %v", text, got)
		}
	}
	if Every15s.Interval(20*time.Second) != 20*time.Second || Live.Interval(time.Second) != time.Second || Off.Interval(time.Second) != 0 {
		t.Error("an interval is no shorter than the cycle, and off has none")
	}
}

// A cursor is what String writes, and nothing else, whatever a client sends.
func FuzzParseSeq(f *testing.F) {
	for _, text := range []string{"1", "0", "-1", "+1", "01", "1e3", "9223372036854775807", "9223372036854775808", "１", "1\x00"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if seq, ok := ParseSeq(text); ok != (seq > 0) || ok && seq.String() != text {
			t.Errorf("%q is read as %d, %v", text, seq, ok)
		}
	})
}
