package views

import (
	"strings"

	"pulseboard/store"
)

// tableDrawer draws a row of a table for each group.
var tableDrawer = drawer{caption: measureCaption, body: table, parts: tableParts, preview: miniBars}

func tableParts(w Widget) []Part {
	var parts []Part
	for _, r := range w.rows() {
		parts = append(parts, Part{r.ID + "-group", tableGroup(r)}, Part{r.ID + "-bar", tableBar(r)}, Part{r.ID + "-value", tableNumber(r)})
	}
	return parts
}

// groupHead is the head of a table's first column.
func (w Widget) groupHead() string {
	return store.Capitalized(strings.ReplaceAll(w.Def.Metric.By, "_", " "))
}
