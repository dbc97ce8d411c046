package stream

import (
	"crypto/sha256"
	"encoding/base64"
	"fmt"

	"pulseboard/store"
)

// widgetHistory is a widget as it is and, for each of its parts, when that last
// changed. What is known of parts is not kept on disk: after a restart a widget
// that changed is sent whole.
type widgetHistory struct {
	reading  store.WidgetReading
	fragment Fragment
	shellSeq store.Seq            // when the whole last had to be replaced
	partSeqs map[string]store.Seq // by id of the part
}

// bytes is about how many bytes the widget takes.
func (w *widgetHistory) bytes() int {
	n := 1<<10 + len(w.fragment.Whole) + len(w.fragment.Shell) + len(w.reading.JSON()) + len(w.reading.Picture())
	for _, part := range w.fragment.Parts {
		n += partBytes + len(part.HTML)
	}
	return n + w.reading.Numbers()*numberBytes
}

const (
	partBytes   = 150 // of a part besides its HTML, with its place in partSeqs
	numberBytes = 40  // of a number of a reading, with its group or moment
)

// stateAfter gives what is to be kept of the widget when it is published as
// seq: the digests tell what changed.
func (w *widgetHistory) stateAfter(was store.WidgetState, seq store.Seq) store.WidgetState {
	is := store.WidgetState{
		Value: digest(w.reading.JSON()), ValueSeq: was.ValueSeq,
		Picture: digest(w.fragment.Whole), PictureSeq: was.PictureSeq,
	}
	if is.Value != was.Value {
		is.ValueSeq = seq
	}
	if is.Picture != was.Picture {
		is.PictureSeq = seq
	}
	return is
}

// follow takes over the history of the widget as it was before. Where that is
// not known, as after a restart, the whole counts as replaced now, so that every
// older state gets it whole.
func (w *widgetHistory) follow(was *widgetHistory, seq store.Seq) {
	w.partSeqs = make(map[string]store.Seq, len(w.fragment.Parts))
	if was == nil || was.fragment.Shell != w.fragment.Shell || len(was.fragment.Parts) != len(w.fragment.Parts) {
		w.shellSeq = seq
		for _, part := range w.fragment.Parts {
			w.partSeqs[part.ID] = seq
		}
		return
	}
	w.shellSeq = was.shellSeq
	before := make(map[string]string, len(was.fragment.Parts))
	for _, part := range was.fragment.Parts {
		before[part.ID] = string(part.HTML)
	}
	for _, part := range w.fragment.Parts {
		html, known := before[part.ID]
		w.partSeqs[part.ID] = was.partSeqs[part.ID]
		switch {
		case !known:
			w.shellSeq, w.partSeqs[part.ID] = seq, seq
		case html != string(part.HTML):
			w.partSeqs[part.ID] = seq
		}
	}
}

// digest names bytes: equal digests, equal bytes.
func digest(b []byte) string {
	sum := sha256.Sum256(b)
	return base64.RawStdEncoding.EncodeToString(sum[:12])
}

// layoutDigest names all of a definition that a page shows outside the streamed
// widgets, and which widgets there are.
func layoutDigest(d store.Dashboard) string {
	return digest(fmt.Appendf(nil, "%+v", d))
}
