package views

import (
	"fmt"

	"pulseboard/store"
)

func viewBox(width, height int) string { return fmt.Sprintf("0 0 %d %d", width, height) }

func titleCase(s string) string { return store.Capitalized(s) }

// icons are drawn in a box of 16, with lines of 1.5 and round ends.
var icons = map[string]string{
	"triangle": "M8 2.5 14.5 13.5H1.5zM8 6.5v3M8 11.6v.1",
	"octagon":  "M5.3 1.8h5.4l3.5 3.5v5.4l-3.5 3.5H5.3l-3.5-3.5V5.3zM8 5v3.4M8 10.9v.1",
	"up":       "M8 13.5V3M3.5 7.2 8 2.7l4.5 4.5",
	"down":     "M8 2.5V13M3.5 8.8 8 13.3l4.5-4.5",
	"clock":    "M8 1.75a6.25 6.25 0 1 0 0 12.5a6.25 6.25 0 1 0 0-12.5zM8 4.5V8l2.25 1.5",
	"chevron":  "m4 6 4 4 4-4",
	"pause":    "M5.5 3v10M10.5 3v10",
	"play":     "M5 3.2v9.6L12.5 8z",
	"retry":    "M13.2 6.4A5.5 5.5 0 1 0 13.5 8.6M13.4 2.9v3.6H9.8",
	"off":      "M2 2l12 12M3.5 7a7 7 0 0 1 2.3-1.5M8.6 5a6.6 6.6 0 0 1 3.9 2M5.6 9.4A3.6 3.6 0 0 1 7.4 8.5M8 12.2v.1",
	"screen":   "M2 3h12v8H2zM5.5 14h5",
	"close":    "m4 4 8 8M12 4l-8 8",
	"check":    "m3 8.5 3.2 3.2L13 4.8",
	"pulse":    "M2 9h2.6l1.9-5 2.6 8 1.5-3.6h1.1",
}
