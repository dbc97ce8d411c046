package stream

import (
	"context"
	"errors"
	"io"
	"net"
	"sync/atomic"

	"pulseboard/store"
	"pulseboard/stream/chain"
	"pulseboard/stream/wire"
)

// Watcher is one open stream. Whoever writes it, a goroutine in [Watcher.Run] or
// the hub's writers after [Watcher.Attach], owns it; only End may be called by
// others.
type Watcher struct {
	pool   *Pool
	lane   *lane
	track  *track
	format Format
	packed bool // with gzip

	cursor string
	layout string // of the page that the cursor is from, if it is known
	head   []byte // to write before the first event
	begun  bool
	state  store.Seq // what the reader has; 0: nothing
	last   int64     // the newest turn of the track that it got
	base   int64     // since this turn it got all of them, and nothing else

	changed chan struct{} // one pending notice is enough: the newest turn is read
	goodbye atomic.Pointer[[]byte]
	conn    atomic.Pointer[wire.Conn]
	done    func(why error)
}

// Resume is how a stream began.
type Resume string

// The ways a stream can begin.
const (
	ResumeSnapshot Resume = "snapshot" // with everything
	ResumeDelta    Resume = "delta"    // with what changed since the cursor
	ResumeEmpty    Resume = "empty"    // with nothing, for nothing had changed
)

// Watch makes a watcher of the pool. A cursor that the view did not issue, the
// empty one too, begins with a snapshot. packed compresses the stream with gzip.
// Run, Attach or Close it.
func (p *Pool) Watch(format Format, packed bool, cadence store.Cadence, cursor string) *Watcher {
	w := &Watcher{pool: p, format: format, packed: packed, cursor: cursor, changed: make(chan struct{}, 1)}
	p.join(w, cadence.Interval(p.hub.cycle))
	return w
}

// OfLayout says which layout the page has that the stream goes on from, see [Current]. Call it
// before the stream begins.
func (w *Watcher) OfLayout(layout string) { w.layout = layout }

// Close takes the watcher out of its pool.
func (w *Watcher) Close() { w.pool.leave(w) }

// Run writes the stream until ctx ends, the pool or End ends it or write fails: at
// once what the reader lacks and a heartbeat, which so says that the reader is up
// to date; then updates and heartbeats as they come. A cause of ctx that is a
// [Goodbye] is the stream's last event. write is given whole events, which it must
// not change, and must not return before it is ready for more; its error ends the
// stream and is returned.
func (w *Watcher) Run(ctx context.Context, write func(events []byte) error) error {
	defer w.Close()
	w.pool.listen(w)
	for {
		if b := w.Next(); b != nil {
			if err := write(b); err != nil {
				return err
			}
		}
		if last := w.goodbye.Load(); last != nil {
			return write(*last)
		}
		select {
		case <-ctx.Done():
			var why Goodbye
			if errors.As(context.Cause(ctx), &why) {
				return write(w.encode(why.event()))
			}
			return context.Cause(ctx)
		case <-w.changed:
		}
	}
}

// Attach hands the stream over to the hub's writers and says true, or false when
// they can't write to such a connection; then nothing happened. head is written
// before the first event. done is called once when the stream is over, with the
// cause.
func (w *Watcher) Attach(conn net.Conn, head []byte, done func(why error)) bool {
	h := w.pool.hub
	if h.writers == nil {
		return false
	}
	w.head, w.done = head, done
	c, ok := h.writers.AttachTCP(h.poller, conn, w.lane.group, w)
	if ok {
		w.attached(c)
	}
	return ok
}

func (w *Watcher) attached(c *wire.Conn) {
	w.conn.Store(c)
	if last := w.goodbye.Load(); last != nil {
		c.End(*last)
	}
}

// End ends the stream with a last event, or without a word when why is no
// [Goodbye]. It may be called by anybody, at any time, and again.
func (w *Watcher) End(why error) {
	var last []byte
	var goodbye Goodbye
	if errors.As(why, &goodbye) {
		last = w.encode(goodbye.event())
	} else {
		last = w.encode(append(appendRetry(nil), '\n'))
	}
	if !w.goodbye.CompareAndSwap(nil, &last) {
		return
	}
	if c := w.conn.Load(); c != nil {
		c.End(last)
	}
	w.notify()
}

// Next gives what the reader lacks now, nil if nothing: see [wire.Feed].
func (w *Watcher) Next() []byte {
	if !w.begun {
		w.begun = true
		return w.begin()
	}
	t := w.track.turn.Load()
	if t.n == w.last {
		return nil
	}
	m := w.pool.hub.telemetry
	if w.last == t.n-1 && (!t.update || w.state == t.from) {
		w.last = t.n
		if t.update {
			w.state = t.rendition.id()
		}
		m.sent(len(t.frame.Plain))
		if w.packed {
			return t.frame.Packed(t.n - 1 - w.base)
		}
		return t.frame.Plain
	}
	// It missed turns, or began with a newer state than the track had.
	w.last, w.base = t.n, t.n
	f := t.rendition.frame(w.state, w.format)
	w.state = max(w.state, t.rendition.id())
	if !t.beat {
		return w.bytes(f)
	}
	return append(append([]byte(nil), w.bytes(f)...), w.encode(t.heartbeat)...)
}

// begin gives the first bytes of the stream: what it lacks, and a heartbeat.
func (w *Watcher) begin() []byte {
	b := w.head
	w.head = nil
	if w.packed {
		b = append(b, chain.Header...)
	}
	t := w.track.turn.Load() // before the rendition, which so is as new as the turn
	r := w.pool.released.Load()
	w.last, w.base = t.n, t.n
	how := ResumeSnapshot
	if w.state = r.resume(w.cursor); w.state != 0 {
		how = ResumeDelta
	}
	w.cursor = ""
	f := r.frame(w.state, w.format)
	if f == nil {
		how = ResumeEmpty
	}
	if w.state == 0 && w.format == HTML && w.layout != "" && w.layout != r.state.Layout {
		// The page is of another definition, and its cursor does not say so.
		b = append(b, w.encode(appendEvent(nil, reload, 0, []byte("{}")))...)
	}
	w.state = r.id()
	w.pool.hub.telemetry.Resumes.WithLabelValues(string(how)).Inc()
	b = append(b, w.bytes(f)...)
	return append(b, w.encode(appendFirstHeartbeat(nil, w.pool.hub.wall()))...)
}

// bytes gives a frame that stands alone.
func (w *Watcher) bytes(f *chain.Frame) []byte {
	if f == nil {
		return nil
	}
	w.pool.hub.telemetry.sent(len(f.Plain))
	if w.packed {
		return f.Packed(0)
	}
	return f.Plain
}

// encode gives events that this reader alone gets.
func (w *Watcher) encode(events []byte) []byte {
	w.pool.hub.telemetry.sent(len(events))
	if w.packed {
		return chain.Stored(events)
	}
	return events
}

// Done takes the watcher out of its pool when its connection is closed.
func (w *Watcher) Done(why error) {
	w.Close()
	switch {
	case errors.Is(why, wire.ErrStalled):
		w.pool.hub.telemetry.Stalled.Inc()
	case errors.Is(why, io.EOF):
		why = context.Canceled
	}
	if w.done != nil {
		w.done(why)
	}
}

func (w *Watcher) notify() {
	select {
	case w.changed <- struct{}{}:
	default:
	}
}
