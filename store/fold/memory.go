package fold

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
	"unsafe"

	"pulseboard/store"
)

// A Fold knows what it takes: every cell, name and step is counted as it is made, with what
// the map that holds it takes. The figures are of Go 1.26 on 64 bits, where a map of n
// entries has room for n to 2.3 n.
const (
	groupBytes = int(unsafe.Sizeof(group{})) + 48 // of a group in a map by name
	stepBytes  = int(unsafe.Sizeof(step{})) + 120 // of a step with an empty map of open cells
)

const (
	// manyGroups is the number of groups from which only the half with the most events is
	// kept apart, so that a property with another value for each event takes no memory
	// without end. It is far above MaxGroups: what is dropped was not among those for long.
	manyGroups = 4 * store.MaxGroups
	// fewGroups is the number of groups that are kept apart whatever they take.
	fewGroups = 100
	// meterStep is by how many bytes a fold grows before its meter is asked.
	meterStep = 256 << 10
	// packAt is how many bytes of open cells are packed while events come in, if the
	// fold's limit is not so small that an eighth of it is less.
	packAt = 16 << 20
	// fewOpen is the number of cells of a step that are not worth packing.
	fewOpen = 8
	// shownPoints is how many numbers the groups of a view show together. A row counts as
	// shownRow of them, because it takes as much markup.
	shownPoints = 200_000
	shownRow    = 8
)

// Meter is told how many bytes a fold takes now and may refuse them. Its error ends what
// the fold was doing; the fold is of no use then. A *Crowded makes the fold take less
// instead.
type Meter func(bytes int) error

// Crowded is what a meter returns when a fold has to go on though there is no room: the
// fold then merges groups until it takes so many bytes, as far as it has groups to merge.
type Crowded struct{ Room int }

// Error says how much room there is.
func (c *Crowded) Error() string {
	return fmt.Sprintf("there is room for %d bytes of the fold", c.Room)
}

// Limit bounds what a fold takes. Past most bytes the widgets with the most groups keep
// fewer of them apart, which their readings say: see [store.WidgetReading]. meter is asked
// each time when the fold has grown by some more. Call it before anything is added.
func (f *Fold) Limit(most int, meter Meter) {
	f.most, f.meter = most, meter
	f.packAt = min(packAt, most/8)
	for _, w := range f.widgets {
		w.most = most
	}
}

// Pause makes the fold call pause every now and then, after some ms of work at most, so that a
// long fold can give way to more urgent work; nil ends that.
func (f *Fold) Pause(pause func()) { f.pause = pause }

// pauseEvery is how many cells are worked on between two pauses.
const pauseEvery = 1_024

// worked notes that cells were worked on.
func (f *Fold) worked(cells int) {
	if f.pause == nil {
		return
	}
	if f.unpaused += cells; f.unpaused >= pauseEvery {
		f.unpaused = 0
		f.pause()
	}
}

// Size is how many bytes the fold takes, about.
func (f *Fold) Size() int {
	size := 0
	for _, w := range f.widgets {
		size += w.size
	}
	return size
}

// grew notes that the fold grew, packs and shrinks it when it is time, and asks the meter.
func (f *Fold) grew(by int) error {
	f.ungauged += by
	if f.ungauged < min(meterStep, f.packAt) {
		return nil
	}
	return f.Gauge()
}

// Gauge brings the fold below its limit, if that can be, and asks the meter. Call it after
// Readings, which take memory too; the error is the meter's.
func (f *Fold) Gauge() error {
	f.ungauged = 0
	open := 0
	for _, w := range f.widgets {
		open += w.open
	}
	if open > f.packAt {
		f.pack(false)
	}
	if f.most > 0 && f.Size() > f.most {
		f.shrink(f.most / 4 * 3) // so that it is not at its limit again with the next event
	}
	if f.meter == nil {
		return nil
	}
	err := f.meter(f.Size())
	var crowded *Crowded
	if errors.As(err, &crowded) {
		f.shrink(crowded.Room)
		if err = f.meter(f.Size()); errors.As(err, &crowded) {
			return nil
		}
	}
	return err
}

