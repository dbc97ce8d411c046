package handlers

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/alexedwards/scs/v2"
	"github.com/gorilla/sessions"
	"github.com/prometheus/client_golang/prometheus"

	"pulseboard/store"
	"pulseboard/store/secret"
	"pulseboard/store/sqlite"
	"pulseboard/stream"
	"pulseboard/stream/turns"
	"pulseboard/views"
)

// Config is what a Server is made of.
type Config struct {
	Store     *sqlite.Store
	Log       *slog.Logger
	Registry  *prometheus.Registry
	Cycle     time.Duration // the shortest time between two updates of a view
	Heartbeat time.Duration
	Limits    stream.Limits // of one viewer
	Capacity  int           // streams that the server has room for

	ViewMemory   int           // bytes that views may take
	StallTimeout time.Duration // how long a reader of a stream may take nothing; 0: 30 s

	TLS     bool // cookies are Secure
	Metrics bool // /metrics is served beside the rest
	Build   Build
}

// Build names the program.
type Build struct {
	Version string `json:"version"`
	Commit  string `json:"commit"`
	Go      string `json:"go"`
}

// Server answers HTTP requests. Use New.
type Server struct {
	Config
	hub       *stream.Hub
	roster    *stream.Roster
	streams   *stream.Telemetry
	events    *eventMetrics
	sessions  *scs.SessionManager
	viewers   *sessions.CookieStore // of anonymous viewers of embeds
	logins    *loginThrottle
	origins   *signInOrigins
	intake    *intake
	large     *turns.Queue // of batches that take long to decode
	strangers *intake      // of those whose key is known when their body has been read
	draining  atomic.Bool
	inFlight  inFlight

	// Where passwords wait to be checked, of those who have signed in before and of
	// those who have not.
	knownLine, strangersLine *secret.Line
}

// New makes a server. Run its background work with Run.
func New(ctx context.Context, c Config) (*Server, error) {
	if c.StallTimeout == 0 {
		c.StallTimeout = defaultStallTimeout
	}
	signing, err := c.Store.ServerSecret(ctx, "embed-viewer-cookie")
	if err != nil {
		return nil, fmt.Errorf("read the secret of embed cookies: %w", err)
	}
	origins, err := newSignInOrigins(ctx, c.Store, c.TLS)
	if err != nil {
		return nil, err
	}
	registerStoreMetrics(c.Registry, c.Store, c.Log)
	telemetry := stream.NewTelemetry(c.Registry)
	hub := stream.NewHub(c.Store, render, c.Cycle, c.Heartbeat, c.Log, telemetry)
	if c.ViewMemory > 0 {
		hub.LimitMemory(c.ViewMemory)
	}
	if err := hub.UseWriters(); err != nil {
		return nil, fmt.Errorf("start the writers of streams: %w", err)
	}
	s := &Server{
		Config:    c,
		hub:       hub,
		roster:    stream.NewRoster(c.Limits, c.Capacity),
		streams:   telemetry,
		events:    newEventMetrics(c.Registry),
		viewers:   newViewerCookies(signing),
		logins:    newLoginThrottle(),
		origins:   origins,
		intake:    newIntake(bodiesInFlight),
		strangers: newIntake(strangersInFlight),
		large:     turns.New(max(1, runtime.GOMAXPROCS(0)/2)),

		knownLine:     secret.NewLine(waitingKnown),
		strangersLine: secret.NewLine(waitingStrangers),
	}
	s.sessions = newSessions(c.Store, c.TLS, func(w http.ResponseWriter, r *http.Request, err error) {
		s.writeError(w, r, asHTTPError(err)) // a session that the store can't read or keep
	})
	return s, nil
}

// Hub is the server's hub, for those who record events without HTTP.
func (s *Server) Hub() *stream.Hub { return s.hub }

