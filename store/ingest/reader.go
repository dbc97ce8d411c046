package ingest

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"strconv"
	"time"

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

// maxLine bounds a line, and a row of CSV, in bytes. The longest event there can be, all
// its letters escaped, is shorter.
const maxLine = 2 << 20

// LineError is what is wrong with one line; the lines after it can still be read.
type LineError struct {
	Line    int // from 1
	Code    string
	Message string
}

// Error returns the line and the message.
func (e *LineError) Error() string { return fmt.Sprintf("line %d: %s", e.Line, e.Message) }

// Reader reads events one line at a time, as soon as each line is there.
//
// An event that has no id of its own gets one made of its line and of how many
// equal lines came before it. So reading a file twice gives the same ids, and two
// equal lines are two events.
type Reader struct {
	next func() (store.Event, []byte, error) // an event with the text that its id is made of
	now  func() time.Time
	seen occurrences

	lines  *bufio.Reader
	line   int       // the number of the one read last
	buffer []byte    // its text
	files  int       // that were continued with
	ahead  lookahead // of CSV, whose rows may have several lines
}

// NewReader makes a reader. columns are of CSV; now is the clock that tells what lies in
// the future.
func NewReader(r io.Reader, format Format, columns Columns, now func() time.Time) *Reader {
	reader := &Reader{now: now, lines: bufio.NewReaderSize(r, 64<<10)}
	switch format {
	case CSV:
		reader.next = (&csvReader{Reader: reader, columns: columns}).next
	case NDJSON:
		d := decoders.Get().(*decoder) // never given back, as nobody says when the reader ends
		reader.next = reader.eachLine(func(line []byte) (store.Event, *fault) {
			if err := checkLine(d, line); err != nil {
				return store.Event{}, err
			}
			return decodeEvent(d.reset(line), now())
		})
	default:
		reader.next = reader.eachLine(func(line []byte) (store.Event, *fault) {
			return parseLogLine(string(line), format == Combined, now())
		})
	}
	return reader
}

// Next gives the next event. The error is io.EOF at the end, a *LineError for a
// line that can't be read, a *HeaderError when the file can't be understood, or that
// of the file.
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

// Continue goes on with another file after the end of one, as with the files of a log
// that is rotated. Lines are numbered anew; equal ones are told as in one file. The
// header of CSV holds on, and may be repeated at the beginning.
func (r *Reader) Continue(file io.Reader) {
	r.lines.Reset(file)
	r.line, r.ahead = 0, lookahead{}
	r.files++
}

// Line is the number of the line that was read last, 0 at the beginning of a file.
func (r *Reader) Line() int { return r.line }

func (r *Reader) fail(err *fault) *LineError { return &LineError{r.line, err.code, err.message} }

// eachLine parses line by line and passes over empty ones.
func (r *Reader) eachLine(parse func(line []byte) (store.Event, *fault)) func() (store.Event, []byte, error) {
	return func() (store.Event, []byte, error) {
		for {
			line, err := r.readLine()
			if err != nil {
				return store.Event{}, nil, err
			}
			line = bytes.TrimSpace(line)
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

const byteOrderMark = "\ufeff"

// readLine gives a line with its end, if it has one; it is good until the next is read. A
// line that is too long is read to its end and not kept. One that an error of the file
// cuts short is not given.
func (r *Reader) readLine() ([]byte, error) {
	r.line++
	r.buffer = r.buffer[:0]
	tooLong := false
	for {
		piece, err := r.lines.ReadSlice('\n')
		if len(r.buffer)+len(piece) > maxLine {
			tooLong, r.buffer = true, nil
		}
		if !tooLong {
			r.buffer = append(r.buffer, piece...)
		}
		switch {
		case errors.Is(err, bufio.ErrBufferFull):
			continue
		case err != nil && (!errors.Is(err, io.EOF) || (len(r.buffer) == 0 && !tooLong)):
			r.line--
			return nil, err
		case tooLong:
			return nil, r.fail(faultf(codeLong, "the line is longer than %d bytes", maxLine))
		}
		if r.line == 1 {
			return bytes.TrimPrefix(r.buffer, []byte(byteOrderMark)), nil
		}
		return r.buffer, nil
	}
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
