package stream

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"pulseboard/store"
	"pulseboard/store/fold"
)

const tenant store.TenantID = 1

// shelf is a Source in memory. What stands on it survives the hubs over it, as
// a file survives the processes that open it.
type shelf struct {
	mu        sync.Mutex
	dashboard store.Dashboard
	head      store.Head
	events    []store.Event
	states    map[store.ViewKey]store.ViewState
	past      map[store.ViewKey][]store.ViewState // all that were ever kept
	offset    time.Duration                       // of the clock on the wall
	setBack   bool                                // the clock was

	scans     int
	failScans int // so many scans fail halfway
	failSaves int
}

func newShelf() *shelf {
	s := &shelf{states: map[store.ViewKey]store.ViewState{}, past: map[store.ViewKey][]store.ViewState{}}
	s.define("a", "b", "c")
	return s
}

// copy returns a shelf on which the same stands.
func (s *shelf) copy() *shelf {
	s.mu.Lock()
	defer s.mu.Unlock()
	return &shelf{
		dashboard: s.dashboard, head: s.head, events: slices.Clone(s.events), states: maps.Clone(s.states),
		past: map[store.ViewKey][]store.ViewState{}, offset: s.offset,
	}
}

// wall is the clock on the wall, which somebody may set.
func (s *shelf) wall() time.Time { return time.Now().Add(s.offset) }

func (s *shelf) now() time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.wall()
}

func (s *shelf) jump(by time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.offset += by
	s.setBack = s.setBack || by < 0
}

// fail makes the next n scans and saves fail.
func (s *shelf) fail(n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.failSaves, s.failScans = n, n
}

// define gives the dashboard widgets; each counts the events of its name.
func (s *shelf) define(keys ...string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.head.Dashboards++
	s.dashboard = store.Dashboard{ID: "d"}
	for _, key := range keys {
		s.dashboard.Widgets = append(s.dashboard.Widgets, store.Widget{
			Key: store.WidgetKey(key), Kind: store.Gauge, Title: fmt.Sprint("revision ", s.head.Dashboards), Metric: store.Metric{Measure: store.Count, Event: key},
		})
	}
}

func (s *shelf) record(names ...string) store.EventSeq {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, name := range names {
		s.head.Events++
		s.events = append(s.events, store.Event{Seq: s.head.Events, Name: name, Time: s.wall()})
	}
	return s.head.Events
}

func (s *shelf) Dashboard(context.Context, store.TenantID, store.DashboardID) (store.Dashboard, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.dashboard.ID == "" {
		return store.Dashboard{}, store.ErrNotFound
	}
	return s.dashboard, nil
}

func (s *shelf) Heads(context.Context) (map[store.TenantID]store.Head, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return map[store.TenantID]store.Head{tenant: s.head}, nil
}

func (s *shelf) ScanEvents(_ context.Context, _ store.TenantID, scan store.Scan, fn func(*store.Event) error) (store.EventSeq, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.scans++
	for i := range s.events {
		e := s.events[i]
		if e.Seq > scan.After && !e.Time.Before(scan.From) {
			if err := fn(&e); err != nil {
				return 0, err
			}
		}
		if s.failScans > 0 && i >= len(s.events)/2 {
			s.failScans--
			return 0, errors.New("the disk is gone")
		}
	}
	return s.head.Events, nil
}

func (s *shelf) FoldView(ctx context.Context, tenant store.TenantID, f *fold.Fold, to time.Time) (store.EventSeq, error) {
	return s.ScanEvents(ctx, tenant, store.Scan{From: time.Unix(f.Window().From, 0), To: to}, func(e *store.Event) error {
		return f.Add(e)
	})
}

func (s *shelf) ViewState(_ context.Context, _ store.TenantID, key store.ViewKey) (store.ViewState, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.states[key], nil
}

func (s *shelf) SaveViewState(_ context.Context, _ store.TenantID, key store.ViewKey, _ store.ViewOwner, state store.ViewState) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.failSaves > 0 {
		s.failSaves--
		return store.ErrFull
	}
	if state.Last <= s.states[key].Last {
		return fmt.Errorf("id %d after %d", state.Last, s.states[key].Last)
	}
	s.states[key] = state
	s.past[key] = append(s.past[key], state)
	return nil
}

