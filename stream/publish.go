package stream

import (
	"context"
	"fmt"
	"time"

	"pulseboard/store"
)

// publish compares the fold's readings with those published, and if anything
// changed gives it an id and makes it the current rendition.
// With redraw it draws every widget, not only those with another reading: what a
// window or a definition changed shows in the picture alone.
func (p *Pool) publish(ctx context.Context, now time.Time, redraw bool) error {
	was := p.current.Load()
	if was == nil {
		state, err := p.hub.source.ViewState(ctx, p.view.Tenant, p.key.view)
		if err != nil {
			return fmt.Errorf("load ids of %s: %w", p.key.view, err)
		}
		was = &rendition{state: state}
		p.kept.Store(int64(state.Last))
	}
	next := store.Snapshot{ID: was.state.Last, At: now, Window: p.fold.Window(), Widgets: p.fold.Readings()}
	delta := was.snapshot.Diff(next)
	if redraw {
		delta.Changed = next.Widgets
	}
	drawn, err := p.drawChanged(delta, next.Window)
	if err != nil {
		return err
	}
	durable := p.durable.Load()
	state, changed, err := p.nextState(was.state, now, next, drawn, durable)
	if err != nil {
		return err
	}
	if changed {
		next.ID = state.Last
		r := newRendition(p.dashboard, next, state, followed(was.widgets, drawn, state), p.hub.telemetry)
		p.current.Store(r)
		if !durable {
			p.released.Store(r)
		}
	}
	return p.fold.Gauge()
}

// drawChanged draws the widgets of a delta.
func (p *Pool) drawChanged(delta store.Delta, window store.Window) (map[store.WidgetKey]*widgetHistory, error) {
	definitions := make(map[store.WidgetKey]store.Widget, len(p.dashboard.Widgets))
	for _, w := range p.dashboard.Widgets {
		definitions[w.Key] = w
	}
	drawn := make(map[store.WidgetKey]*widgetHistory, len(delta.Changed))
	for _, r := range delta.Changed {
		f, err := p.hub.render(definitions[r.Key], r, window, p.view.Range.Live())
		if err != nil {
			return nil, fmt.Errorf("draw widget %s of %s: %w", r.Key, p.view.Key(), err)
		}
		p.hub.telemetry.Renders.Inc()
		drawn[r.Key] = &widgetHistory{reading: r, fragment: f}
	}
	return drawn, nil
}

// nextState returns what has to be known durably when the drawn widgets are
// published, and whether that is more than what was known before. What a pool publishes first
// has an id of its own, because pages may have got later ones than are on disk. Ids that are not durable
// are loose: after a restart nobody knows what they stood for, unless a watcher came
// meanwhile and they were kept after all.
func (p *Pool) nextState(known store.ViewState, now time.Time, next store.Snapshot, drawn map[store.WidgetKey]*widgetHistory, durable bool) (store.ViewState, bool, error) {
	epoch := known.Epoch
	var err error
	if known.First == 0 {
		if epoch, err = drawEpoch(p.loose); err != nil {
			return store.ViewState{}, false, err
		}
	}
	if p.loose == 0 || p.loose == epoch {
		if p.loose, err = drawEpoch(epoch); err != nil {
			return store.ViewState{}, false, err
		}
	}
	seq := nextSeq(known.Last, p.loose, now)
	if durable {
		seq = nextSeq(known.Last, epoch, now)
	}
	state := known
	state.Widgets = make(map[store.WidgetKey]store.WidgetState, len(known.Widgets))
	changed := p.current.Load() == nil
	if layout := layoutDigest(p.dashboard); layout != state.Layout {
		state.Layout, state.LayoutSeq, changed = layout, seq, true
	}
	for _, r := range next.Widgets {
		was := known.Widgets[r.Key]
		is := was
		if w := drawn[r.Key]; w != nil {
			is = w.stateAfter(was, seq)
		}
		state.Widgets[r.Key] = is
		changed = changed || is != was
	}
	for key, was := range known.Widgets {
		if _, kept := state.Widgets[key]; kept {
			continue
		}
		if !was.Removed {
			was, changed = store.WidgetState{Removed: true, ValueSeq: seq, PictureSeq: seq}, true
		}
		state.Widgets[key] = was
	}
	if !changed {
		return known, false, nil
	}
	if state.First == 0 {
		state.First, state.Epoch = seq, epoch
	}
	state.Last = seq
	if !durable {
		state.Loose = loosen(state.Loose, seq, p.loose)
	}
	return state, true, nil
}

// followed gives the widgets of a state that is on disk: those drawn anew, each
// with its history, and the others as they were.
func followed(was, drawn map[store.WidgetKey]*widgetHistory, state store.ViewState) map[store.WidgetKey]*widgetHistory {
	is := make(map[store.WidgetKey]*widgetHistory, len(was))
	for key, w := range was {
		if !state.Widgets[key].Removed {
			is[key] = w
		}
	}
	for key, w := range drawn {
		w.follow(was[key], state.Last)
		is[key] = w
	}
	return is
}
