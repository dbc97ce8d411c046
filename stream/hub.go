package stream

import (
	"context"
	"errors"
	"log/slog"
	"math"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"pulseboard/store"
	"pulseboard/stream/turns"
	"pulseboard/stream/wire"
)

// Fragment is a widget rendered to HTML.
type Fragment struct {
	Whole []byte // one element, its id the first attribute
	Shell string // differs when anything of Whole outside the parts does
	Parts []Part // elements inside Whole that change with the reading
}

// Part is an element inside a widget, its id the first attribute.
type Part struct {
	ID   string
	HTML []byte
}

// Renderer draws a widget. live says that the window's last step is still
// running. Equal arguments give equal bytes.
type Renderer func(w store.Widget, r store.WidgetReading, window store.Window, live bool) (Fragment, error)

// linger is how long a pool is kept warm after its last user left: long enough
// for a page that reloads or a poll that comes every 30 s.
const linger = time.Minute

// Hub holds the pools. Its methods may be called by any number of goroutines.
type Hub struct {
	source    Source
	render    Renderer
	cycle     time.Duration
	heartbeat time.Duration
	log       *slog.Logger
	telemetry *Telemetry
	writers   *wire.Writers // nil where connections are written by goroutines
	poller    *wire.Poller
	wall      func() time.Time // the clock people see, which may jump; tests make it
	started   time.Time
	builds    *turns.Queue
	urgent    atomic.Int64 // refreshes of watched pools under way
	life      context.Context
	stop      context.CancelFunc
	work      work // refreshes, and the loops of watched pools

	mu      sync.Mutex
	tenants map[store.TenantID]*tenantViews
	memory  memory
	watched int // pools that have watchers
}

// tenantViews is what a hub knows of a tenant. Hub.mu guards it.
type tenantViews struct {
	head  store.Head
	pools map[store.ViewKey]*Pool
}

type poolKey struct {
	tenant store.TenantID
	view   store.ViewKey
}

// NewHub makes a hub. cycle is the shortest time between two updates of a view,
// heartbeat the time between two heartbeats of a stream.
func NewHub(source Source, render Renderer, cycle, heartbeat time.Duration, log *slog.Logger, telemetry *Telemetry) *Hub {
	life, stop := context.WithCancel(context.Background())
	return &Hub{
		life:      life,
		stop:      stop,
		source:    countedSource{source, telemetry.StoreCalls},
		render:    render,
		cycle:     cycle,
		heartbeat: heartbeat,
		log:       log,
		telemetry: telemetry,
		wall:      time.Now,
		started:   time.Now(),
		builds:    turns.New(buildsAtOnce),
		tenants:   map[store.TenantID]*tenantViews{},
		memory:    newMemory(math.MaxInt),
	}
}

// tenant returns what is known of a tenant. The caller holds h.mu.
func (h *Hub) tenant(id store.TenantID) *tenantViews {
	t := h.tenants[id]
	if t == nil {
		t = &tenantViews{pools: map[store.ViewKey]*Pool{}}
		h.tenants[id] = t
	}
	return t
}

// stallTimeout is how long a reader may take nothing before its stream is closed.
const stallTimeout = 30 * time.Second

// UseWriters makes the hub write to connections by a few writers, about one a
// core, instead of a goroutine for each. Call it before the first stream.
func (h *Hub) UseWriters() error {
	poller, err := wire.NewPoller()
	if err != nil {
		return err
	}
	h.poller = poller
	h.writers = wire.New(runtime.GOMAXPROCS(0), stallTimeout, wire.Stats{Wrote: h.telemetry.wrote, Skipped: h.telemetry.skipped})
	return nil
}

// Writes says whether the hub writes to connections itself.
func (h *Hub) Writes() bool { return h.writers != nil }

// Close ends the hub's writers and with them the streams they write.
func (h *Hub) Close() {
	if h.writers != nil {
		h.writers.Close()
		_ = h.poller.Close() // nothing is left to hear from it
	}
}

// work is goroutines that are waited for before the store closes.
type work struct {
	mu      sync.Mutex
	stopped bool
	running sync.WaitGroup
}

// Go runs fn, unless the hub has stopped; it reports whether it does.
func (w *work) Go(fn func()) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.stopped {
		return false
	}
	w.running.Go(fn)
	return true
}

// stop waits for all that runs. Nothing can begin any more.
func (w *work) stop() {
	w.mu.Lock()
	w.stopped = true
	w.mu.Unlock()
	w.running.Wait()
}

// Stop ends what the hub reads and writes, and returns when nothing of that is under way any
// more, so that the store can be closed. Nothing can be opened afterwards.
func (h *Hub) Stop() {
	h.stop()
	h.work.stop()
}

// Cycle is the shortest time between two updates of a view.
func (h *Hub) Cycle() time.Duration { return h.cycle }

