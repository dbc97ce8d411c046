package store

import (
	"testing"
	"time"

	"pgregory.net/rapid"
)

func TestAWindowIsTheRangeInTheSmallestStepsThatFit(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		now := time.Unix(rapid.Int64Range(1_000_000_000, 2_000_000_000).Draw(t, "now"), 0)
		seconds := rapid.Int64Range(1, 120*604800).Draw(t, "length")
		r := Range{Bound{at: now.Add(-time.Duration(seconds) * time.Second)}, Bound{relative: true}}
		w, err := r.Window(now)
		if err != nil { // just beyond the longest range, once widened
			if seconds < 119*604800 {
				t.Fatal(err)
			}
			return
		}
		if w.From%w.Step != 0 || w.To%w.Step != 0 || w.Len() < 1 || w.Len() > MaxSteps {
			t.Fatalf("%+v", w)
		}
		if w.From > r.From.at.Unix() || w.To <= now.Unix() || w.To > now.Unix()+w.Step {
			t.Fatalf("%+v does not just cover %v to %v", w, r.From.at.Unix(), now.Unix())
		}
		for _, smaller := range Steps {
			if smaller >= w.Step {
				break
			}
			from := StepStart(r.From.at.Unix(), smaller)
			if end := StepStart(now.Unix(), smaller) + smaller; end-from <= MaxSteps*smaller {
				t.Fatalf("steps of %d s would do; it has %d s", smaller, w.Step)
			}
		}
	})
}

func TestRanges(t *testing.T) {
	now := time.Date(2026, 2, 9, 15, 12, 7, 0, time.UTC)
	for _, c := range []struct {
		from, to string
		steps    int
		step     int64
		end      string
	}{
		{"now-1h", "now", 60, 60, "2026-02-09T15:13:00Z"},
		{"now-30m", "now", 120, 15, "2026-02-09T15:12:15Z"},
		{"now-24h", "now", 96, 900, "2026-02-09T15:15:00Z"},
		{"now-7d", "now", 84, 7200, "2026-02-09T16:00:00Z"},
		{"now-30d", "now", 120, 21600, "2026-02-09T18:00:00Z"},
		{"2015-05-17T00:00:00Z", "2015-05-19T00:00:00Z", 48, 3600, "2015-05-19T00:00:00Z"},
		{"1431820800000", "1431993600000", 48, 3600, "2015-05-19T00:00:00Z"},
		{"2026-02-09T16:00:10+01:00", "2026-02-09T15:01:00Z", 4, 15, "2026-02-09T15:01:00Z"},
	} {
		r, err := ParseRange(c.from, c.to)
		if err != nil {
			t.Fatal(err)
		}
		w, err := r.Window(now)
		if end := time.Unix(w.To, 0).UTC().Format(time.RFC3339); err != nil || w.Len() != c.steps || w.Step != c.step || end != c.end {
			t.Errorf("%s to %s: %d steps of %d s to %s (%v)", c.from, c.to, w.Len(), w.Step, end, err)
		}
		again, err := ParseRange(r.From.String(), r.To.String())
		if err != nil || again != r {
			t.Errorf("%s does not read back: %v %v", r, again, err)
		}
	}
	for _, bad := range [][2]string{{"now", "now"}, {"now", "now-1h"}, {"now-3y", "now"}, {"x", "now"}, {"now-1", "now"}, {"now-1h", ""}, {"-1", "now"}, {"now/d", "now"}} {
		if _, err := ParseRange(bad[0], bad[1]); err == nil {
			t.Errorf("%s to %s is taken", bad[0], bad[1])
		}
	}
}
