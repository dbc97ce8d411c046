package main

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"io"
	"net"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"
)

func TestAViewerThatLacksATickWaitedTheLongest(t *testing.T) {
	const viewers, longest = 200, 5 * time.Second
	posted := int64(1e9)
	arrivals := func(n int) (all []int64) {
		for i := range n {
			all = append(all, posted+int64(n-i)*1e6) // the last first
		}
		return all
	}
	for _, c := range []struct {
		arrived int
		want    time.Duration
	}{
		{200, 199 * time.Millisecond}, // the 199th of 200
		{199, 199 * time.Millisecond},
		{198, longest},
		{0, longest},
	} {
		if got := tickP99(posted, arrivals(c.arrived), viewers, longest); got != c.want {
			t.Errorf("of %d viewers %d had the tick: got %s, want %s", viewers, c.arrived, got, c.want)
		}
	}
	if got := tickP99(posted, []int64{posted + 7e9}, 1, longest); got != longest {
		t.Errorf("a tick that came late: got %s, want %s", got, longest)
	}
}

// reached is a row that misses nothing, just.
func reached() hostileRow {
	return hostileRow{
		memory: memory{Start: 100, Most: 500, Over: 400}, Grown: 10<<20 + 4<<20, Accepted: 10 << 20,
		Others: map[string]int{"events": 300}, Refused: map[string]int{}, Ticks: 6, P99: 20, Ended: true,
		MembersWait: 10_200, Pages: 34, PagesP99: 9_000,
	}
}

// usual is the pace of two quiet runs.
var usual = pace{ticks: []float64{9, 10, 300}, waits: []float64{5_000, 5_100}}

func TestEachBoundIsMissedByItself(t *testing.T) {
	r := reached()
	if r.compare(usual, hostileBounds); len(r.Missed) != 0 || r.Ratio != 2 || r.MembersRatio != 2 || r.verdict() != "reached" {
		t.Errorf("at the bounds: %+v", r)
	}
	for name, spoil := range map[string]func(*hostileRow){
		"memory":    func(r *hostileRow) { r.Over += 0.1 },
		"disk":      func(r *hostileRow) { r.Grown++ },
		"refused":   func(r *hostileRow) { r.Refused["events 429"] = 1 },
		"broke off": func(r *hostileRow) { r.BrokeOff = 1 },
		"false yes": func(r *hostileRow) { r.FalseYes = 1 },
		"end":       func(r *hostileRow) { r.Ended = false },
		"p99":       func(r *hostileRow) { r.P99 += 0.1 },
		"members":   func(r *hostileRow) { r.MembersWait += 0.1 },
		"pages":     func(r *hostileRow) { r.Pages = 0 },
	} {
		r := reached()
		spoil(&r)
		if r.compare(usual, hostileBounds); !slices.Equal(r.Missed, []string{name}) {
			t.Errorf("missed %q, want %s", r.Missed, name)
		}
		if r.verdict() != "MISSED: "+name {
			t.Errorf("the verdict is %q", r.verdict())
		}
	}
}

func TestWhatCouldNotBeMeasuredIsMissed(t *testing.T) {
	r := reached()
	r.Killed, r.Over = true, 10
	r.Ticks, r.P99, r.MembersWait, r.Pages = 0, 0, 0, 0
	if r.compare(usual, hostileBounds); !slices.Equal(r.Missed, []string{"memory", "p99", "members", "pages"}) {
		t.Errorf("missed %q", r.Missed)
	}
}

func TestAQuietRunThatIsSlowMeansABusyMachine(t *testing.T) {
	rows := []hostileRow{{Attack: quiet, Missed: []string{"refused"}}, {Attack: "slow", Missed: []string{"p99"}}, {Attack: quiet + " again"}}
	if busy(rows) {
		t.Error("an attack that made the others slow counts as a busy machine")
	}
	rows[2].Missed = []string{"p99"}
	var table bytes.Buffer
	if printHostile(&table, rows); !busy(rows) || !strings.Contains(table.String(), "run it again") {
		t.Errorf("a quiet run that was slow is not named:\n%s", &table)
	}
	if got := missedRows(rows); !slices.Equal(got, []string{quiet, "slow", quiet + " again"}) {
		t.Errorf("missed under %q", got)
	}
}

func TestThePeakOfTheKernelCountsWhenItGrew(t *testing.T) {
	for _, c := range []struct {
		what                              string
		sofar, now, startPeak, peak, want int64
	}{
		{"a peak from before the attack", 100, 90, 300, 300, 100},
		{"a peak between two looks", 100, 90, 300, 400, 400},
		{"growth below the peak from before", 100, 200, 300, 300, 200},
		{"the process ended", 100, 0, 300, 0, 100},
	} {
		if got := mostResident(c.sofar, c.now, c.startPeak, c.peak); got != c.want {
			t.Errorf("%s: got %d, want %d", c.what, got, c.want)
		}
	}
}

