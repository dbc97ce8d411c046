package views

import "pulseboard/store"

// statusDrawer draws a tile for each group, with the state of its number as a colour, an icon
// and a word.
var statusDrawer = drawer{caption: measureCaption, body: tiles, parts: statusParts, preview: miniTiles}

func statusParts(w Widget) []Part {
	var parts []Part
	for _, r := range w.rows() {
		parts = append(parts, Part{r.ID, tile(w, r)})
	}
	return parts
}

// tileState is what a tile says of its group besides the number.
type tileState struct{ Name, Icon, Word string }

// tileStateOf returns the state of a group. A number that is missing has none, and without
// thresholds no number has one.
func tileStateOf(w Widget, r row) tileState {
	switch {
	case r.Value == missing:
		return tileState{"empty", "", "No data"}
	case r.State == store.Critical:
		return tileState{"critical", "octagon", "Critical"}
	case r.State == store.Warning:
		return tileState{"warning", "triangle", "Warning"}
	case len(w.Def.Thresholds) == 0:
		return tileState{Name: "none"}
	}
	return tileState{"normal", "check", "Normal"}
}
