package ingest

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"testing"
	"time"
	"unicode"

	"pulseboard/store"
)

var now = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

func decodeOne(t *testing.T, text string) store.Event {
	t.Helper()
	b, err := Decode([]byte(text), false, now)
	if err != nil || len(b.Events) != 1 {
		t.Fatalf("%s: %+v, %v", text, b, err)
	}
	return b.Events[0]
}

func TestTimesAreRead(t *testing.T) {
	for text, want := range map[string]string{
		`"2026-02-09T15:12:00.5Z"`:            "2026-02-09T15:12:00.5Z",
		`"2026-02-09t16:12:00.1234567+01:00"`: "2026-02-09T15:12:00.123456Z",
		`1770649920`:                          "2026-02-09T15:12:00Z",
		`1770649920.25`:                       "2026-02-09T15:12:00.25Z",
		`1770649920123`:                       "2026-02-09T15:12:00.123Z",
		`99999999999`:                         "",
		`100000000000`:                        "1973-03-03T09:46:40Z",
		`null`:                                "0001-01-01T00:00:00Z",
	} {
		b, err := Decode([]byte(`{"event":"a","time":`+text+`}`), false, now)
		if err != nil {
			t.Fatal(err)
		}
		got := ""
		if len(b.Events) == 1 {
			got = b.Events[0].Time.Format(time.RFC3339Nano)
		}
		if got != want {
			t.Errorf("%s is %s, want %s (%v)", text, got, want, b.Rejected)
		}
	}
}