// Announce says that a tenant's events are on disk up to seq. Call it after the
// commit and before the sender gets its answer: whoever asks for a view after
// that answer then finds the event counted.
func (h *Hub) Announce(tenant store.TenantID, seq store.EventSeq) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.advance(tenant, store.Head{Events: seq})
}

// Sync reads the heads of all tenants and announces what moved: the work of
// other processes on the same store.
func (h *Hub) Sync(ctx context.Context) error {
	heads, err := h.source.Heads(ctx)
	if err != nil {
		return err
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	for id, head := range heads {
		h.advance(id, head)
	}
	return nil
}

// Tidy gives memory back that is not needed any more. Call it every few seconds.
func (h *Hub) Tidy() { h.giveBack() }

// advance takes a newer head and wakes the pools of its tenant. Heads
// only grow, so what arrives late changes nothing. The caller holds h.mu.
func (h *Hub) advance(id store.TenantID, head store.Head) {
	t := h.tenant(id)
	if head.Events <= t.head.Events && head.Dashboards <= t.head.Dashboards {
		return
	}
	t.head.Events = max(t.head.Events, head.Events)
	t.head.Dashboards = max(t.head.Dashboards, head.Dashboards)
	for _, p := range t.pools {
		p.news.CompareAndSwap(0, h.uptime())
		p.wake()
	}
}

// uptime is the time since the hub was made, in ns, which no jump of the clock
// changes.
func (h *Hub) uptime() int64 { return int64(time.Since(h.started)) }

func (h *Hub) head(id store.TenantID) store.Head {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.tenant(id).head
}

// Opener is the one for whom a view is opened.
type Opener struct {
	Key     QuotaKey     // of long refreshes, one a key is at work at a time
	Admit   func() error // asked before a view is held that was not; may be nil
	Watches bool         // a watcher follows: its cursors are to be known after a restart
}

// Open returns the pool of a view, up to date. The caller releases it when done.
// Errors: store.ErrNotFound when the tenant has no such dashboard; a *Refusal when the
// hub's memory has no room for the view; what Admit returns.
func (h *Hub) Open(ctx context.Context, view store.View, by Opener) (*Pool, error) {
	p, err := h.use(view, by)
	if err != nil {
		return nil, err
	}
	if err := p.Refresh(ctx, by.Key); err != nil {
		var refusal *Refusal
		refused := errors.As(err, &refusal)
		if refused {
			h.telemetry.Refusals.WithLabelValues(refusal.Reason).Inc()
		}
		p.release(refused) // what had no room takes more than is counted
		return nil, err
	}
	if by.Watches {
		p.begin(ctx, by.Key.owner())
	}
	return p, nil
}

// use returns the pool of a view and counts its new user.
func (h *Hub) use(view store.View, by Opener) (*Pool, error) {
	key := poolKey{view.Tenant, view.Key()}
	h.mu.Lock()
	defer h.mu.Unlock()
	pools := h.tenant(view.Tenant).pools
	p := pools[key.view]
	if p == nil {
		if by.Admit != nil {
			if err := by.Admit(); err != nil {
				h.telemetry.Refusals.WithLabelValues("views").Inc()
				return nil, err
			}
		}
		p = newPool(h, view, key)
		pools[key.view] = p
		h.telemetry.Pools.Inc()
	}
	p.users++
	h.memory.use(p)
	return p, nil
}

// Release gives back what Open gave. A pool that nobody uses lingers for a
// while and is then forgotten, or sooner if its memory is needed; the store still knows its
// ids if it was watched.
func (p *Pool) Release() { p.release(false) }

func (p *Pool) release(forget bool) {
	h := p.hub
	h.mu.Lock()
	defer h.mu.Unlock()
	if p.users--; p.users > 0 {
		return
	}
	if forget || p.current.Load() == nil { // it could not be read, so there is nothing to keep warm
		h.forget(p)
		return
	}
	h.memory.rest(p)
	if p.forget == nil {
		p.forget = time.AfterFunc(linger, func() { h.forgetIdle(p) })
	} else {
		p.forget.Reset(linger)
	}
}

// forgetIdle drops a pool that nobody has used for long enough.
func (h *Hub) forgetIdle(p *Pool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if p.idle != nil && time.Since(p.idleSince) >= linger {
		h.forget(p)
	}
}

// forget drops a pool that nobody uses. The caller holds h.mu.
func (h *Hub) forget(p *Pool) {
	pools := h.tenant(p.key.tenant).pools
	if pools[p.key.view] != p {
		return
	}
	delete(pools, p.key.view)
	h.memory.drop(p)
	h.telemetry.Pools.Dec()
}

// Watching counts the open streams on a dashboard, over all its views.
func (h *Hub) Watching(tenant store.TenantID, dashboard store.DashboardID) int {
	h.mu.Lock()
	defer h.mu.Unlock()
	n := 0
	for _, p := range h.tenant(tenant).pools {
		if p.view.Dashboard == dashboard {
			n += int(p.watching.Load())
		}
	}
	return n
}
