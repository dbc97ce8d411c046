package views

// barsDrawer draws a bar for each group.
var barsDrawer = drawer{caption: measureCaption, body: bars, parts: barsParts, preview: miniBars}

func barsParts(w Widget) []Part {
	var parts []Part
	for _, r := range w.rows() {
		parts = append(parts, Part{r.ID, barRow(r)})
	}
	return parts
}
