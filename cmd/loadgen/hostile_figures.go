package main

import (
	"bytes"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"text/tabwriter"
	"time"
)

// hostileRow is the harm that an attack did.
type hostileRow struct {
	Attack   string  `json:"attack"`
	Seconds  float64 `json:"seconds"`
	Killed   bool    `json:"killed"` // the server, for its memory
	Ended    bool    `json:"ended"`  // cleanly and in time, when it was told to
	memory   `json:"memory"`
	Grown    int64          `json:"disk_grown_bytes"` // the data folder with its log emptied, from before the server started to after it ended
	Accepted int64          `json:"accepted_bytes"`   // bodies of accepted events, bombs as they were sent, of the attacker and the others
	Attacker map[string]int `json:"attacker"`         // requests by status
	FalseYes int            `json:"false_yes"`        // senders of events that were told yes by another status than 202
	Others   map[string]int `json:"others"`           // requests by kind
	Refused  map[string]int `json:"others_refused"`   // those of them that had not the answer they should, by kind and status
	BrokeOff int            `json:"viewers_that_broke_off"`
	ticks    []float64      // ms
	Ticks    int            `json:"ticks"`
	P99      float64        `json:"p99_ms"` // event to arrival: the viewer at the 99th percentile of a tick, median over the ticks
	Ratio    float64        `json:"p99_ratio"`

	// Those of the attacked tenant.
	MembersWait  float64 `json:"members_wait_ms"` // from an update to the next: the viewer at the 99th percentile, the longest of the updates
	MembersRatio float64 `json:"members_wait_ratio"`
	Pages        int     `json:"pages"`
	PagesP99     float64 `json:"pages_p99_ms"` // a page that failed counts as 10 s

	Missed []string `json:"missed"` // bounds

	// CPU that was used, in cores. This program's own share is taken from the server where
	// the machine has few.
	ServerCores float64 `json:"server_cores"` // 0 when it was killed
	OwnCores    float64 `json:"own_cores"`
}

// memory is the resident size of a server, in MiB.
type memory struct {
	Start float64 `json:"start_mib"`
	Most  float64 `json:"most_mib"`
	Over  float64 `json:"over_mib"`
}

// bounds limit the harm that an attack may do.
type bounds struct {
	memory float64 // MiB over the start
	disk   int64   // bytes beyond those accepted: the files' own growth
	ratio  float64 // of p99, and of the wait of the members, to those of the quiet runs
}

// hostileBounds are those of the issue. A data folder grows by some MiB without any attack
// too: by rollups, sessions and free pages of the file.
var hostileBounds = bounds{400, 4 << 20, 2}

// pace is how fast the others are served, in ms.
type pace struct {
	ticks []float64
	waits []float64 // of the members
}

// compare sets the ratios to the pace of the quiet runs, and names the bounds that were missed.
func (r *hostileRow) compare(quiet pace, b bounds) {
	r.Ratio, r.MembersRatio = ratio(r.P99, quiet.ticks), ratio(r.MembersWait, quiet.waits)
	r.Missed = []string{}
	for _, bound := range []struct {
		name   string
		missed bool
	}{
		{"memory", r.Killed || r.Over > b.memory},
		{"disk", r.Grown > r.Accepted+b.disk},
		{"refused", sum(r.Refused) > 0},
		{"broke off", r.BrokeOff > 0},
		{"false yes", r.FalseYes > 0},
		{"end", !r.Killed && !r.Ended},
		{"p99", r.Ticks == 0 || r.Ratio > b.ratio},
		{"members", r.MembersWait == 0 || r.MembersRatio > b.ratio},
		{"pages", r.Pages == 0}, // one that fails is refused
	} {
		if bound.missed {
			r.Missed = append(r.Missed, bound.name)
		}
	}
}

// ratio compares with the median of others, which may be none.
func ratio(value float64, others []float64) float64 {
	if usual := middle(slices.Clone(others)); usual > 0 {
		return value / usual
	}
	return 0
}

func (r *hostileRow) verdict() string {
	if len(r.Missed) == 0 {
		return "reached"
	}
	return "MISSED: " + strings.Join(r.Missed, ", ")
}

func missedRows(rows []hostileRow) (names []string) {
	for _, r := range rows {
		if len(r.Missed) > 0 {
			names = append(names, r.Attack)
		}
	}
	return names
}

func sum(counts map[string]int) (total int) {
	for _, n := range counts {
		total += n
	}
	return total
}

const mib = 1 << 20

func (r *hostileRow) line() string {
	return fmt.Sprintf("%s: RSS %.0f → %.0f MiB, p99 %.0f ms over %d ticks, of the attacked board %.0f ms, its tenant's pages %.0f ms, others refused %s, broke off %d; %s",
		r.Attack, r.Start, r.Most, r.P99, r.Ticks, r.MembersWait, r.PagesP99, listed(r.Refused), r.BrokeOff, r.verdict())
}

