package store

import (
	"encoding/json"
	"math"
	"testing"
)

func TestReadingsAreFiniteJSON(t *testing.T) {
	for _, f := range []float64{0, math.Copysign(0, -1), 1e21, 1e-7, 0.012, 1523, -1e200, math.MaxFloat64, 5e-324} {
		text := Of(f).AppendJSON(nil)
		var back float64
		if err := json.Unmarshal(text, &back); err != nil || back != f {
			t.Errorf("%v is written %s (%v)", f, text, err)
		}
	}
	if got := string(Number{}.AppendJSON(nil)); got != "null" {
		t.Errorf("no number is %s", got)
	}
}