func TestTheSizeOfAProcessIsRead(t *testing.T) {
	const status = "Name:\tx\nVmHWM:\t  2048 kB\nVmRSS:\t    1024 kB\nVmRSSX:\t 5 kB\n"
	if now, peak := statusBytes([]byte(status), "VmRSS"), statusBytes([]byte(status), "VmHWM"); now != 1<<20 || peak != 2<<20 {
		t.Errorf("read %d and %d", now, peak)
	}
	m := watchMemory(os.Getpid())
	reached := make(chan struct{})
	m.above(64, func() { close(reached) })
	fill := make([]byte, 128<<20)
	for i := range fill {
		fill[i] = 1
	}
	select {
	case <-reached:
	case <-time.After(10 * time.Second):
		t.Error("nobody noticed 128 MiB")
	}
	if got := m.stop(); got.Start <= 0 || got.Over < 64 || got.Most != got.Start+got.Over {
		t.Errorf("measured %+v", got)
	}
	if fill[len(fill)-1] != 1 {
		t.Error("unreachable; it keeps the memory")
	}
}

func TestAttacksAreChosenByName(t *testing.T) {
	all, err := choose("")
	if err != nil || len(all) != len(attacks) {
		t.Errorf("%d attacks, %v", len(all), err)
	}
	two, err := choose("slow,views-embed")
	if err != nil || len(two) != 2 || two[0].name != "slow" || two[1].name != "views-embed" {
		t.Errorf("chose %v, %v", two, err)
	}
	if none, err := choose(quiet); err != nil || len(none) != 0 {
		t.Errorf("chose %v, %v", none, err)
	}
	if _, err := choose("slow,rude"); err == nil || !strings.Contains(err.Error(), `"rude"`) {
		t.Errorf("an unknown name: %v", err)
	}
}

// An attack that repeats itself finds less.
func TestAttackersDoNotRepeatThemselves(t *testing.T) {
	seen := map[string]bool{}
	once := func(kind, text string) {
		if seen[kind+text] {
			t.Errorf("%s comes twice: %.60s", kind, text)
		}
		seen[kind+text] = true
	}
	for i := range 1_000 {
		once("range", shifted(i).Encode())
		value := distinctText(i, longValue)
		if len(value) != longValue {
			t.Fatalf("a value of %d characters", len(value))
		}
		once("value", value)
		once("case", otherCase(owner, i))
		if !strings.EqualFold(otherCase(owner, i), owner) {
			t.Errorf("%s is another address", otherCase(owner, i))
		}
	}
	lines := bytes.Count(batchOfNames(3), []byte("\n"))
	if lines != namesOfABatch || bytes.Contains(batchOfNames(3), []byte(`"e2999"`)) || !bytes.Contains(batchOfNames(2), []byte(`"e2999"`)) {
		t.Errorf("a batch of %d events", lines)
	}
}

func TestBombsAreSmallAndLarge(t *testing.T) {
	bombs, err := makeBombs()
	if err != nil {
		t.Fatal(err)
	}
	for _, b := range bombs {
		var from io.Reader
		if b.coding == "gzip" {
			from, err = gzip.NewReader(bytes.NewReader(b.packed))
		} else {
			from, err = zstd.NewReader(bytes.NewReader(b.packed))
		}
		if err != nil {
			t.Fatal(err)
		}
		n, err := io.Copy(io.Discard, from)
		if err != nil || int(n) != b.unpacked {
			t.Errorf("%s: %d bytes, want %d, %v", b.kind, n, b.unpacked, err)
		}
		if b.unpacked < 100*len(b.packed) {
			t.Errorf("%s: %d bytes of %d", b.kind, b.unpacked, len(b.packed))
		}
	}
}

func TestRequestsUnderWayAtTheEndAreNotCounted(t *testing.T) {
	ctx, end := context.WithCancel(t.Context())
	defer end()
	got := newTally()
	ask(ctx, got, "read", func() (int, error) { return 200, nil })
	ask(ctx, got, "read", func() (int, error) { return 0, os.ErrDeadlineExceeded })
	ask(ctx, got, "", func() (int, error) { return 0, errors.New("reset") })
	ask(ctx, got, "read", func() (int, error) { end(); return 0, ctx.Err() })
	if list := listed(got.byLabel()); list != "cut ×1, read 200 ×1, read no answer ×1" {
		t.Errorf("counted %s", list)
	}
}

func TestASlowSenderSaysHowItsRequestEnded(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	answers := make(chan string, 3)
	answers <- "HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\n\r\n"
	answers <- ""
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			select {
			case answer := <-answers:
				_, _ = io.WriteString(conn, answer)
				conn.Close()
			default: // it waits for the body
				defer conn.Close()
			}
		}
	}()
	ctx, end := context.WithCancel(t.Context())
	defer end()
	s := slowSender{"keyed", "POST", "/api/events", ""}
	for i, want := range []string{"408", "", "held to the end"} {
		if i == 2 {
			time.AfterFunc(50*time.Millisecond, end)
		}
		status, err := s.send(ctx, listener.Addr().String(), "127.0.0.1")
		got := outcome(ctx, status, err)
		if want == "" && got != "cut" && got != "closed" || want != "" && got != want {
			t.Errorf("request %d: %s, want %q", i, got, want)
		}
	}
}
