package ingest

import (
	"bufio"
	"bytes"
	"cmp"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/itchyny/timefmt-go"

	"pulseboard/store"
)

// Columns says what the columns of a CSV file are. Those that it does not name are
// properties.
type Columns struct {
	// Names of the columns with the event's name, id, time and user. One that is empty
	// is the column called event, id, time or user, if there is one.
	Event, ID, Time, User string
	// Name is what all events are called, in place of a column with their names.
	Name string
	// TimeFormat is how times are written, as of strftime: %d.%m.%Y %H:%M. Empty is RFC
	// 3339, also without its T or its zone, or epoch seconds or milliseconds. A time
	// without a zone is UTC.
	TimeFormat string
}

// Validate says whether the columns can be those of a file.
func (c Columns) Validate() error {
	if c.Event != "" && c.Name != "" {
		return errors.New("the events' name is either that of all events or in a column: give one of the two")
	}
	if _, err := checkText("the events' name", c.Name, store.MaxEventName); err != nil {
		return err
	}
	if c.TimeFormat == "" {
		return nil
	}
	at := time.Date(2026, 2, 9, 15, 12, 0, 0, time.UTC)
	if read, err := timefmt.ParseInLocation(timefmt.Format(at, c.TimeFormat), c.TimeFormat, time.UTC); err != nil || read.Year() != at.Year() {
		return fmt.Errorf("time format %q is no format of a time with its date: use those of strftime, such as %%Y-%%m-%%d %%H:%%M:%%S", c.TimeFormat)
	}
	return nil
}

// HeaderError says that a CSV file can't be understood for its header.
type HeaderError struct {
	Line    int // from 1
	Message string
	NoName  bool // there is no column with the events' names
}

// Error returns the line and the message.
func (e *HeaderError) Error() string { return fmt.Sprintf("line %d: %s", e.Line, e.Message) }

// csvReader reads the rows of a CSV file whose first row names the columns.
type csvReader struct {
	*Reader
	columns Columns
	header  []string
	roles   []role
	files   int // whose beginning was read

	cells *bufio.Reader
}

// role is what the cells of a column are.
type role int

const (
	roleProperty role = iota
	roleEvent
	roleID
	roleTime
	roleUser
)

func (c *csvReader) next() (store.Event, []byte, error) {
	for {
		row, start, err := c.readRow()
		if err != nil {
			return store.Event{}, nil, err
		}
		switch {
		case c.header == nil:
			if bad := c.begin(row); bad != nil {
				bad.Line = start
				return store.Event{}, nil, bad
			}
			continue
		case c.files < c.Reader.files:
			c.files++
			if slices.Equal(row, c.header) {
				continue
			}
		}
		e, bad := c.event(row)
		if bad != nil {
			return store.Event{}, nil, &LineError{start, bad.code, bad.message}
		}
		return e, []byte(strings.Join(row, "\x1f")), nil
	}
}

// readRow gives the cells of the next row that is not empty, and the line it begins at.
// The error is a *LineError for one that can't be read.
func (c *csvReader) readRow() (row []string, start int, err error) {
	text, err := c.peekRow()
	for err == nil && len(bytes.TrimRight(text, "\r\n")) == 0 {
		c.take(text)
		text, err = c.peekRow()
	}
	start = c.line + 1
	if err != nil {
		return nil, start, err
	}
	if c.cells == nil {
		c.cells = bufio.NewReader(nil)
	}
	c.cells.Reset(bytes.NewReader(text))
	row, err = csv.NewReader(c.cells).Read()
	var bad *csv.ParseError
	if errors.As(err, &bad) {
		c.take(firstLine(text))
		return nil, start, &LineError{start, codeCSV, `the row is no CSV: a cell with " in it must stand in double quotes, with "" for each`}
	}
	c.take(text)
	if err == nil && len(c.header) > 0 && len(row) != len(c.header) {
		return nil, start, &LineError{start, codeCSV, fmt.Sprintf("the row has %d cells, but the header %d", len(row), len(c.header))}
	}
	return row, start, err
}

