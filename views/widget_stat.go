package views

import (
	"math"

	"pulseboard/store"
)

// statDrawer draws one number, with the steps behind it and how it compares.
var statDrawer = drawer{body: stat, parts: statParts, preview: miniNumber}

func statParts(w Widget) []Part {
	parts := []Part{{w.part("value"), statValue(w)}, {w.part("spark"), spark(w)}}
	if w.Reading.Compared {
		parts = append(parts, Part{w.part("change"), statChange(w)})
	}
	return parts
}

// change is how a number stands to that of the period before.
type change struct {
	Icon, Class string // none where there is nothing to compare
	Amount      string
	Words       string
}

func (w Widget) change() change {
	period := "previous " + periodWords(w.Window.To-w.Window.From)
	now, before := w.number(), w.Reading.Previous
	switch {
	case !now.Valid:
		return change{Words: "nothing to compare"}
	case !before.Valid || before.Value == 0:
		return change{Words: "nothing in the " + period}
	}
	by := (now.Value - before.Value) / math.Abs(before.Value) * 100
	amount := figure{Digits: decimals(math.Abs(by), 1), Unit: "%"}.String()
	if math.Abs(by) >= 1e6 {
		amount = "over " + figure{Digits: decimals(1e6, 0), Unit: "%"}.String()
	}
	switch {
	case math.Abs(by) < 0.05:
		return change{Words: "same as " + period}
	case by > 0:
		return change{"up", changeClass(w.Def.Better != store.Lower), "Up " + amount, "vs " + period}
	}
	return change{"down", changeClass(w.Def.Better == store.Lower), "Down " + amount, "vs " + period}
}

func changeClass(good bool) string {
	if good {
		return "change-good"
	}
	return "change-bad"
}
