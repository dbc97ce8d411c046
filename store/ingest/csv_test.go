package ingest

import (
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"pgregory.net/rapid"

	"pulseboard/store"
)

func readCSV(t *testing.T, columns Columns, text string) (events []store.Event, bad []*LineError) {
	t.Helper()
	return readFrom(t, NewReader(strings.NewReader(text), CSV, columns, func() time.Time { return now }))
}

func TestCSVIsReadByItsHeader(t *testing.T) {
	events, bad := readAll(t, CSV, "\ufeffevent,user,time,amount,code,ok\r\norder,u1,1770649920,12.5,007,true\r\n\"two\nlines\",,2026-02-09 15:12:00,,,\n,x,,,,\nshort\n")
	if len(events) != 2 || len(bad) != 2 {
		t.Fatalf("%+v %v", events, bad)
	}
	if got := string(events[0].Properties.AppendJSON(nil)); got != `{"amount":12.5,"code":"007","ok":true}` {
		t.Errorf("%s", got)
	}
	if events[1].Name != "two�lines" || !events[1].Time.Equal(events[0].Time) {
		t.Errorf("%+v", events[1])
	}
	if bad[0].Line != 5 || bad[1].Line != 6 || !strings.Contains(bad[1].Message, "1 cells, but the header 6") {
		t.Errorf("%v", bad)
	}
}

func TestColumnsAreNamed(t *testing.T) {
	header, row := "ts,who,what,key,id,user\n", "09.02.2026 15:12,u1,order,k1,7,browser\n"
	events, bad := readCSV(t, Columns{Event: "what", ID: "key", Time: "ts", User: "who", TimeFormat: "%d.%m.%Y %H:%M"}, header+row)
	if len(bad) > 0 || len(events) != 1 {
		t.Fatalf("%v %v", events, bad)
	}
	e := events[0]
	if e.Name != "order" || e.ID != "k1" || e.User != "u1" || !e.Time.Equal(time.Date(2026, 2, 9, 15, 12, 0, 0, time.UTC)) {
		t.Errorf("%+v", e)
	}
	if got := string(e.Properties.AppendJSON(nil)); got != `{"id":7,"user":"browser"}` {
		t.Errorf("the other columns: %s", got)
	}
	events, _ = readCSV(t, Columns{Name: "sale"}, "event,id\nx,7\n")
	if len(events) != 1 || events[0].Name != "sale" || events[0].ID != "7" || string(events[0].Properties.AppendJSON(nil)) != `{"event":"x"}` {
		t.Errorf("with one name for all: %+v", events)
	}
	_, bad = readCSV(t, Columns{Event: "what", Time: "ts", TimeFormat: "%d.%m.%Y"}, header+row)
	if len(bad) != 1 || bad[0].Line != 2 || !strings.Contains(bad[0].Message, "%d.%m.%Y") {
		t.Errorf("a time of another form: %v", bad)
	}
}

func TestAHeaderThatCannotBeUnderstoodIsNamed(t *testing.T) {
	for text, c := range map[string]struct {
		columns Columns
		says    string
	}{
		"a,b\n1,2\n":           {Columns{}, `line 1: the header has no column "event" for the name of the event: it has a, b`},
		"\n\nevent\n":          {Columns{Time: "ts"}, `line 3: the header has no column "ts" for the time: it has event`},
		"event,a,a\n":          {Columns{}, `column "a" twice`},
		"event,\n":             {Columns{}, "column 2 has no name"},
		"event,\xff\n":         {Columns{}, "column 2 is not valid UTF-8"},
		"event,a\n":            {Columns{ID: "a", User: "a"}, `column "a" can't be the user as well`},
		"event," + tooLongName: {Columns{}, "column 2: the key of a property has 101 characters"},
	} {
		_, err := NewReader(strings.NewReader(text), CSV, c.columns, time.Now).Next()
		if bad := (*HeaderError)(nil); !errors.As(err, &bad) || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%.20q: %v, want %s", text, err, c.says)
		}
	}
	for _, c := range []Columns{{Event: "a", Name: "b"}, {TimeFormat: "%"}, {TimeFormat: "%H:%M"}, {TimeFormat: "2006-01-02"}, {Name: strings.Repeat("x", 201)}} {
		if c.Validate() == nil {
			t.Errorf("%+v is right", c)
		}
	}
	for _, c := range []Columns{{}, {TimeFormat: "%s"}, {TimeFormat: "%d/%b/%y:%T %z"}, {TimeFormat: "%FT%T.%f"}} {
		if err := c.Validate(); err != nil {
			t.Error(err)
		}
	}
}

