package handlers

import (
	"errors"
	"net/http"
	"net/url"
	"slices"
	"time"

	"pulseboard/store"
	"pulseboard/stream"
	"pulseboard/views"
)

// shortestSilence is the least time without a byte after which a page takes its
// stream for lost.
const shortestSilence = 45 * time.Second

// pollSeconds is how often the page reloads where it cannot stream.
const pollSeconds = 30

// getDashboard shows a live page.
func (s *Server) getDashboard(w http.ResponseWriter, r *http.Request) error {
	a, ok, err := s.signedIn(w, r)
	if !ok {
		return err
	}
	id := store.DashboardID(r.PathValue("id"))
	d, view, err := s.openView(r, audience{tenant: a.User.Tenant}, id)
	if err != nil {
		return err
	}
	cadence, err := s.Store.Cadence(r.Context(), a.ID)
	if err != nil {
		return err
	}
	if text := r.URL.Query().Get("refresh"); text != "" {
		if cadence, err = store.ParsePreference(text); err != nil {
			return badRequest(err)
		}
	}
	page, err := s.boardPage(r, view, s.userOpener(a))
	if err != nil {
		return err
	}
	page.Page = accountPage(r, a, titleOf(d))
	page.Refresh = cadence
	page.Vars, err = s.variableChoices(r, d, view)
	if err != nil {
		return err
	}
	others, err := s.Store.Dashboards(r.Context(), a.User.Tenant)
	if err != nil {
		return err
	}
	for _, other := range others {
		page.Others = append(page.Others, views.Link{Label: titleOf(other), Href: "/dashboards/" + url.PathEscape(string(other.ID)), Current: other.ID == d.ID})
	}
	s.writePage(w, r, http.StatusOK, views.Board(page))
	return nil
}

func titleOf(d store.Dashboard) string {
	if d.Title == "" {
		return string(d.ID)
	}
	return d.Title
}

// boardPage gives what a board shows, whoever looks at it.
func (s *Server) boardPage(r *http.Request, view store.View, by stream.Opener) (views.BoardPage, error) {
	pool, err := s.hub.Open(r.Context(), view, by)
	if err != nil {
		return views.BoardPage{}, err
	}
	defer pool.Release()
	current := pool.Current()
	query := r.URL.Query()
	return views.BoardPage{
		ID:          string(view.Dashboard),
		Title:       titleOf(current.Dashboard),
		Widgets:     boardWidgets(current.Dashboard, current.Snapshot, view.Range.Live()),
		Range:       view.Range,
		Window:      current.Snapshot.Window,
		Cursor:      current.Snapshot.ID.String(),
		StreamURL:   streamURL(view, current.Layout),
		AsOf:        time.Now(),
		Silence:     max(shortestSilence, s.Heartbeat*3/2), // a heartbeat may be late, but not by half
		Past:        past(view.Range, time.Now()),
		Kiosk:       query.Has("kiosk") && query.Get("kiosk") != "false",
		Polling:     query.Has("poll"),
		PollSeconds: pollSeconds,
		Query:       query,
	}, nil
}

// streamURL is where a page gets its updates.
func streamURL(view store.View, layout string) string {
	query := viewQuery(view)
	query.Set("layout", layout)
	return "/api/stream/dashboard/" + url.PathEscape(string(view.Dashboard)) + "?" + query.Encode()
}

// maxChoices bounds the values a variable offers.
const maxChoices = 200

// variableChoices gives each variable of a dashboard with the values seen in the
// view's window, and those picked.
func (s *Server) variableChoices(r *http.Request, d store.Dashboard, view store.View) ([]views.VariableChoice, error) {
	window, err := view.Range.Window(time.Now())
	if err != nil {
		return nil, badRequest(err)
	}
	var choices []views.VariableChoice
	for _, variable := range d.Variables {
		values, err := s.Store.PropertyValues(r.Context(), view.Tenant, variable.Property,
			time.Unix(window.From, 0), time.Unix(window.To, 0), maxChoices)
		if err != nil && !errors.Is(err, store.ErrNotFound) {
			return nil, err
		}
		picked := view.Vars[variable.Name]
		for _, value := range picked {
			if !slices.Contains(values, value) {
				values = append(values, value)
			}
		}
		slices.Sort(values)
		choice := views.VariableChoice{Name: variable.Name, Label: variable.Name}
		for _, value := range values {
			choice.Options = append(choice.Options, views.Option{Value: value, Selected: slices.Contains(picked, value)})
		}
		choices = append(choices, choice)
	}
	return choices, nil
}
