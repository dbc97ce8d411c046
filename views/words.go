package views

import (
	"strconv"

	"pulseboard/store"
)

func itoa(n int) string { return strconv.Itoa(n) }

func boolText(b bool) string { return strconv.FormatBool(b) }

func cadenceLabel(c store.Cadence) string {
	if c == store.Off {
		return "Off"
	}
	return string(c)
}

func watchingWords(n int) string {
	if n == 0 {
		return "nobody watching"
	}
	return strconv.Itoa(n) + " watching"
}

// What the page without dashboards shows to copy.
const (
	firstBoard = `# web.yaml
id: web
title: Web traffic
widgets:
  - key: requests
    kind: stat
    measure: count
  - key: top_pages
    kind: bars
    measure: count
    by: path
`
	firstEvent = `{"event":"request","user":"u7","properties":{"path":"/","status":200}}`
)
