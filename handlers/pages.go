package handlers

import (
	"bytes"
	"log/slog"
	"net/http"
	"net/url"
	"time"

	"github.com/a-h/templ"

	"pulseboard/store"
	"pulseboard/views"
)

// visitorPage gives what a page has that is the same for everybody.
func visitorPage(r *http.Request, title string) views.Page {
	return views.Page{Title: title, Theme: themeOf(r)}
}

// accountPage gives what every page of a signed-in user has.
func accountPage(r *http.Request, a account, title string) views.Page {
	return views.Page{
		Title:      title,
		TenantName: a.tenant.Name,
		UserEmail:  string(a.Email),
		Demo:       a.tenant.Demo,
		Theme:      themeOf(r),
	}
}

func themeOf(r *http.Request) string {
	switch theme := r.URL.Query().Get("theme"); theme {
	case "light", "dark":
		return theme
	}
	return ""
}

// writePage renders a page whole before it answers, so that an error in it is
// an answer of its own and not half a page.
func (s *Server) writePage(w http.ResponseWriter, r *http.Request, status int, page templ.Component) {
	var b bytes.Buffer
	if err := page.Render(r.Context(), &b); err != nil {
		requestLog(r.Context(), s.Log).Error("drawing a page failed", "path", r.URL.Path, "error", err)
		http.Error(w, "This page could not be drawn. The server's log says why.", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(status)
	_, _ = w.Write(b.Bytes()) // a reader that went away is no error of ours
}

func widgetHTML(c templ.Component) ([]byte, error) {
	var b bytes.Buffer
	if err := c.Render(noContext, &b); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}

func (s *Server) getDashboards(w http.ResponseWriter, r *http.Request) error {
	a, ok, err := s.signedIn(w, r)
	if !ok {
		return err
	}
	dashboards, err := s.Store.Dashboards(r.Context(), a.User.Tenant)
	if err != nil {
		return err
	}
	page := views.DashboardsPage{Page: accountPage(r, a, "Dashboards"), TenantSlug: string(a.tenant.Slug), BaseURL: baseURL(r)}
	for i, d := range dashboards {
		item := views.DashboardItem{
			ID:       string(d.ID),
			Title:    d.Title,
			Href:     "/dashboards/" + url.PathEscape(string(d.ID)),
			Widgets:  len(d.Widgets),
			Watching: s.hub.Watching(a.User.Tenant, d.ID),
		}
		if item.Title == "" {
			item.Title = item.ID
		}
		if i < maxPreviews {
			if item.Preview, err = s.preview(r, a, d); err != nil {
				requestLog(r.Context(), s.Log).Log(r.Context(), levelOf(err), "preview failed", "dashboard", d.ID, "error", err)
			}
		}
		page.Items = append(page.Items, item)
	}
	s.writePage(w, r, http.StatusOK, views.Dashboards(page))
	return nil
}

// levelOf is how loud the log says what could not be shown: what the server refuses by its own
// limits is nothing to mend.
func levelOf(err error) slog.Level {
	if asHTTPError(err).Status == http.StatusInternalServerError {
		return slog.LevelError
	}
	return slog.LevelDebug
}

// maxPreviews bounds what the list reads: beyond it, cards show no picture.
const maxPreviews = 24

// preview gives a dashboard's widgets as they are now.
func (s *Server) preview(r *http.Request, a account, d store.Dashboard) ([]views.Widget, error) {
	view, err := viewOf(a.User.Tenant, d, url.Values{}, nil)
	if err != nil {
		return nil, err
	}
	pool, err := s.hub.Open(r.Context(), view, s.userOpener(a))
	if err != nil {
		return nil, err
	}
	defer pool.Release()
	current := pool.Current()
	return boardWidgets(current.Dashboard, current.Snapshot, view.Range.Live()), nil
}

func baseURL(r *http.Request) string {
	scheme := "http"
	if r.TLS != nil || r.Header.Get("X-Forwarded-Proto") == "https" {
		scheme = "https"
	}
	return scheme + "://" + r.Host
}

// boardWidgets joins definitions and readings, in the dashboard's order.
func boardWidgets(d store.Dashboard, snapshot store.Snapshot, live bool) []views.Widget {
	readings := make(map[store.WidgetKey]store.WidgetReading, len(snapshot.Widgets))
	for _, r := range snapshot.Widgets {
		readings[r.Key] = r
	}
	widgets := make([]views.Widget, len(d.Widgets))
	for i, def := range d.Widgets {
		widgets[i] = views.Widget{Def: def, Reading: readings[def.Key], Window: snapshot.Window, Live: live}
	}
	return widgets
}

// past says whether a range ended before now, so that no new event falls into it.
func past(r store.Range, now time.Time) bool {
	if r.Moves() {
		return false
	}
	w, err := r.Window(now)
	return err == nil && w.To <= now.Unix()
}
