package main

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// cuts can be set higher to try longer.
var cuts = flag.Int("cuts", 200, "how many requests are cut, half-closed, slowed and reset")

// fate is what becomes of a request on its way.
type fate int

const (
	whole      fate = iota
	halfClosed      // whole, and then the sender closes its half of the connection
	slowed          // in pieces
	brokenOff       // at a random place the sender closes its half
	stalled         // at a random place the sender sends no more, and waits
	cutOff          // at a random place, or after all of it, the connection is closed
	reset           // the same, without a farewell
	fates
)

func (f fate) String() string {
	return []string{"whole", "half-closed", "slowed", "broken off", "stalled", "cut off", "reset"}[f]
}

// answersAreRead says whether the sender waits for its answer.
func (f fate) answersAreRead() bool { return f < cutOff }

// shipment is a request that brings events, each under a name of its own.
type shipment struct {
	form   string
	bytes  []byte
	names  []string // of its events that can be kept
	wrong  int      // events that can't
	fate   fate
	random *rand.Rand

	status int    // 0: no answer came
	answer string // its body
	told   bool   // that its events are kept
}

// newShipment makes the request of a number, always the same for a seed.
func newShipment(number int, key string) *shipment {
	random := rand.New(rand.NewPCG(13, uint64(number)))
	s := &shipment{random: random, fate: fate(random.IntN(int(fates)))}
	if s.fate == stalled && random.IntN(8) > 0 {
		s.fate = slowed // a stalled one takes ten seconds
	}
	for i := range 1 + random.IntN(20) {
		s.names = append(s.names, fmt.Sprintf("r%d-%d", number, i))
	}
	forms := []func(string) (path, fields, body string){s.lines, s.packed, s.segment, s.posthog, s.spans}
	path, fields, body := forms[random.IntN(len(forms))](key)
	s.form = path
	head := "POST " + path + " HTTP/1.1\r\nHost: pulse.example\r\n" + fields
	if random.IntN(2) == 0 {
		s.bytes = fmt.Appendf(nil, "%sContent-Length: %d\r\n\r\n%s", head, len(body), body)
		return s
	}
	var b bytes.Buffer
	b.WriteString(head + "Transfer-Encoding: chunked\r\n\r\n")
	for len(body) > 0 {
		n := min(1+random.IntN(4000), len(body))
		fmt.Fprintf(&b, "%x\r\n%s\r\n", n, body[:n])
		body = body[n:]
	}
	b.WriteString("0\r\n\r\n")
	s.bytes = b.Bytes()
	return s
}

// each writes something for each event, with some padding.
func (s *shipment) each(format string) []string {
	var items []string
	for _, name := range s.names {
		items = append(items, strings.NewReplacer("NAME", name, "PAD", strings.Repeat("x", s.random.IntN(1500))).Replace(format))
	}
	return items
}

func (s *shipment) lines(key string) (path, fields, body string) {
	lines := s.each(`{"event":"NAME","id":"NAME","properties":{"pad":"PAD"}}`)
	if s.wrong = s.random.IntN(2); s.wrong > 0 {
		lines = append(lines, `{"event":""}`)
	}
	return "/api/events", "Authorization: Bearer " + key + "\r\nContent-Type: application/x-ndjson\r\n", strings.Join(lines, "\n")
}

func (s *shipment) packed(key string) (path, fields, body string) {
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	fmt.Fprintf(z, "[%s]", strings.Join(s.each(`{"event":"NAME","id":"NAME","properties":{"pad":"PAD"}}`), ","))
	z.Close()
	return "/api/events", "Authorization: Bearer " + key + "\r\nContent-Encoding: gzip\r\n", b.String()
}

func (s *shipment) segment(key string) (path, fields, body string) {
	calls := strings.Join(s.each(`{"type":"track","event":"NAME","messageId":"NAME","properties":{"pad":"PAD"}}`), ",")
	return "/v1/batch", "", `{"batch":[` + calls + `],"writeKey":"` + key + `"}`
}

func (s *shipment) posthog(key string) (path, fields, body string) {
	events := strings.Join(s.each(`{"event":"NAME","uuid":"NAME","properties":{"distinct_id":"u","pad":"PAD"}}`), ",")
	return "/batch/", "", `{"api_key":"` + key + `","batch":[` + events + `]}`
}

func (s *shipment) spans(key string) (path, fields, body string) {
	spans := strings.Join(s.each(`{"name":"NAME","attributes":[{"key":"pad","value":{"stringValue":"PAD"}}]}`), ",")
	return "/v1/traces", "Authorization: Bearer " + key + "\r\nContent-Type: application/json\r\n", `{"resourceSpans":[{"scopeSpans":[{"spans":[` + spans + `]}]}]}`
}

// send sends the request to its fate.
func (s *shipment) send(address string) error {
	dialed, err := net.Dial("tcp", address)
	if err != nil {
		return err
	}
	conn := dialed.(*net.TCPConn)
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(patience))
	sent := s.bytes
	if s.fate >= brokenOff && s.random.IntN(3) > 0 {
		sent = sent[:s.random.IntN(len(sent)+1)]
	}
	for len(sent) > 0 {
		n := len(sent)
		if s.fate == slowed {
			n = min(1+s.random.IntN(2000), n)
			time.Sleep(time.Duration(s.random.IntN(10)) * time.Millisecond)
		}
		if _, err := conn.Write(sent[:n]); err != nil {
			break // the server has heard enough; its answer says why
		}
		sent = sent[n:]
	}
	switch s.fate {
	case halfClosed, brokenOff:
		_ = conn.CloseWrite()
	case cutOff, reset:
		time.Sleep(time.Duration(s.random.IntN(3)) * time.Millisecond)
		if s.fate == reset {
			_ = conn.SetLinger(0)
		}
		return nil
	}
	response, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		return nil // no answer
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err == nil {
		s.status, s.answer = response.StatusCode, strings.TrimSpace(string(text))
	}
	return nil
}

