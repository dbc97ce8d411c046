package store

import (
	"fmt"
	"regexp"
	"strconv"
	"time"
)

// Range is a span of time as a viewer asks for it. Its ends may move with the
// clock; [Range.Window] says which instants it covers at one moment.
type Range struct{ From, To Bound }

// Bound is one end of a Range: an instant, or an offset from now.
type Bound struct {
	relative bool
	offset   string // of a relative bound, as written: "", "-1h", "+30m"
	at       time.Time
}

var relativePattern = regexp.MustCompile(`^now(?:([+-])([0-9]{1,6})([smhdwMy]))?$`)

const boundHelp = "use now, now-1h (s, m, h, d, w, M or y), RFC 3339 such as 2026-02-09T15:12:00Z, or epoch milliseconds"

// ParseBound reads one end of a range: `now`, `now-1h`, RFC 3339 or epoch ms.
func ParseBound(s string) (Bound, error) {
	if relativePattern.MatchString(s) {
		return Bound{relative: true, offset: s[len("now"):]}, nil
	}
	if ms, err := strconv.ParseInt(s, 10, 64); err == nil {
		return instant(s, time.UnixMilli(ms))
	}
	at, err := time.Parse(time.RFC3339Nano, s)
	if err != nil {
		return Bound{}, fmt.Errorf("time %s is unknown: %s", Quote(s), boundHelp)
	}
	return instant(s, at)
}

func instant(s string, at time.Time) (Bound, error) {
	if y := at.UTC().Year(); y < 1970 || y > 9999 {
		return Bound{}, fmt.Errorf("time %s is out of range: use the years 1970 to 9999", Quote(s))
	}
	return Bound{at: at.UTC().Truncate(time.Millisecond)}, nil
}

// String writes the bound so that ParseBound reads the same back.
func (b Bound) String() string {
	if b.relative {
		return "now" + b.offset
	}
	return strconv.FormatInt(b.at.UnixMilli(), 10)
}

// At returns the instant the bound means when now is now.
func (b Bound) At(now time.Time) time.Time {
	if !b.relative {
		return b.at
	}
	m := relativePattern.FindStringSubmatch("now" + b.offset)
	if m[1] == "" {
		return now
	}
	n, _ := strconv.Atoi(m[2]) // at most six digits, by the pattern
	if m[1] == "-" {
		n = -n
	}
	switch m[3] {
	case "s":
		return now.Add(time.Duration(n) * time.Second)
	case "m":
		return now.Add(time.Duration(n) * time.Minute)
	case "h":
		return now.Add(time.Duration(n) * time.Hour)
	case "d":
		return now.AddDate(0, 0, n)
	case "w":
		return now.AddDate(0, 0, 7*n)
	case "M":
		return now.AddDate(0, n, 0)
	default: // "y", by the pattern
		return now.AddDate(n, 0, 0)
	}
}

// ParseRange reads both ends of a range.
func ParseRange(from, to string) (Range, error) {
	f, err := ParseBound(from)
	if err != nil {
		return Range{}, err
	}
	t, err := ParseBound(to)
	if err != nil {
		return Range{}, err
	}
	r := Range{f, t}
	_, err = r.Window(time.Now())
	return r, err
}

// Moves reports whether the range moves with the clock.
func (r Range) Moves() bool { return r.From.relative || r.To.relative }

// Live reports whether the range reaches up to now, so that new events fall into it.
func (r Range) Live() bool { return r.To.relative }

// String returns both bounds as they were written, such as now-1h..now.
func (r Range) String() string { return r.From.String() + ".." + r.To.String() }

// Steps are the lengths of step a window can have, in seconds: 15 s, 1 m, 5 m,
// 15 m, 1 h, 2 h, 6 h, 1 d and 7 d. Each divides into the ones after it but for
// the last two, which both divide into whole days.
var Steps = []int64{15, 60, 300, 900, 3600, 7200, 21600, 86400, 604800}

// MaxSteps is the greatest number of steps in a window.
const MaxSteps = 120

// Window is a range at one moment: whole steps, aligned to the epoch in UTC.
// From is within it, To is not. All are in seconds since the epoch.
type Window struct{ From, To, Step int64 }

// Window widens the range to whole steps: the smallest step that gives at most
// MaxSteps of them. Now is the end of the running step.
func (r Range) Window(now time.Time) (Window, error) {
	for _, step := range Steps {
		end := time.Unix(StepStart(now.Unix(), step)+step, 0).UTC()
		from, to := r.From.At(end), r.To.At(end)
		if !from.Before(to) {
			return Window{}, fmt.Errorf("the range from %s to %s is empty: its start must lie before its end", r.From, r.To)
		}
		w := Window{StepStart(from.Unix(), step), StepStart(to.Add(time.Duration(step)*time.Second-1).Unix(), step), step}
		if w.To-w.From <= MaxSteps*step {
			return w, nil
		}
	}
	return Window{}, fmt.Errorf("the range from %s to %s is too long: at most %d days", r.From, r.To, MaxSteps*7)
}

// Covers reports whether an instant lies in the window.
func (w Window) Covers(t time.Time) bool { s := t.Unix(); return s >= w.From && s < w.To }

// String returns the start, the end and the length of the steps, in seconds.
func (w Window) String() string { return fmt.Sprint(w.From, " ", w.To, " ", w.Step) }

// StepOf returns the start of the step that an instant lies in.
func (w Window) StepOf(t time.Time) int64 { return StepStart(t.Unix(), w.Step) }

// Len is the number of steps.
func (w Window) Len() int { return int((w.To - w.From) / w.Step) }

// StepStart returns the start of the step that a second lies in, when steps of a length in
// seconds are counted from the epoch on; also before the epoch.
func StepStart(second, step int64) int64 {
	return second - ((second%step)+step)%step
}
