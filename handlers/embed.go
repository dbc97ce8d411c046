package handlers

import (
	"crypto/rand"
	"net/http"
	"strings"

	"github.com/gorilla/sessions"

	"pulseboard/store"
	"pulseboard/views"
)

// viewerCookie is the cookie that an anonymous viewer of embeds is known by.
const viewerCookie = "pulseboard_viewer"

// viewerCookieLife is how long an anonymous viewer is remembered, in seconds.
const viewerCookieLife = 30 * 24 * 3600

// newViewerCookies signs cookies that work in a frame on another site: browsers
// keep them apart for each site that embeds (Partitioned, CHIPS).
func newViewerCookies(secret []byte) *sessions.CookieStore {
	cookies := sessions.NewCookieStore(secret)
	cookies.Options = &sessions.Options{
		Path:        "/embed/",
		MaxAge:      viewerCookieLife,
		HttpOnly:    true,
		Secure:      true,
		SameSite:    http.SameSiteNoneMode,
		Partitioned: true,
	}
	cookies.MaxAge(viewerCookieLife)
	return cookies
}

// getEmbed shows a board without chrome, for a frame on a page of another origin.
func (s *Server) getEmbed(w http.ResponseWriter, r *http.Request) error {
	id := store.DashboardID(r.PathValue("id"))
	text, ok := tokenOf(r)
	if !ok {
		return unauthorized(nil)
	}
	a, err := s.tokenAudience(r, text, id)
	if err != nil {
		return err
	}
	allowFraming(w.Header(), a.claims.Ancestors)
	_, view, err := s.openView(r, a, id)
	if err != nil {
		return err
	}
	page, err := s.boardPage(r, view, s.opener(a, false))
	if err != nil {
		return err
	}
	page.Page = views.Page{Title: page.Title, Theme: themeOf(r)}
	tenant, err := s.Store.TenantByID(r.Context(), a.tenant)
	if err != nil {
		return err
	}
	page.Demo = tenant.Demo
	page.Refresh = a.cadence
	requestLog(r.Context(), s.Log).Info("embed opened", "dashboard", id, "viewer", s.viewer(w, r))
	s.writePage(w, r, http.StatusOK, views.Embed(page))
	return nil
}

// allowFraming lets the pages of these origins, and no others, frame the answer.
// The origins come from a verified token and hold nothing but an origin each.
func allowFraming(h http.Header, ancestors []string) {
	allowed := "'none'"
	if len(ancestors) > 0 {
		allowed = strings.Join(ancestors, " ")
	}
	h.Set("Content-Security-Policy", contentPolicy+"frame-ancestors "+allowed)
	h.Del("Cross-Origin-Opener-Policy")
}

// viewer gives the name an anonymous viewer is known by in the log, from the
// cookie or new. Where cookies are blocked each visit is a new viewer, and all
// else works the same.
func (s *Server) viewer(w http.ResponseWriter, r *http.Request) string {
	session, _ := s.viewers.Get(r, viewerCookie) // a cookie that is forged or too old gives a new session
	name, known := session.Values["viewer"].(string)
	if !known {
		name = rand.Text()
		session.Values["viewer"] = name
		if err := session.Save(r, w); err != nil {
			requestLog(r.Context(), s.Log).Debug("no viewer cookie", "error", err)
		}
	}
	return name
}