// peekRow gives the lines of the next row, up to one where no quote is open; they are
// good until the next call. A quote too much costs the line it stands in: of a row that
// never ends the first line is taken, and the others may be rows.
func (c *csvReader) peekRow() ([]byte, error) {
	l := &c.ahead
	l.compact()
	line, err := c.lineAhead(l.at)
	if err != nil {
		c.line = l.read
		return nil, err
	}
	quotes := quoteState{}
	if quotes.pass(line); !quotes.open {
		return line, nil
	}
	first := len(line)
	for end := max(l.at+first, l.unclosed); end-l.at <= maxLine; end = l.unclosed {
		line, err := c.lineAhead(end)
		if tooLong := (*LineError)(nil); errors.As(err, &tooLong) {
			l.text = append(l.text, '\n') // it is lost, and passed over
			break
		} else if errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			return nil, err
		}
		quotes := quoteState{open: true, inCell: true}
		if quotes.pass(line); !quotes.open {
			return l.text[l.at : end+len(line)], nil
		}
		l.unclosed = end + len(line)
	}
	start := c.line + 1
	c.take(l.text[l.at : l.at+first])
	return nil, &LineError{start, codeCSV, "a quote that this row opens is not closed"}
}

// lineAhead gives the line that begins at a place of the text read ahead, which may be
// its end. Its number is c.line only when it is taken.
func (c *csvReader) lineAhead(at int) ([]byte, error) {
	l := &c.ahead
	if at == len(l.text) {
		taken := c.line
		c.line = l.read
		line, err := c.readLine()
		l.read, c.line = c.line, taken
		if err != nil {
			return nil, err
		}
		l.text = append(l.text, line...)
	}
	return firstLine(l.text[at:]), nil
}

// take passes over a text that was read ahead.
func (c *csvReader) take(text []byte) {
	c.ahead.at += len(text)
	c.line += lines(text)
}

// firstLine gives a text's first line, with its end.
func firstLine(text []byte) []byte { return text[:cmp.Or(bytes.IndexByte(text, '\n')+1, len(text))] }

// lines counts lines; the last may lack its end.
func lines(text []byte) int {
	n := bytes.Count(text, []byte{'\n'})
	if len(text) > 0 && text[len(text)-1] != '\n' {
		n++
	}
	return n
}

// lookahead holds lines that were read before it is known where the row ends that they
// belong to. Whether a line closes a quote that is open where it begins does not depend
// on where it was opened. So each line is looked at once for all the rows that it might
// have ended, and once as the first of a row.
type lookahead struct {
	text     []byte
	at       int // where the next row begins
	unclosed int // up to here no line that begins after at closes an open quote
	read     int // the number of the line read last
}

// compact lets go of what was taken, when that is most of the text.
func (l *lookahead) compact() {
	if l.at > len(l.text)/2 || l.at == len(l.text) {
		l.text = l.text[:copy(l.text, l.text[l.at:])]
		l.unclosed = max(0, l.unclosed-l.at)
		l.at = 0
	}
}

// quoteState says whether a quote is open after some text of a row.
type quoteState struct{ open, inCell bool }

func (q *quoteState) pass(line []byte) {
	for i := 0; i < len(line); i++ {
		switch c := line[i]; {
		case q.open && c == '"' && i+1 < len(line) && line[i+1] == '"':
			i++
		case q.open && c == '"':
			q.open = false
		case q.open:
		case c == '"' && !q.inCell:
			q.open, q.inCell = true, true
		default:
			q.inCell = c != ','
		}
	}
}

