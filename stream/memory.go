package stream

import (
	"container/list"
	"math/rand/v2"
	"runtime/debug"
	"time"

	"pulseboard/store/fold"
)

// memory is the budget of bytes for views: what each pool holds is counted as it grows. When
// there is no room, the pools go that nobody uses, the one that rested longest first; then
// views that nobody watches are refused. Watched ones may grow beyond the budget, as far as
// the limit of one view lets them, so that no stream breaks off. Hub.mu guards it.
type memory struct {
	budget  int // as it was set
	limit   int // of used
	used    int
	idle    *list.List // of *Pool, the one that rests longest first
	watched int        // bytes of pools that have watchers
	resting int        // bytes of those
	freed   int        // bytes given up since the runtime was told
	freedAt time.Time  // when some were last
}

func newMemory(budget int) memory {
	return memory{budget: budget, limit: budget - budget/uncollected, idle: list.New()}
}

// uncollected is the part of the budget that is left for what views gave up and the collector
// has not collected yet.
const uncollected = 4

// poolBytes is what a pool takes besides its fold and its renditions.
const poolBytes = 8 << 10

const (
	// viewShare is the part of the budget that one view may take.
	viewShare = 4
	// maxView bounds what one view may take in bytes, however large the budget.
	maxView = 256 << 20
)

// Refusals for want of memory: when to try again.
const retryWhenCrowded = 10 * time.Second

// LimitMemory bounds the bytes that views take together. Call it before the first stream.
func (h *Hub) LimitMemory(bytes int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.memory.budget, h.memory.limit = bytes, bytes-bytes/uncollected
}

// viewLimit is the number of bytes past which the fold of one view merges groups.
func (h *Hub) viewLimit() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return min(h.memory.limit/viewShare, maxView)
}

// hold notes that a pool takes so many bytes now. The error is a *Refusal when there is no
// room and nobody watches the pool; then what was noted before stays. It is a *fold.Crowded when
// somebody does: then it is noted, and the fold merges groups to take its part of the memory.
func (h *Hub) hold(p *Pool, bytes int) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.tenant(p.key.tenant).pools[p.key.view] != p {
		return nil // it was forgotten, and so is what it takes
	}
	more := bytes - p.bytes
	watched := p.watching.Load() > 0
	room := h.makeRoom(more)
	if watched {
		room = h.memory.watched+more <= h.watchedLimit()
	}
	if !room && more > 0 && !watched {
		return &Refusal{Reason: "memory", Limit: h.memory.budget >> 20, RetryAfter: retryWhenCrowded + rand.N(retryWhenCrowded)}
	}
	h.memory.used += more
	p.bytes = bytes
	h.countWatched(p, watched)
	h.telemetry.ViewBytes.Set(float64(h.memory.used))
	if share := h.watchedLimit() / max(1, h.watched); !room && bytes > share {
		return &fold.Crowded{Room: max(0, share-p.pictureBytes())}
	}
	return nil
}

// watchedLimit is how many bytes watched views may take, so that those who only look find room.
func (h *Hub) watchedLimit() int { return h.memory.limit / 4 * 3 }

// countWatched counts what a pool takes as watched, or as not. The caller holds h.mu.
func (h *Hub) countWatched(p *Pool, watched bool) {
	h.memory.watched -= p.watchedBytes
	p.watchedBytes = 0
	if watched {
		p.watchedBytes = p.bytes
	}
	h.memory.watched += p.watchedBytes
}

// noteWatched counts a pool that got its first watcher, n 1, or lost its last, n -1.
func (h *Hub) noteWatched(p *Pool, n int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.watched += n
	h.countWatched(p, n > 0)
}

// makeRoom forgets idle pools until there is room for more bytes, and reports whether there
// is. The caller holds h.mu.
func (h *Hub) makeRoom(more int) bool {
	if h.memory.used-h.memory.resting+more > h.memory.limit {
		return false // not even if all others went
	}
	for h.memory.used+more > h.memory.limit {
		first := h.memory.idle.Front()
		if first == nil {
			return false
		}
		h.forget(first.Value.(*Pool))
		h.telemetry.Evictions.Inc()
	}
	return true
}

// use takes a pool out of those that nobody uses.
func (m *memory) use(p *Pool) {
	if p.idle != nil {
		m.idle.Remove(p.idle)
		m.resting -= p.bytes
		p.idle = nil
	}
}

// rest puts a pool among those that nobody uses.
func (m *memory) rest(p *Pool) {
	m.use(p)
	p.idle, p.idleSince = m.idle.PushBack(p), time.Now()
	m.resting += p.bytes
}

const (
	// giveBack is how many bytes are given up until the runtime is made to return them to the
	// system, which it does by itself only after minutes.
	giveBack = 32 << 20
	// giveBackAfter is how long nothing was given up before. Until then what was given up is
	// likely to be taken again, and returning it stops everything for some ms.
	giveBackAfter = 10 * time.Second
)

// drop gives up what a pool took.
func (m *memory) drop(p *Pool) {
	m.use(p)
	m.used -= p.bytes
	if m.freed += p.bytes; m.freed >= giveBack {
		m.freedAt = time.Now()
	}
	m.watched -= p.watchedBytes
	p.bytes, p.watchedBytes = 0, 0
}

// giveBack returns memory to the system that views took and will not take again soon.
func (h *Hub) giveBack() {
	h.mu.Lock()
	due := h.memory.freed >= giveBack && time.Since(h.memory.freedAt) >= giveBackAfter
	if due {
		h.memory.freed = 0
	}
	h.mu.Unlock()
	if due {
		debug.FreeOSMemory()
	}
}
