package store

// Tenant is who owns data. Nothing crosses from one tenant to another.
type Tenant struct {
	ID   TenantID
	Slug Slug
	Name string // as shown to people; the slug where none was given
	Demo bool   // its events are made up, and every page says so
}
