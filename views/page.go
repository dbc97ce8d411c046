package views

import (
	"net/url"
	"strings"
	"time"

	"pulseboard/store"
)

// Page is what every page has.
type Page struct {
	Title      string
	TenantName string // empty when nobody is signed in
	UserEmail  string
	Demo       bool   // the data is made up, and the page says so
	Theme      string // light, dark, or empty for the system's
}

// LoginPage asks for e-mail and password.
type LoginPage struct {
	Page
	Email, Tenant string // as typed
	Next          string // where to go afterwards
	Error         string
	NeedTenant    bool // the address belongs to several workspaces
}

// DashboardsPage lists the dashboards of a tenant.
type DashboardsPage struct {
	Page
	TenantSlug string
	BaseURL    string // of this server, for the lines to copy
	Items      []DashboardItem
}

// DashboardItem is one dashboard of the list.
type DashboardItem struct {
	ID, Title, Href string
	Widgets         int
	Watching        int      // open streams
	Preview         []Widget // as they are now; empty when that is not known
}

// Link leads to another page of the same kind.
type Link struct {
	Label, Href string
	Current     bool
}

// VariableChoice lets a viewer narrow the dashboard to some values of a property.
type VariableChoice struct {
	Name, Label string
	Options     []Option
}

// Picked says whether a value is chosen.
func (v VariableChoice) Picked() bool {
	for _, o := range v.Options {
		if o.Selected {
			return true
		}
	}
	return false
}

// Option is one value of a choice.
type Option struct {
	Value    string
	Selected bool
}

// BoardPage is a dashboard, live.
type BoardPage struct {
	Page
	ID, Title   string
	Widgets     []Widget
	Range       store.Range
	Window      store.Window
	Refresh     store.Cadence
	Cursor      string // id of the state that the page shows
	StreamURL   string
	AsOf        time.Time
	Silence     time.Duration // without a byte for so long, a stream is taken for lost
	Past        bool          // the range lies in the past, so nothing changes
	Vars        []VariableChoice
	Kiosk       bool
	Polling     bool // the page reloads itself instead of streaming
	PollSeconds int
	Query       url.Values // of this page, for links that keep it
	Others      []Link
}

// ErrorPage says what went wrong and what to do.
type ErrorPage struct {
	Page
	Status    int
	Message   string
	RequestID string
}

// Heading is the error in a few words.
func (p ErrorPage) Heading() string {
	switch p.Status {
	case 404:
		return "Not found"
	case 401, 403:
		return "Not allowed"
	case 400:
		return "That can’t be read"
	case 429:
		return "Too many at once"
	case 503:
		return "Busy right now"
	}
	return "Something went wrong"
}

// liveState is what the page begins as; the script goes on from there.
func (p BoardPage) liveState() string {
	switch {
	case p.Polling:
		return "polling"
	case p.Past || p.Refresh == store.Off:
		return "paused"
	}
	return "connecting"
}

// path is the address of the page without its query.
func (p BoardPage) path() string { return "/dashboards/" + url.PathEscape(p.ID) }

// with gives the page's address with some of its query changed: name, value, …
// An empty value drops the name.
func (p BoardPage) with(pairs ...string) string {
	q := url.Values{}
	for name, values := range p.Query {
		q[name] = values
	}
	for i := 0; i+1 < len(pairs); i += 2 {
		if pairs[i+1] == "" {
			q.Del(pairs[i])
		} else {
			q.Set(pairs[i], pairs[i+1])
		}
	}
	if len(q) == 0 {
		return p.path()
	}
	return p.path() + "?" + q.Encode()
}

// rangeChoice is a time range that is one click away.
type rangeChoice struct{ from, label string }

var rangeChoices = []rangeChoice{
	{"now-15m", "Last 15 minutes"},
	{"now-1h", "Last 1 hour"},
	{"now-6h", "Last 6 hours"},
	{"now-24h", "Last 24 hours"},
	{"now-7d", "Last 7 days"},
	{"now-30d", "Last 30 days"},
}

// rangeName names the page's time range if it ends now.
func (p BoardPage) rangeName() string {
	from, to := p.Range.From.String(), p.Range.To.String()
	if to == "now" {
		for _, c := range rangeChoices {
			if c.from == from {
				return c.label
			}
		}
		if strings.HasPrefix(from, "now-") {
			return "Last " + strings.TrimPrefix(from, "now-")
		}
	}
	return ""
}

// rangeEnds gives both ends of the page's time range, in UTC.
func (p BoardPage) rangeEnds() string {
	begin, end := time.Unix(p.Window.From, 0).UTC(), time.Unix(p.Window.To, 0).UTC()
	const day = "2 Jan 2006"
	if begin.Format(day) == end.Format(day) {
		return begin.Format("2 Jan 15:04") + " – " + end.Format("15:04")
	}
	return begin.Format("2 Jan 15:04") + " – " + end.Format("2 Jan 15:04")
}

// rangeIs says whether a choice is the page's range.
func (p BoardPage) rangeIs(c rangeChoice) bool {
	return p.Range.To.String() == "now" && p.Range.From.String() == c.from
}

// bound writes an end of the range as a person would type it.
func (p BoardPage) bound(b store.Bound, at int64) string {
	if text := b.String(); strings.HasPrefix(text, "now") {
		return text
	}
	return time.Unix(at, 0).UTC().Format(time.RFC3339)
}

// hiddenQuery gives the query's fields that a form must keep, without those it
// sets itself: names that begin so.
func (p BoardPage) hiddenQuery(except ...string) [][2]string {
	var fields [][2]string
	for name, values := range p.Query {
		skip := false
		for _, prefix := range except {
			skip = skip || strings.HasPrefix(name, prefix)
		}
		for _, v := range values {
			if !skip {
				fields = append(fields, [2]string{name, v})
			}
		}
	}
	return fields
}

func initials(email string) string {
	name, _, _ := strings.Cut(email, "@")
	letters, n := "", 0
	for _, word := range strings.FieldsFunc(name, func(r rune) bool { return strings.ContainsRune("._-+", r) }) {
		if letters += store.FirstGrapheme(word); n == 1 {
			break
		}
		n++
	}
	return strings.ToUpper(letters)
}
