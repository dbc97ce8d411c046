package stream

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"reflect"
	"sync"
	"sync/atomic"
	"time"

	"pulseboard/store"
)

// refreshTimeout bounds one refresh. It is generous: the first one of a long
// range reads many events, and a process that imports may hold the store.
const refreshTimeout = time.Minute

// Pool is one view and those who watch it.
type Pool struct {
	hub  *Hub
	view store.View
	key  poolKey

	users     int       // guarded by Hub.mu
	idleSince time.Time // guarded by Hub.mu
	watching  atomic.Int64
	woken     chan struct{} // one pending wake-up is enough: the refresh reads all there is

	mu        sync.Mutex
	loaded    bool
	behind    bool // what was read is not published yet, for something failed in between
	dashboard store.Dashboard
	revision  store.Revision
	fold      *store.Fold
	folded    store.EventSeq // events up to here are in fold
	snapshot  store.Snapshot
	state     store.ViewState // as on disk
	widgets   map[store.WidgetKey]*widgetHistory
	frames    map[frameKey]*Frame
	watchers  map[*Watcher]struct{}
	stop      context.CancelFunc // of the loop that runs while there are watchers
}

func newPool(h *Hub, view store.View, key poolKey) *Pool {
	return &Pool{
		hub:      h,
		view:     view,
		key:      key,
		woken:    make(chan struct{}, 1),
		widgets:  map[store.WidgetKey]*widgetHistory{},
		frames:   map[frameKey]*Frame{},
		watchers: map[*Watcher]struct{}{},
	}
}

// Current is a view as a page shows it.
type Current struct {
	Dashboard store.Dashboard
	Snapshot  store.Snapshot
}

// Current gives the state of the last refresh.
func (p *Pool) Current() Current {
	p.mu.Lock()
	defer p.mu.Unlock()
	return Current{p.dashboard, p.snapshot}
}

// wake asks the pool's loop for a refresh; without watchers there is no loop,
// and whoever opens the pool next refreshes it.
func (p *Pool) wake() {
	select {
	case p.woken <- struct{}{}:
	default:
	}
}

// Refresh brings the view up to date: with the events that are announced, with
// the dashboard's definition and with the clock. It costs next to nothing when
// none of these moved. A refresh goes on when its caller goes away, for others
// may be waiting for it.
func (p *Pool) Refresh(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), refreshTimeout)
	defer cancel()
	p.mu.Lock()
	defer p.mu.Unlock()
	head := p.hub.head(p.view.Tenant)
	now := time.Now()
	window, err := p.view.Range.Window(now)
	if err != nil {
		return err
	}
	if p.loaded && !p.behind && head.Events <= p.folded && head.Dashboards <= p.revision && window == p.fold.Window() {
		return nil
	}
	p.hub.metrics.Refreshes.Inc()
	// Whatever fails below, the next refresh draws every widget anew.
	redraw := p.behind || !p.loaded || window != p.snapshot.Window
	p.behind = true
	redefined, err := p.define(ctx, head.Dashboards)
	if err != nil {
		return err
	}
	if err := p.foldNew(ctx, head.Events, window); err != nil {
		return err
	}
	if err := p.publish(ctx, now, redraw || redefined); err != nil {
		return err
	}
	p.behind = false
	return nil
}

// define reads the dashboard again if the tenant's dashboards changed, and says
// whether this one is another than before.
func (p *Pool) define(ctx context.Context, revision store.Revision) (redefined bool, err error) {
	if p.loaded && revision <= p.revision {
		return false, nil
	}
	d, err := p.hub.source.Dashboard(ctx, p.view.Tenant, p.view.Dashboard)
	if errors.Is(err, store.ErrNotFound) {
		p.endAll(Removed)
	}
	if err != nil {
		return false, err
	}
	p.revision = revision
	if !reflect.DeepEqual(d, p.dashboard) {
		p.dashboard, p.fold, redefined = d, nil, true
	}
	return redefined, nil
}

