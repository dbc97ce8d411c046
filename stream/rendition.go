package stream

import (
	"bytes"
	"sync"

	"pulseboard/store"
	"pulseboard/stream/chain"
)

// Format is how readings are written on a stream.
type Format uint8

// The formats.
const (
	JSON Format = iota
	HTML
	formats
)

// String returns the format as the query of a stream names it.
func (f Format) String() string {
	if f == HTML {
		return "html"
	}
	return "json"
}

// rendition is a view at one id, drawn. It never changes, and it gives the frame
// that leads to it from any earlier id, encoded once for all who ask the same.
type rendition struct {
	dashboard store.Dashboard
	snapshot  store.Snapshot
	state     store.ViewState
	widgets   map[store.WidgetKey]*widgetHistory
	telemetry *Telemetry

	bytes int // that it takes, with the frames it remembers

	mu     sync.Mutex
	frames map[frameKey]*chain.Frame
	spare  int // bytes of frames that may still be remembered
}

// newRendition makes a rendition. What it takes is counted by what was drawn, three times:
// for the widgets, for the frames of snapshots, and for other frames, packed ones too.
func newRendition(d store.Dashboard, s store.Snapshot, state store.ViewState, widgets map[store.WidgetKey]*widgetHistory, telemetry *Telemetry) *rendition {
	drawn := 0
	for _, w := range widgets {
		drawn += w.bytes()
	}
	return &rendition{
		dashboard: d, snapshot: s, state: state, widgets: widgets, telemetry: telemetry,
		bytes: 3 * drawn, frames: map[frameKey]*chain.Frame{}, spare: drawn,
	}
}

type frameKey struct {
	from   store.Seq // 0: from nothing, so a snapshot
	format Format
}

func (r *rendition) id() store.Seq { return r.state.Last }

// frame gives server-sent events, whole, that lead from a state to this one; nil
// when the format shows no difference.
func (r *rendition) frame(from store.Seq, format Format) *chain.Frame {
	if from >= r.id() {
		return nil
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	key := frameKey{from, format}
	f, made := r.frames[key]
	if !made {
		if b := r.encode(from, format); b != nil {
			f = chain.NewFrame(b)
			r.telemetry.Frames.Inc()
		}
		r.remember(key, f)
	}
	return f
}

// remember keeps a frame for whoever asks for it next, as far as there is room: readers may
// come with any cursor. The caller holds r.mu.
func (r *rendition) remember(key frameKey, f *chain.Frame) {
	size := frameBytes
	if f != nil {
		size += len(f.Plain)
	}
	if key.from != 0 {
		if r.spare < size {
			return
		}
		r.spare -= size
	}
	r.frames[key] = f
}

// frameBytes is what a frame takes besides its bytes.
const frameBytes = 512

func (r *rendition) encode(from store.Seq, format Format) []byte {
	var b, data []byte
	if format == HTML {
		data = r.appendHTML(nil, from)
	} else {
		data = r.appendJSON(nil, from)
	}
	if from != 0 && from < r.state.LayoutSeq && format == HTML {
		b = appendEvent(b, reload, 0, []byte("{}"))
	}
	if data != nil || from == 0 {
		b = appendEvent(b, metricUpdate, r.id(), data)
	}
	return b
}

// appendJSON writes one object of the widgets whose readings changed; nil when
// none did and it is no snapshot.
func (r *rendition) appendJSON(b []byte, from store.Seq) []byte {
	empty := true
	add := func(key store.WidgetKey, value []byte) {
		if empty {
			b = append(b, '{')
		} else {
			b = append(b, ',')
		}
		empty = false
		b = append(b, '"')
		b = append(b, key...) // a key needs no quoting: see store.ParseWidgetKey
		b = append(b, '"', ':')
		b = append(b, value...)
	}
	from = r.wholeBefore(from)
	for _, w := range r.snapshot.Widgets {
		if r.state.Widgets[w.Key].ValueSeq > from {
			add(w.Key, w.JSON())
		}
	}
	for key, w := range r.state.Widgets {
		if from != 0 && w.Removed && w.ValueSeq > from {
			add(key, []byte("null"))
		}
	}
	switch {
	case !empty:
		return append(b, '}')
	case from == 0:
		return append(b, "{}"...)
	}
	return nil
}

// wholeBefore: a client whose state is older than the dashboard's definition
// gets everything.
func (r *rendition) wholeBefore(from store.Seq) store.Seq {
	if from < r.state.LayoutSeq {
		return min(from, r.state.First-1)
	}
	return from
}

// appendHTML writes the elements that changed: parts of widgets where it is
// known which, else whole widgets.
func (r *rendition) appendHTML(b []byte, from store.Seq) []byte {
	whole := r.wholeBefore(from) != from
	from = r.wholeBefore(from)
	for _, reading := range r.snapshot.Widgets {
		w := r.widgets[reading.Key]
		switch {
		case r.state.Widgets[reading.Key].PictureSeq <= from:
		case whole || w.shellSeq > from:
			b = appendSwap(b, w.fragment.Whole)
		default:
			for _, part := range w.fragment.Parts {
				if w.partSeqs[part.ID] > from {
					b = appendSwap(b, part.HTML)
				}
			}
		}
	}
	for key, w := range r.state.Widgets {
		if from != 0 && w.Removed && w.PictureSeq > from {
			b = append(b, `<div id="widget-`+string(key)+`" hx-swap-oob="delete"></div>`...)
		}
	}
	return b
}

// appendSwap writes an element so that htmx puts it in the place of the one
// with its id. The id is the element's first attribute.
func appendSwap(b, element []byte) []byte {
	const id = ` id="`
	at := bytes.Index(element, []byte(id))
	if at < 0 {
		return append(b, element...)
	}
	end := at + len(id)
	end += bytes.IndexByte(element[end:], '"') + 1
	b = append(b, element[:end]...)
	b = append(b, ` hx-swap-oob="true"`...)
	return append(b, element[end:]...)
}