// begin takes a row as the header.
func (c *csvReader) begin(names []string) *HeaderError {
	roles := make([]role, len(names))
	header := slices.Clone(names)
	seen := map[string]bool{}
	for i, name := range names {
		if !utf8.ValidString(name) {
			return headerErrorf("the name of column %d is not valid UTF-8", i+1)
		}
		if name == "" {
			return headerErrorf("column %d has no name: the first row must name all columns", i+1)
		}
		name, err := checkKey(name)
		switch {
		case err != nil:
			return headerErrorf("column %d: %s", i+1, err.message)
		case seen[name]:
			return headerErrorf("the header names column %q twice: names must differ", name)
		}
		seen[name], names[i] = true, name
	}
	for _, field := range []struct {
		role       role
		of, asked  string
		calledElse string
	}{
		{roleEvent, "name of the event", c.columns.Event, "event"},
		{roleID, "id", c.columns.ID, "id"},
		{roleTime, "time", c.columns.Time, "time"},
		{roleUser, "user", c.columns.User, "user"},
	} {
		if field.role == roleEvent && c.columns.Name != "" {
			continue
		}
		name := cmp.Or(field.asked, field.calledElse)
		at := slices.Index(names, name)
		switch {
		case at < 0 && (field.asked != "" || field.role == roleEvent):
			bad := headerErrorf("the header has no column %q for the %s: it has %s", name, field.of, store.Cut(strings.Join(names, ", "), 200))
			bad.NoName = field.role == roleEvent
			return bad
		case at >= 0 && roles[at] != roleProperty:
			if field.asked == "" { // it is called so, but is something else
				continue
			}
			return headerErrorf("column %q can't be the %s as well: name another", name, field.of)
		case at >= 0:
			roles[at] = field.role
		}
	}
	c.header, c.roles = header, roles
	return nil
}

func headerErrorf(format string, args ...any) *HeaderError {
	return &HeaderError{Message: fmt.Sprintf(format, args...)}
}

// event gives the event of a row. Empty cells are left out.
func (c *csvReader) event(row []string) (e store.Event, err *fault) {
	e.Name = clean(c.columns.Name)
	var properties []store.Property
	for i, text := range row {
		if !utf8.ValidString(text) {
			return e, faultf(codeUTF8, "column %s is not valid UTF-8", c.header[i])
		}
		if text == "" && c.roles[i] != roleEvent {
			continue
		}
		switch c.roles[i] {
		case roleEvent:
			if text == "" {
				return e, faultf(codeMissing, "column %s is empty: name what happened", c.header[i])
			}
			e.Name, err = checkText("column "+c.header[i], text, store.MaxEventName)
		case roleID:
			e.ID, err = checkText("column "+c.header[i], text, store.MaxEventName)
		case roleUser:
			e.User, err = checkText("column "+c.header[i], text, store.MaxEventName)
		case roleTime:
			e.Time, err = c.cellTime(text)
		default:
			var p store.Property
			p, err = cellProperty(clean(c.header[i]), text)
			properties = append(properties, p)
		}
		if err != nil {
			return e, err
		}
	}
	e.Properties, err = limited(properties)
	return e, err
}

func (c *csvReader) cellTime(text string) (time.Time, *fault) {
	if format := c.columns.TimeFormat; format != "" {
		at, err := timefmt.ParseInLocation(text, format, time.UTC)
		if err != nil {
			return time.Time{}, faultf(codeTime, "time %s is not of the form %q", store.Quote(text), format)
		}
		return checkTime(at, c.now())
	}
	if f, err := strconv.ParseFloat(text, 64); err == nil {
		return epochTime(f, c.now())
	}
	return parseLooseTime(text, c.now())
}

// cellProperty reads a cell: numbers and booleans look like themselves.
func cellProperty(key, text string) (store.Property, *fault) {
	var value store.Value
	var err *fault
	switch f, parseErr := strconv.ParseFloat(text, 64); {
	case text == "true" || text == "false":
		value = store.Bool(text == "true")
	case parseErr == nil && !math.IsInf(f, 0) && !math.IsNaN(f) && !strings.ContainsAny(text, "xXpP_+ ") && !leadingZero(text):
		value, err = checkNumber(key, f)
	default:
		text, err = checkText("column "+key, text, store.MaxText)
		value = store.Text(text)
	}
	return store.Property{Key: key, Value: value}, err
}

// leadingZero: what begins with a zero that no point follows is a code, such as
// a postal code, and not a number.
func leadingZero(s string) bool {
	s = strings.TrimPrefix(s, "-")
	return len(s) > 1 && s[0] == '0' && s[1] != '.'
}