// shrink merges rare groups until the fold takes so many bytes. What has no groups is left as
// it is.
func (f *Fold) shrink(bytes int) {
	f.pack(false)
	for f.Size() > bytes {
		largest := slices.MaxFunc(f.widgets, func(a, b *widgetFold) int { return cmp.Compare(a.shrinkable(), b.shrinkable()) })
		if largest.shrinkable() == 0 {
			return
		}
		largest.keepLargest(max(fewGroups, len(largest.groups)/2))
	}
}

// shrinkable is how many bytes the widget takes if it has groups to spare, else 0.
func (w *widgetFold) shrinkable() int {
	if len(w.groups) <= fewGroups+1 { // those kept, and OtherGroup
		return 0
	}
	return w.size
}

// pack packs the open cells of steps that have more than a few groups; idle leaves those
// steps out that events were added to since the last time.
func (f *Fold) pack(idle bool) {
	for _, w := range f.widgets {
		if w.open == 0 {
			continue
		}
		packed := false
		for _, s := range w.steps {
			busy := idle && s.added
			s.added = false
			if !busy && len(s.open) > 0 && len(s.open)+len(s.packed.entries) > f.fewOpen {
				s.pack()
				packed = true
				f.worked(len(s.packed.entries))
			}
		}
		if packed {
			w.measure()
		}
	}
}

// keepLargest keeps n groups apart, those with the most events, and merges the others into
// OtherGroup.
func (w *widgetFold) keepLargest(n int) {
	all := slices.SortedFunc(maps.Values(w.groups), func(a, b *group) int {
		return cmp.Or(cmp.Compare(b.events, a.events), cmp.Compare(a.name, b.name))
	})
	other := &group{name: store.OtherGroup}
	for _, g := range all[min(n, len(all)):] {
		other.events += g.events
		delete(w.groups, g.name)
	}
	if g := w.groups[store.OtherGroup]; g != nil {
		g.events += other.events
	} else {
		w.groups[store.OtherGroup] = other
	}
	kept := func(name []byte) bool { return w.groups[string(name)] != nil }
	for _, s := range w.steps {
		s.packed = s.packed.keep(kept)
		for name, c := range s.open {
			if w.groups[name] == nil {
				s.open.cell(store.OtherGroup).merge(c)
				delete(s.open, name)
			}
		}
	}
	for start := range w.steps {
		w.mergedUpto = max(w.mergedUpto, start+1)
	}
	w.totals, w.stale = nil, true
	w.measure()
}

// merged reports whether groups that would be kept apart were merged into OtherGroup, to save
// memory, in a step that the widget still has.
func (w *widgetFold) merged() bool { return w.mergedUpto != 0 }

// measure counts anew what the widget takes.
func (w *widgetFold) measure() {
	w.size, w.open = 0, 0
	for _, g := range w.groups {
		w.size += groupBytes + len(g.name)
	}
	for _, s := range w.steps {
		open := s.open.size()
		w.size += stepBytes + s.packed.size() + open
		if w.grouped() {
			w.open += open
		}
	}
	for _, total := range w.totals {
		w.size += total.size()
	}
}

// shareShown gives each widget the number of groups that it may show: what it asks for, or
// less where the view would show too many numbers altogether.
func (f *Fold) shareShown() {
	cost := func(w *widgetFold) int {
		switch {
		case !w.grouped():
			return 0
		case w.traits.Reads == store.ReadsSeries:
			return f.window.Len()
		}
		return shownRow
	}
	all := 0
	for _, w := range f.widgets {
		w.shown = w.widget.Groups()
		all += w.shown * cost(w)
	}
	if all <= shownPoints {
		return
	}
	// What asks for no more than its equal share gets it; the others share the rest.
	left, asking := shownPoints, slices.Clone(f.widgets)
	slices.SortStableFunc(asking, func(a, b *widgetFold) int { return cmp.Compare(a.shown*cost(a), b.shown*cost(b)) })
	for i, w := range asking {
		if c := cost(w); c > 0 {
			w.shown = max(2, min(w.shown, left/(len(asking)-i)/c))
			left -= w.shown * c
		}
	}
}
