package main

import (
	"fmt"
	"io"
	"slices"
	"text/tabwriter"
)

// row is a line of a table: a figure and what it should be.
type row struct {
	What   string  `json:"what"`
	Limit  limit   `json:"limit"`
	Wanted float64 `json:"wanted"`
	Got    float64 `json:"got"`
	Unit   string  `json:"unit"`
	Detail string  `json:"detail,omitempty"`
}

type limit string

const (
	atMost  limit = "at most"
	atLeast limit = "at least"
)

func (r row) verdict() string {
	if r.Limit == atMost && r.Got <= r.Wanted*1.0005 || r.Limit == atLeast && r.Got >= r.Wanted*0.9995 {
		return "reached"
	}
	return "MISSED"
}

func printTable(to io.Writer, rows []row) {
	w := tabwriter.NewWriter(to, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "what\twanted\tgot\t\t")
	for _, r := range rows {
		fmt.Fprintf(w, "%s\t%s %g %s\t%.2f %s\t%s\t%s\n", r.What, r.Limit, r.Wanted, r.Unit, r.Got, r.Unit, r.verdict(), r.Detail)
	}
	w.Flush()
}

// middle gives the median.
func middle(all []float64) float64 {
	if len(all) == 0 {
		return 0
	}
	slices.Sort(all)
	return all[len(all)/2]
}
