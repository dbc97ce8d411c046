package store

import (
	"fmt"
	"time"
)

// Cadence is how often a screen takes updates: a viewer's choice, kept with the
// user. The word is its form in queries, forms and the store.
type Cadence string

// The cadences a viewer can choose, and Live, which a stream can ask for.
const (
	Every5s  Cadence = "5s"
	Every15s Cadence = "15s"
	Every30s Cadence = "30s"
	Every1m  Cadence = "1m"
	Off      Cadence = "off"  // no updates by themselves
	Live     Cadence = "live" // as often as the server recomputes
)

// DefaultCadence is what a user has who never chose.
const DefaultCadence = Every5s

// Choices are the cadences in the order of the selector on a page.
var Choices = []Cadence{Every5s, Every15s, Every30s, Every1m, Off}

// ParsePreference checks that s is a cadence a viewer can choose.
func ParsePreference(s string) (Cadence, error) {
	for _, c := range Choices {
		if s == string(c) {
			return c, nil
		}
	}
	return "", fmt.Errorf("refresh %s is unknown: use 5s, 15s, 30s, 1m or off", Quote(s))
}

// ParseStreamCadence checks that s is a cadence a stream can have.
func ParseStreamCadence(s string) (Cadence, error) {
	if c := Cadence(s); c == Live || (c != Off && c.Interval(0) > 0) {
		return c, nil
	}
	return "", fmt.Errorf("refresh %s is unknown: use 5s, 15s, 30s, 1m or live", Quote(s))
}

// Interval is the least time between two updates. A view is recomputed at most
// once a cycle, so no interval is shorter than that; Live is the cycle itself.
// Off has none and gives 0, as does a word that is no cadence.
func (c Cadence) Interval(cycle time.Duration) time.Duration {
	switch c {
	case Live:
		return cycle
	case Every5s:
		return max(5*time.Second, cycle)
	case Every15s:
		return max(15*time.Second, cycle)
	case Every30s:
		return max(30*time.Second, cycle)
	case Every1m:
		return max(time.Minute, cycle)
	}
	return 0
}
