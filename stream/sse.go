package stream

import (
	"bytes"
	"math/rand/v2"
	"strconv"
	"time"

	"pulseboard/store"
)

// Names of the events on a stream.
const (
	metricUpdate = "metric_update"
	heartbeat    = "heartbeat"
	goodbye      = "goodbye"
	reload       = "reload" // the dashboard itself changed: fetch the page anew
)

// appendEvent writes one server-sent event. A line of data ends at CR, LF or
// CRLF, so data of several lines is written as several data fields, and no text
// in it can begin a field of its own. id is left out when it is 0.
//
// Source: https://html.spec.whatwg.org/multipage/server-sent-events.html
func appendEvent(b []byte, event string, id store.Seq, data []byte) []byte {
	b = append(b, "event: "...)
	b = append(b, event...)
	if id != 0 {
		b = append(b, "\nid: "...)
		b = strconv.AppendInt(b, int64(id), 10)
	}
	for {
		end := bytes.IndexAny(data, "\r\n")
		b = append(b, "\ndata: "...)
		if end < 0 {
			b = append(b, data...)
			break
		}
		b = append(b, data[:end]...)
		if data[end] == '\r' && end+1 < len(data) && data[end+1] == '\n' {
			end++
		}
		data = data[end+1:]
	}
	return append(b, "\n\n"...)
}

func appendHeartbeat(b []byte, now time.Time) []byte {
	return appendEvent(b, heartbeat, 0, []byte(`{"timestamp":"`+now.UTC().Format(time.RFC3339)+`"}`))
}

// appendFirstHeartbeat also says when to come back if the stream breaks off.
func appendFirstHeartbeat(b []byte, now time.Time) []byte {
	return appendHeartbeat(appendRetry(b), now)
}

// appendRetry writes the field that says when to come back. An empty line after it
// makes it a block that is no event.
func appendRetry(b []byte) []byte {
	b = append(b, "retry: "...)
	b = strconv.AppendInt(b, retryLeast+rand.Int64N(retrySpread), 10)
	return append(b, '\n')
}

const (
	retryLeast  = 1000 // ms until a reader comes back whose stream broke off
	retrySpread = 3000 // ms more, by chance, so that not all come at once
)
