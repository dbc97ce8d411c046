package stream

import (
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"io"
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
)

const tenant store.TenantID = 1

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
