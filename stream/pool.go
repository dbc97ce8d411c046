package stream

import (
	"container/list"
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"pulseboard/store"
	"pulseboard/store/fold"
	"pulseboard/stream/turns"
)

// refreshTimeout bounds one refresh. It is generous: the first one of a long
// range reads many events, and a process that imports may hold the store.
const refreshTimeout = time.Minute

// Pool is one view and those who watch it.
type Pool struct {
	hub  *Hub
	view store.View
	key  poolKey

	users        int           // guarded by Hub.mu
	idle         *list.Element // in Hub.memory while nobody uses it; guarded by Hub.mu, as the next two
	idleSince    time.Time
	forget       *time.Timer // runs while nobody uses it
	bytes        int         // of the hub's memory; guarded by Hub.mu
	watchedBytes int         // of those, what is counted as watched; guarded by Hub.mu
	watching     atomic.Int64
	woken        chan struct{}             // one pending wake-up is enough: the refresh reads all there is
	current      atomic.Pointer[rendition] // the newest, as pages show it; nil before the first refresh
	released     atomic.Pointer[rendition] // the newest that watchers may get, see keep
	read         atomic.Pointer[mark]      // what current is made of
	news         atomic.Int64              // when the oldest of what is not read yet was announced, by Hub.uptime; 0: all is read
	unsent       atomic.Int64              // the same of what is read and not sent yet
	durable      atomic.Bool               // ids are kept on disk before watchers see them, because there are watchers

	flightMu sync.Mutex // held for moments
	flight   *flight    // the refresh under way; nil without one

	// What follows belongs to the refresh under way.
	behind    bool // what was read is not published yet, because something failed in between
	dashboard store.Dashboard
	revision  store.Revision
	fold      *fold.Fold
	folded    store.EventSeq // events up to here are in fold
	loose     int64          // the epoch of ids given while nobody watched; 0: none yet

	keeping   chan struct{}                   // holds one while ids are written to disk
	kept      atomic.Int64                    // the newest id on disk, a store.Seq
	owner     atomic.Pointer[store.ViewOwner] // who watched first; nil before
	keepAfter atomic.Int64                    // by Hub.uptime; not before, because the last try failed

	lanesMu  sync.Mutex // held for moments
	lanes    map[time.Duration]*lane
	watchers map[*Watcher]struct{}
	stop     context.CancelFunc // of the loop that runs while there are watchers
	nextBeat time.Time
	retryAt  time.Time // when to try again after a refresh failed
}

// mark is how far a pool has read.
type mark struct {
	head   store.Head
	window store.Window
}

func newPool(h *Hub, view store.View, key poolKey) *Pool {
	return &Pool{
		hub:      h,
		view:     view,
		key:      key,
		woken:    make(chan struct{}, 1),
		keeping:  make(chan struct{}, 1),
		lanes:    map[time.Duration]*lane{},
		watchers: map[*Watcher]struct{}{},
	}
}

// Current is a view as a page shows it.
type Current struct {
	Dashboard store.Dashboard
	Snapshot  store.Snapshot
	Layout    string // differs when the dashboard is defined in another way
}

// Current returns the state of the last refresh. Its id is one that a stream may go on from,
// so it is older than the readings as long as theirs is not on disk.
func (p *Pool) Current() Current {
	r := p.current.Load()
	c := Current{r.dashboard, r.snapshot, r.state.Layout}
	c.Snapshot.ID = p.released.Load().id()
	return c
}

// wake makes the pool's loop look whether something is due; without watchers
// there is no loop, and whoever opens the pool next refreshes it.
func (p *Pool) wake() {
	select {
	case p.woken <- struct{}{}:
	default:
	}
}

// stale says whether a refresh would find anything: events, another definition,
// or a window that moved on.
func (p *Pool) stale(head store.Head, window store.Window) bool {
	read := p.read.Load()
	return read == nil || head.Events > read.head.Events || head.Dashboards > read.head.Dashboards || window != read.window
}

// flight is a refresh under way and who waits for it. Pool.flightMu guards it, but for what
// says otherwise.
type flight struct {
	waiting   int
	keys      []QuotaKey    // of those who wait; "" is the hub itself
	ticket    *turns.Ticket // of a long refresh; nil before it waits for its turn
	cancelled bool          // because nobody waited any more
	done      chan struct{} // closed when err is there
	err       error         // read after done
	cancel    context.CancelFunc
}

// Refresh brings the view up to date: with the events that are announced, with
// the dashboard's definition and with the clock. It costs next to nothing when
// none of these moved, and callers that come while a refresh is under way are served by
// one more together. by is whose turn a long refresh takes. A refresh goes on when its caller
// goes away as long as others wait for it.
func (p *Pool) Refresh(ctx context.Context, by QuotaKey) error {
	head := p.hub.head(p.view.Tenant) // before waiting: what came since, nobody was promised
	for {
		window, err := p.view.Range.Window(p.hub.wall()) // anew, because it may have moved on since
		if err != nil || !p.stale(head, window) {
			return err
		}
		f, err := p.board(by)
		if err != nil {
			return err
		}
		select {
		case <-f.done:
			if f.err != nil {
				return f.err
			}
		case <-ctx.Done():
			p.alight(f)
			return ctx.Err()
		}
	}
}

