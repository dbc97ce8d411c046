package handlers

import (
	"pulseboard/store"
	"pulseboard/store/secret"
)

// FillStrangersLine lets no password be checked of those who have not signed in
// before, as if a crowd of them stood in line.
func (s *Server) FillStrangersLine() { s.strangersLine = secret.NewLine(0) }

// FailToSignIn counts failures as if so many wrong passwords had been sent just
// now. Hashing them would take long enough for some to be forgiven.
func (s *Server) FailToSignIn(email store.Email, address string, n int) {
	for range n {
		if attempt, _ := s.logins.begin(signInOrigin{email: email, network: networkOf(address)}); attempt != nil {
			attempt.end(true)
		}
	}
}

// Patterns are those of all routes of the site.
func (s *Server) Patterns() []string {
	site, _ := s.routes()
	return site.patterns
}
