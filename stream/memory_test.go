package stream

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"pulseboard/store"
)

// reader opens a view to look at it once.
var reader = Opener{Key: "bob"}

// rangeOf is a view of an hour that began so many minutes ago.
func rangeOf(minutes int) store.View {
	from := time.Now().Add(-time.Duration(minutes) * time.Minute)
	r, err := store.ParseRange(from.Format(time.RFC3339), from.Add(time.Hour).Format(time.RFC3339))
	if err != nil {
		panic(err)
	}
	return store.View{Tenant: tenant, Dashboard: "d", Range: r}
}

// crowded is a shelf with a board of many paths, a hub over it, and the bytes that one view takes.
func crowded(t *testing.T) (*shelf, *Hub, int) {
	s := newShelf()
	s.dashboard.Widgets = []store.Widget{{Key: "paths", Kind: store.Table, Metric: store.Metric{Measure: store.Count, By: "path"}}}
	for i := range 20_000 {
		s.head.Events++
		s.events = append(s.events, store.Event{Seq: s.head.Events, Name: "a", Time: s.wall().Add(-time.Duration(i%(90*60)) * time.Second),
			Properties: store.Properties{{Key: "path", Value: store.Text(fmt.Sprint("/articles/", i%5_000))}}})
	}
	h := newHub(s, time.Second)
	pool, err := h.Open(t.Context(), rangeOf(60), reader)
	if err != nil {
		t.Fatal(err)
	}
	pool.Release()
	_, _, used := h.held()
	return s, h, used
}

// held returns how many views are held, what they take, and what is counted.
func (h *Hub) held() (pools, bytes, counted int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, p := range h.tenant(tenant).pools {
		bytes += p.bytes
	}
	return len(h.tenant(tenant).pools), bytes, h.memory.used
}

func (h *Hub) poolOf(view store.View) *Pool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.tenant(tenant).pools[view.Key()]
}

// However many ranges somebody looks at, views take what they may and no more: those that
// nobody uses go, the one that rested longest first.
func TestViewsThatNobodyUsesMakeRoom(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		_, h, one := crowded(t)
		limit := 5 * one
		h.LimitMemory(limit / 3 * 4)
		for i := range 40 {
			pool, err := h.Open(t.Context(), rangeOf(61+i%20), reader)
			if err != nil {
				t.Fatal(err)
			}
			if widgets := pool.Current().Snapshot.Widgets; len(widgets) != 1 {
				t.Fatalf("range %d shows %d widgets", i, len(widgets))
			}
			pool.Release()
			pools, bytes, counted := h.held()
			if bytes != counted || bytes > limit || pools > 15 {
				t.Fatalf("after %d ranges %d views hold %d bytes, %d are counted, %d allowed", i, pools, bytes, counted, limit)
			}
		}
		if h.poolOf(rangeOf(61+39%20)) == nil {
			t.Error("the view that was used last is not the one that stayed")
		}
		time.Sleep(2 * linger)
		if pools, _, counted := h.held(); pools != 0 || counted != 0 {
			t.Errorf("in the end %d views hold %d bytes", pools, counted)
		}
	})
}

// When those who watch have filled the memory, they stay, and others are told to come again.
func TestWatchedViewsStayWhenThereIsNoRoom(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		s, h, one := crowded(t)
		time.Sleep(2 * linger)
		var open []*client
		for i := range 3 {
			c := newClient(t, JSON, store.Live)
			c.view = fmt.Sprintf("now-%dm", 85+i)
			c.open(h)
			open = append(open, c)
		}
		before := 0
		_, _, used := h.held()
		h.LimitMemory((used + one/4) / 3 * 4)
		for range 3 {
			_, err := h.Open(t.Context(), viewOf("now-89m"), reader)
			var refusal *Refusal
			if !errors.As(err, &refusal) || refusal.Reason != "memory" || refusal.RetryAfter <= 0 {
				t.Errorf("a view too many: %v", err)
			}
		}
		if _, _, now := h.held(); now > used+poolBytes {
			t.Errorf("what was refused holds %d bytes", now-used)
		}
		for _, c := range open {
			before += len(c.got())
		}
		h.LimitMemory(used / 2) // and what there is takes more already
		s.mu.Lock()
		for i := range 20_000 { // groups that were not there take more
			s.head.Events++
			s.events = append(s.events, store.Event{Seq: s.head.Events, Name: "a", Time: s.wall(), Properties: store.Properties{{Key: "path", Value: store.Text(fmt.Sprint("/new/", i))}}})
		}
		s.mu.Unlock()
		h.Announce(tenant, s.head.Events)
		time.Sleep(2 * time.Second)
		after := 0
		for _, c := range open {
			if c.ended() {
				t.Error("a stream broke off")
			}
			after += len(c.got())
			c.cut()
		}
		if after < before+len(open) {
			t.Errorf("%d streams got %d updates of an event", len(open), after-before)
		}
		time.Sleep(time.Second)
		h.LimitMemory(used * 2)
		pool, err := h.Open(t.Context(), viewOf("now-89m"), reader)
		if err != nil {
			t.Errorf("after the others left: %v", err)
		} else {
			pool.Release()
		}
	})
}

