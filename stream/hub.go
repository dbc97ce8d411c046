package stream

import (
	"context"
	"log/slog"
	"runtime"
	"sync"
	"time"

	"pulseboard/store"
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
	metrics   *Metrics
	writers   *wire.Writers // nil where connections are written by goroutines
	poller    *wire.Poller
	wall      func() time.Time // the clock people see, which may jump; tests make it
	started   time.Time

	mu    sync.Mutex
	pools map[poolKey]*Pool
	heads map[store.TenantID]store.Head
}

type poolKey struct {
	tenant store.TenantID
	view   store.ViewKey
}

// NewHub makes a hub. cycle is the shortest time between two updates of a view,
// heartbeat the time between two heartbeats of a stream.
func NewHub(source Source, render Renderer, cycle, heartbeat time.Duration, log *slog.Logger, metrics *Metrics) *Hub {
	return &Hub{
		source:    countedSource{source, metrics.StoreCalls},
		render:    render,
		cycle:     cycle,
		heartbeat: heartbeat,
		log:       log,
		metrics:   metrics,
		wall:      time.Now,
		started:   time.Now(),
		pools:     map[poolKey]*Pool{},
		heads:     map[store.TenantID]store.Head{},
	}
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
	h.writers = wire.New(runtime.GOMAXPROCS(0), stallTimeout, wire.Stats{Wrote: h.metrics.wrote, Skipped: h.metrics.skipped})
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

// Cycle is the shortest time between two updates of a view.
func (h *Hub) Cycle() time.Duration { return h.cycle }

// Announce says that a tenant's events are on disk up to seq. Call it after the
// commit and before the sender gets its answer: whoever asks for a view after
// that answer then finds the event counted.
func (h *Hub) Announce(tenant store.TenantID, seq store.EventSeq) {
	h.mu.Lock()
	head := h.heads[tenant]
	h.mu.Unlock()
	head.Events = seq
	h.advance(map[store.TenantID]store.Head{tenant: head})
}

// Sync reads the heads of all tenants and announces what moved: the work of
// other processes on the same store.
func (h *Hub) Sync(ctx context.Context) error {
	heads, err := h.source.Heads(ctx)
	if err != nil {
		return err
	}
	h.advance(heads)
	return nil
}

// advance takes newer heads and wakes the watched pools they concern. Heads
// only grow, so what arrives late changes nothing.
func (h *Hub) advance(heads map[store.TenantID]store.Head) {
	h.mu.Lock()
	defer h.mu.Unlock()
	moved := map[store.TenantID]bool{}
	for tenant, head := range heads {
		known := h.heads[tenant]
		if head.Events <= known.Events && head.Dashboards <= known.Dashboards {
			continue
		}
		known.Events = max(known.Events, head.Events)
		known.Dashboards = max(known.Dashboards, head.Dashboards)
		h.heads[tenant] = known
		moved[tenant] = true
	}
	for key, p := range h.pools {
		if moved[key.tenant] {
			p.news.CompareAndSwap(0, h.uptime())
			p.wake()
		}
	}
}

// uptime is the time since the hub was made, in ns, which no jump of the clock
// changes.
func (h *Hub) uptime() int64 { return int64(time.Since(h.started)) }

func (h *Hub) head(tenant store.TenantID) store.Head {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.heads[tenant]
}

// Open gives the pool of a view, up to date. The caller releases it when done.
// Errors: store.ErrNotFound when the tenant has no such dashboard.
func (h *Hub) Open(ctx context.Context, view store.View) (*Pool, error) {
	key := poolKey{view.Tenant, view.Key()}
	h.mu.Lock()
	p := h.pools[key]
	if p == nil {
		p = newPool(h, view, key)
		h.pools[key] = p
		h.metrics.Pools.Inc()
	}
	p.users++
	h.mu.Unlock()
	if err := p.Refresh(ctx); err != nil {
		p.Release()
		return nil, err
	}
	return p, nil
}

// Release gives back what Open gave. A pool that nobody uses lingers for a
// while and is then forgotten; the store still knows its ids.
func (p *Pool) Release() {
	h := p.hub
	h.mu.Lock()
	defer h.mu.Unlock()
	p.users--
	if p.users > 0 {
		return
	}
	p.idleSince = time.Now()
	time.AfterFunc(linger, func() {
		h.mu.Lock()
		defer h.mu.Unlock()
		if p.users == 0 && time.Since(p.idleSince) >= linger && h.pools[p.key] == p {
			delete(h.pools, p.key)
			h.metrics.Pools.Dec()
		}
	})
}

// Watching counts the open streams on a dashboard, over all its views.
func (h *Hub) Watching(tenant store.TenantID, dashboard store.DashboardID) int {
	h.mu.Lock()
	defer h.mu.Unlock()
	n := 0
	for key, p := range h.pools {
		if key.tenant == tenant && p.view.Dashboard == dashboard {
			n += int(p.watching.Load())
		}
	}
	return n
}
