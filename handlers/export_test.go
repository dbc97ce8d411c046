package handlers

import (
	"context"
	"time"

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
		s.HoldSignIns(email, address, 1)(true)
	}
}

// HoldSignIns begins n attempts, fewer when they are refused. The function that it returns
// decides them.
func (s *Server) HoldSignIns(email store.Email, address string, n int) (decide func(failed bool)) {
	var begun []*loginAttempt
	for range n {
		attempt, _, _ := s.logins.begin(context.Background(), signInOrigin{email: email, network: networkOf(address)})
		if attempt != nil {
			begun = append(begun, attempt)
		}
	}
	return func(failed bool) {
		for _, attempt := range begun {
			attempt.end(failed)
		}
	}
}

// WaitingSignIns is how many attempts wait until others are decided.
func (s *Server) WaitingSignIns() int { return s.logins.waiting() }

// LetSignInsWait sets how long attempts wait until others are decided. Under the race detector
// a busy machine takes a multiple of the usual time to hash.
func (s *Server) LetSignInsWait(patience time.Duration) { s.logins.crowd.patience = patience }

// Patterns are those of all routes of the site.
func (s *Server) Patterns() []string {
	site, _ := s.routes()
	return site.patterns
}
