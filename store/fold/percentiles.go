package fold

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"slices"
	"unsafe"

	"pulseboard/store/pack"
)

const (
	// exactValues is the number of values up to which a distribution keeps each
	// as it is: percentiles of so few are exact, and a list of them is no larger
	// than a sketch.
	exactValues = 100
	// sketchAccuracy bounds the relative error of a percentile of more values.
	sketchAccuracy = 0.005
	// binOfOne is the bin of the value 1. Bins of larger values have larger numbers, and
	// those of values down to leastBinned are positive.
	binOfOne    = 70_000
	leastBinned = 1e-300
	// lastBin is that of MaxNumber.
	lastBin = 120_000
)

// distribution is a set of numbers that gives percentiles: each number up to
// exactValues of them; beyond, how many lie in bins whose bounds grow by a constant
// factor (Masson, Rim and Lee, DDSketch, 2019). Numbers nearer to 0 than leastBinned count
// as 0. Which bins there are depends on the numbers alone, not on the order they came in.
type distribution struct {
	values  []float64 // while they are few
	binned  bool      // they were more
	bins    []bin     // by key
	pending []int32   // keys that are not yet in bins
}

// bytes is about how many bytes the distribution takes.
func (d *distribution) bytes() int {
	return int(unsafe.Sizeof(*d)) + 8*cap(d.values) + int(unsafe.Sizeof(bin{}))*cap(d.bins) + 4*cap(d.pending)
}

// bin is how many numbers lie between two bounds. Its key grows with them: 0 stands for
// the number 0, and negative keys for negative numbers.
type bin struct {
	key   int32
	count int64
}

// logGrowth is the logarithm of the factor between the bounds of a bin.
var logGrowth = math.Log((1 + sketchAccuracy) / (1 - sketchAccuracy))

func binOf(f float64) int32 {
	switch {
	case f >= leastBinned:
		return int32(math.Ceil(math.Log(f)/logGrowth)) + binOfOne
	case f <= -leastBinned:
		return -binOf(-f)
	}
	return 0
}

// valueOf returns a number that no number in the bin is further from than sketchAccuracy.
func valueOf(key int32) float64 {
	switch {
	case key > 0:
		return math.Exp(float64(key-binOfOne)*logGrowth) * (1 - sketchAccuracy)
	case key < 0:
		return -valueOf(-key)
	}
	return 0
}

func (d *distribution) add(f float64) {
	if !d.binned {
		d.values = append(d.values, f)
		if len(d.values) > exactValues {
			d.toBins()
		}
		return
	}
	d.pending = append(d.pending, binOf(f))
	if len(d.pending) > 100+len(d.bins) {
		d.settle()
	}
}

func (d *distribution) toBins() {
	if d.binned {
		return
	}
	d.binned = true
	for _, f := range d.values {
		d.pending = append(d.pending, binOf(f))
	}
	d.values = nil
	d.settle()
}

// settle puts what is pending into the bins.
func (d *distribution) settle() {
	if len(d.pending) == 0 {
		return
	}
	slices.Sort(d.pending)
	var added []bin
	for _, key := range d.pending {
		if n := len(added); n > 0 && added[n-1].key == key {
			added[n-1].count++
		} else {
			added = append(added, bin{key, 1})
		}
	}
	d.pending = d.pending[:0]
	d.addBins(added)
}

// addBins adds bins, which are sorted.
func (d *distribution) addBins(others []bin) {
	missing := 0
	at := 0
	for _, o := range others {
		for at < len(d.bins) && d.bins[at].key < o.key {
			at++
		}
		if at == len(d.bins) || d.bins[at].key != o.key {
			missing++
		}
	}
	// From the last on, so that no bin is overwritten before it has moved.
	have := len(d.bins) - 1
	d.bins = slices.Grow(d.bins, missing)[:len(d.bins)+missing]
	to := len(d.bins) - 1
	for i := len(others) - 1; i >= 0; to-- {
		switch {
		case have >= 0 && d.bins[have].key > others[i].key:
			d.bins[to] = d.bins[have]
			have--
		case have >= 0 && d.bins[have].key == others[i].key:
			d.bins[to] = bin{others[i].key, d.bins[have].count + others[i].count}
			have--
			i--
		default:
			d.bins[to] = others[i]
			i--
		}
	}
}

