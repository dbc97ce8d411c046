package handlers

// Patterns are those of all routes of the site.
func (s *Server) Patterns() []string {
	site, _ := s.routes()
	return site.patterns
}
