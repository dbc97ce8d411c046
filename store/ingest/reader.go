package ingest

import (
	"bufio"
	"crypto/sha256"
	"encoding/binary"
	"encoding/csv"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"pulseboard/store"
)

// Format is the form of a file of events.
type Format string

// The formats of files.
const (
	NDJSON   Format = "ndjson"   // a JSON object a line
	CSV      Format = "csv"      // with a header that names the columns
	Combined Format = "combined" // the access log of Apache and nginx
	Common   Format = "common"   // the same without referrer and agent
)

// ParseFormat checks that s is a format.
func ParseFormat(s string) (Format, error) {
	switch f := Format(s); f {
	case NDJSON, CSV, Combined, Common:
		return f, nil
	}
	return "", fmt.Errorf("format %q is unknown: use ndjson, csv, combined or common", s)
}

// maxLine bounds a line, in bytes.
const maxLine = 1 << 20

// LineError is what is wrong with one line; the lines after it can still be read.
type LineError struct {
	Line    int // from 1
	Code    string
	Message string
}

func (e *LineError) Error() string { return fmt.Sprintf("line %d: %s", e.Line, e.Message) }

// Reader reads events one line at a time, as soon as each line is there.
//
// An event that has no id of its own gets one made of its line and of how many
// equal lines came before it. So reading a file twice gives the same ids, and two
// equal lines are two events.
type Reader struct {
	next  func() (store.Event, []byte, error) // an event with the text that its id is made of
	now   func() time.Time
	lines *bufio.Reader
	line  int
	seen  occurrences
}

// NewReader makes a reader. now is the clock that tells what lies in the future.
func NewReader(r io.Reader, format Format, now func() time.Time) *Reader {
	reader := &Reader{now: now, lines: bufio.NewReaderSize(r, 64<<10)}
	switch format {
	case CSV:
		reader.next = reader.csvRows()
	case NDJSON:
		reader.next = reader.eachLine(func(line []byte) (store.Event, *fault) {
			if err := checkLine(line); err != nil {
				return store.Event{}, err
			}
			return decodeEvent(line, now())
		})
	default:
		reader.next = reader.eachLine(func(line []byte) (store.Event, *fault) {
			return parseLogLine(string(line), format == Combined, now())
		})
	}
	return reader
}

// Next gives the next event. The error is io.EOF at the end, a *LineError for a
// line that can't be read, or that of the file.
func (r *Reader) Next() (store.Event, error) {
	e, text, err := r.next()
	if err != nil {
		return store.Event{}, err
	}
	if e.ID == "" {
		e.ID = r.seen.id(text)
	}
	return e, nil
}

func (r *Reader) fail(err *fault) *LineError { return &LineError{r.line, err.code, err.message} }

// eachLine parses line by line and passes over empty ones.
func (r *Reader) eachLine(parse func(line []byte) (store.Event, *fault)) func() (store.Event, []byte, error) {
	return func() (store.Event, []byte, error) {
		for {
			line, err := r.readLine()
			if err != nil {
				return store.Event{}, nil, err
			}
			if len(line) == 0 {
				continue
			}
			e, bad := parse(line)
			if bad != nil {
				return store.Event{}, nil, r.fail(bad)
			}
			return e, line, nil
		}
	}
}

// readLine gives a line without its end. A line that is too long is read to its
// end and not kept.
func (r *Reader) readLine() ([]byte, error) {
	var line []byte
	tooLong := false
	r.line++
	for {
		piece, err := r.lines.ReadSlice('\n')
		if len(line)+len(piece) > maxLine {
			tooLong, line = true, nil
		}
		if !tooLong {
			line = append(line, piece...)
		}
		switch {
		case errors.Is(err, bufio.ErrBufferFull):
			continue
		case err != nil && (!errors.Is(err, io.EOF) || (len(line) == 0 && !tooLong)):
			return nil, err
		case tooLong:
			return nil, r.fail(faultf(codeLong, "the line is longer than %d bytes", maxLine))
		}
		if r.line == 1 {
			line = []byte(strings.TrimPrefix(string(line), "\ufeff"))
		}
		return []byte(strings.TrimSpace(string(line))), nil
	}
}

