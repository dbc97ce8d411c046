package store

import (
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/rivo/uniseg"
)

// All cutting of text is done here, between graphemes: what a reader sees as one
// character, such as a letter with its accents, a flag or a family of emoji
// (https://unicode.org/reports/tr29/).

// Ellipsis stands where a text was cut.
const Ellipsis = "…"

// Cut shortens a text to at most so many graphemes. One that is cut ends in [Ellipsis],
// which counts as one of them.
func Cut(s string, most int) string {
	return cut(s, most, func(string) int { return 1 })
}

// CutCharacters shortens a text to at most so many code points, as the limits of an
// event count them, and like [Cut] between graphemes.
func CutCharacters(s string, most int) string {
	return cut(s, most, utf8.RuneCountInString)
}

// cut shortens a text to graphemes that are not longer together than most.
func cut(s string, most int, length func(grapheme string) int) string {
	if len(s) <= most { // nothing is shorter than one byte
		return s
	}
	end, sum, state := 0, 0, -1
	fits := 0 // the end of the longest start that leaves room for the ellipsis
	for end < len(s) {
		var grapheme string
		grapheme, _, _, state = uniseg.FirstGraphemeClusterInString(s[end:], state)
		if sum < most {
			fits = end
		}
		end += len(grapheme)
		if sum += length(grapheme); sum > most {
			return s[:fits] + Ellipsis
		}
	}
	return s
}

// quoted is how many graphemes of a text an error quotes.
const quoted = 80

// Quote returns a text in double quotes, in one line and no longer than an error needs.
func Quote(s string) string { return strconv.Quote(Cut(s, quoted)) }

// Capitalized returns a text with its first grapheme in upper case.
func Capitalized(s string) string {
	first := FirstGrapheme(s)
	return strings.ToUpper(first) + s[len(first):]
}

// FirstGrapheme returns the first grapheme of a text; empty is of an empty one.
func FirstGrapheme(s string) string {
	first, _, _, _ := uniseg.FirstGraphemeClusterInString(s, -1)
	return first
}