// merge adds the numbers of o, which stays as it is.
func (d *distribution) merge(o *distribution) {
	for _, f := range o.values {
		d.add(f)
	}
	if o.binned {
		o.settle()
		d.toBins()
		d.addBins(o.bins)
	}
}

// mergeDistributions returns the numbers of some distributions, which stay as they are.
// counts is reused from call to call; it is as long as there are bins.
func mergeDistributions(all []*distribution, counts *[]int64) (d distribution) {
	first, last, bins := int32(math.MaxInt32), int32(math.MinInt32), 0
	for _, o := range all {
		if o.settle(); o.binned {
			first, last, bins = min(first, o.bins[0].key), max(last, o.bins[len(o.bins)-1].key), bins+len(o.bins)
		}
	}
	span := int(last) - int(first) + 1
	if bins == 0 || span > 4*bins {
		for _, o := range all {
			d.merge(o)
		}
		return d
	}
	*counts = slices.Grow((*counts)[:0], span)[:span]
	clear(*counts)
	var few distribution
	for _, o := range all {
		for _, b := range o.bins {
			(*counts)[b.key-first] += b.count
		}
		for _, f := range o.values {
			few.add(f)
		}
	}
	d.binned, d.bins = true, make([]bin, 0, min(span, bins))
	for i, n := range *counts {
		if n > 0 {
			d.bins = append(d.bins, bin{first + int32(i), n})
		}
	}
	d.merge(&few)
	return d
}

// percentile returns the nearest-rank percentile: the smallest value that at
// least p in 100 values do not exceed. There must be values.
func (d *distribution) percentile(p int) float64 {
	if !d.binned {
		sorted := slices.Sorted(slices.Values(d.values))
		return sorted[nearestRank(p, len(sorted))-1]
	}
	d.settle()
	n := 0
	for _, b := range d.bins {
		n += int(b.count)
	}
	rank, at := nearestRank(p, n), 0
	for rank > int(d.bins[at].count) {
		rank -= int(d.bins[at].count)
		at++
	}
	return valueOf(d.bins[at].key)
}

// nearestRank returns ⌈p/100·n⌉ without rounding error, at least 1.
func nearestRank(p, n int) int { return max(1, (p*n+99)/100) }

// append writes the distribution: 0 and its values, or 1 and its bins, the key of each
// as the distance to the one before.
func (d *distribution) append(b []byte) []byte {
	if !d.binned {
		b = binary.AppendUvarint(append(b, 0), uint64(len(d.values)))
		return pack.AppendFloats(b, d.values...)
	}
	d.settle()
	b = binary.AppendUvarint(append(b, 1), uint64(len(d.bins)))
	before := int32(-lastBin - 1)
	for _, bin := range d.bins {
		b = binary.AppendUvarint(b, uint64(bin.key-before))
		b = binary.AppendUvarint(b, uint64(bin.count))
		before = bin.key
	}
	return b
}

func (d *distribution) read(r *pack.Reader) {
	switch kind := r.Byte(); kind {
	case 0:
		for range r.Length(8) {
			d.add(r.Float())
		}
	case 1:
		n := r.Length(2)
		d.binned, d.bins = true, make([]bin, n)
		d.readBins(r)
		if n == 0 {
			r.Fail(errors.New("no bins"))
		}
	default:
		r.Fail(fmt.Errorf("kind %d of values", kind))
	}
}

// readBins reads all bins. There are many in a block, so it keeps what it goes through in
// registers and reads numbers of a byte, as most are, by itself.
func (d *distribution) readBins(r *pack.Reader) {
	rest, key := r.Rest, int64(-lastBin-1)
	for i := range d.bins {
		var step, count uint64
		if len(rest) > 1 && (rest[0]|rest[1]) < 0x80 {
			step, count, rest = uint64(rest[0]), uint64(rest[1]), rest[2:]
		} else {
			r.Rest = rest
			step, count = r.Uvarint(), r.Uvarint()
			rest = r.Rest
		}
		if step-1 > 2*lastBin || key+int64(step) > lastBin || count-1 >= math.MaxInt32*1_000_000 {
			r.Fail(errors.New("a bin has no bounds"))
			return
		}
		key += int64(step)
		d.bins[i] = bin{int32(key), int64(count)}
	}
	r.Rest = rest
}