func TestPropertiesAreRead(t *testing.T) {
	e := decodeOne(t, `{"event":"a","id":7,"user":12345678901234567890,"extra":[1],"properties":{"s":"x","n":-1.5e3,"b":true,"z":null,"o":{"k": [1, "\ud800"]},"c":"a\u0000b\n","s":"last"}}`)
	if e.ID != "7" || e.User != "12345678901234567890" {
		t.Errorf("id %q, user %q", e.ID, e.User)
	}
	if got, want := string(e.Properties.AppendJSON(nil)), `{"b":true,"c":"a�b�","n":-1500,"o":"{\"k\":[1,\"\\ud800\"]}","s":"last","z":null}`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestLinesAreReadOneByOne(t *testing.T) {
	b, err := Decode([]byte("{\"event\":\"a\"}\n\n{bad\n{\"event\":\"b\"} x\n{\"event\":\"\xff\"}\n{\"event\":\"c\"}"), true, now)
	if err != nil || len(b.Events) != 2 || len(b.Rejected) != 3 || b.Rejected[0].Index != 1 || b.Rejected[2].Index != 3 {
		t.Errorf("%+v, %v", b, err)
	}
	var unreadable *Unreadable
	if _, err := Decode([]byte("x\ny\n"), true, now); !errors.As(err, &unreadable) {
		t.Errorf("lines of rubbish: %v", err)
	}
}

func FuzzDecode(f *testing.F) {
	for _, s := range []string{`{"event":"a"}`, `[{"event":"a","time":1},{}]`, "{\"event\":\"a\"}\n{}", `{"event":"\u0000\ud800","properties":{"a":{"b":[]},"c":1e200}}`, `{"event":"a"}}`, `[[[[`, `{"event":"a","time":1e300}`} {
		f.Add([]byte(s), false)
		f.Add([]byte(s), true)
	}
	f.Fuzz(func(t *testing.T, data []byte, lines bool) {
		b, err := Decode(data, lines, now)
		if err != nil {
			return
		}
		checkKept(t, b)
	})
}

func readAll(t *testing.T, format Format, text string) (events []store.Event, bad []*LineError) {
	t.Helper()
	return readFrom(t, NewReader(strings.NewReader(text), format, Columns{}, func() time.Time { return now }))
}

func readFrom(t *testing.T, r *Reader) (events []store.Event, bad []*LineError) {
	t.Helper()
	for {
		e, err := r.Next()
		var line *LineError
		switch {
		case err == io.EOF:
			return events, bad
		case errors.As(err, &line):
			bad = append(bad, line)
		case err != nil:
			t.Fatal(err)
		default:
			events = append(events, e)
		}
	}
}

const logLine = `83.149.9.216 - frank [17/May/2015:10:05:03 +0200] "GET /a?b=c%20d HTTP/1.1" 404 203023 "http://x.example/" "Mozilla \"5.0\""`

func TestALogLineIsAnEvent(t *testing.T) {
	events, bad := readAll(t, Combined, logLine+"\n")
	if len(events) != 1 || len(bad) != 0 {
		t.Fatalf("%v %v", events, bad)
	}
	e := events[0]
	if e.Name != "request" || e.User != "83.149.9.216" || !e.Time.Equal(time.Date(2015, 5, 17, 8, 5, 3, 0, time.UTC)) {
		t.Errorf("%+v", e)
	}
	want := `{"agent":"Mozilla \"5.0\"","bytes":203023,"method":"GET","path":"/a?b=c%20d","protocol":"HTTP/1.1","referrer":"http://x.example/","status":404}`
	if got := string(e.Properties.AppendJSON(nil)); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	common, _ := readAll(t, Common, `::1 - - [17/May/2015:10:05:03 +0000] "-" 408 -`)
	if got := string(common[0].Properties.AppendJSON(nil)); got != `{"status":408}` {
		t.Errorf("common: %s", got)
	}
	odd, _ := readAll(t, Common, `::1 - - [17/May/2015:10:05:03 +0000] "\x16\x03 \"" 400 0`)
	if got := string(odd[0].Properties.AppendJSON(nil)); got != `{"bytes":0,"request":"\\x16\\x03 \"","status":400}` {
		t.Errorf("odd: %s", got)
	}
}

func TestEqualLinesAreTwoEventsAndReadingTwiceGivesTheSameIDs(t *testing.T) {
	text := logLine + "\n" + logLine + "\nrubbish\n" + strings.Repeat("x", maxLine+5) + "\n" + logLine
	first, bad := readAll(t, Combined, text)
	second, _ := readAll(t, Combined, text)
	if len(first) != 3 || len(bad) != 2 || bad[0].Line != 3 || bad[1].Line != 4 {
		t.Fatalf("%d events, %v", len(first), bad)
	}
	seen := map[string]bool{}
	for i := range first {
		if seen[first[i].ID] || first[i].ID != second[i].ID {
			t.Errorf("%d: %s, then %s", i, first[i].ID, second[i].ID)
		}
		seen[first[i].ID] = true
	}
}

func TestALineFromAPipeIsReadAtOnce(t *testing.T) {
	in, out, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	defer out.Close()
	r := NewReader(in, NDJSON, Columns{}, time.Now)
	for i := range 3 {
		fmt.Fprintf(out, `{"event":"e%d"}`+"\n", i)
		if e, err := r.Next(); err != nil || e.Name != fmt.Sprintf("e%d", i) {
			t.Fatalf("%+v, %v", e, err)
		}
	}
}

func FuzzLogLine(f *testing.F) {
	for _, s := range []string{logLine, `a - - [17/May/2015:10:05:03 +0000] "" 200 -`, `a [`, `a [] "`, "\x00 - - [17/May/2015:10:05:03 +0000] \"\\", `::1 - - [17/May/2015:10:05:03 +0000] "-" 408 -`} {
		f.Add(s, true)
	}
	f.Fuzz(func(t *testing.T, line string, combined bool) {
		e, err := parseLogLine(line, combined, now)
		if err != nil {
			return
		}
		if e.Name != "request" || strings.ContainsFunc(e.User, unicode.IsControl) || !json.Valid(e.Properties.AppendJSON(nil)) {
			t.Fatalf("%q gives %+v", line, e)
		}
	})
}

// More words than are remembered, some of which share a place.
func TestEachEventHasItsOwnWords(t *testing.T) {
	const events = 4 * numberOfWords
	var lines []byte
	for i := range events {
		lines = fmt.Appendf(lines, `{"event":"e%d","user":"u%d","properties":{"k%d":"v%d"}}`+"\n", i, i, i, i)
	}
	batch, err := Decode(lines, true, now)
	if err != nil || len(batch.Events) != events {
		t.Fatalf("%d events, %v", len(batch.Events), err)
	}
	for i, e := range batch.Events {
		got := string(e.AppendJSON(nil))
		if want := fmt.Sprintf(`{"event":"e%d","user":"u%d","properties":{"k%d":"v%d"}}`, i, i, i, i); got != want {
			t.Fatalf("event %d is %s", i, got)
		}
	}
}

func BenchmarkDecodeNDJSON(b *testing.B) {
	line := `{"event":"request","id":"a1","time":"2026-02-09T15:12:00.5Z","user":"u7","properties":{"path":"/","status":200,"duration_ms":12.5}}` + "\n"
	data := []byte(strings.Repeat(line, 1000))
	b.SetBytes(int64(len(data)))
	for b.Loop() {
		if batch, err := Decode(data, true, now); err != nil || len(batch.Events) != 1000 {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.N)*1000/b.Elapsed().Seconds(), "events/s")
}
