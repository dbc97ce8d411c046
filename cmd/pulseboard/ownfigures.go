package main

import (
	"fmt"
	"log/slog"
	"maps"
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"pulseboard/store"
)

// ownFigure is a figure of the server on the demo's board "This server".
type ownFigure struct {
	property string // of the events named "server"
	metric   string // in the registry
	growth   bool   // the figure is what the metric grew by since it was last read
}

var theOwnFigures = []ownFigure{
	{"streams", "pulseboard_streams", false},
	{"memory", "process_resident_memory_bytes", false},
	{"frames", "pulseboard_frames_total", true},
	{"bytes", "pulseboard_stream_written_bytes_total", true},
	{"events", "pulseboard_store_events", true}, // those of the shop too, which come in without HTTP
}

// ownFigures turns the server's metrics into events.
type ownFigures struct {
	registry *prometheus.Registry
	figures  []ownFigure
	before   map[string]float64 // by metric: what it was when it was last read
}

// newOwnFigures returns an error when a metric that would be read is not registered: its
// figure would be missing for ever.
func newOwnFigures(registry *prometheus.Registry, figures []ownFigure) (*ownFigures, error) {
	for _, f := range figures {
		if !isRegistered(registry, f.metric) {
			return nil, fmt.Errorf("the demo's figure %q is to be read from the metric %s, which this server does not have", f.property, f.metric)
		}
	}
	return &ownFigures{registry: registry, figures: figures, before: map[string]float64{}}, nil
}

// isRegistered reports whether a metric has been registered, with a number in it yet or not.
func isRegistered(registry *prometheus.Registry, metric string) bool {
	descs := make(chan *prometheus.Desc)
	go func() {
		defer close(descs)
		registry.Describe(descs)
	}()
	found := false
	for desc := range descs { // to the end, for the registry waits for its reader
		found = found || strings.Contains(desc.String(), "fqName: "+strconv.Quote(metric)+",")
	}
	return found
}

// event returns the server's figures now, without those that can't be read now.
func (o *ownFigures) event(at time.Time, log *slog.Logger) store.Event {
	now := o.read(log)
	var properties []store.Property
	for _, f := range o.figures {
		value, ok := now[f.metric]
		if ok && f.growth {
			var before float64
			before, ok = o.before[f.metric]
			value = max(0, value-before) // a gauge that fell has not grown
		}
		if ok {
			properties = append(properties, store.Property{Key: f.property, Value: store.Num(value)})
		}
	}
	maps.Copy(o.before, now)
	return store.Event{Name: "server", Time: at.UTC(), Properties: store.NewProperties(properties)}
}

// read returns the metrics by name, each as the sum of its samples.
func (o *ownFigures) read(log *slog.Logger) map[string]float64 {
	families, err := o.registry.Gather() // with an error it gives what it could gather
	if err != nil {
		log.Warn("some of the server's own figures could not be read", "error", err)
	}
	sums := map[string]float64{}
	for _, family := range families {
		for _, m := range family.GetMetric() {
			sums[family.GetName()] += m.GetCounter().GetValue() + m.GetGauge().GetValue()
		}
	}
	return sums
}
