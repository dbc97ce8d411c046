package handlers

import "net/http"

// getHealth answers as long as the process serves at all.
func (s *Server) getHealth(w http.ResponseWriter, _ *http.Request) error {
	writeJSON(w, http.StatusOK, map[string]string{"status": "ok"})
	return nil
}

// getReady answers whether requests should be sent here: not while the server
// drains, nor when its store cannot be read.
func (s *Server) getReady(w http.ResponseWriter, r *http.Request) error {
	if s.draining.Load() {
		return fail(http.StatusServiceUnavailable, "draining", "The server is stopping.")
	}
	if err := s.Store.Ping(r.Context()); err != nil {
		return fail(http.StatusServiceUnavailable, "store_unavailable", "The server's store can't be read.").because(err)
	}
	writeJSON(w, http.StatusOK, map[string]string{"status": "ready"})
	return nil
}

func (s *Server) getVersion(w http.ResponseWriter, _ *http.Request) error {
	writeJSON(w, http.StatusOK, s.Build)
	return nil
}
