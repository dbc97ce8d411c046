package views

import (
	"fmt"
	"math"

	"pulseboard/store"
)

// gaugeDrawer draws one number on a dial.
var gaugeDrawer = drawer{body: dial, parts: gaugeParts, preview: miniNumber}

func gaugeParts(w Widget) []Part { return []Part{{w.part("dial"), dial(w)}} }

// gaugeArc is a stretch of a gauge's scale.
type gaugeArc struct{ Class, Path string }

// gaugeMax is the end of a gauge's scale: as defined, else a round number above
// the thresholds and the reading.
func (w Widget) gaugeMax() float64 {
	if w.Def.Max > 0 {
		return w.Def.Max
	}
	high := w.number().Value
	for _, t := range w.Def.Thresholds {
		high = max(high, t.Above*4/3)
	}
	if w.Def.Metric.Measure == store.Ratio && len(w.Def.Thresholds) == 0 {
		return 1
	}
	s, _ := ticks(0, high)
	if w.Def.Metric.Measure == store.Ratio {
		return min(1, s.high)
	}
	return s.high
}

// gaugeArcs are the scale of a gauge, its value and its thresholds.
func (w Widget) gaugeArcs() []gaugeArc {
	s := scale{0, w.gaugeMax()}
	arcs := []gaugeArc{{"gauge-track", arc(gaugeRadius, 0, 1)}}
	if f := s.fraction(w.number().Value); f > 0.003 {
		arcs = append(arcs, gaugeArc{"gauge-value", arc(gaugeRadius, 0, f)})
	}
	for i, t := range w.Def.Thresholds {
		end := s.high
		if i+1 < len(w.Def.Thresholds) && w.Def.Thresholds[i+1].Above > t.Above {
			end = w.Def.Thresholds[i+1].Above
		}
		if from, to := s.fraction(t.Above), s.fraction(end); to-from > 0.01 {
			arcs = append(arcs, gaugeArc{"gauge-" + string(t.State), arc(gaugeRadius+13, from+0.004, to-0.004)})
		}
	}
	return arcs
}

// A gauge is an arc of 240°, open below.
const (
	gaugeRadius = 80.0
	gaugeCentre = 100.0
	gaugeStart  = 150.0 // degrees, clockwise from the right
	gaugeSweep  = 240.0
)

// arc draws a part of a circle around the gauge's centre, from one fraction of
// its sweep to another.
func arc(radius, from, to float64) string {
	x1, y1 := onGauge(radius, from)
	x2, y2 := onGauge(radius, to)
	large := 0
	if (to-from)*gaugeSweep > 180 {
		large = 1
	}
	return fmt.Sprintf("M%.1f %.1fA%g %g 0 %d 1 %.1f %.1f", x1, y1, radius, radius, large, x2, y2)
}

func onGauge(radius, fraction float64) (x, y float64) {
	angle := (gaugeStart + gaugeSweep*fraction) * math.Pi / 180
	return gaugeCentre + radius*math.Cos(angle), gaugeCentre + radius*math.Sin(angle)
}