// board waits for the refresh under way, or begins one.
func (p *Pool) board(by QuotaKey) (*flight, error) {
	p.flightMu.Lock()
	defer p.flightMu.Unlock()
	before := p.flight
	if before != nil && !before.cancelled {
		before.waiting++
		if !slices.Contains(before.keys, by) {
			before.keys = append(before.keys, by)
			if before.ticket != nil && by != "" {
				before.ticket.Also(p.buildFor(by))
			}
		}
		return before, nil
	}
	ctx, cancel := context.WithCancel(p.hub.life)
	f := &flight{waiting: 1, keys: []QuotaKey{by}, done: make(chan struct{}), cancel: cancel}
	begun := p.hub.work.Go(func() {
		defer cancel()
		if before != nil {
			<-before.done // it ends soon, and one is under way at a time
		}
		f.err = p.refresh(ctx, f)
		p.flightMu.Lock()
		if p.flight == f {
			p.flight = nil
		}
		p.flightMu.Unlock()
		close(f.done)
	})
	if !begun {
		cancel()
		return nil, errStopped
	}
	p.flight = f
	return f, nil
}

var errStopped = errors.New("the server stops")

// alight waits no more. A refresh that nobody waits for ends.
func (p *Pool) alight(f *flight) {
	p.flightMu.Lock()
	defer p.flightMu.Unlock()
	if f.waiting--; f.waiting == 0 {
		f.cancelled = true
		f.cancel()
	}
}

// refresh does the work of Refresh. One runs at a time.
func (p *Pool) refresh(ctx context.Context, f *flight) error {
	head := p.hub.head(p.view.Tenant)
	now := p.hub.wall()
	window, err := p.view.Range.Window(now)
	if err != nil {
		return err
	}
	if !p.stale(head, window) {
		return nil
	}
	p.hub.telemetry.Refreshes.Inc()
	since := p.news.Swap(0)
	// Whatever fails below, the next refresh draws every widget anew.
	was := p.current.Load()
	redraw := p.behind || was == nil || window != was.snapshot.Window
	p.behind = true
	redefined, err := p.define(ctx, head.Dashboards)
	if err != nil {
		return err
	}
	if p.fold != nil && !p.fold.Slide(window) {
		p.fold = nil
	}
	if p.fold == nil {
		leave, err := p.enterBuild(ctx, f)
		if err != nil {
			return err
		}
		defer leave()
	}
	ctx, cancel := context.WithTimeout(ctx, refreshTimeout)
	defer cancel()
	if err := p.foldNew(ctx, head.Events, window, f); err != nil {
		return err
	}
	if err := p.publish(ctx, now, redraw || redefined); err != nil {
		return err
	}
	p.behind = false
	if p.current.Load() != was && since != 0 {
		p.unsent.CompareAndSwap(0, since)
	}
	p.read.Store(&mark{store.Head{Events: max(head.Events, p.folded), Dashboards: p.revision}, window})
	p.keepSoon(ctx, pageWait)
	p.wake()
	return nil
}

// define reads the dashboard again if the tenant's dashboards changed, and says
// whether this one is another than before.
func (p *Pool) define(ctx context.Context, revision store.Revision) (redefined bool, err error) {
	if p.current.Load() != nil && revision <= p.revision {
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
// there is no fold, all events of the window.
func (p *Pool) foldNew(ctx context.Context, head store.EventSeq, window store.Window, by *flight) error {
	if p.fold != nil && head <= p.folded {
		return nil
	}
	f, scan := p.fold, store.Scan{After: p.folded}
	if !p.view.Range.Moves() {
		scan.To = time.Unix(window.To, 0)
	}
	// What fails halfway leaves a fold that holds some events; it must not be used
	// again.
	p.fold = nil
	var folded store.EventSeq
	var err error
	if f == nil {
		f = fold.New(p.dashboard, p.view, window)
		f.Limit(p.hub.viewLimit(), p.meter)
		f.Pause(p.giveWay(by))
		folded, err = p.hub.source.FoldView(ctx, p.view.Tenant, f, scan.To)
	} else {
		scan.From = time.Unix(f.From(), 0)
		folded, err = p.hub.source.ScanEvents(ctx, p.view.Tenant, scan, f.Add)
	}
	f.Pause(nil)
	if err != nil {
		return p.foldError(err)
	}
	p.fold, p.folded = f, max(folded, p.folded)
	return nil
}

// foldError gives back the memory of a fold that could not be completed.
func (p *Pool) foldError(err error) error {
	_ = p.hub.hold(p, p.pictureBytes()) // holding less is never refused
	return fmt.Errorf("read events of %s: %w", p.key.view, err)
}

// meter lets the pool's fold grow as far as the hub's memory goes.
func (p *Pool) meter(bytes int) error { return p.hub.hold(p, bytes+p.pictureBytes()) }

// pictureBytes is what the pool takes besides its fold.
func (p *Pool) pictureBytes() int {
	if r := p.current.Load(); r != nil {
		return poolBytes + r.bytes
	}
	return poolBytes
}
