package handlers

import (
	"context"
	"net/http"
	"slices"
	"sync"
	"time"

	"pulseboard/stream"
)

const (
	// defaultStallTimeout is how long a reader may take nothing before its stream is
	// closed, unless the configuration says otherwise.
	defaultStallTimeout = 30 * time.Second
	// endTimeout is how long a reader has to take what is under way when its stream
	// is ended.
	endTimeout = 2 * time.Second
	// pieceSize is how many bytes a reader has to take within the stall timeout. A reader
	// that is slow but takes something gets through a large frame piece by piece.
	pieceSize = 4 << 10
)

// streamWriter writes a stream through net/http.
//
// A deadline of net/http outlasts the call it was meant for: over HTTP/2 it is a
// timer that resets the stream even when nothing is being written, over HTTP/1 it
// holds for whatever the connection carries next. So a deadline stands only while a
// write is under way, and is cleared when the bytes are flushed.
type streamWriter struct {
	w         http.ResponseWriter
	control   *http.ResponseController
	telemetry *stream.Telemetry
	stall     time.Duration // how long the reader may take nothing

	mu      sync.Mutex
	end     time.Time // when all writing ends; zero: not yet known
	writing bool
}

func newStreamWriter(w http.ResponseWriter, stall time.Duration, telemetry *stream.Telemetry) *streamWriter {
	return &streamWriter{w: w, control: http.NewResponseController(w), telemetry: telemetry, stall: stall}
}

// begin sends the head of the answer. Read deadlines bound how long a request may
// take to arrive; this one has arrived, and over HTTP/1 one that passes would end
// the stream.
func (s *streamWriter) begin() {
	_ = s.control.SetReadDeadline(time.Time{}) // where it is not supported, none was set
	s.w.WriteHeader(http.StatusOK)
}

// write sends events and returns when the connection has taken them, or with
// os.ErrDeadlineExceeded when the reader takes nothing for too long.
func (s *streamWriter) write(events []byte) error {
	for piece := range slices.Chunk(events, pieceSize) {
		if err := s.writePiece(piece); err != nil {
			return err
		}
	}
	return nil
}

func (s *streamWriter) writePiece(piece []byte) (err error) {
	if err := s.allow(); err != nil {
		return err
	}
	defer func() {
		if clearErr := s.clear(); err == nil {
			err = clearErr
		}
	}()
	if _, err := s.w.Write(piece); err != nil {
		return err
	}
	s.telemetry.Wrote(len(piece))
	return s.control.Flush()
}

// allow sets the deadline of a write that begins.
func (s *streamWriter) allow() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.writing = true
	deadline := time.Now().Add(s.stall)
	if !s.end.IsZero() && s.end.Before(deadline) {
		deadline = s.end
	}
	return s.control.SetWriteDeadline(deadline)
}

// clear takes the deadline back.
func (s *streamWriter) clear() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.writing = false
	return s.control.SetWriteDeadline(time.Time{})
}

// hurryAfter lets the reader have endTimeout, no more, from when ctx ends. Call the
// function it returns when the stream is over.
func (s *streamWriter) hurryAfter(ctx context.Context) (stop func() bool) {
	return context.AfterFunc(ctx, func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.end = time.Now().Add(min(s.stall, endTimeout))
		if s.writing {
			_ = s.control.SetWriteDeadline(s.end) // the deadline before it was set the same way
		}
	})
}
