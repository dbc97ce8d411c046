package formula

import (
	"math"
	"testing"
)

// Whatever a formula says, it is refused or gives a finite number or none.
func FuzzFormula(f *testing.F) {
	for _, source := range []string{"a / b", "100 * (a - b) ** 2", "a > 1 ? b : -a", "max(a, b, 1)", "let x = a; x / 0", "a in [1, 2]", "a ?? 1", `$env["a"]`, "1..9", "0x_1 + a"} {
		f.Add(source, 1.5, 0.0)
	}
	f.Fuzz(func(t *testing.T, source string, a, b float64) {
		formula, err := Parse(source)
		if err != nil {
			return
		}
		values := make([]float64, len(formula.Names()))
		for i := range values {
			values[i] = []float64{a, b}[i%2]
		}
		v, ok := formula.Value(values)
		if math.IsInf(v, 0) || math.IsNaN(v) || !ok && v != 0 {
			t.Fatalf("%q gives %v, %v", source, v, ok)
		}
	})
}