var tooLongName = strings.Repeat("x", store.MaxPropertyKey+1)

func TestAQuoteTooMuchCostsItsLine(t *testing.T) {
	many := strings.Repeat("fine\n", maxLine/5+10)
	for text, want := range map[string]string{
		"event\n\"open\nfine\nfine\n":           "2 [2]",
		"event\n\"open\nfine\n\"fine\"\nfine\n": "3 [2]",
		"event\nbare\"\nfine\n":                 "1 [2]",
		"event\n\"open\n" + many:                fmt.Sprint(maxLine/5+10, " [2]"),
		"event\n\"open\n" + strings.Repeat("x", maxLine+1) + "\nfine\nbare\"\n": "1 [2 5]",
		"event\n\"a\n\nb\"\nshort,x\n\n\nfine\n":                                "2 [5]",
	} {
		events, bad := readAll(t, CSV, text)
		lines := []int{}
		for _, line := range bad {
			lines = append(lines, line.Line)
		}
		if got := fmt.Sprint(len(events), " ", lines); got != want {
			t.Errorf("%.40q: %s, want %s", text, got, want)
		}
	}
}

// A quote that stays open must not draw a whole file into memory.
func TestAQuoteIsNotWaitedForWithoutEnd(t *testing.T) {
	r := NewReader(io.MultiReader(strings.NewReader("event\n\"open\n"+strings.Repeat("fine\n", maxLine/5+1)), iotest.ErrReader(errors.New("too far"))), CSV, Columns{}, time.Now)
	if _, err := r.Next(); err == nil || err.Error() != "line 2: a quote that this row opens is not closed" {
		t.Errorf("%v", err)
	}
	if e, err := r.Next(); err != nil || e.Name != "fine" {
		t.Errorf("the row after it: %+v, %v", e, err)
	}
}

func TestFilesOfALogAreReadLikeOne(t *testing.T) {
	r := NewReader(strings.NewReader("event,a\nx,1\n"), CSV, Columns{}, time.Now)
	first, _ := readFrom(t, r)
	r.Continue(strings.NewReader("event,a\nx,1\nevent,a\n"))
	second, _ := readFrom(t, r)
	r.Continue(strings.NewReader("x,1\nx,1,2\n"))
	third, bad := readFrom(t, r)
	if len(first) != 1 || len(second) != 2 || len(third) != 1 || len(bad) != 1 || bad[0].Line != 2 {
		t.Fatalf("%v %v %v %v", first, second, third, bad)
	}
	if a, b, c := first[0].ID, second[0].ID, third[0].ID; a == b || b == c || a == c {
		t.Errorf("equal rows are one event: %s, %s, %s", a, b, c)
	}
}

func FuzzCSV(f *testing.F) {
	for _, s := range []string{"event,a\nx,1\n", "\ufeffevent\r\n\"a\"\"\r\nb\"\r\n", "event,time,id,user\n\"x,\nx,1,,\n,\"\"\"\n", "event\n\"", "\"", "event,event\n", "event\nx\"y\n\"a\"b,\"\n\"\n"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		r := NewReader(strings.NewReader(text), CSV, Columns{}, func() time.Time { return now })
		lines, last := strings.Count(text, "\n")+1, 0
		for {
			e, err := r.Next()
			if line := (*LineError)(nil); errors.As(err, &line) {
				if line.Line <= last || line.Line > lines {
					t.Fatalf("%q: after line %d comes %d of %d", text, last, line.Line, lines)
				}
				last = line.Line
				continue
			}
			if header := (*HeaderError)(nil); err == io.EOF || errors.As(err, &header) {
				return
			}
			if err != nil {
				t.Fatalf("%q: %v", text, err)
			}
			b, err := Decode(AppendLine(nil, e), true, now)
			if err != nil || len(b.Events) != 1 || string(b.Events[0].AppendJSON(nil)) != string(e.AppendJSON(nil)) {
				t.Fatalf("%q: %+v is no event: %+v, %v", text, e, b, err)
			}
		}
	})
}

