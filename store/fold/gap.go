package fold

import (
	"slices"

	"pulseboard/store"
)

// Gap is a span of time in which events are missing: what they were kept in is damaged. The
// widgets that lack them show it.
type Gap struct{ From, To int64 } // seconds since the epoch; To is not in it

// Lack tells the fold that events of a rollup are missing: the widgets that read it show so as long
// as the gap lies in their window.
func (f *Fold) Lack(key RollupKey, gap Gap) {
	for _, w := range f.readers(key) {
		w.gaps = append(w.gaps, gap)
		w.stale = true
	}
}

// lacks reports whether events are missing that the widget shows in a window.
func (w *widgetFold) lacks(window store.Window) bool {
	from := w.from(window)
	return slices.ContainsFunc(w.gaps, func(g Gap) bool { return g.From < window.To && g.To > from }) ||
		slices.ContainsFunc(w.refs, func(ref *widgetFold) bool { return ref.lacks(window) })
}
