package handlers

import (
	"fmt"
	"net/http"
	"strconv"

	"pulseboard/store"
	"pulseboard/views"
)

// getSettings shows what the store holds of a tenant, and for how long.
func (s *Server) getSettings(w http.ResponseWriter, r *http.Request) error {
	a, ok, err := s.signedIn(w, r)
	if !ok {
		return err
	}
	holdings, err := s.Store.Holdings(r.Context(), a.User.Tenant)
	if err != nil {
		return err
	}
	size, err := s.Store.Size(r.Context())
	if err != nil {
		return err
	}
	s.writePage(w, r, http.StatusOK, views.Settings(views.SettingsPage{
		Page:      accountPage(r, a, "Settings"),
		Holdings:  holdings,
		StoreSize: size,
		Admin:     a.Role == store.Admin,
		Saved:     r.URL.Query().Has("saved"),
	}))
	return nil
}

// postRetention changes how long a tenant's data is kept. Only its admins may.
func (s *Server) postRetention(w http.ResponseWriter, r *http.Request) error {
	a, ok, err := s.signedIn(w, r)
	if !ok {
		return err
	}
	if a.Role != store.Admin {
		return fail(http.StatusForbidden, "forbidden", "Only admins change how long data is kept. Ask one of yours.")
	}
	r.Body = http.MaxBytesReader(w, r.Body, maxForm)
	var retention store.Retention
	for name, days := range map[string]*int{"event_days": &retention.EventDays, "rollup_days": &retention.RollupDays} {
		if *days, err = strconv.Atoi(r.PostFormValue(name)); err != nil {
			return badRequest(fmt.Errorf("%s %s is no number of days: use 1 to %d", name, store.Quote(r.PostFormValue(name)), store.MaxRetentionDays))
		}
	}
	if err := retention.Validate(); err != nil {
		return badRequest(err)
	}
	if err := s.Store.SetRetention(r.Context(), a.User.Tenant, retention); err != nil {
		return err
	}
	http.Redirect(w, r, "/settings?saved", http.StatusSeeOther)
	return nil
}
