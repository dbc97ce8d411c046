package handlers

import (
	"net/http"

	"github.com/prometheus/client_golang/prometheus/promhttp"

	"pulseboard/static"
	"pulseboard/store/ingest/otlp"
)

// siteMap is a mux whose patterns can be listed.
type siteMap struct {
	*http.ServeMux
	patterns []string
}

func (m *siteMap) Handle(pattern string, h http.Handler) {
	m.patterns = append(m.patterns, pattern)
	m.ServeMux.Handle(pattern, h)
}

// routes is the map of the site. What matches one of the patterns in open may come from
// pages of any origin.
func (s *Server) routes() (mux *siteMap, open []string) {
	mux = &siteMap{ServeMux: http.NewServeMux()}
	page := func(pattern string, h handler) { mux.Handle(pattern, s.sessions.LoadAndSave(s.handle(h))) }
	plain := func(pattern string, h handler) { mux.Handle(pattern, s.handle(h)) }

	// Signing in and out.
	page("GET /{$}", s.getHome)
	page("GET /login", s.getLogin)
	page("POST /login", s.postLogin)
	page("POST /logout", s.postLogout)

	// Pages.
	page("GET /dashboards", s.getDashboards)
	page("GET /dashboards/{id}", s.getDashboard)
	page("POST /preferences", s.postPreferences)
	page("GET /settings", s.getSettings)
	page("POST /settings/retention", s.postRetention)
	plain("GET /embed/{id}", s.getEmbed)

	// For machines, and for the pages' own scripts.
	plain("GET /api/stream/dashboard/{id}", untilSenderLeaves(s.getStream))
	plain("GET /api/dashboards/{id}/snapshot", s.getSnapshot)
	plain("GET /schema/dashboard.json", s.getSchema)

	// For those who send events, from a server or from pages of any origin.
	events := func(path string, h handler) {
		open = append(open, "POST "+path)
		mux.Handle("POST "+path, s.fromAnywhere(h))
		mux.Handle("OPTIONS "+path, http.HandlerFunc(preflight))
	}
	events("/api/events", s.postEvents)
	for path, kind := range segmentPaths {
		events(path, s.postSegment(kind))
	}
	for _, path := range posthogPaths {
		events(path, s.postPostHog)
	}
	for _, signal := range []otlp.Signal{otlp.Logs, otlp.Traces, otlp.Metrics} {
		events("/v1/"+string(signal), s.postOTLP(signal))
	}

	// For operators.
	plain("GET /healthz", s.getHealth)
	plain("GET /readyz", s.getReady)
	plain("GET /version", s.getVersion)
	if s.Metrics {
		mux.Handle("GET /metrics", s.MetricsHandler())
	}

	mux.Handle("GET /static/", static.Handler())
	mux.Handle("GET /favicon.ico", http.RedirectHandler(static.Path("icon-live.svg"), http.StatusFound))

	return mux, open
}

// MetricsHandler serves the metrics in the format of Prometheus.
func (s *Server) MetricsHandler() http.Handler {
	return promhttp.HandlerFor(s.Registry, promhttp.HandlerOpts{})
}

// explainUnknown answers what no pattern takes like any other error: as a page
// or as JSON, and not as the plain text of the mux.
func (s *Server) explainUnknown(mux *http.ServeMux) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.RequestURI == "*" { // of OPTIONS, for the server as a whole
			s.writeError(w, r, notFound("page"))
			return
		}
		h, pattern := mux.Handler(r)
		if pattern != "" {
			mux.ServeHTTP(w, r)
			return
		}
		verdict := muteWriter{header: http.Header{}}
		h.ServeHTTP(&verdict, r)
		switch verdict.status {
		case http.StatusNotFound:
			s.writeError(w, r, notFound("page"))
		case http.StatusMethodNotAllowed:
			allowed := verdict.header.Get("Allow")
			w.Header().Set("Allow", allowed)
			s.writeError(w, r, fail(verdict.status, "method_not_allowed", "This address takes %s, not %s.", allowed, r.Method))
		default:
			mux.ServeHTTP(w, r)
		}
	})
}

// muteWriter takes an answer and keeps its status and headers only.
type muteWriter struct {
	header http.Header
	status int
}

func (w *muteWriter) Header() http.Header         { return w.header }
func (w *muteWriter) WriteHeader(status int)      { w.status = status }
func (w *muteWriter) Write(b []byte) (int, error) { return len(b), nil }