// The longest line that an event can be exported as is read again.
func TestTheLongestEventIsReadBack(t *testing.T) {
	e := store.Event{Name: strings.Repeat("<", store.MaxEventName), User: strings.Repeat("&", store.MaxEventName), Time: now}
	for i := range store.MaxProperties {
		e.Properties = append(e.Properties, store.Property{Key: fmt.Sprintf("%03d", i) + strings.Repeat(">", store.MaxPropertyKey-3), Value: store.Text(strings.Repeat("\u2028", store.MaxText))})
	}
	line := AppendLine(nil, e)
	if !json.Valid(line) {
		t.Fatal("no JSON")
	}
	events, bad := readAll(t, NDJSON, string(line))
	if len(events) != 1 || len(bad) > 0 || string(AppendLine(nil, events[0])) != string(line) {
		t.Errorf("%d bytes: %v", len(line), bad)
	}
}

func BenchmarkDecodeCSV(b *testing.B) {
	rows := "event,id,time,user,path,status,duration_ms\n" + strings.Repeat("request,a1,2026-02-09T15:12:00.5Z,u7,/,200,12.5\n", 1000)
	b.SetBytes(int64(len(rows)))
	for b.Loop() {
		r := NewReader(strings.NewReader(rows), CSV, Columns{}, time.Now)
		for {
			if _, err := r.Next(); err == io.EOF {
				break
			} else if err != nil {
				b.Fatal(err)
			}
		}
	}
	b.ReportMetric(float64(b.N)*1000/b.Elapsed().Seconds(), "events/s")
}

// rowsSlowly splits CSV into rows as it is told in words: a row goes up to the first
// line where no quote is open; if there is none, or the row is no CSV, its first line is
// lost. It gives the rows with their lines, without cells for those lost.
func rowsSlowly(text string) (rows []string) {
	lines := strings.SplitAfter(text, "\n")
	for i := 0; i < len(lines); i++ {
		if strings.Trim(lines[i], "\r\n") == "" {
			continue
		}
		quotes, last := quoteState{}, i
		for quotes.pass([]byte(lines[last])); quotes.open && last+1 < len(lines); {
			last++
			quotes.pass([]byte(lines[last]))
		}
		cells, err := csv.NewReader(strings.NewReader(strings.Join(lines[i:last+1], ""))).Read()
		if quotes.open || err != nil {
			rows = append(rows, fmt.Sprint(i+1, " lost"))
			continue
		}
		rows = append(rows, fmt.Sprintf("%d %q", i+1, cells))
		i = last
	}
	return rows
}

func TestRowsAreThoseOfTheSlowWay(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := strings.Join(rapid.SliceOf(rapid.SampledFrom([]string{`"`, `""`, `"a"`, ",", "x", "\n", "\n", "\r\n", "x\",\"\n"})).Draw(t, "text"), "")
		r := &csvReader{Reader: NewReader(strings.NewReader(text), CSV, Columns{}, time.Now)}
		var rows []string
		for {
			cells, start, err := r.readRow()
			if errors.Is(err, io.EOF) {
				break
			}
			if bad := (*LineError)(nil); errors.As(err, &bad) {
				rows = append(rows, fmt.Sprint(bad.Line, " lost"))
				continue
			}
			rows = append(rows, fmt.Sprintf("%d %q", start, cells))
		}
		if want := rowsSlowly(text); !slices.Equal(rows, want) {
			t.Fatalf("%q:\n%q, want\n%q", text, rows, want)
		}
	})
}
