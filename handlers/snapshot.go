package handlers

import (
	"encoding/json"
	"net/http"
	"time"

	"pulseboard/store"
)

// getSnapshot answers with all readings of a view: the stream's polling twin.
func (s *Server) getSnapshot(w http.ResponseWriter, r *http.Request) error {
	id := store.DashboardID(r.PathValue("id"))
	a, err := s.audience(r, id)
	if err != nil {
		return err
	}
	_, view, err := s.openView(r, a, id)
	if err != nil {
		return err
	}
	pool, err := s.hub.Open(r.Context(), view, s.opener(a, false))
	if err != nil {
		return err
	}
	defer pool.Release()
	snapshot := pool.Current().Snapshot
	readings := make(map[store.WidgetKey]json.RawMessage, len(snapshot.Widgets))
	for _, widget := range snapshot.Widgets {
		readings[widget.Key] = widget.JSON()
	}
	writeJSON(w, http.StatusOK, map[string]any{
		"id":        snapshot.ID.String(),
		"timestamp": time.Now().UTC().Format(time.RFC3339),
		"readings":  readings,
	})
	return nil
}