// judge says what is wrong with the answer by itself, and notes whether it says yes.
func (s *shipment) judge() error {
	switch {
	case s.status/100 == 2 && s.answer == "":
		return fmt.Errorf("an empty %d", s.status)
	case s.status/100 != 2 && s.fate < brokenOff:
		return fmt.Errorf("a request that was sent whole is answered %d %s", s.status, s.answer)
	case s.fate == stalled && s.status/100 == 4 && s.status != http.StatusRequestTimeout && strings.HasPrefix(s.answer, "{"): // a head that stalls is net/http's own
		return fmt.Errorf("a request that did not end is answered %d %s", s.status, s.answer)
	case s.status/100 != 2:
		return nil
	}
	s.told = true
	if s.form != "/api/events" {
		return nil
	}
	var a struct {
		Accepted, Duplicate int
		Rejected            []any
	}
	if err := json.Unmarshal([]byte(s.answer), &a); err != nil || a.Accepted+a.Duplicate != len(s.names) || len(a.Rejected) != s.wrong {
		return fmt.Errorf("of %d good and %d bad events it says %s", len(s.names), s.wrong, s.answer)
	}
	return nil
}

// Requests are cut, half-closed, slowed and reset at any place. What senders were told is
// what is in the store: each event that they were told of once, others only where the sender went away
// before the answer, and then all of the request or none.
func TestWhatSendersAreToldIsWhatIsKept(t *testing.T) {
	slow(t)
	t.Parallel()
	s := newSite(t)
	_, address, _ := strings.Cut(s.url, "://")
	shipments := make([]*shipment, *cuts)
	numbers := make(chan int)
	var all sync.WaitGroup
	for range 32 {
		all.Go(func() {
			for i := range numbers {
				one := newShipment(i, s.key)
				shipments[i] = one
				if err := one.send(address); err != nil {
					t.Error(err)
				}
				if err := one.judge(); err != nil {
					t.Errorf("request %d to %s, %s: %v", i, one.form, one.fate, err)
				}
				// Some come again, as clients do; those of OpenTelemetry bring no ids.
				if again := *one; !one.told && one.random.IntN(2) == 0 && one.form != "/v1/traces" {
					again.fate = whole
					if err := again.send(address); err != nil {
						t.Error(err)
					}
					if err := again.judge(); err != nil {
						t.Errorf("request %d to %s, %s and sent again: %v", i, one.form, one.fate, err)
					}
					one.told = again.told
				}
			}
		})
	}
	for i := range shipments {
		numbers <- i
	}
	close(numbers)
	all.Wait()
	var accepted, kept string
	s.eventually("as many are counted as are kept", func() bool {
		accepted, kept = s.metric(`pulseboard_events_total{outcome="accepted"}`), s.metric("pulseboard_store_events")
		return accepted == kept
	})
	if err := s.process.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	_ = s.process.Wait()
	compareKept(t, shipments, s.keptNames())
}

// keptNames gives how often an event of each name is in the store.
func (s *site) keptNames() map[string]int {
	s.t.Helper()
	kept := map[string]int{}
	for line := range strings.Lines(s.command("", "export", "events", "--tenant", "acme")) {
		var e struct{ Event string }
		if err := json.Unmarshal([]byte(line), &e); err != nil {
			s.t.Fatal(err)
		}
		kept[e.Event]++
	}
	return kept
}

func compareKept(t *testing.T, shipments []*shipment, kept map[string]int) {
	t.Helper()
	told, untold := 0, 0
	answered := map[string]int{}
	for i, one := range shipments {
		answered[fmt.Sprintf("%s %d", one.fate, one.status)]++
		counts := make([]int, len(one.names))
		for j, name := range one.names {
			counts[j] = kept[name]
			delete(kept, name)
		}
		least, most := slices.Min(counts), slices.Max(counts)
		switch {
		case least != most || most > 1:
			t.Errorf("request %d to %s, %s: its events are there so often: %v", i, one.form, one.fate, counts)
		case one.told && most == 0:
			t.Errorf("request %d to %s, %s: answered %d %s, and nothing is kept", i, one.form, one.fate, one.status, one.answer)
		case !one.told && most > 0 && one.fate.answersAreRead():
			t.Errorf("request %d to %s, %s: answered %d %s, and its events are kept", i, one.form, one.fate, one.status, one.answer)
		case one.told:
			told += len(counts)
		case most > 0:
			untold += len(counts)
		}
	}
	if len(kept) > 0 {
		t.Errorf("%d names are kept that nobody sent", len(kept))
	}
	if told == 0 || len(answered) < int(fates) {
		t.Errorf("%d events were told of; answers: %v", told, answered)
	}
	t.Logf("%d requests: %d events are kept and were told of, %d are kept of senders that went away; answers: %v", len(shipments), told, untold, answered)
}
