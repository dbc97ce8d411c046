package store

// CounterSeries names a counter: who counts what, since when. It is a digest, so
// that no two have ever the same by chance.
type CounterSeries [16]byte

// Counter is a reading of totals that only grow. The event that carries one is
// kept with what they grew by since the reading before, as properties: see
// [Totals.Properties].
type Counter struct {
	Series CounterSeries
	Totals Totals
}

// Totals is what a counter counted since it began: a sum, or of a distribution how
// many values there were and, if it is known, their sum. What is not known is null.
type Totals struct{ Count, Sum Value }

// Since returns what t grew by since an earlier reading. Totals that fell began
// anew, and all of t came since.
func (t Totals) Since(last Totals) Totals {
	count, counts := t.Count.Number()
	sum, sums := t.Sum.Number()
	lastCount, _ := last.Count.Number()
	lastSum, lastSums := last.Sum.Number()
	switch {
	case counts && count < lastCount, !counts && sum < lastSum:
		return t
	case sums && !lastSums && lastCount > 0: // how much of the sum is new is not known
		return Totals{Count: Num(count - lastCount)}
	}
	if counts {
		t.Count = Num(count - lastCount)
	}
	if sums {
		t.Sum = Num(sum - lastSum)
	}
	return t
}

// Properties returns totals as properties: value, the sum; or of a distribution
// count, sum, and as value the mean.
func (t Totals) Properties() []Property {
	count, counts := t.Count.Number()
	sum, sums := t.Sum.Number()
	switch {
	case !counts:
		return []Property{{"value", t.Sum}}
	case !sums:
		return []Property{{"count", t.Count}}
	case count == 0:
		return []Property{{"count", t.Count}, {"sum", t.Sum}}
	}
	return []Property{{"count", t.Count}, {"sum", t.Sum}, {"value", Num(sum / count)}}
}
