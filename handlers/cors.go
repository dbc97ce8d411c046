package handlers

import "net/http"

// preflightKept is for how long, in seconds, browsers may keep the answer to a preflight.
const preflightKept = "86400"

// fromAnywhere makes a handler for events, which pages of any origin may send: an
// ingest key in the request authorises it, never a cookie. Errors are JSON.
func (s *Server) fromAnywhere(h handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Access-Control-Allow-Origin", "*")
		w.Header().Set("Access-Control-Expose-Headers", "Retry-After, X-Request-Id")
		if err := h(w, r); err != nil {
			s.writeJSONError(w, r, asHTTPError(err))
		}
	})
}

// preflight answers a browser that asks whether a page may send events. All headers
// are allowed that the page wants to send; they are named, for "*" would not hold
// Authorization.
func preflight(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Access-Control-Allow-Origin", "*")
	h.Set("Access-Control-Allow-Methods", "POST")
	h.Set("Access-Control-Max-Age", preflightKept)
	h.Set("Vary", "Access-Control-Request-Headers")
	if asked := r.Header.Get("Access-Control-Request-Headers"); asked != "" {
		h.Set("Access-Control-Allow-Headers", asked)
	} else {
		h.Set("Access-Control-Allow-Headers", "Authorization, Content-Encoding, Content-Type")
	}
	w.WriteHeader(http.StatusNoContent)
}
