package store

import (
	"bytes"
	"time"
)

// Snapshot is all readings of a view at one moment, in the dashboard's order.
type Snapshot struct {
	ID      Seq
	At      time.Time // when it was computed
	Window  Window
	Widgets []WidgetReading
}

// Delta is what has to be changed in one snapshot to get a later one.
type Delta struct {
	ID      Seq
	At      time.Time
	Window  Window
	Changed []WidgetReading // new and changed widgets, in the dashboard's order
	Order   []WidgetKey     // of all widgets of the later snapshot; nil when it did not change
}

// Empty reports whether nothing changed.
func (d Delta) Empty() bool { return len(d.Changed) == 0 && d.Order == nil }

// Diff returns the delta from s to next. Widgets are compared by what they draw.
func (s Snapshot) Diff(next Snapshot) Delta {
	d := Delta{ID: next.ID, At: next.At, Window: next.Window}
	previous := s.index()
	sameOrder := len(s.Widgets) == len(next.Widgets)
	for i, w := range next.Widgets {
		before, known := previous[w.Key]
		if !known || !bytes.Equal(before.picture, w.picture) {
			d.Changed = append(d.Changed, w)
		}
		sameOrder = sameOrder && s.Widgets[i].Key == w.Key
	}
	if !sameOrder {
		d.Order = make([]WidgetKey, len(next.Widgets))
		for i, w := range next.Widgets {
			d.Order[i] = w.Key
		}
	}
	return d
}

// Apply returns the snapshot that s becomes by d: s.Apply(s.Diff(next)) is next.
func (s Snapshot) Apply(d Delta) Snapshot {
	next := Snapshot{ID: d.ID, At: d.At, Window: d.Window}
	changed := Snapshot{Widgets: d.Changed}.index()
	previous := s.index()
	order := d.Order
	if order == nil {
		for _, w := range s.Widgets {
			order = append(order, w.Key)
		}
	}
	for _, key := range order {
		if w, ok := changed[key]; ok {
			next.Widgets = append(next.Widgets, w)
		} else if w, ok := previous[key]; ok {
			next.Widgets = append(next.Widgets, w)
		}
	}
	return next
}

func (s Snapshot) index() map[WidgetKey]WidgetReading {
	index := make(map[WidgetKey]WidgetReading, len(s.Widgets))
	for _, w := range s.Widgets {
		index[w.Key] = w
	}
	return index
}
