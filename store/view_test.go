package store

import (
	"testing"
)

func TestViewsThatLookAtTheSameShareAKey(t *testing.T) {
	r, _ := ParseRange("now-1h", "now")
	a := View{Dashboard: "d", Range: r, Vars: Vars{"x": {"2", "1", "2"}}}
	b := View{Dashboard: "d", Range: r, Vars: Vars{"x": {"1", "2"}}}
	if a.Key() != b.Key() {
		t.Errorf("%s and %s", a.Key(), b.Key())
	}
	b.Vars["x"] = []string{"1"}
	if a.Key() == b.Key() {
		t.Error("other values share a key")
	}
}
