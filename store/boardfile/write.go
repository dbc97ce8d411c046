package boardfile

import (
	"fmt"

	"github.com/goccy/go-yaml"

	"pulseboard/store"
)

// The shapes of a file, with the fields in the order they are explained in.
type (
	fileDashboard struct {
		ID        string         `yaml:"id"`
		Title     string         `yaml:"title,omitempty"`
		Range     string         `yaml:"range,omitempty"`
		Variables []fileVariable `yaml:"variables,omitempty"`
		Widgets   []fileWidget   `yaml:"widgets,omitempty"`
	}
	fileVariable struct {
		Name     string `yaml:"name"`
		Property string `yaml:"property"`
	}
	fileWidget struct {
		Key        string          `yaml:"key"`
		Title      string          `yaml:"title,omitempty"`
		Kind       string          `yaml:"kind"`
		Measure    string          `yaml:"measure,omitempty"`
		Event      string          `yaml:"event,omitempty"`
		Where      []string        `yaml:"where,omitempty"`
		Of         []string        `yaml:"of,omitempty"`
		Property   string          `yaml:"property,omitempty"`
		By         string          `yaml:"by,omitempty"`
		Limit      int             `yaml:"limit,omitempty"`
		Unit       string          `yaml:"unit,omitempty"`
		Thresholds []fileThreshold `yaml:"thresholds,omitempty"`
		Max        float64         `yaml:"max,omitempty"`
		Width      int             `yaml:"width,omitempty"`
		Text       string          `yaml:"text,omitempty"`
	}
	fileThreshold struct {
		Above float64 `yaml:"above"`
		State string  `yaml:"state"`
	}
)

// YAML writes a dashboard as Parse reads it: equal dashboards give equal text.
func YAML(d store.Dashboard) ([]byte, error) {
	file := fileDashboard{ID: string(d.ID), Title: d.Title, Range: d.Range}
	for _, v := range d.Variables {
		file.Variables = append(file.Variables, fileVariable(v))
	}
	for _, w := range d.Widgets {
		widget := fileWidget{
			Key: string(w.Key), Title: w.Title, Kind: string(w.Kind),
			Measure: string(w.Metric.Measure), Event: w.Metric.Event,
			Where: conditionTexts(w.Metric.Where), Of: conditionTexts(w.Metric.Of),
			Property: w.Metric.Property, By: w.Metric.By,
			Limit: w.Limit, Unit: w.Unit, Max: w.Max, Width: w.Width, Text: w.Text,
		}
		for _, t := range w.Thresholds {
			widget.Thresholds = append(widget.Thresholds, fileThreshold{t.Above, string(t.State)})
		}
		file.Widgets = append(file.Widgets, widget)
	}
	text, err := yaml.MarshalWithOptions(file, yaml.IndentSequence(true))
	if err != nil {
		return nil, fmt.Errorf("write dashboard %s: %w", d.ID, err)
	}
	return text, nil
}

func conditionTexts(conditions []store.Condition) []string {
	var texts []string
	for _, c := range conditions {
		texts = append(texts, c.String())
	}
	return texts
}
