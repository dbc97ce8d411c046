package store

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"
	"unicode/utf8"
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
	key := strings.Join([]string{string(v.Dashboard), v.Range.From.String(), v.Range.To.String(), q.Encode()}, "|")
	if len(key) > maxViewKey {
		sum := sha256.Sum256([]byte(key))
		key = string(v.Dashboard) + "|" + hex.EncodeToString(sum[:])
	}
	return ViewKey(key)
}

// maxViewKey is the length in bytes from which the key of a view is a digest.
const maxViewKey = 300

// MaxVarValues is the number of values that a view may narrow a variable to.
const MaxVarValues = 100

// Validate returns an error that says what would be right if a value could not be one of an
// event's property, or if there are too many.
func (v Vars) Validate() error {
	for name, values := range v {
		if len(values) > MaxVarValues {
			return fmt.Errorf("the variable %s has %d values: use %d at most", name, len(values), MaxVarValues)
		}
		for _, value := range values {
			if utf8.RuneCountInString(value) > MaxText {
				return fmt.Errorf("a value of the variable %s is too long: use %d characters at most, as properties have", name, MaxText)
			}
		}
	}
	return nil
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
	Loose       []IDRange // ids given to pages while nobody watched, which another epoch tells apart; the newest last
	Layout      string    // digest of the dashboard's definition
	LayoutSeq   Seq    // when that last changed
	Widgets     map[WidgetKey]WidgetState
}

// IDRange is ids of one epoch.
type IDRange struct {
	Epoch       int64 `json:"e"`
	First, Last Seq
}

// ViewOwner is whose screens a view was watched on first, as a name of fixed length. What is
// kept of views is bounded for each.
type ViewOwner string

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
