package views

import (
	"strconv"

	"pulseboard/store"
)

// row is one group of a ranking, as it is drawn.
type row struct {
	ID    string // of a row of bars; the ids of a table's cells begin with it
	Group string
	Value string
	Width string // of its bar
	State store.State
}

func (w Widget) rows() []row {
	ranking, _ := w.Reading.Reading.(store.Ranking)
	most := 0.0
	for _, g := range ranking {
		if g.Valid {
			most = max(most, g.Value)
		}
	}
	rows := make([]row, len(ranking))
	for i, g := range ranking {
		state, _ := w.Def.StateOf(g.Number)
		rows[i] = row{ID: w.part("row" + strconv.Itoa(i)), Group: g.Group, Value: figureOf(w.Def, g.Number, false).String(), Width: "0%", State: state}
		if most > 0 && g.Valid && g.Value > 0 {
			rows[i].Width = percent(max(0.004, g.Value/most))
		}
	}
	return rows
}