// render draws a widget for the stream with the component that draws it on a page.
func render(w store.Widget, r store.WidgetReading, window store.Window, live bool) (stream.Fragment, error) {
	widget := views.Widget{Def: w, Reading: r, Window: window, Live: live}
	whole, err := widgetHTML(widget.Whole())
	if err != nil {
		return stream.Fragment{}, err
	}
	f := stream.Fragment{Whole: whole, Shell: widget.Shell()}
	for _, part := range widget.Parts() {
		html, err := widgetHTML(part.Component)
		if err != nil {
			return stream.Fragment{}, err
		}
		f.Parts = append(f.Parts, stream.Part{ID: part.ID, HTML: html})
	}
	return f, nil
}

const (
	// changesEvery is how often the server looks whether another process wrote to
	// the store. Looking costs one PRAGMA.
	changesEvery = 500 * time.Millisecond
	// sweepEvery is how soon a stream ends whose session, user or token is gone.
	sweepEvery = 5 * time.Second
	// pruneEvery is how often old views and counters are looked for.
	pruneEvery = time.Hour
	// viewsKept is how long the ids of a view are known that nobody watches.
	viewsKept = 90 * 24 * time.Hour
	// countersKept is how long the totals of a counter are known that nobody sends.
	countersKept = 90 * 24 * time.Hour
)

// Run does the server's background work until ctx ends: it notices what other
// processes write, ends streams that lost their right, and forgets what is old. When it
// returns, nothing of that runs any more, so that the store can be closed.
func (s *Server) Run(ctx context.Context) {
	s.syncHub(ctx)
	runTogether(
		func() { s.Store.Changes(ctx, changesEvery, func() { s.syncHub(ctx) }) },
		func() { s.Store.KeepRollups(ctx, s.Log) },
		func() { s.Store.KeepTidy(ctx, s.Log) },
		func() { repeat(ctx, sweepEvery, s.sweep) },
		func() { repeat(ctx, pruneEvery, s.prune) },
	)
	s.hub.Stop()
}

// runTogether runs jobs beside each other, so that none waits for another, and returns
// when all have ended.
func runTogether(jobs ...func()) {
	var running sync.WaitGroup
	for _, job := range jobs {
		running.Go(job)
	}
	running.Wait()
}

// repeat calls fn every so often until ctx ends.
func repeat(ctx context.Context, every time.Duration, fn func(context.Context)) {
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			fn(ctx)
		}
	}
}

// sweep ends the streams that lost their right, and forgets who is gone.
func (s *Server) sweep(ctx context.Context) {
	if err := s.sweepStreams(ctx); err != nil && ctx.Err() == nil {
		s.Log.Error("checking the rights of open streams failed", "error", err)
	}
	s.roster.Sweep()
	s.hub.Tidy()
}

// prune forgets what was last used long ago. It may take its time.
func (s *Server) prune(ctx context.Context) {
	if err := s.Store.PruneViewStates(ctx, time.Now().Add(-viewsKept)); err != nil && ctx.Err() == nil {
		s.Log.Error("forgetting old views failed", "error", err)
	}
	if err := s.Store.PruneCounters(ctx, time.Now().Add(-countersKept)); err != nil && ctx.Err() == nil {
		s.Log.Error("forgetting old counters failed", "error", err)
	}
	if err := s.Store.PruneSignIns(ctx, time.Now().Add(-originLife)); err != nil && ctx.Err() == nil {
		s.Log.Error("forgetting old sign-ins failed", "error", err)
	}
}

func (s *Server) syncHub(ctx context.Context) {
	if err := s.hub.Sync(ctx); err != nil && ctx.Err() == nil {
		s.Log.Error("reading what other processes wrote failed", "error", err)
	}
}

// Drain makes the server not ready and ends its streams. It returns when they
// are gone or ctx ends.
func (s *Server) Drain(ctx context.Context) {
	s.draining.Store(true)
	s.roster.Drain(ctx)
	s.hub.Close()
}

// Abort ends the requests that are still being answered, with an error, and returns when they
// have ended or ctx ends: then the store can be closed.
func (s *Server) Abort(ctx context.Context) { s.inFlight.abort(ctx) }

// Handler is the server's handler of all addresses.
func (s *Server) Handler() http.Handler {
	site, open := s.routes()
	return s.middleware(s.explainUnknown(site.ServeMux), open)
}