// draw draws a widget as its reading, in a part of its own, beside its title.
func draw(w store.Widget, r store.WidgetReading, _ store.Window, _ bool) (Fragment, error) {
	id := "widget-" + string(w.Key)
	value := fmt.Sprintf(`<b id="%s--value">%s</b>`, id, r.JSON())
	title := fmt.Sprintf(`<i id="%s--title">%s</i>`, id, w.Title)
	return Fragment{
		Whole: []byte(fmt.Sprintf(`<div id="%s">%s%s</div>`, id, title, value)),
		Shell: string(w.Key),
		Parts: []Part{{id + "--title", []byte(title)}, {id + "--value", []byte(value)}},
	}, nil
}

// newHub makes a hub over a shelf, as a server that starts does.
func newHub(s *shelf, cycle time.Duration) *Hub {
	h := NewHub(s, draw, cycle, 30*time.Second, slog.New(slog.DiscardHandler), NewMetrics(prometheus.NewRegistry()))
	_ = h.Sync(context.Background()) // a shelf's heads can be read
	return h
}

func view() store.View { return viewOf("now-1h") }

func viewOf(from string) store.View {
	r, err := store.ParseRange(from, "now")
	if err != nil {
		panic(err)
	}
	return store.View{Tenant: tenant, Dashboard: "d", Range: r}
}

// watcher opens a view to watch it.
var watcher = Opener{Key: "ann", Watches: true}

// client is a reader of streams and what it knows.
type client struct {
	t       *testing.T
	format  Format
	cadence store.Cadence
	packed  bool
	linked  bool   // its connection is written by the hub's writers
	room    int    // of the connection, in bytes; 0: all fits
	view    string // where its range begins
	shelf   *shelf // to look up what really changed, if it is known

	mu       sync.Mutex
	cursor   string
	values   map[string]string // JSON by widget
	elements map[string]string // HTML by id
	updates  []string          // data of each metric_update
	at       []time.Time       // when each came
	beats    []time.Time
	events   []string // names of all events
	delay    time.Duration
	raw      []byte // all that came of the open stream
	read     int    // bytes of it that were understood, unpacked
	news     bool   // the next update may say what it knows: it has to get everything
	layout   string // of the page
	ahead    bool   // the next update may say what it knows: a page told more than its id stands for

	link *link
	stop context.CancelCauseFunc
	done chan error
}

func newClient(t *testing.T, format Format, cadence store.Cadence) *client {
	return &client{t: t, format: format, cadence: cadence, view: "now-1h", values: map[string]string{}, elements: map[string]string{}}
}

// open opens a stream with the client's cursor.
func (c *client) open(h *Hub) {
	c.t.Helper()
	pool, err := h.Open(context.Background(), viewOf(c.view), watcher)
	for tries := 0; err != nil; tries++ { // it is told to come again, and does
		if tries == 5 {
			c.t.Fatal(err)
		}
		time.Sleep(time.Second)
		pool, err = h.Open(context.Background(), viewOf(c.view), watcher)
	}
	c.raw, c.read, c.done = nil, 0, make(chan error, 1)
	c.news = c.news || c.cursor == "" || c.layout == "" && c.lostByDisk()
	w := pool.Watch(c.format, c.packed, c.cadence, c.cursor)
	w.OfLayout(c.layout)
	over := func(why error) {
		pool.Release()
		c.done <- why
	}
	if c.linked {
		c.link = newLink(c.room, func() time.Duration { return max(c.slowness()/100, time.Millisecond) }, c.arrive)
		c.stop = func(error) { c.link.breakOff() }
		w.done = over
		w.attached(h.writers.Attach(c.link, w.lane.group, w))
		return
	}
	ctx, stop := context.WithCancelCause(context.Background())
	c.stop = stop
	go func() { over(w.Run(ctx, c.write)) }()
}

// load reads the view as a page does, from which a stream goes on.
func (c *client) load(h *Hub) {
	pool, err := h.Open(context.Background(), viewOf(c.view), Opener{Key: "bob"})
	if err != nil {
		return // it shows an error, and the client knows what it knew
	}
	defer pool.Release()
	current := pool.Current()
	c.layout = current.Layout
	clear(c.elements)
	for i, w := range current.Snapshot.Widgets {
		f, err := draw(current.Dashboard.Widgets[i], w, current.Snapshot.Window, false)
		if err != nil {
			c.t.Fatal(err)
		}
		c.elements["widget-"+string(w.Key)] = string(f.Whole)
	}
	c.cursor, c.news, c.ahead = current.Snapshot.ID.String(), false, current.Snapshot.ID != pool.current.Load().id()
}

