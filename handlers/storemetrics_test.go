package handlers

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"pulseboard/store/sqlite"
)

// scraped are the names that a scrape gives a number for.
func scraped(t *testing.T, registry *prometheus.Registry) map[string]float64 {
	t.Helper()
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	numbers := map[string]float64{}
	for _, f := range families {
		numbers[f.GetName()] = f.GetMetric()[0].GetGauge().GetValue()
	}
	return numbers
}

// A figure that can't be read is no 0: it would tell operators that all
// events are gone, or that nothing lags.
func TestAFigureThatCannotBeReadIsLeftOut(t *testing.T) {
	st, err := sqlite.Open(t.Context(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	var log bytes.Buffer
	registry := prometheus.NewRegistry()
	registerStoreMetrics(registry, st, slog.New(slog.NewTextHandler(&log, nil)))
	if got := scraped(t, registry); len(got) != 3 || got["pulseboard_store_bytes"] <= 0 || log.Len() > 0 {
		t.Errorf("of an empty store: %v; the log says %q", got, log.String())
	}
	if err := st.Close(); err != nil {
		t.Fatal(err)
	}
	for range 3 { // the file is there still, so its size can be read
		if got := scraped(t, registry); len(got) != 1 || got["pulseboard_store_bytes"] <= 0 {
			t.Errorf("of a closed store: %v", got)
		}
	}
	if said := log.String(); strings.Count(said, "\n") != 1 || !strings.Contains(said, "metric=pulseboard_store_events") || !strings.Contains(said, "closed") {
		t.Errorf("the log says %q", said)
	}
}

func TestTheLogSaysOnceAMinuteThatFiguresAreMissing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		c := &storeCollector{log: slog.New(slog.NewTextHandler(&log, nil))}
		c.say.Interval = unreadEvery
		broken := func(context.Context) (int64, error) { return 0, errors.New("broken") }
		c.figures = []storeFigure{{"a", prometheus.NewDesc("a", "", nil, nil), broken}, {"b", prometheus.NewDesc("b", "", nil, nil), broken}}
		registry := prometheus.NewRegistry()
		registry.MustRegister(c)
		for range 13 { // a scrape every 15 s, for three minutes
			scraped(t, registry)
			time.Sleep(15 * time.Second)
		}
		if n := strings.Count(log.String(), "\n"); n != 4 {
			t.Errorf("the log says it %d times:\n%s", n, log.String())
		}
	})
}
