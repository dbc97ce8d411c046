package stream

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"regexp"
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

// shelf is a Source in memory. What stands on it survives the hubs over it, as
// a file survives the processes that open it.
type shelf struct {
	mu        sync.Mutex
	dashboard store.Dashboard
	head      store.Head
	events    []store.Event
	states    map[store.ViewKey]store.ViewState

	scans     int
	failScans int // so many scans fail halfway
	failSaves int
}

func newShelf() *shelf {
	s := &shelf{states: map[store.ViewKey]store.ViewState{}}
	s.define("a", "b", "c")
	return s
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
		s.events = append(s.events, store.Event{Seq: s.head.Events, Name: name, Time: time.Now()})
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

func (s *shelf) ViewState(_ context.Context, _ store.TenantID, key store.ViewKey) (store.ViewState, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.states[key], nil
}

func (s *shelf) SaveViewState(_ context.Context, _ store.TenantID, key store.ViewKey, state store.ViewState) error {
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

func view() store.View {
	r, err := store.ParseRange("now-1h", "now")
	if err != nil {
		panic(err)
	}
	return store.View{Tenant: tenant, Dashboard: "d", Range: r}
}

// client is a reader of streams and what it knows.
type client struct {
	t       *testing.T
	format  Format
	cadence store.Cadence
	packed  bool

	mu       sync.Mutex
	cursor   string
	values   map[string]string // JSON by widget
	elements map[string]string // HTML by id
	updates  []string          // data of each metric_update
	at       []time.Time       // when each came
	beats    []time.Time
	events   []string // names of all events
	delay    time.Duration
	raw      []byte // of the open stream, when it is packed
	read     int    // bytes of it that were unpacked

	stop context.CancelCauseFunc
	done chan error
}

func newClient(t *testing.T, format Format, cadence store.Cadence) *client {
	return &client{t: t, format: format, cadence: cadence, values: map[string]string{}, elements: map[string]string{}}
}

// open opens a stream with the client's cursor.
func (c *client) open(h *Hub) {
	c.t.Helper()
	pool, err := h.Open(context.Background(), view())
	for tries := 0; err != nil; tries++ { // it is told to come again, and does
		if tries == 5 {
			c.t.Fatal(err)
		}
		time.Sleep(time.Second)
		pool, err = h.Open(context.Background(), view())
	}
	c.raw, c.read = nil, 0
	ctx, stop := context.WithCancelCause(context.Background())
	c.stop, c.done = stop, make(chan error, 1)
	w := pool.Watch(c.format, c.packed, c.cadence, c.cursor)
	go func() {
		defer pool.Release()
		c.done <- w.Run(ctx, c.write)
	}()
}

// cut ends the stream without a word.
func (c *client) cut() {
	c.stop(context.Canceled)
	<-c.done
}

func (c *client) write(events []byte) error {
	c.mu.Lock()
	delay := c.delay
	c.mu.Unlock()
	time.Sleep(delay)
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.packed {
		events = c.unpack(events)
	}
	for _, e := range parse(c.t, string(events)) {
		c.events = append(c.events, e.name)
		switch e.name {
		case metricUpdate:
			if len(e.id) < len(c.cursor) || (len(e.id) == len(c.cursor) && e.id <= c.cursor) {
				c.t.Errorf("id %s after %s", e.id, c.cursor)
			}
			c.cursor = e.id
			c.updates = append(c.updates, e.data)
			c.at = append(c.at, time.Now())
			c.apply(e.data)
		case heartbeat:
			c.beats = append(c.beats, time.Now())
		}
	}
	return nil
}

// unpack gives what is new in a packed stream after these bytes.
func (c *client) unpack(packed []byte) []byte {
	c.raw = append(c.raw, packed...)
	r, err := gzip.NewReader(bytes.NewReader(c.raw))
	if err != nil {
		c.t.Error(err)
		return nil
	}
	plain, err := io.ReadAll(r)
	if err != io.ErrUnexpectedEOF {
		c.t.Errorf("after %d bytes: %v", len(plain), err)
	}
	from := c.read
	c.read = len(plain)
	return plain[from:]
}

var (
	pairs   = regexp.MustCompile(`"([^"]+)":([^,}]+)`)
	swapped = regexp.MustCompile(`<(div|b|i) id="([^"]+)" hx-swap-oob="(true|delete)">`)
)

// apply does to what the client knows what an update says.
func (c *client) apply(data string) {
	if c.format == JSON {
		for _, pair := range pairs.FindAllStringSubmatch(data, -1) {
			if c.values[pair[1]] = pair[2]; pair[2] == "null" {
				delete(c.values, pair[1])
			}
		}
		return
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
			if !old.MatchString(c.elements[widget]) {
				c.t.Errorf("a part of %s came before the whole", id)
			}
			c.elements[widget] = old.ReplaceAllLiteralString(c.elements[widget], element)
		default:
			c.elements[id] = element
		}
	}
}

// knows gives all the client knows, in one text.
func (c *client) knows() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.format == JSON {
		return fmt.Sprint(c.values)
	}
	return fmt.Sprint(c.elements)
}

func (c *client) got() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
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
