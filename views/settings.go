package views

import (
	"math"
	"strconv"

	"pulseboard/store"
)

// SettingsPage shows what the store holds of a tenant, and for how long.
type SettingsPage struct {
	Page
	Holdings  store.Holdings
	StoreSize int64 // bytes on disk, of all tenants
	Admin     bool  // may change it
	Saved     bool  // just did
}

// progress says how far a rollup is.
func progress(r store.RollupProgress) string {
	switch {
	case r.Wide:
		return "Too many groups: read from the events"
	case r.Done >= 1:
		return "Up to date"
	}
	return "Counting, " + strconv.Itoa(int(math.Floor(r.Done*100))) + " % done"
}

// byteSize writes a number of bytes.
func byteSize(n int64) string { return bytesFigure(float64(n)).String() }

// wholeNumber writes a number in full, with commas.
func wholeNumber(n int64) string { return commas(strconv.FormatInt(n, 10)) }