// What a refresh that failed had read is given up.
func TestAFoldThatFailsTakesNothing(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		s, h, one := crowded(t)
		pool, err := h.Open(t.Context(), view(), reader)
		if err != nil {
			t.Fatal(err)
		}
		defer pool.Release()
		_, before, _ := h.held()
		s.fail(1)
		h.Announce(tenant, s.record("a"))
		if err := pool.Refresh(t.Context(), reader.Key); err == nil {
			t.Fatal("it did not fail")
		}
		if _, after, _ := h.held(); before-after < one/2 {
			t.Errorf("%d bytes are held before, %d after", before, after)
		}
		if err := pool.Refresh(t.Context(), reader.Key); err != nil {
			t.Error(err)
		}
		if _, again, _ := h.held(); again < before {
			t.Errorf("%d bytes are held before, %d again", before, again)
		}
	})
}

// A page whose stream comes so late that its cursor is forgotten learns that its board was defined
// anew; one whose board is the same goes on with a snapshot.
func TestAPageOfAnotherLayoutIsLoadedAnew(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		s := newShelf()
		h := newHub(s, time.Second)
		same, other := newClient(t, HTML, store.Live), newClient(t, HTML, store.Live)
		other.load(h)
		s.define("a", "b")
		if err := h.Sync(t.Context()); err != nil {
			t.Fatal(err)
		}
		time.Sleep(2 * linger)
		same.load(h)
		time.Sleep(2 * linger)
		for _, c := range []*client{same, other} {
			c.open(h)
			time.Sleep(time.Second)
			c.cut()
		}
		if slices.Contains(same.events, reload) || !slices.Contains(other.events, reload) {
			t.Errorf("the page of the same layout got %v, the other %v", same.events, other.events)
		}
	})
}

func TestOnlyWatchedViewsLeaveARow(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		s := newShelf()
		h := newHub(s, time.Second)
		for i := range 10 {
			pool, err := h.Open(t.Context(), rangeOf(60+i), reader)
			if err != nil {
				t.Fatal(err)
			}
			pool.Release()
		}
		if len(s.states) != 0 {
			t.Errorf("%d views that were looked at are on disk", len(s.states))
		}
		c := newClient(t, HTML, store.Live)
		c.load(h)
		cursor := c.cursor
		c.open(h)
		time.Sleep(time.Second)
		c.cut()
		if len(s.states) != 1 || len(c.updates) != 0 {
			t.Errorf("of a page that is watched %d views are on disk, and it was told %d times what it showed", len(s.states), len(c.updates))
		}
		// After a restart the page's cursor is still known, though nothing changed since.
		h = newHub(s, time.Second)
		h.Announce(tenant, s.record("a"))
		c.open(h)
		time.Sleep(time.Second)
		if c.cut(); len(c.updates) != 1 || c.cursor == cursor {
			t.Errorf("after a restart it got %q", c.updates)
		}
	})
}

// Cursors made up by clients are answered, and take no memory.
func TestMadeUpCursorsTakeNoMemory(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		s := newShelf()
		h := newHub(s, time.Second)
		c := newClient(t, JSON, store.Live)
		c.open(h)
		for range 3 {
			time.Sleep(2 * time.Second)
			h.Announce(tenant, s.record("a", "b"))
		}
		time.Sleep(2 * time.Second)
		pool := h.poolOf(view())
		r := pool.released.Load()
		random := rand.New(rand.NewPCG(1, 2))
		for range 20_000 {
			from := r.state.First + store.Seq(random.Int64N(int64(r.id()-r.state.First)))
			if r.frame(from, JSON) == nil {
				t.Fatalf("from %d nothing changed", from)
			}
		}
		size := 0
		for _, f := range r.frames {
			size += frameBytes + len(f.Plain)
		}
		if size > r.bytes {
			t.Errorf("%d frames of %d bytes are remembered, %d are counted", len(r.frames), size, r.bytes)
		}
		c.cut()
	})
}

func TestNewViewsOfAKeyAreBounded(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		h := newHub(newShelf(), time.Second)
		r := NewRoster(Limits{Streams: 1, ConnectsPerMinute: 1, ViewsPerMinute: 6}, 1)
		by := Opener{Key: "ann", Admit: func() error { return r.AdmitView("ann", "token") }}
		open := func(minutes int) error {
			pool, err := h.Open(t.Context(), rangeOf(minutes), by)
			if err == nil {
				pool.Release()
			}
			return err
		}
		for i := range 6 {
			if err := open(60 + i); err != nil {
				t.Fatal(err)
			}
		}
		for range 10 { // what is held is not new
			if err := open(60); err != nil {
				t.Fatal(err)
			}
		}
		var refusal *Refusal
		if err := open(70); !errors.As(err, &refusal) || refusal.Reason != "views" || refusal.RetryAfter <= 0 || refusal.RetryAfter > 10*time.Second {
			t.Errorf("a seventh view: %v", err)
		}
		time.Sleep(10 * time.Second)
		if err := open(71); err != nil {
			t.Errorf("after ten seconds: %v", err)
		}
		time.Sleep(2 * time.Minute)
		if r.Sweep(); len(r.quotas) != 0 {
			t.Errorf("%d keys are remembered", len(r.quotas))
		}
	})
}
