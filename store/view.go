package store

import (
	"net/url"
	"slices"
	"strings"
	"time"
)

// Vars are the values a viewer picked for the variables of a dashboard: by
// variable name, the values of which an event must have one. A variable that is
// not there narrows nothing.
type Vars map[string][]string

// View is what a screen looks at. Screens with equal views share everything.
type View struct {
	Tenant    TenantID
	Dashboard DashboardID
	Range     Range
	Vars      Vars
}

// ViewKey names a view inside its tenant: equal views have equal keys.
type ViewKey string

// Key gives the view's name.
func (v View) Key() ViewKey {
	q := url.Values{}
	for name, values := range v.Vars {
		values = slices.Clone(values)
		slices.Sort(values)
		q[name] = slices.Compact(values)
	}
	return ViewKey(strings.Join([]string{string(v.Dashboard), v.Range.From.String(), v.Range.To.String(), q.Encode()}, "|"))
}

// Known gives the values of v for the dashboard's own variables only.
func (d Dashboard) Known(v Vars) Vars {
	known := Vars{}
	for _, variable := range d.Variables {
		if values, ok := v[variable.Name]; ok && len(values) > 0 {
			known[variable.Name] = values
		}
	}
	return known
}

// propertyOf gives the property that a variable narrows, empty when the
// dashboard has no such variable.
func (d Dashboard) propertyOf(variable string) string {
	for _, v := range d.Variables {
		if v.Name == variable {
			return v.Property
		}
	}
	return ""
}

// ViewState is what is known durably of a view: which ids it issued, and when
// each widget last changed. A cursor works after a restart because of it.
type ViewState struct {
	First, Last Seq    // the ids issued lie between; 0 means none yet
	Epoch       int64  // drawn at random with the first id; every id of the view carries it
	Layout      string // digest of the dashboard's definition
	LayoutSeq   Seq    // when that last changed
	Widgets     map[WidgetKey]WidgetState
}

// WidgetState is when a widget of a view last changed, and to what.
type WidgetState struct {
	Value      string `json:"v"` // digest of the JSON reading
	ValueSeq   Seq    `json:"vs"`
	Picture    string `json:"p"` // digest of the rendered HTML
	PictureSeq Seq    `json:"ps"`
	Removed    bool   `json:"r,omitempty"` // the widget went away, at PictureSeq
}

// Head is how far a tenant's data has come. A reader that knows the head knows
// whether it has something to read.
type Head struct {
	Events     EventSeq // the newest event
	Dashboards Revision
}

// Scan says which events to read: those kept after After whose time lies in
// [From, To). A zero From or To is open.
type Scan struct {
	After    EventSeq
	From, To time.Time
}
