package store

import (
	"fmt"
	"strings"
)

// User is a person who signs in. A user belongs to one tenant.
type User struct {
	ID     UserID
	Tenant TenantID
	Email  Email
	Role   Role
}

// Credential is what a password of a user is checked against.
type Credential struct {
	User
	PasswordHash string // by package secret
}

// Role says what a user may do. Each role includes the ones before it.
type Role string

// The roles, weakest first.
const (
	Viewer Role = "viewer" // sees dashboards
	Editor Role = "editor" // changes dashboards
	Admin  Role = "admin"  // changes users and keys
)

// ParseRole checks that s is one of the roles.
func ParseRole(s string) (Role, error) {
	switch r := Role(s); r {
	case Viewer, Editor, Admin:
		return r, nil
	}
	return "", fmt.Errorf("%s is no role: use viewer, editor or admin", Quote(s))
}

// Email is an address a user signs in with, trimmed and in lower case, so that
// equal addresses are equal strings.
type Email string

// ParseEmail normalises s. It asks only for what no address lacks: something on
// either side of one '@', no spaces and no control characters.
func ParseEmail(s string) (Email, error) {
	s = strings.ToLower(strings.TrimSpace(s))
	name, host, found := strings.Cut(s, "@")
	bad := !found || name == "" || host == "" || strings.Contains(host, "@") || len(s) > 254 ||
		strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r == 0x7f })
	if bad {
		return "", fmt.Errorf("%s is no e-mail address: it should look like name@example.com", Quote(s))
	}
	return Email(s), nil
}
