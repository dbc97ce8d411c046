package handlers

import (
	"bytes"
	"context"
	"errors"
	"net/http"
	"os"
	"strings"
	"time"

	"pulseboard/store"
	"pulseboard/stream"
)

// getStream streams a view's updates for as long as the reader stays. Over plain
// HTTP/1 it hands the connection over and returns; over HTTP/2 or TLS its
// goroutine stays with the stream.
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
	packed := acceptsGzip(r.Header)
	streamHeader(w.Header(), packed)
	if r.Method == http.MethodHead {
		w.WriteHeader(http.StatusOK)
		return nil
	}
	a.entry.View = string(view.Key())
	a.entry.Screen = shortName(query.Get("screen"))
	place, err := s.roster.Enter(a.entry, a.wider)
	if err != nil {
		var refusal *stream.Refusal
		if errors.As(err, &refusal) {
			s.streams.Refusals.WithLabelValues(refusal.Reason).Inc()
		}
		return unstreamed(w, err)
	}
	pool, err := s.hub.Open(r.Context(), view, s.opener(a, true))
	if err != nil {
		place.Leave()
		return unstreamed(w, err)
	}
	o := &openStream{place: place, pool: pool, watcher: pool.Watch(format, packed, a.cadence, cursorOf(r))}
	o.watcher.OfLayout(query.Get("layout"))
	if !a.expires.IsZero() {
		o.expiry = time.AfterFunc(time.Until(a.expires), func() { o.watcher.End(stream.Expired) })
	}
	if s.handOver(w, r, o) {
		return nil
	}
	defer o.close()
	cause := o.serve(w, r, s.StallTimeout, s.streams)
	requestLog(r.Context(), s.Log).Debug("stream ended", "view", view.Key(), "cause", cause)
	return nil
}

// streamHeader sets the fields of a stream's answer.
func streamHeader(h http.Header, packed bool) {
	h.Set("Content-Type", "text/event-stream")
	h.Set("Cache-Control", "no-store")
	h.Set("X-Accel-Buffering", "no") // nginx would hold the events back
	h.Add("Vary", "Accept, Accept-Encoding, Authorization, Cookie")
	if packed {
		h.Set("Content-Encoding", "gzip")
	}
}

// unstreamed takes back what streamHeader set, for an answer that is no stream.
func unstreamed(w http.ResponseWriter, err error) error {
	w.Header().Del("Content-Encoding")
	w.Header().Del("X-Accel-Buffering")
	return err
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

// openStream is what is held for a stream while it is open.
type openStream struct {
	place   *stream.Place
	pool    *stream.Pool
	watcher *stream.Watcher
	expiry  *time.Timer // of its token
}

func (o *openStream) close() {
	if o.expiry != nil {
		o.expiry.Stop()
	}
	o.watcher.Close()
	o.pool.Release()
	o.place.Leave()
}

// handOver takes the connection from net/http and gives it to the hub's writers.
// It says false when that can't be; then nothing happened.
func (s *Server) handOver(w http.ResponseWriter, r *http.Request, o *openStream) bool {
	if r.ProtoMajor != 1 || r.TLS != nil || !s.hub.Writes() {
		return false
	}
	conn, rest, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return false
	}
	_ = rest.Flush() // nothing is in it: no byte of the answer was written yet
	if !o.watcher.Attach(conn, responseHead(w.Header()), func(error) { o.close() }) {
		conn.Close()
		o.close()
		return true
	}
	o.place.Bind(o.watcher.End)
	return true
}

// responseHead writes the head of an answer whose body ends with the connection,
// which HTTP/1.0 clients and proxies understand too (RFC 9112, 6.3).
func responseHead(h http.Header) []byte {
	var b bytes.Buffer
	b.WriteString("HTTP/1.1 200 OK\r\nConnection: close\r\nDate: " + time.Now().UTC().Format(http.TimeFormat) + "\r\n")
	_ = h.Write(&b) // a buffer takes everything
	b.WriteString("\r\n")
	return b.Bytes()
}

// serve writes the stream through net/http until it ends, and gives the cause. stall
// is how long the reader may take nothing.
func (o *openStream) serve(w http.ResponseWriter, r *http.Request, stall time.Duration, telemetry *stream.Telemetry) error {
	ctx, cancel := context.WithCancelCause(r.Context())
	defer cancel(nil)
	o.place.Bind(cancel)
	writer := newStreamWriter(w, stall, telemetry)
	defer writer.hurryAfter(ctx)()
	writer.begin()
	err := o.watcher.Run(ctx, writer.write)
	if errors.Is(err, os.ErrDeadlineExceeded) {
		telemetry.Stalled.Inc()
	}
	return err
}
