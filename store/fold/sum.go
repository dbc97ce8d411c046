package fold

import "math"

// exactSum is a sum of floating-point numbers without rounding error, so that
// it does not depend on the order of its terms and sums can be merged. It keeps
// the sum as several numbers that do not overlap, smallest first.
//
// Source: J. R. Shewchuk, Adaptive Precision Floating-Point Arithmetic and Fast
// Robust Geometric Predicates, 1997, the algorithm GROW-EXPANSION; correctly
// rounded at the end as Python's math.fsum does.
type exactSum struct{ partials []float64 }

func (s *exactSum) add(x float64) {
	kept := s.partials[:0]
	for _, y := range s.partials {
		if math.Abs(x) < math.Abs(y) {
			x, y = y, x
		}
		high := x + y
		if low := y - (high - x); low != 0 {
			kept = append(kept, low)
		}
		x = high
	}
	s.partials = append(kept, x)
}

func (s *exactSum) merge(o exactSum) {
	for _, x := range o.partials {
		s.add(x)
	}
}

// value is the number nearest to the exact sum.
func (s *exactSum) value() float64 {
	n := len(s.partials)
	if n == 0 {
		return 0
	}
	n--
	high, low := s.partials[n], 0.0
	for n > 0 {
		x := high
		n--
		y := s.partials[n]
		high = x + y
		if low = y - (high - x); low != 0 {
			break
		}
	}
	// Half-way cases round to even by what lies below them.
	if n > 0 && ((low < 0 && s.partials[n-1] < 0) || (low > 0 && s.partials[n-1] > 0)) {
		y := low * 2
		if x := high + y; y == x-high {
			high = x
		}
	}
	return high
}