// csvRows reads the rows of a CSV file whose first row names the columns. The
// columns event, id, time and user are the event's, all others properties.
func (r *Reader) csvRows() func() (store.Event, []byte, error) {
	rows := csv.NewReader(r.lines)
	var header []string
	return func() (store.Event, []byte, error) {
		if header == nil {
			names, err := rows.Read()
			if err != nil {
				return store.Event{}, nil, err
			}
			names[0] = strings.TrimPrefix(names[0], "\ufeff")
			if err := checkHeader(names); err != nil {
				return store.Event{}, nil, err
			}
			header = names
			rows.FieldsPerRecord = len(header)
		}
		row, err := rows.Read()
		var bad *csv.ParseError
		if errors.As(err, &bad) {
			return store.Event{}, nil, &LineError{bad.StartLine, "invalid_csv", bad.Err.Error()}
		}
		if err != nil {
			return store.Event{}, nil, err
		}
		r.line, _ = rows.FieldPos(0)
		e, fault := rowEvent(header, row, r.now())
		if fault != nil {
			return store.Event{}, nil, r.fail(fault)
		}
		return e, []byte(strings.Join(row, "\x1f")), nil
	}
}

func checkHeader(names []string) error {
	seen := map[string]bool{}
	for _, name := range names {
		if seen[name] {
			return fmt.Errorf("the header names column %q twice: names must differ", name)
		}
		seen[name] = true
	}
	if !seen["event"] {
		return errors.New("the header has no column named event: the first row must name the columns, one of them event")
	}
	return nil
}

func rowEvent(header, row []string, now time.Time) (e store.Event, err *fault) {
	var properties []store.Property
	for i, text := range row {
		if !utf8.ValidString(text) {
			return e, faultf(codeUTF8, "column %s is not valid UTF-8", header[i])
		}
		if text == "" && header[i] != "event" {
			continue
		}
		switch header[i] {
		case "event":
			if text == "" {
				return e, faultf(codeMissing, "event is empty: name what happened")
			}
			e.Name, err = checkText("event", text, store.MaxEventName)
		case "id":
			e.ID, err = checkText("id", text, store.MaxEventName)
		case "user":
			e.User, err = checkText("user", text, store.MaxEventName)
		case "time":
			e.Time, err = cellTime(text, now)
		default:
			var p store.Property
			p, err = cellProperty(header[i], text)
			properties = append(properties, p)
		}
		if err != nil {
			return e, err
		}
	}
	if len(properties) > store.MaxProperties {
		return e, faultf(codeProperties, "an event may have %d properties at most; this row has %d", store.MaxProperties, len(properties))
	}
	e.Properties = store.NewProperties(properties)
	return e, nil
}

func cellTime(text string, now time.Time) (time.Time, *fault) {
	if f, err := strconv.ParseFloat(text, 64); err == nil {
		return epochTime(f, now)
	}
	return parseTime(text, now)
}

// cellProperty reads a cell: numbers and booleans look like themselves.
func cellProperty(name, text string) (store.Property, *fault) {
	key, err := checkText("the name of column", name, store.MaxPropertyKey)
	if err != nil {
		return store.Property{}, err
	}
	var value store.Value
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

// occurrencesKept bounds the lines that are remembered to two generations of so
// many, some 50 MB. Equal lines of a log stand close together.
const occurrencesKept = 1 << 20

// occurrences counts equal lines.
type occurrences struct{ recent, before map[uint64]uint32 }

// id names a line: by its text and by how many equal ones came before.
func (o *occurrences) id(text []byte) string {
	sum := sha256.Sum256(text)
	key := binary.LittleEndian.Uint64(sum[16:])
	if len(o.recent) >= occurrencesKept || o.recent == nil {
		o.before, o.recent = o.recent, make(map[uint64]uint32)
	}
	n, known := o.recent[key]
	if !known {
		n = o.before[key]
	}
	o.recent[key] = n + 1
	id := "line-" + hex.EncodeToString(sum[:16])
	if n > 0 {
		id += "-" + strconv.FormatUint(uint64(n), 10)
	}
	return id
}