// foldNew folds in what the fold lacks: the events since the last time or, when
// there is no fold that could slide to the window, all events of the window.
func (p *Pool) foldNew(ctx context.Context, head store.EventSeq, window store.Window) error {
	if p.fold != nil && !p.fold.Slide(window) {
		p.fold = nil
	}
	if p.fold != nil && head <= p.folded {
		return nil
	}
	fold, scan := p.fold, store.Scan{After: p.folded, From: time.Unix(window.From, 0)}
	if fold == nil {
		fold, scan.After = store.NewFold(p.dashboard, p.view, window), 0
	}
	if !p.view.Range.Moves() {
		scan.To = time.Unix(window.To, 0)
	}
	// A scan that fails halfway leaves a fold that holds some events; it must not
	// be used again.
	p.fold = nil
	folded, err := p.hub.source.ScanEvents(ctx, p.view.Tenant, scan, func(e *store.Event) error {
		fold.Add(e)
		return nil
	})
	if err != nil {
		return fmt.Errorf("read events of %s: %w", p.view.Key(), err)
	}
	p.fold, p.folded = fold, max(folded, p.folded)
	return nil
}

// publish compares the fold's readings with those published, and if anything
// changed gives it an id, keeps that on disk, and tells the watchers. With
// redraw it draws every widget, not only those with another reading: what a
// window or a definition changed shows in the picture alone.
func (p *Pool) publish(ctx context.Context, now time.Time, redraw bool) error {
	if !p.loaded {
		state, err := p.hub.source.ViewState(ctx, p.view.Tenant, p.key.view)
		if err != nil {
			return fmt.Errorf("load ids of %s: %w", p.view.Key(), err)
		}
		p.state = state
	}
	next := store.Snapshot{ID: p.state.Last, At: now, Window: p.fold.Window(), Widgets: p.fold.Readings()}
	delta := p.snapshot.Diff(next)
	if redraw {
		delta.Changed = next.Widgets
	}
	rendered, err := p.renderChanged(delta, next.Window)
	if err != nil {
		return err
	}
	state, changed, err := p.nextState(now, next, rendered)
	if err != nil {
		return err
	}
	if changed {
		if err := p.hub.source.SaveViewState(ctx, p.view.Tenant, p.key.view, state); err != nil {
			return fmt.Errorf("keep ids of %s: %w", p.view.Key(), err)
		}
	}
	next.ID = state.Last
	p.adopt(state, rendered)
	p.snapshot, p.loaded = next, true
	if changed {
		clear(p.frames)
		for w := range p.watchers {
			w.notify()
		}
	}
	return nil
}

// renderChanged draws the widgets of a delta.
func (p *Pool) renderChanged(delta store.Delta, window store.Window) (map[store.WidgetKey]*widgetHistory, error) {
	definitions := make(map[store.WidgetKey]store.Widget, len(p.dashboard.Widgets))
	for _, w := range p.dashboard.Widgets {
		definitions[w.Key] = w
	}
	rendered := make(map[store.WidgetKey]*widgetHistory, len(delta.Changed))
	for _, r := range delta.Changed {
		f, err := p.hub.render(definitions[r.Key], r, window, p.view.Range.Live())
		if err != nil {
			return nil, fmt.Errorf("draw widget %s of %s: %w", r.Key, p.view.Key(), err)
		}
		p.hub.metrics.Renders.Inc()
		rendered[r.Key] = &widgetHistory{reading: r, fragment: f}
	}
	return rendered, nil
}

// nextState gives what has to be known durably when the rendered widgets are
// published, and whether that is more than what is known now.
func (p *Pool) nextState(now time.Time, next store.Snapshot, rendered map[store.WidgetKey]*widgetHistory) (store.ViewState, bool, error) {
	seq, epoch, err := nextSeq(p.state, now)
	if err != nil {
		return store.ViewState{}, false, err
	}
	state := p.state
	state.Widgets = make(map[store.WidgetKey]store.WidgetState, len(p.state.Widgets))
	changed := false
	if layout := layoutDigest(p.dashboard); layout != state.Layout {
		state.Layout, state.LayoutSeq, changed = layout, seq, true
	}
	for _, r := range next.Widgets {
		was := p.state.Widgets[r.Key]
		is := was
		if w := rendered[r.Key]; w != nil {
			is = w.stateAfter(was, seq)
		}
		state.Widgets[r.Key] = is
		changed = changed || is != was
	}
	for key, was := range p.state.Widgets {
		if _, kept := state.Widgets[key]; kept {
			continue
		}
		if !was.Removed {
			was, changed = store.WidgetState{Removed: true, ValueSeq: seq, PictureSeq: seq}, true
		}
		state.Widgets[key] = was
	}
	if !changed {
		return p.state, false, nil
	}
	if state.First == 0 {
		state.First, state.Epoch = seq, epoch
	}
	state.Last = seq
	return state, true, nil
}

