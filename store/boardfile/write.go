package boardfile

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"github.com/goccy/go-yaml"

	"pulseboard/store"
)

// YAML writes a dashboard so that Parse reads the same one back. Equal dashboards have equal
// texts. A dashboard whose text would be too large for Parse is an error.
func YAML(d store.Dashboard) ([]byte, error) {
	out, err := yaml.MarshalWithOptions(dashboardRecord.write(&d), yaml.IndentSequence(true))
	if err != nil {
		return nil, fmt.Errorf("write dashboard %s: %w", d.ID, err)
	}
	if len(out) > MaxSize { // it could not be read again
		return nil, fmt.Errorf("dashboard %s has %d bytes as a file, and %d are the most: shorten its texts", d.ID, len(out), MaxSize)
	}
	return out, nil
}

// scalar returns a text in a style that reads back the same: as it is where that is safe,
// else in double quotes. It returns nil for an empty text.
func scalar(s string) any {
	switch {
	case s == "":
		return nil
	case plainText.MatchString(s):
		return s
	}
	return quoted(s)
}

// plainText matches texts that YAML reads as texts without quotes. The library itself quotes
// words that mean something else, such as true.
var plainText = regexp.MustCompile(`^[\p{L}_/](?:[\p{L}\p{N} _./%+()=<>!,-]*[\p{L}\p{N}_./%+()])?$`)

// paragraphs returns the words of a text widget: several lines stand below each other as
// they are, which is how people write Markdown in a file.
func paragraphs(s string) any {
	lines := strings.Split(strings.TrimSuffix(s, "\n"), "\n")
	bad := func(line string) bool {
		return line != "" && strings.TrimSpace(line) == "" || strings.ContainsFunc(line, func(r rune) bool { return !unicode.IsPrint(r) })
	}
	last := lines[len(lines)-1]
	if len(lines) < 2 || lines[0] == "" || lines[0][0] == ' ' || last == "" || last[len(last)-1] == ' ' || slices.ContainsFunc(lines, bad) {
		return scalar(s)
	}
	return block(s)
}

// block is a text of several lines that a literal block holds as it is.
type block string

// blockIndent is where a block stands, before the library moves it below its field.
const blockIndent = "    "

// MarshalYAML writes the text as it stands in a file.
func (b block) MarshalYAML() ([]byte, error) {
	lines, ended := strings.CutSuffix(string(b), "\n")
	var out strings.Builder
	out.WriteString(map[bool]string{true: "|", false: "|-"}[ended])
	for line := range strings.SplitSeq(lines, "\n") {
		out.WriteByte('\n')
		if line != "" {
			out.WriteString(blockIndent + line)
		}
	}
	return []byte(out.String()), nil
}

// quoted is a text that is written in double quotes.
type quoted string

// MarshalYAML writes the text. The escapes of Go are escapes of YAML too.
func (q quoted) MarshalYAML() ([]byte, error) { return []byte(strconv.Quote(string(q))), nil }
