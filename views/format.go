package views

import (
	"math"
	"strconv"
	"strings"

	"pulseboard/store"
)

// missing is how a number reads that is not there.
const missing = "—"

// figure is a number as a person reads it, with its unit apart.
type figure struct {
	Prefix, Digits, Unit string
	About                bool // it is estimated
}

func (f figure) String() string {
	text := f.Prefix + f.Digits
	if f.About {
		text = "about " + text
	}
	if f.Unit == "" {
		return text
	}
	return text + " " + f.Unit // a thin space that does not break
}

// figureOf writes a widget's number. compact shortens from 10,000 on.
func figureOf(w store.Widget, n store.Number, compact bool) figure {
	f := exactFigure(w, n, compact)
	f.About = n.About
	return f
}

func exactFigure(w store.Widget, n store.Number, compact bool) figure {
	if !n.Valid {
		return figure{Digits: missing}
	}
	if w.Metric.Measure == store.Ratio {
		return figure{Digits: decimals(n.Value*100, 2), Unit: "%"}
	}
	v, unit := n.Value, strings.TrimSpace(w.Unit)
	if w.Metric.Measure == store.Rate {
		return figure{Digits: digits(v, compact), Unit: unit + perUnit(w.Metric.Per)}
	}
	switch unit {
	case "ms":
		if math.Abs(v) >= 1000 {
			return figure{Digits: decimals(v/1000, 2), Unit: "s"}
		}
		return figure{Digits: decimals(v, 1), Unit: "ms"}
	case "bytes", "B":
		return bytesFigure(v)
	case "€", "$", "£", "EUR", "USD", "GBP":
		return moneyFigure(unit, v, compact)
	}
	return figure{Digits: digits(v, compact), Unit: unit}
}

// perUnit is how a rate's unit of time stands behind its number.
func perUnit(p store.Per) string {
	switch p {
	case store.PerMinute:
		return "/min"
	case store.PerHour:
		return "/h"
	}
	return "/s"
}

func bytesFigure(v float64) figure {
	units := []string{"B", "KB", "MB", "GB", "TB", "PB"}
	i := 0
	for math.Abs(v) >= 1000 && i < len(units)-1 {
		v /= 1000
		i++
	}
	return figure{Digits: decimals(v, 1), Unit: units[i]}
}

func moneyFigure(unit string, v float64, compact bool) figure {
	sign := map[string]string{"EUR": "€", "USD": "$", "GBP": "£"}[unit]
	if sign == "" {
		sign = unit
	}
	if math.Abs(v) < 100 && v != math.Trunc(v) {
		return figure{Prefix: sign, Digits: minus(strconv.FormatFloat(v, 'f', 2, 64))}
	}
	if math.Abs(v) < 10_000 || !compact {
		v = math.Round(v)
	}
	return figure{Prefix: sign, Digits: digits(v, compact)}
}

// digits writes a number: 1,523, and with compact from 10,000 on 12.4k, 1.2M.
func digits(v float64, compact bool) string {
	abs := math.Abs(v)
	if compact && abs >= 10_000 {
		for _, scale := range []struct {
			size   float64
			suffix string
		}{{1e12, "T"}, {1e9, "G"}, {1e6, "M"}, {1e3, "k"}} {
			// 999,950 and more would round to 1000.0k
			if abs >= scale.size*0.99995 && abs < 1e15 {
				return decimals(v/scale.size, 1) + scale.suffix
			}
		}
	}
	if abs >= 1e15 {
		return minus(strconv.FormatFloat(v, 'g', 4, 64))
	}
	if abs != 0 && abs < 0.01 {
		return minus(strconv.FormatFloat(v, 'g', 2, 64))
	}
	return decimals(v, 2)
}

// decimals writes a number with at most so many decimals and commas between
// thousands.
func decimals(v float64, most int) string {
	if abs := math.Abs(v); abs >= 100 {
		most = min(most, 1)
	}
	if math.Abs(v) >= 1000 {
		most = 0
	}
	text := strconv.FormatFloat(v, 'f', most, 64)
	if strings.Contains(text, ".") {
		text = strings.TrimRight(strings.TrimRight(text, "0"), ".")
	}
	if text == "-0" {
		text = "0"
	}
	return minus(commas(text))
}

func commas(text string) string {
	whole, fraction, found := strings.Cut(text, ".")
	sign := ""
	if strings.HasPrefix(whole, "-") {
		sign, whole = "-", whole[1:]
	}
	for i := len(whole) - 3; i > 0; i -= 3 {
		whole = whole[:i] + "," + whole[i:]
	}
	if found {
		whole += "." + fraction
	}
	return sign + whole
}

// minus writes the sign of a negative number as a minus, which is as wide as a digit.
func minus(text string) string { return strings.Replace(text, "-", "−", 1) }

// titleOf gives a widget's title: its own, or its key in words.
func titleOf(w store.Widget) string {
	if w.Title != "" {
		return w.Title
	}
	return store.Capitalized(strings.NewReplacer("_", " ", "-", " ").Replace(string(w.Key)))
}

// measureWords says what a widget measures, for the caption beside its title.
func measureWords(w store.Widget) string {
	m := w.Metric
	switch m.Measure {
	case store.Count:
		if m.Event != "" {
			return m.Event + " events"
		}
		return "events"
	case store.Uniques:
		return "users"
	case store.Ratio:
		return "share"
	case store.Rate:
		if m.Event != "" {
			return m.Event + " events" + perUnit(m.Per)
		}
		return "events" + perUnit(m.Per)
	case store.Formula:
		return m.Formula
	}
	return string(m.Measure) + " of " + m.Property
}

// stepWords says how long a step is.
func stepWords(step int64) string {
	switch {
	case step%86400 == 0:
		return counted(step/86400, "day")
	case step%3600 == 0:
		return counted(step/3600, "h")
	case step%60 == 0:
		return counted(step/60, "min")
	}
	return counted(step, "s")
}

// periodWords says how long a period is, as it follows an adjective.
func periodWords(seconds int64) string {
	switch seconds {
	case 60:
		return "minute"
	case 3600:
		return "hour"
	}
	return stepWords(seconds)
}

func counted(n int64, unit string) string {
	if n == 1 && unit == "day" {
		return "day"
	}
	if unit == "day" {
		unit = "days"
	}
	if n == 1 {
		return unit
	}
	return strconv.FormatInt(n, 10) + " " + unit
}

func plural(n int, one string) string {
	if n == 1 {
		return "1 " + one
	}
	return strconv.Itoa(n) + " " + one + "s"
}