// adopt makes a state that is on disk the pool's own.
func (p *Pool) adopt(state store.ViewState, rendered map[store.WidgetKey]*widgetHistory) {
	p.state = state
	for key, w := range rendered {
		w.follow(p.widgets[key], state.Last)
		p.widgets[key] = w
	}
	for key := range p.widgets {
		if state.Widgets[key].Removed {
			delete(p.widgets, key)
		}
	}
}

// epochBits is the part of an id that names the history it is from.
const epochBits = 12

// nextSeq gives the id after state.Last: the clock in ms, or one more than the
// last id had where the clock stands still or went back, followed by the view's
// epoch. The epoch is drawn at random once for a view, so that an id of another
// view or of a lost history is taken for one of this view's own in one of 4,096
// cases only. Ids stay below 2^53 until the year 2039, so that a client in
// JavaScript may compare them.
func nextSeq(state store.ViewState, now time.Time) (seq store.Seq, epoch int64, err error) {
	epoch = state.Epoch
	if state.First == 0 {
		var random [8]byte
		if _, err := rand.Read(random[:]); err != nil {
			return 0, 0, fmt.Errorf("draw an epoch: %w", err)
		}
		epoch = int64(binary.LittleEndian.Uint64(random[:]) & (1<<epochBits - 1))
	}
	tick := max(int64(state.Last>>epochBits)+1, now.UnixMilli())
	return store.Seq(tick<<epochBits | epoch), epoch, nil
}

// trusts says whether a cursor is an id that the view issued, as far as can be known.
func trusts(state store.ViewState, cursor store.Seq) bool {
	return state.First != 0 && cursor >= state.First && cursor <= state.Last &&
		int64(cursor)&(1<<epochBits-1) == state.Epoch
}

// run refreshes the pool while somebody watches: when it is woken, at most once
// a cycle, and when the window moves on.
func (p *Pool) run(ctx context.Context) {
	var last time.Time // of the last refresh that an announcement caused
	for {
		timer := time.NewTimer(p.untilNextStep())
		announced := false
		select {
		case <-ctx.Done():
			timer.Stop()
			return
		case <-p.woken:
			announced = true
		case <-timer.C:
		}
		timer.Stop()
		if wait := time.Until(last.Add(p.hub.cycle)); announced && wait > 0 {
			select {
			case <-ctx.Done():
				return
			case <-time.After(wait):
			}
		}
		if announced {
			last = time.Now()
		}
		if err := p.Refresh(ctx); err != nil && !errors.Is(err, store.ErrNotFound) && ctx.Err() == nil {
			p.hub.log.Error("refresh failed; trying again", "view", p.key.view, "error", err)
			select {
			case <-ctx.Done():
				return
			case <-time.After(max(time.Second, p.hub.cycle)):
				p.wake()
			}
		}
	}
}

// longestWait bounds the sleep until the next step, for a clock that is set
// forward does not shorten a sleep that has begun.
const longestWait = 15 * time.Second

// untilNextStep is the time until a window that moves begins another step.
func (p *Pool) untilNextStep() time.Duration {
	if !p.view.Range.Moves() {
		return longestWait
	}
	p.mu.Lock()
	step := p.snapshot.Window.Step
	p.mu.Unlock()
	if step == 0 {
		return longestWait
	}
	now := time.Now()
	next := time.Unix(now.Unix()-now.Unix()%step+step, 0)
	return min(next.Sub(now), longestWait)
}
