package main

import (
	"flag"
	"log/slog"
	"os"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/prometheus/client_golang/prometheus"

	"pulseboard/store"
)

// screenshot can be set to look at what a test saw.
var screenshot = flag.String("screenshot", "", "file to write a picture of the demo's board of the server to (PNG)")

// The demo's board about its own server shows numbers that the server has, once it
// served something.
func TestTheDemoShowsItsServersFigures(t *testing.T) {
	slow(t)
	t.Parallel()
	s := &site{t: t, dir: t.TempDir(), args: []string{"--demo"}}
	s.start()
	b := newBrowser(t)
	b.do(demoSignIn(s)...)
	b.do(chromedp.Navigate(s.url+"/dashboards/server"), chromedp.WaitVisible("#board"))
	b.sees(liveState, "live")
	for _, widget := range []string{"streams", "frames", "bytes", "events"} {
		s.eventually(widget+" has a number other than 0", func() bool {
			number := b.eval(`(document.querySelector("#widget-` + widget + ` .number") ?? {}).textContent`) // there is none before the first event
			return strings.ContainsAny(number, "123456789")
		})
	}
	for _, widget := range []string{"streams_over_time", "memory"} {
		b.sees(`Boolean(document.querySelector("#widget-`+widget+` svg path[d], #widget-`+widget+` svg circle"))`, "true")
	}
	if *screenshot != "" {
		picture, err := chromedp.Run(b.ctx, chromedp.FullScreenshot(100))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(*screenshot, picture, 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

func TestAFigureThatNoMetricHasIsAnErrorAtStart(t *testing.T) {
	t.Parallel()
	registry := prometheus.NewRegistry()
	seen := prometheus.NewCounterVec(prometheus.CounterOpts{Name: "seen_total"}, []string{"outcome"}) // without a sample yet
	registry.MustRegister(seen)
	figure := ownFigure{"seen", "seen_total", true}
	if _, err := newOwnFigures(registry, []ownFigure{figure}); err != nil {
		t.Errorf("of a metric that is registered: %v", err)
	}
	for _, unknown := range []string{"seen", "seen_totals", "een_total", "", "outcome"} {
		_, err := newOwnFigures(registry, []ownFigure{figure, {"unseen", unknown, true}})
		if err == nil || !strings.Contains(err.Error(), `"unseen" is to be read from the metric `+unknown) {
			t.Errorf("%q: %v", unknown, err)
		}
	}
}

// A counter begins at its value when it is first read, and a missing metric is not 0.
func TestAnEventOfTheServerHoldsWhatCanBeRead(t *testing.T) {
	t.Parallel()
	registry := prometheus.NewRegistry()
	seen := prometheus.NewCounterVec(prometheus.CounterOpts{Name: "seen_total"}, []string{"outcome"})
	open := prometheus.NewGauge(prometheus.GaugeOpts{Name: "open"})
	registry.MustRegister(seen, open)
	own, err := newOwnFigures(registry, []ownFigure{{"seen", "seen_total", true}, {"open", "open", false}, {"opened", "open", true}})
	if err != nil {
		t.Fatal(err)
	}
	next := func(want ...store.Property) {
		t.Helper()
		got := own.event(time.Now(), slog.New(slog.DiscardHandler))
		if wanted := store.NewProperties(want); got.Name != "server" || !reflect.DeepEqual(got.Properties, wanted) {
			t.Errorf("%+v, want %+v", got, wanted)
		}
	}
	open.Set(3)
	next(store.Property{Key: "open", Value: store.Num(3)})
	seen.WithLabelValues("a").Add(2)
	next(store.Property{Key: "open", Value: store.Num(3)}, store.Property{Key: "opened", Value: store.Num(0)})
	seen.WithLabelValues("a").Add(2)
	seen.WithLabelValues("b").Add(3)
	open.Set(1)
	next(store.Property{Key: "open", Value: store.Num(1)}, store.Property{Key: "opened", Value: store.Num(0)}, store.Property{Key: "seen", Value: store.Num(5)})
}
