package store

import (
	"math"
	"slices"

	"github.com/DataDog/sketches-go/ddsketch"
	"github.com/DataDog/sketches-go/ddsketch/mapping"
	"github.com/DataDog/sketches-go/ddsketch/store"
)

const (
	// exactValues is the number of values up to which a distribution keeps each
	// as it is: percentiles of so few are exact, and a list of them is no larger
	// than a sketch.
	exactValues = 100
	// sketchAccuracy bounds the relative error of a percentile of more values.
	sketchAccuracy = 0.005
)

// distribution is a set of numbers that gives percentiles: each number up to
// exactValues of them, a DDSketch beyond (Masson, Rim and Lee, DDSketch, 2019).
type distribution struct {
	values []float64
	sketch *ddsketch.DDSketch // nil while values holds all
}

func (d *distribution) add(f float64) {
	if d.sketch != nil {
		d.addToSketch(f)
		return
	}
	d.values = append(d.values, f)
	if len(d.values) > exactValues {
		d.toSketch()
	}
}

func (d *distribution) toSketch() {
	if d.sketch != nil {
		return
	}
	m, err := mapping.NewLogarithmicMapping(sketchAccuracy)
	if err != nil {
		panic(err) // only for an accuracy outside (0, 1)
	}
	d.sketch = ddsketch.NewDDSketch(m, store.NewBufferedPaginatedStore(), store.NewBufferedPaginatedStore())
	for _, f := range d.values {
		d.addToSketch(f)
	}
	d.values = nil
}

func (d *distribution) addToSketch(f float64) {
	if err := d.sketch.Add(f); err != nil {
		panic(err) // only for numbers far outside ±MaxNumber, which no event has
	}
}

func (d *distribution) merge(o *distribution) {
	if o.sketch == nil {
		for _, f := range o.values {
			d.add(f)
		}
		return
	}
	d.toSketch()
	if err := d.sketch.MergeWith(o.sketch); err != nil {
		panic(err) // only for sketches of different accuracy
	}
}

// percentile gives the nearest-rank percentile: the smallest value that at
// least p in 100 values do not exceed. There must be values.
func (d *distribution) percentile(p int) float64 {
	if d.sketch == nil {
		sorted := slices.Sorted(slices.Values(d.values))
		return sorted[nearestRank(p, len(sorted))-1]
	}
	n := int(d.sketch.GetCount())
	f, err := d.sketch.GetValueAtQuantile(quantileOf(nearestRank(p, n)-1, n))
	if err != nil {
		panic(err) // only without values or for a quantile outside [0, 1]
	}
	return f
}

// quantileOf gives the q for which the sketch looks up the value of rank i of n,
// counted from 0: it takes the rank q·(n−1), and a rounding error of one bit in
// it would be the next rank.
func quantileOf(i, n int) float64 {
	if n < 2 {
		return 0
	}
	last := float64(n - 1)
	q := float64(i) / last
	for _, candidate := range []float64{q, math.Nextafter(q, 1), math.Nextafter(q, 0)} {
		if candidate*last == float64(i) {
			return candidate
		}
	}
	return q
}

// nearestRank gives ⌈p/100·n⌉ without rounding error, at least 1.
func nearestRank(p, n int) int { return max(1, (p*n+99)/100) }