func printHostile(to io.Writer, rows []hostileRow) {
	w := tabwriter.NewWriter(to, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "attack\tRSS at start\tmost\tover\tdisk grown\taccepted\tothers refused\tbroke off\tp99\tquiet ×\tattacked board's\tquiet ×\tattacked pages'\tcores, and ours\tverdict\tattacker's requests")
	for _, r := range rows {
		most := fmt.Sprintf("%.0f", r.Most)
		if r.Killed {
			most += ", killed"
		}
		fmt.Fprintf(w, "%s\t%.0f MiB\t%s\t%.0f\t%.1f MiB\t%.1f MiB\t%d of %d\t%d\t%.0f ms\t%.1f\t%.0f ms\t%.1f\t%.0f ms\t%.1f, %.1f\t%s\t%s\n", r.Attack, r.Start, most, r.Over, float64(r.Grown)/mib, float64(r.Accepted)/mib,
			sum(r.Refused), sum(r.Others), r.BrokeOff, r.P99, r.Ratio, r.MembersWait, r.MembersRatio, r.PagesP99, r.ServerCores, r.OwnCores, r.verdict(), listed(r.Attacker))
	}
	w.Flush()
	b := hostileBounds
	fmt.Fprintf(to, "\nbounds: RSS %.0f MiB over the start; the data folder grown by at most the bodies accepted and %d MiB; none of the others refused, none broke off; p99 %g × that of the quiet runs, of the attacked board (from one update to the next) too; a page within %g s\n", b.memory, b.disk>>20, b.ratio, patience.Seconds())
	if busy(rows) {
		fmt.Fprintln(to, "the quiet runs differ from each other: the machine has other work to do, so no p99 here can be trusted; run it again when it is idle")
	}
	for _, r := range rows {
		if len(r.Refused) > 0 {
			fmt.Fprintf(to, "refused under %s: %s\n", r.Attack, listed(r.Refused))
		}
	}
}

// busy reports whether a quiet run was slow, which no attack can be blamed for.
func busy(rows []hostileRow) bool {
	return slices.ContainsFunc(rows, func(r hostileRow) bool {
		return strings.HasPrefix(r.Attack, quiet) && slices.Contains(r.Missed, "p99")
	})
}

// ownCPU returns the CPU time that this program has used.
func ownCPU() time.Duration {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		return 0
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

// listed writes counts in the order of their names.
func listed(counts map[string]int) string {
	if len(counts) == 0 {
		return "none"
	}
	var parts []string
	for _, name := range slices.Sorted(maps.Keys(counts)) {
		parts = append(parts, fmt.Sprintf("%s ×%d", name, counts[name]))
	}
	return strings.Join(parts, ", ")
}

// tickP99 returns how long the viewer at the 99th percentile of a tick waited for it.
// Viewers that did not have it by then waited for the longest time.
func tickP99(posted int64, arrivals []int64, viewers int, longest time.Duration) time.Duration {
	sorted := slices.Sorted(slices.Values(arrivals))
	rank := viewers * 99 / 100
	if rank >= len(sorted) {
		return longest
	}
	return min(time.Duration(sorted[rank]-posted), longest)
}

// tally counts requests by their outcome.
type tally struct {
	accepted atomic.Int64 // bytes of the bodies of accepted events
	falseYes atomic.Int64

	mu     sync.Mutex
	counts map[string]int
}

func newTally() *tally { return &tally{counts: map[string]int{}} }

func (t *tally) add(label string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.counts[label]++
}

func (t *tally) byLabel() map[string]int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return maps.Clone(t.counts)
}

func (t *tally) forget() {
	t.mu.Lock()
	defer t.mu.Unlock()
	clear(t.counts)
}

// memoryWatch reads the resident size of a process ten times a second.
type memoryWatch struct {
	pid       int
	start     int64 // bytes
	startPeak int64 // since the process began
	most      atomic.Int64
	limit     atomic.Int64
	atLimit   atomic.Bool
	onLimit   func()
	end, done chan struct{}
}

func watchMemory(pid int) *memoryWatch {
	m := &memoryWatch{pid: pid, end: make(chan struct{}), done: make(chan struct{})}
	m.start, m.startPeak = residentSize(pid)
	m.most.Store(m.start)
	go m.run()
	return m
}

// above calls fn once, when the process has grown by this many MiB.
func (m *memoryWatch) above(over float64, fn func()) {
	m.onLimit = fn
	m.limit.Store(m.start + int64(over*mib))
}

func (m *memoryWatch) run() {
	defer close(m.done)
	every := time.NewTicker(100 * time.Millisecond)
	defer every.Stop()
	for {
		m.look()
		select {
		case <-m.end:
			m.look()
			return
		case <-every.C:
		}
	}
}

func (m *memoryWatch) look() {
	now, peak := residentSize(m.pid)
	m.most.Store(mostResident(m.most.Load(), now, m.startPeak, peak))
	if limit := m.limit.Load(); limit != 0 && m.most.Load() > limit && m.atLimit.CompareAndSwap(false, true) {
		m.onLimit()
	}
}

// mostResident returns the greatest size so far. The kernel's peak is since the process
// began, so it tells of the time of an attack when it has grown in that time.
func mostResident(sofar, now, startPeak, peak int64) int64 {
	if peak > startPeak {
		now = max(now, peak)
	}
	return max(sofar, now)
}

func (m *memoryWatch) reached() bool { return m.atLimit.Load() }

func (m *memoryWatch) stop() memory {
	close(m.end)
	<-m.done
	start, most := float64(m.start)/mib, float64(m.most.Load())/mib
	return memory{start, most, most - start}
}

// residentSize returns VmRSS and VmHWM of a process in bytes, 0 when it has ended.
func residentSize(pid int) (now, peak int64) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, 0
	}
	return statusBytes(text, "VmRSS"), statusBytes(text, "VmHWM")
}

// statusBytes reads a size from the text of proc_pid_status(5).
func statusBytes(text []byte, name string) int64 {
	for line := range bytes.Lines(text) {
		if value, ok := bytes.CutPrefix(line, []byte(name+":")); ok {
			if fields := strings.Fields(string(value)); len(fields) == 2 && fields[1] == "kB" {
				kb, _ := strconv.ParseInt(fields[0], 10, 64)
				return kb << 10
			}
		}
	}
	return 0
}
