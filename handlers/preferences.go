package handlers

import (
	"net/http"

	"pulseboard/store"
)

// postPreferences keeps a user's choice of how often screens take updates.
func (s *Server) postPreferences(w http.ResponseWriter, r *http.Request) error {
	a, ok, err := s.signedIn(w, r)
	if !ok {
		return err
	}
	r.Body = http.MaxBytesReader(w, r.Body, maxForm)
	cadence, err := store.ParsePreference(r.PostFormValue("refresh"))
	if err != nil {
		return badRequest(err)
	}
	if err := s.Store.SetCadence(r.Context(), a.ID, cadence); err != nil {
		return err
	}
	if wantsPage(r) {
		seeOther(w, r.PostFormValue("next"))
		return nil
	}
	writeJSON(w, http.StatusOK, map[string]string{"refresh": string(cadence)})
	return nil
}
