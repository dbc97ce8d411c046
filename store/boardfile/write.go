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

// The shapes of a file, with the fields in the order they are explained in.
type (
	fileDashboard struct {
		ID        any            `yaml:"id"`
		Title     any            `yaml:"title,omitempty"`
		Range     any            `yaml:"range,omitempty"`
		Variables []fileVariable `yaml:"variables,omitempty"`
		Widgets   []fileWidget   `yaml:"widgets,omitempty"`
	}
	fileVariable struct {
		Name     any `yaml:"name"`
		Property any `yaml:"property"`
	}
	fileWidget struct {
		Key        any             `yaml:"key"`
		Title      any             `yaml:"title,omitempty"`
		Kind       any             `yaml:"kind"`
		Measure    any             `yaml:"measure,omitempty"`
		Event      any             `yaml:"event,omitempty"`
		Where      []any           `yaml:"where,omitempty"`
		Of         []any           `yaml:"of,omitempty"`
		Property   any             `yaml:"property,omitempty"`
		By         any             `yaml:"by,omitempty"`
		Per        any             `yaml:"per,omitempty"`
		Formula    any             `yaml:"formula,omitempty"`
		Limit      int             `yaml:"limit,omitempty"`
		Unit       any             `yaml:"unit,omitempty"`
		Compare    any             `yaml:"compare,omitempty"`
		Better     any             `yaml:"better,omitempty"`
		Thresholds []fileThreshold `yaml:"thresholds,omitempty"`
		Max        float64         `yaml:"max,omitempty"`
		Width      int             `yaml:"width,omitempty"`
		Text       any             `yaml:"text,omitempty"`
	}
	fileThreshold struct {
		Above float64 `yaml:"above"`
		State any     `yaml:"state"`
	}
)

// YAML writes a dashboard as Parse reads it: equal dashboards give equal text. One that is
// too large for Parse is an error.
func YAML(d store.Dashboard) ([]byte, error) {
	file := fileDashboard{ID: text(d.ID), Title: text(d.Title), Range: text(d.Range)}
	for _, v := range d.Variables {
		file.Variables = append(file.Variables, fileVariable{text(v.Name), text(v.Property)})
	}
	for _, w := range d.Widgets {
		widget := fileWidget{
			Key: text(w.Key), Title: text(w.Title), Kind: text(w.Kind),
			Measure: text(w.Metric.Measure), Event: text(w.Metric.Event),
			Where: conditionTexts(w.Metric.Where), Of: conditionTexts(w.Metric.Of),
			Property: text(w.Metric.Property), By: text(w.Metric.By), Per: text(w.Metric.Per), Formula: text(w.Metric.Formula),
			Compare: text(w.Compare), Better: text(w.Better),
			Limit: w.Limit, Unit: text(w.Unit), Max: w.Max, Width: w.Width, Text: body(w.Text),
		}
		for _, t := range w.Thresholds {
			widget.Thresholds = append(widget.Thresholds, fileThreshold{t.Above, text(t.State)})
		}
		file.Widgets = append(file.Widgets, widget)
	}
	out, err := yaml.MarshalWithOptions(file, yaml.IndentSequence(true))
	if err != nil {
		return nil, fmt.Errorf("write dashboard %s: %w", d.ID, err)
	}
	if len(out) > MaxSize { // it could not be read again
		return nil, fmt.Errorf("dashboard %s has %d bytes as a file, and %d are the most: shorten its texts", d.ID, len(out), MaxSize)
	}
	return out, nil
}

func conditionTexts(conditions []store.Condition) []any {
	var texts []any
	for _, c := range conditions {
		texts = append(texts, text(c.String()))
	}
	return texts
}

// text gives a text in a style that reads back as the same: as it is where that
// is sure, else in double quotes. An empty one is nothing.
func text[T ~string](t T) any {
	s := string(t)
	switch {
	case s == "":
		return nil
	case plainText.MatchString(s):
		return s
	}
	return quoted(s)
}

// plainText matches what YAML leaves a text without quotes. The words that it
// takes for something else, such as true, the library puts in quotes itself.
var plainText = regexp.MustCompile(`^[\p{L}_/](?:[\p{L}\p{N} _./%+()=<>!,-]*[\p{L}\p{N}_./%+()])?$`)

// body gives the words of a text widget: several lines stand below each other as
// they are, which is how people write Markdown in a file.
func body(s string) any {
	lines := strings.Split(strings.TrimSuffix(s, "\n"), "\n")
	bad := func(line string) bool {
		return line != "" && strings.TrimSpace(line) == "" || strings.ContainsFunc(line, func(r rune) bool { return !unicode.IsPrint(r) })
	}
	last := lines[len(lines)-1]
	if len(lines) < 2 || lines[0] == "" || lines[0][0] == ' ' || last == "" || last[len(last)-1] == ' ' || slices.ContainsFunc(lines, bad) {
		return text(s)
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
