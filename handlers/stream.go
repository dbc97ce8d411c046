package handlers

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/klauspost/compress/gzip"

	"pulseboard/store"
	"pulseboard/stream"
)

// writeTimeout is how long a reader may take nothing before its stream is closed.
const writeTimeout = 30 * time.Second

// getStream streams a view's updates for as long as the reader stays.
func (s *Server) getStream(w http.ResponseWriter, r *http.Request) error {
	id := store.DashboardID(r.PathValue("id"))
	a, err := s.audience(r, id)
	if err != nil {
		return err
	}
	_, view, err := s.openView(r, a, id)
	if err != nil {
		return err
	}
	query := r.URL.Query()
	format, err := formatOf(query.Get("format"), r.Header.Get("Accept"))
	if err != nil {
		return err
	}
	if text := query.Get("refresh"); text != "" {
		if a.cadence, err = store.ParseStreamCadence(text); err != nil {
			return badRequest(err)
		}
	}
	a.entry.Screen = query.Get("screen")
	ctx, leave, err := s.roster.Enter(r.Context(), a.entry, a.wider)
	if err != nil {
		var refusal *stream.Refusal
		if errors.As(err, &refusal) {
			s.streams.Refusals.WithLabelValues(refusal.Reason).Inc()
		}
		return err
	}
	defer leave()
	if !a.expires.IsZero() {
		var cancel context.CancelFunc
		ctx, cancel = context.WithDeadlineCause(ctx, a.expires, stream.Expired)
		defer cancel()
	}
	pool, err := s.hub.Open(ctx, view)
	if err != nil {
		return err
	}
	defer pool.Release()
	watcher := pool.Watch(format, a.cadence, cursorOf(r))
	out := newStreamWriter(w, r, s.streams)
	err = watcher.Run(ctx, s.Heartbeat, out.write)
	out.close()
	requestLog(r.Context(), s.Log).Debug("stream ended", "view", view.Key(), "cause", err)
	return nil
}

// formatOf chooses the format of a stream: as asked for, else by what the
// request accepts.
func formatOf(format, accept string) (stream.Format, error) {
	switch format {
	case "json":
		return stream.JSON, nil
	case "html":
		return stream.HTML, nil
	case "":
		if strings.Contains(accept, "text/html") {
			return stream.HTML, nil
		}
		return stream.JSON, nil
	}
	return 0, fail(http.StatusBadRequest, "bad_request", "Format %q is unknown: use json or html.", format)
}

// streamWriter writes events to one connection, each readable at once.
type streamWriter struct {
	control *http.ResponseController
	out     io.Writer
	gzip    *gzip.Writer // nil when the reader does not accept it
	metrics *stream.Metrics
}

func newStreamWriter(w http.ResponseWriter, r *http.Request, metrics *stream.Metrics) *streamWriter {
	h := w.Header()
	h.Set("Content-Type", "text/event-stream")
	h.Set("Cache-Control", "no-store")
	h.Set("X-Accel-Buffering", "no") // nginx would hold the events back
	h.Add("Vary", "Accept, Accept-Encoding, Authorization, Cookie")
	s := &streamWriter{control: http.NewResponseController(w), out: w, metrics: metrics}
	if acceptsGzip(r.Header) {
		h.Set("Content-Encoding", "gzip")
		// Without state between writes a stream takes no memory for its compression;
		// a window of its own would take most of a megabyte. An error is for levels
		// that do not exist.
		s.gzip, _ = gzip.NewWriterLevel(w, gzip.StatelessCompression)
		s.out = s.gzip
	}
	w.WriteHeader(http.StatusOK)
	return s
}

func (s *streamWriter) write(events []byte) error {
	if err := s.control.SetWriteDeadline(time.Now().Add(writeTimeout)); err != nil {
		return err
	}
	if _, err := s.out.Write(events); err != nil {
		return err
	}
	if s.gzip != nil {
		if err := s.gzip.Flush(); err != nil {
			return err
		}
	}
	s.metrics.Sent.Inc()
	s.metrics.SentBytes.Add(float64(len(events)))
	return s.control.Flush()
}

// close ends the compressed form; the connection is net/http's to end.
func (s *streamWriter) close() {
	if s.gzip != nil {
		_ = s.control.SetWriteDeadline(time.Now().Add(time.Second))
		_ = s.gzip.Close() // a reader that went away is no error of ours
	}
}
