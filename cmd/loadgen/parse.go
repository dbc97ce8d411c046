package main

import (
	"bytes"
	"encoding/json"
	"strconv"
	"time"
)

// parseHead reads the head of an answer, if it is whole.
func parseHead(b []byte) (status int, chunked bool, rest []byte, whole bool) {
	end := bytes.Index(b, []byte("\r\n\r\n"))
	if end < 0 {
		return 0, false, nil, false
	}
	lines := bytes.Split(b[:end], []byte("\r\n"))
	if fields := bytes.Fields(lines[0]); len(fields) > 1 {
		status = atoi(fields[1])
	}
	for _, line := range lines[1:] {
		name, value, _ := bytes.Cut(line, []byte(":"))
		if bytes.EqualFold(name, []byte("Transfer-Encoding")) && bytes.EqualFold(bytes.TrimSpace(value), []byte("chunked")) {
			chunked = true
		}
	}
	return status, chunked, b[end+4:], true
}

// dechunker takes the frame of chunks off a body (RFC 9112, 7.1), where it is on.
type dechunker struct {
	on   bool
	left int    // bytes of the chunk still to come, with the line end after it
	size []byte // of the next chunk, as far as it came
}

func (d *dechunker) next(b []byte) []byte {
	if !d.on {
		return b
	}
	var body []byte
	for len(b) > 0 {
		if d.left == 0 {
			end := bytes.IndexByte(b, '\n')
			if end < 0 {
				d.size = append(d.size, b...)
				return body
			}
			d.size = append(d.size, b[:end]...)
			b = b[end+1:]
			n, _ := strconv.ParseInt(string(bytes.TrimSpace(d.size)), 16, 32)
			d.size, d.left = d.size[:0], int(n)+2
			continue
		}
		n := min(d.left, len(b))
		body = append(body, b[:max(0, min(n, d.left-2))]...)
		d.left -= n
		b = b[n:]
	}
	return body
}

// event is one server-sent event.
type event struct {
	name, id string
	data     []byte
	retry    time.Duration
}

// parseEvent reads the first event of b, if it is whole. data is valid until b changes.
func parseEvent(b []byte) (e event, rest []byte, whole bool) {
	end := bytes.Index(b, []byte("\n\n"))
	if end < 0 {
		return event{}, nil, false
	}
	rest = b[end+2:]
	for line := range bytes.SplitSeq(b[:end], []byte("\n")) {
		name, value, _ := bytes.Cut(line, []byte(":"))
		value = bytes.TrimPrefix(value, []byte(" "))
		switch string(name) {
		case "event":
			e.name = string(value)
		case "id":
			e.id = string(value)
		case "data":
			e.data = value
		case "retry":
			e.retry = time.Duration(atoi(value)) * time.Millisecond
		}
	}
	return e, rest, true
}

// states are what viewers know, each state once, for many viewers are in the same.
// State 0 is to know nothing.
type states struct {
	known []map[string]string // values by widget
	next  map[transition]int
	named map[string]int // by their content
}

type transition struct {
	from int
	data string
}

// after gives the state that an update leads to. An update that is no JSON object is
// a state of its own: the newest.
func (s *states) after(from int, data []byte) int {
	if s.next == nil {
		s.next, s.named, s.known = map[transition]int{}, map[string]int{}, []map[string]string{{}}
	}
	to, known := s.next[transition{from, string(data)}]
	if known {
		return to
	}
	values := map[string]string{}
	var delta map[string]json.RawMessage
	if err := json.Unmarshal(data, &delta); err != nil {
		values[""] = string(data)
	} else {
		for key, value := range s.known[from] {
			values[key] = value
		}
		for key, value := range delta {
			if values[key] = string(value); string(value) == "null" {
				delete(values, key)
			}
		}
	}
	name, _ := json.Marshal(values) // a map of strings can be written
	to, known = s.named[string(name)]
	if !known {
		to = len(s.known)
		s.known = append(s.known, values)
		s.named[string(name)] = to
	}
	s.next[transition{from, string(data)}] = to
	return to
}

func (s *states) values(state int) map[string]string {
	if len(s.known) == 0 {
		return nil
	}
	return s.known[state]
}

func atoi(b []byte) int {
	n, _ := strconv.Atoi(string(b))
	return n
}
