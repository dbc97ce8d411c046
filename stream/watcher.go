package stream

import (
	"context"
	"errors"
	"slices"
	"time"

	"pulseboard/store"
)

// Watcher is one open stream. It belongs to the goroutine that runs it.
type Watcher struct {
	pool     *Pool
	format   Format
	interval time.Duration // the least time between two updates
	state    store.Seq     // what the reader has; 0: nothing
	changed  chan struct{} // one pending notice is enough: the frame is made of all there is
	ended    chan Goodbye
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
// empty one too, begins with a snapshot. Run or Close it.
func (p *Pool) Watch(format Format, cadence store.Cadence, cursor string) *Watcher {
	p.mu.Lock()
	defer p.mu.Unlock()
	w := &Watcher{
		pool:     p,
		format:   format,
		interval: cadence.Interval(p.hub.cycle),
		changed:  make(chan struct{}, 1),
		ended:    make(chan Goodbye, 1),
	}
	if seq, ok := store.ParseSeq(cursor); ok && trusts(p.state, seq) {
		w.state = seq
	}
	p.watchers[w] = struct{}{}
	p.watching.Add(1)
	p.hub.metrics.Streams.Inc()
	if len(p.watchers) == 1 {
		ctx, cancel := context.WithCancel(context.Background())
		p.stop = cancel
		go p.run(ctx)
	}
	return w
}

// Close takes the watcher out of its pool.
func (w *Watcher) Close() {
	p := w.pool
	p.mu.Lock()
	defer p.mu.Unlock()
	if _, open := p.watchers[w]; !open {
		return
	}
	delete(p.watchers, w)
	p.watching.Add(-1)
	p.hub.metrics.Streams.Dec()
	if len(p.watchers) == 0 {
		p.stop()
	}
}

func (w *Watcher) notify() {
	select {
	case w.changed <- struct{}{}:
	default:
	}
}

// endAll tells every watcher of the pool to say goodbye. The caller holds p.mu.
func (p *Pool) endAll(why Goodbye) {
	for w := range p.watchers {
		select {
		case w.ended <- why:
		default:
		}
	}
}

// Run writes the stream until ctx ends, the pool ends it or write fails: at
// once what the reader lacks and a heartbeat, which so says that the reader is up
// to date; then updates, at most one an interval and none without a change, and a
// heartbeat every beat. A cause of ctx
// that is a [Goodbye] is the stream's last event. write is given whole events and
// must not return before it is ready for more; its error ends the stream and is
// returned.
func (w *Watcher) Run(ctx context.Context, beat time.Duration, write func(events []byte) error) error {
	defer w.Close()
	beats := time.NewTicker(beat)
	defer beats.Stop()
	first := w.begin()
	if err := write(appendHeartbeat(slices.Clone(first.Bytes), time.Now())); err != nil {
		return err
	}
	var sent time.Time // when the last update went out
	if first.Bytes != nil {
		sent = time.Now()
	}
	due := time.NewTimer(0)
	due.Stop()
	defer due.Stop()
	for {
		select {
		case <-ctx.Done():
			var why Goodbye
			if errors.As(context.Cause(ctx), &why) {
				return write(why.event())
			}
			return context.Cause(ctx)
		case why := <-w.ended:
			return write(why.event())
		case <-beats.C:
			if err := write(appendHeartbeat(nil, time.Now())); err != nil {
				return err
			}
			continue
		case <-w.changed:
			if wait := time.Until(sent.Add(w.interval)); wait > 0 {
				due.Reset(wait)
				continue
			}
		case <-due.C:
		}
		if frame := w.next(); frame.Bytes != nil {
			if err := write(frame.Bytes); err != nil {
				return err
			}
			sent = time.Now()
		}
	}
}

// begin gives the first frame of the stream and counts how it began.
func (w *Watcher) begin() *Frame {
	how := ResumeDelta
	if w.state == 0 {
		how = ResumeSnapshot
	}
	frame := w.next()
	if frame.Bytes == nil {
		how = ResumeEmpty
	}
	w.pool.hub.metrics.Resumes.WithLabelValues(string(how)).Inc()
	return frame
}

// next gives the frame that brings the reader up to date and counts it as read.
func (w *Watcher) next() *Frame {
	frame := w.pool.frameFrom(w.state, w.format)
	w.state = frame.ID
	return frame
}
