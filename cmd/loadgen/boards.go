package main

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"
)

const board6 = `
id: six
title: Six
range: now-1h
widgets:
  - {key: requests, title: Requests, kind: stat, measure: count, event: request}
  - {key: visitors, title: Visitors, kind: stat, measure: uniques, event: request}
  - {key: errors, title: Errors, kind: gauge, measure: ratio, event: request, of: ["status >= 500"]}
  - {key: traffic, title: Requests a minute, kind: line, measure: count, event: request}
  - {key: pages, title: Pages, kind: bars, measure: count, by: path, event: request}
  - {key: slowest, title: Slowest, kind: table, measure: p95, property: duration_ms, by: path, event: request}
`

// board24 shows the same with other measures, four times over.
func board24() string {
	var b strings.Builder
	b.WriteString("id: many\ntitle: Many\nrange: now-1h\nwidgets:\n")
	for i, measure := range []string{"avg", "p50", "p90", "max"} {
		for _, w := range []string{
			"kind: stat, measure: count, where: [\"path != /p%d\"]",
			"kind: stat, measure: uniques, where: [\"path != /p%d\"]",
			"kind: gauge, measure: ratio, of: [\"status >= 500\"], where: [\"path != /p%d\"]",
		} {
			fmt.Fprintf(&b, "  - {key: w%d, title: Widget, event: request, "+w+"}\n", strings.Count(b.String(), "key:"), i)
		}
		for _, w := range []string{
			"kind: line, measure: %s, property: duration_ms",
			"kind: bars, measure: %s, property: duration_ms, by: path",
			"kind: table, measure: %s, property: duration_ms, by: status",
		} {
			fmt.Fprintf(&b, "  - {key: w%d, title: Widget, event: request, "+w+"}\n", strings.Count(b.String(), "key:"), measure)
		}
	}
	return b.String()
}

// boardLine changes by about 2 KB of JSON an event.
const boardLine = `
id: line
title: Line
range: now-2h
widgets:
  - {key: requests, title: Requests, kind: stat, measure: count, event: request}
  - {key: traffic, title: Requests, kind: line, measure: count, event: request}
`

// history puts events of the last two hours into a site, so that its charts are full.
func (s *site) history(ctx context.Context) error {
	const events = 5000
	var lines strings.Builder
	write := json.NewEncoder(&lines)
	now := time.Now()
	for i := range events {
		err := write.Encode(map[string]any{
			"event": "request", "user": fmt.Sprint("h", i%301), "time": now.Add(-2 * time.Hour * time.Duration(i+1) / events).UTC().Format(time.RFC3339),
			"properties": map[string]any{"path": fmt.Sprint("/p", i*i%7), "status": 200 + i%11/10*300, "duration_ms": 10 + i*7919%500},
		})
		if err != nil {
			return err
		}
	}
	_, err := s.command(ctx, lines.String(), "import", "--tenant", "load", "--format", "ndjson", "-")
	return err
}
