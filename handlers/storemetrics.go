package handlers

import (
	"context"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/time/rate"

	"pulseboard/store/sqlite"
)

// scrapeTimeout bounds what one figure of the store may take.
const scrapeTimeout = 2 * time.Second

// unreadEvery is how often the log says, at most, that a figure could not be read.
const unreadEvery = time.Minute

// storeFigure is a number of the store that /metrics shows.
type storeFigure struct {
	name string
	desc *prometheus.Desc
	read func(context.Context) (int64, error)
}

// storeCollector reads the store when it is scraped. A figure that can't be read is
// missing from that scrape, for any number in its place would be a lie.
type storeCollector struct {
	figures []storeFigure
	log     *slog.Logger
	say     rate.Sometimes
}

// registerStoreMetrics lets the store be watched.
func registerStoreMetrics(registry prometheus.Registerer, st *sqlite.Store, log *slog.Logger) {
	c := &storeCollector{log: log, say: rate.Sometimes{Interval: unreadEvery}}
	add := func(name, help string, read func(context.Context) (int64, error)) {
		name = prometheus.BuildFQName("pulseboard", "store", name)
		c.figures = append(c.figures, storeFigure{name, prometheus.NewDesc(name, help, nil, nil), read})
	}
	add("bytes", "Size of the database on disk, with its log.", st.Size)
	add("events", "Events kept.", st.EventCount)
	add("rollup_lag_events", "Events that the rollup furthest behind has not counted yet.", st.RollupLag)
	registry.MustRegister(c)
}

// Describe implements prometheus.Collector.
func (c *storeCollector) Describe(descs chan<- *prometheus.Desc) {
	for _, f := range c.figures {
		descs <- f.desc
	}
}

// Collect implements prometheus.Collector.
func (c *storeCollector) Collect(metrics chan<- prometheus.Metric) {
	for _, f := range c.figures {
		n, err := f.readNow()
		if err != nil {
			c.say.Do(func() {
				c.log.Error("a figure of the store could not be read and is missing from /metrics", "metric", f.name, "error", err)
			})
			continue
		}
		metrics <- prometheus.MustNewConstMetric(f.desc, prometheus.GaugeValue, float64(n))
	}
}

func (f storeFigure) readNow() (int64, error) {
	ctx, cancel := context.WithTimeout(context.Background(), scrapeTimeout)
	defer cancel()
	return f.read(ctx)
}