func (c *client) slowness() time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.delay
}

// cut ends the stream without a word.
func (c *client) cut() { c.cutAfter(0) }

// cutAfter loses the last bytes that came, as far as no event ends in them.
func (c *client) cutAfter(drop int) {
	c.settle()
	c.stop(context.Canceled)
	<-c.done
	c.mu.Lock()
	defer c.mu.Unlock()
	c.understand(drop)
}

// ended says whether the server ended the stream.
func (c *client) ended() bool { return len(c.done) > 0 }

// forget makes the client come back with another cursor than it was given.
func (c *client) forget(cursor string) {
	c.cursor, c.news = cursor, true
}

func (c *client) arrive(b []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.raw = append(c.raw, b...)
}

func (c *client) settle() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.understand(0)
}

func (c *client) write(events []byte) error {
	for began := time.Now(); c.slowness() > time.Since(began); {
		time.Sleep(min(c.slowness()-time.Since(began), 10*time.Second)) // it may get faster
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.raw = append(c.raw, events...)
	if !c.packed {
		c.understand(0)
	}
	return nil
}

// understand reads the whole events that came and were not read yet, but for
// those that end in the last bytes. The caller holds c.mu.
func (c *client) understand(drop int) {
	plain := c.plain()
	from := c.read
	plain = plain[:max(from, len(plain)-drop)]
	end := strings.LastIndex(string(plain), "\n\n") + 2
	if end < from+2 {
		return
	}
	c.read = end
	for _, e := range parse(c.t, string(plain[from:end])) {
		c.events = append(c.events, e.name)
		switch e.name {
		case metricUpdate:
			if !c.news && !c.lostByClock() && (len(e.id) < len(c.cursor) || (len(e.id) == len(c.cursor) && e.id <= c.cursor)) {
				c.t.Errorf("id %s after %s", e.id, c.cursor)
			}
			c.updates = append(c.updates, e.data)
			c.at = append(c.at, time.Now())
			c.apply(e)
			c.cursor, c.news, c.ahead = e.id, false, false
		case reload:
			c.news, c.layout = true, "" // a page would be loaded anew, and everything comes anyway
		case heartbeat:
			c.beats = append(c.beats, time.Now())
		}
	}
}

// lostByClock says that the client's cursor was never on disk, and the clock was set back: then
// nothing is left that could tell which ids were given.
func (c *client) lostByClock() bool {
	if c.shelf == nil {
		return false
	}
	c.shelf.mu.Lock()
	defer c.shelf.mu.Unlock()
	return c.shelf.setBack && !c.onDisk(c.cursor)
}

// lostByDisk says that the client's cursor was never on disk, because that failed. Another
// process then takes the client for a new one, and widgets that are gone are not named; a page
// is loaded anew, since its layout is another.
func (c *client) lostByDisk() bool {
	if c.shelf == nil {
		return false
	}
	c.shelf.mu.Lock()
	defer c.shelf.mu.Unlock()
	return !c.onDisk(c.cursor)
}

// onDisk says whether an id was ever kept. The caller holds the shelf's lock.
func (c *client) onDisk(id string) bool {
	seq, _ := store.ParseSeq(id)
	return slices.ContainsFunc(c.shelf.past[viewOf(c.view).Key()], func(s store.ViewState) bool { return trusts(s, seq) })
}

// plain gives all that came of the open stream, unpacked.
func (c *client) plain() []byte {
	if !c.packed || len(c.raw) == 0 {
		return c.raw
	}
	r, err := gzip.NewReader(bytes.NewReader(c.raw))
	if err != nil {
		if err != io.ErrUnexpectedEOF {
			c.t.Error(err)
		}
		return nil
	}
	plain, err := io.ReadAll(r)
	if err != io.ErrUnexpectedEOF {
		c.t.Errorf("after %d bytes: %v", len(plain), err)
	}
	return plain
}

var (
	pairs   = regexp.MustCompile(`"([^"]+)":([^,}]+)`)
	swapped = regexp.MustCompile(`<(div|b|i) id="([^"]+)" hx-swap-oob="(true|delete)">`)
)

// apply does to what the client knows what an update says.
func (c *client) apply(e sse) {
	data := e.data
	if c.format == JSON {
		if c.news {
			clear(c.values)
		}
		for _, pair := range pairs.FindAllStringSubmatch(data, -1) {
			if c.values[pair[1]] == pair[2] {
				c.knew(e, pair[1], data)
			}
			if c.values[pair[1]] = pair[2]; pair[2] == "null" {
				delete(c.values, pair[1])
			}
		}
		return
	}
	if c.news {
		clear(c.elements)
	}
	for _, at := range swapped.FindAllStringSubmatchIndex(data, -1) {
		tag, id, how := data[at[2]:at[3]], data[at[4]:at[5]], data[at[6]:at[7]]
		end := strings.Index(data[at[0]:], "</"+tag+">") + len("</"+tag+">")
		element := strings.Replace(data[at[0]:at[0]+end], ` hx-swap-oob="true"`, "", 1)
		widget, _, isPart := strings.Cut(id, "--")
		switch {
		case how == "delete":
			delete(c.elements, id)
		case isPart:
			old := regexp.MustCompile(`<` + tag + ` id="` + id + `">.*?</` + tag + `>`)
			switch old.FindString(c.elements[widget]) {
			case "":
				c.t.Errorf("a part of %s came before the whole", id)
			case element:
				c.knew(e, strings.TrimPrefix(widget, "widget-"), data)
			}
			c.elements[widget] = old.ReplaceAllLiteralString(c.elements[widget], element)
		default:
			if c.elements[id] == element {
				c.knew(e, strings.TrimPrefix(id, "widget-"), data)
			}
			c.elements[id] = element
		}
	}
}

// knew complains that the client was told what it knew, but where that was not so
// in between, or the dashboard was defined anew.
func (c *client) knew(e sse, widget, data string) {
	if c.news || c.ahead || c.shelf == nil {
		return
	}
	c.shelf.mu.Lock()
	defer c.shelf.mu.Unlock()
	from, _ := store.ParseSeq(c.cursor)
	to, _ := store.ParseSeq(e.id)
	past := c.shelf.past[viewOf(c.view).Key()]
	if !c.onDisk(c.cursor) || !c.onDisk(e.id) {
		return // the disk failed, so nobody can know what the id stands for, or how it came about
	}
	changes := map[store.Seq]bool{}
	for _, state := range past {
		for _, r := range state.Loose {
			if r.Last > from && r.First <= to {
				return // what changed, and back, while nobody watched was not kept
			}
		}
		w := state.Widgets[store.WidgetKey(widget)]
		seq := w.ValueSeq
		if c.format == HTML {
			seq = w.PictureSeq
		}
		if state.Last > from && state.Last <= to && seq > from {
			changes[seq] = true
		}
		if state.LayoutSeq > from && state.LayoutSeq <= to {
			return
		}
	}
	if len(changes) < 2 {
		c.t.Errorf("from %d to %d %s did not change, and yet came %s", from, to, widget, data)
	}
}

// knows gives all the client knows, in one text.
func (c *client) knows() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.understand(0)
	if c.format == JSON {
		return fmt.Sprint(c.values)
	}
	return fmt.Sprint(c.elements)
}

