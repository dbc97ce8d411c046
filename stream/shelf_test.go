package stream

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"pulseboard/store"
	"pulseboard/store/fold"
)

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
	h := NewHub(s, draw, cycle, 30*time.Second, slog.New(slog.DiscardHandler), NewTelemetry(prometheus.NewRegistry()))
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
