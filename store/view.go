package store

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/url"
	"slices"
	"strings"
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

// Key returns the view's name.
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

// Known returns the values of v for the dashboard's own variables only.
func (d Dashboard) Known(v Vars) Vars {
	known := Vars{}
	for _, variable := range d.Variables {
		if values, ok := v[variable.Name]; ok && len(values) > 0 {
			known[variable.Name] = values
		}
	}
	return known
}

// PropertyOf returns the property that a variable narrows, empty when the
// dashboard has no such variable.
func (d Dashboard) PropertyOf(variable string) string {
	for _, v := range d.Variables {
		if v.Name == variable {
			return v.Property
		}
	}
	return ""
}