func (c *client) got() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.understand(0)
	return append([]string(nil), c.updates...)
}

// sse is a server-sent event, read by a parser of the test's own.
type sse struct{ name, id, data string }

func parse(t *testing.T, text string) (events []sse) {
	t.Helper()
	if !strings.HasSuffix(text, "\n\n") {
		t.Errorf("half an event: %q", text)
	}
	for block := range strings.SplitSeq(strings.TrimSuffix(text, "\n\n"), "\n\n") {
		var e sse
		var data []string
		for line := range strings.SplitSeq(block, "\n") {
			switch name, value, _ := strings.Cut(line, ": "); name {
			case "event":
				e.name = value
			case "id":
				e.id = value
			case "retry":
			case "data", "data:":
				data = append(data, value)
			default:
				t.Errorf("unknown field %q", line)
			}
		}
		e.data = strings.Join(data, "\n")
		events = append(events, e)
	}
	return events
}

func inBubble(t *testing.T, f func(t *testing.T)) {
	t.Helper()
	synctest.Test(t, f)
}

func counted(t *testing.T, c prometheus.Collector) int {
	t.Helper()
	return int(testutil.ToFloat64(c))
}

// lines tells whether b holds a line that begins so.
func hasLine(b []byte, prefix string) bool {
	return bytes.HasPrefix(b, []byte(prefix)) || bytes.Contains(b, []byte("\n"+prefix))
}
