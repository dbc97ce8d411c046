package views

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"pulseboard/store"
)

// Sizes of the drawings' own coordinates. Drawings are stretched to their
// place; whole numbers keep paths short.
const (
	stepWidth   = 10 // of one step
	plotHeight  = 400
	sparkHeight = 100
)

// scale maps values to heights.
type scale struct{ low, high float64 }

// fraction gives how far up v lies, from 0 to 1.
func (s scale) fraction(v float64) float64 {
	if s.high <= s.low {
		return 0
	}
	return math.Min(1, math.Max(0, (v-s.low)/(s.high-s.low)))
}

// y gives v's coordinate in a drawing of some height, from above.
func (s scale) y(v float64, height int) int {
	return int(math.Round((1 - s.fraction(v)) * float64(height)))
}

// percentY gives v's place from above, as SVG writes it.
func (s scale) percentY(v float64) string { return percent(1 - s.fraction(v)) }

func percent(fraction float64) string {
	return strconv.FormatFloat(math.Round(fraction*1000)/10, 'f', -1, 64) + "%"
}

// linePath draws points as straight segments. It breaks where a number is
// missing; a point alone is a dot.
func linePath(points []store.Point, s scale, height int) string {
	var b strings.Builder
	x, y, drawing := 0, 0, false
	for i, p := range points {
		if !p.Valid {
			drawing = false
			continue
		}
		nx, ny := i*stepWidth, s.y(p.Value, height)
		switch {
		case !drawing && b.Len() == 0:
			fmt.Fprintf(&b, "M%d %d", nx, ny)
		case !drawing:
			step(&b, 'm', nx-x, ny-y)
		default:
			step(&b, 'l', nx-x, ny-y)
		}
		if !drawing && (i+1 == len(points) || !points[i+1].Valid) {
			b.WriteString("h0")
		}
		x, y, drawing = nx, ny, true
	}
	return b.String()
}

// step writes a relative command, with no more space than a number needs before it.
func step(b *strings.Builder, command byte, dx, dy int) {
	b.WriteByte(command)
	b.WriteString(strconv.Itoa(dx))
	if dy >= 0 {
		b.WriteByte(' ')
	}
	b.WriteString(strconv.Itoa(dy))
}

// areaPath draws what lies under the points, where there is no gap.
func areaPath(points []store.Point, s scale, height int) string {
	for _, p := range points {
		if !p.Valid {
			return ""
		}
	}
	if len(points) < 2 {
		return ""
	}
	return linePath(points, s, height) + "V" + strconv.Itoa(height) + "H0z"
}

// plotWidth is the width of a drawing of n points.
func plotWidth(n int) int { return max(1, n-1) * stepWidth }

// bounds gives the lowest and the highest of some series.
func bounds(series ...[]store.Point) (low, high float64, any bool) {
	for _, points := range series {
		for _, p := range points {
			if !p.Valid {
				continue
			}
			if !any {
				low, high, any = p.Value, p.Value, true
			}
			low, high = math.Min(low, p.Value), math.Max(high, p.Value)
		}
	}
	return low, high, any
}

// flattest is the part of its numbers that a spark shows at least: what differs less
// is noise and is drawn as a nearly flat line.
const flattest = 0.05

// sparkScale fills the height with what there is.
func sparkScale(series ...[]store.Point) scale {
	low, high, _ := bounds(series...)
	if low == high {
		return scale{low - 1, low + 9}
	}
	if missing := flattest*math.Max(math.Abs(low), math.Abs(high)) - (high - low); missing > 0 {
		low, high = low-missing/2, high+missing/2
	}
	return scale{low, high + (high-low)*0.05}
}

// maxTicks is the number of grid lines aimed at.
const maxTicks = 5

// ticks gives a scale from 0, or from below where numbers are negative, and the
// values to label: 4 or 5 multiples of 1, 2, 2.5, 4 or 5 × 10ⁿ.
func ticks(low, high float64) (scale, []float64) {
	low, high = math.Min(low, 0), math.Max(high, 0)
	if low == high {
		high = 1
	}
	span := high - low
	unit := math.Pow(10, math.Floor(math.Log10(span))-1)
	step := unit
	for _, m := range []float64{1, 2, 2.5, 4, 5, 10, 20, 25, 40, 50, 100} {
		step = unit * m
		if math.Ceil(high/step)-math.Floor(low/step) < maxTicks {
			break
		}
	}
	s := scale{math.Floor(low/step) * step, math.Ceil(high/step) * step}
	var values []float64
	for i := 0; ; i++ {
		v := s.low + float64(i)*step
		if v > s.high+step/2 {
			return s, values
		}
		values = append(values, v)
	}
}

// timeLabel is a label under a plot.
type timeLabel struct {
	X    string // from the left, as SVG writes it
	Text string
	Last bool
	Odd  bool // left out where there is little room
}

// labelSteps are the distances that labels may have, in seconds: round times.
var labelSteps = []int64{15, 30, 60, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200, 86400, 172800, 604800, 1209600, 2592000, 7776000}

// maxLabels is the number of labels that fit under a plot.
const maxLabels = 7

// timeLabels gives the labels under a plot: round times and, at the right, the
// last step.
func timeLabels(w store.Window) []timeLabel {
	last := w.To - w.Step
	span := last - w.From
	if span <= 0 {
		return []timeLabel{{X: "100%", Text: clock(last, w), Last: true}}
	}
	every := labelSteps[len(labelSteps)-1]
	for _, s := range labelSteps {
		if s >= w.Step && span/s <= maxLabels {
			every = s
			break
		}
	}
	var labels []timeLabel
	for at := (w.From + every - 1) / every * every; at < last; at += every {
		fraction := float64(at-w.From) / float64(span)
		if fraction < 0.03 || fraction > 0.84 { // would run out of the plot, or into the last
			continue
		}
		labels = append(labels, timeLabel{X: percent(fraction), Text: clock(at, w), Odd: len(labels)%2 == 1})
	}
	return append(labels, timeLabel{X: "100%", Text: clock(last, w), Last: true})
}

// clock writes an instant as the window's labels need it, in UTC as steps are.
func clock(at int64, w store.Window) string {
	t := time.Unix(at, 0).UTC()
	switch span := w.To - w.From; {
	case w.Step < 60:
		return t.Format("15:04:05")
	case w.Step >= 86400 || (span > 2*86400 && t.Hour() == 0 && t.Minute() == 0):
		return t.Format("2 Jan")
	case span > 2*86400:
		return t.Format("2 Jan 15:04")
	}
	return t.Format("15:04")
}
