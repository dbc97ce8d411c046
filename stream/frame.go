package stream

import (
	"bytes"

	"pulseboard/store"
)

// Format is how readings are written on a stream.
type Format uint8

// The formats.
const (
	JSON Format = iota
	HTML
)

func (f Format) String() string {
	if f == HTML {
		return "html"
	}
	return "json"
}

// Frame is the difference between two states of a view, encoded once for all
// who need it. Not to be changed.
type Frame struct {
	ID    store.Seq
	Bytes []byte // server-sent events, whole; nil when this format shows no difference
}

type frameKey struct {
	from   store.Seq // 0: from nothing, so a snapshot
	format Format
}

// frameFrom gives the frame that leads from a state to the present one. Those
// who watched at the same pace ask for the same frame, and it is made once.
func (p *Pool) frameFrom(from store.Seq, format Format) *Frame {
	p.mu.Lock()
	defer p.mu.Unlock()
	key := frameKey{from, format}
	if f := p.frames[key]; f != nil {
		return f
	}
	f := &Frame{ID: p.state.Last}
	data := p.appendJSON(nil, from)
	if format == HTML {
		data = p.appendHTML(nil, from)
	}
	if from != 0 && from < p.state.LayoutSeq && format == HTML {
		f.Bytes = appendEvent(f.Bytes, reload, 0, []byte("{}"))
	}
	if data != nil || from == 0 {
		f.Bytes = appendEvent(f.Bytes, metricUpdate, f.ID, data)
		p.hub.metrics.Frames.Inc()
	}
	p.frames[key] = f
	return f
}

// appendJSON writes one object of the widgets whose readings changed; nil when
// none did and it is no snapshot.
func (p *Pool) appendJSON(b []byte, from store.Seq) []byte {
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
	from = p.wholeBefore(from)
	for _, w := range p.snapshot.Widgets {
		if p.state.Widgets[w.Key].ValueSeq > from {
			add(w.Key, w.JSON())
		}
	}
	for key, w := range p.state.Widgets {
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
func (p *Pool) wholeBefore(from store.Seq) store.Seq {
	if from < p.state.LayoutSeq {
		return min(from, p.state.First-1)
	}
	return from
}

// appendHTML writes the elements that changed: parts of widgets where it is
// known which, else whole widgets.
func (p *Pool) appendHTML(b []byte, from store.Seq) []byte {
	whole := p.wholeBefore(from) != from
	from = p.wholeBefore(from)
	for _, r := range p.snapshot.Widgets {
		w := p.widgets[r.Key]
		switch {
		case p.state.Widgets[r.Key].PictureSeq <= from:
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
	for key, w := range p.state.Widgets {
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
