package handlers

import "net/http"

// middleware is what every request passes through, outermost first. What matches
// one of the patterns in open may come from pages of any origin.
func (s *Server) middleware(next http.Handler, open []string) http.Handler {
	sameOrigin := http.NewCrossOriginProtection()
	for _, pattern := range open {
		sameOrigin.AddInsecureBypassPattern(pattern)
	}
	sameOrigin.SetDenyHandler(s.handle(func(http.ResponseWriter, *http.Request) error {
		return fail(http.StatusForbidden, "cross_origin", "This request came from a page of another site, so it was refused. Use the page on this server.")
	}))
	return s.receive(s.recoverPanics(s.secureHeaders(sameOrigin.Handler(next))))
}

// contentPolicy lets a page load from its own server only, and nothing inline.
const contentPolicy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; connect-src 'self'; form-action 'self'; base-uri 'none'; "

// secureHeaders sets what holds for every answer. An embed allows its ancestors
// itself; what may be cached says so itself.
func (s *Server) secureHeaders(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", contentPolicy+"frame-ancestors 'none'")
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Cross-Origin-Opener-Policy", "same-origin")
		h.Set("Cache-Control", "no-store")
		if s.TLS {
			h.Set("Strict-Transport-Security", "max-age=31536000")
		}
		next.ServeHTTP(w, r)
	})
}
