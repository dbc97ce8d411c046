package store

import (
	"fmt"
	"regexp"
	"strconv"
)

// TenantID identifies a tenant inside one store. It is never shown to users;
// they know the [Slug].
type TenantID int64

// UserID identifies a user inside one store.
type UserID int64

// EventSeq is the place of an event in the order of commits. It only grows,
// and 0 stands before the first event.
type EventSeq int64

// Revision counts the changes of a tenant's dashboards. It only grows.
type Revision int64

// Slug is the short name of a tenant as people type it: a-z, 0-9 and '-'.
type Slug string

// DashboardID names a dashboard inside its tenant.
type DashboardID string

// WidgetKey names a widget inside its dashboard. It is the widget's name in the
// JSON stream and, behind "widget-", the id of its element in a page.
type WidgetKey string

var (
	slugPattern        = regexp.MustCompile(`^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$`)
	dashboardIDPattern = regexp.MustCompile(`^[A-Za-z0-9-]{1,100}$`)
	widgetKeyPattern   = regexp.MustCompile(`^[A-Za-z0-9_]+(?:-[A-Za-z0-9_]+)*$`)
)

// ParseSlug checks that s can name a tenant.
func ParseSlug(s string) (Slug, error) {
	if !slugPattern.MatchString(s) {
		return "", fmt.Errorf("%s can't name a tenant: use 1 to 63 of a-z, 0-9 and '-', not '-' at either end", Quote(s))
	}
	return Slug(s), nil
}

// ParseDashboardID checks that s can name a dashboard.
func ParseDashboardID(s string) (DashboardID, error) {
	if !dashboardIDPattern.MatchString(s) {
		return "", fmt.Errorf("%s can't be a dashboard id: use 1 to 100 letters, digits and '-'", Quote(s))
	}
	return DashboardID(s), nil
}

// ParseWidgetKey checks that s can be a widget's key. No key holds "--": that
// is what parts a widget's id from the names of its parts ("widget-KEY--rows").
func ParseWidgetKey(s string) (WidgetKey, error) {
	if len(s) > 100 || !widgetKeyPattern.MatchString(s) {
		return "", fmt.Errorf("%s can't be a widget key: use 1 to 100 letters, digits and '_', with single '-' between them", Quote(s))
	}
	return WidgetKey(s), nil
}

// Seq is the id of an update within one view. It only grows, over reconnects
// and restarts. On the wire it is a decimal integer, opaque to clients.
type Seq int64

// ParseSeq reads a cursor as a client brings it. ok is false for anything that
// [Seq.String] did not write.
func ParseSeq(s string) (seq Seq, ok bool) {
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil || n <= 0 || strconv.FormatInt(n, 10) != s {
		return 0, false
	}
	return Seq(n), true
}

// String returns the id as it is on the wire; [ParseSeq] reads it.
func (s Seq) String() string { return strconv.FormatInt(int64(s), 10) }
