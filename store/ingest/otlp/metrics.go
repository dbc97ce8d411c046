package otlp

import (
	"encoding/binary"
	"fmt"

	common "go.opentelemetry.io/proto/otlp/common/v1"
	metrics "go.opentelemetry.io/proto/otlp/metrics/v1"

	"pulseboard/store"
	"pulseboard/store/ingest"
)

// point is a point of a metric, of whatever kind.
type point struct {
	attributes  []*common.KeyValue
	start, time uint64 // nanoseconds since 1970
	flags       uint32
	totals      store.Totals
	min, max    *float64
}

// metrics reads the points of metrics.
func (r *reader) metrics(resources []*metrics.ResourceMetrics) error {
	for _, of := range resources {
		from := newOrigin(of.GetResource())
		for _, scope := range of.GetScopeMetrics() {
			within := from.in(scope.GetScope())
			for _, metric := range scope.GetMetrics() {
				if err := r.metric(within, metric); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// metric reads the points of one metric.
func (r *reader) metric(from *origin, metric *metrics.Metric) (err error) {
	from = from.with([]byte(metric.Name), []byte(metric.Unit), fmt.Appendf(nil, "%T", metric.Data))
	from.size += len(metric.Name)
	const delta = metrics.AggregationTemporality_AGGREGATION_TEMPORALITY_DELTA
	take := func(p point, of metrics.AggregationTemporality) {
		if err == nil && p.flags&uint32(metrics.DataPointFlags_DATA_POINT_FLAGS_NO_RECORDED_VALUE_MASK) == 0 {
			err = r.point(from, metric, p, of)
		}
	}
	switch data := metric.Data.(type) {
	case *metrics.Metric_Gauge:
		for _, p := range data.Gauge.GetDataPoints() {
			take(number(p), delta)
		}
	case *metrics.Metric_Sum:
		temporality := data.Sum.GetAggregationTemporality()
		if !data.Sum.GetIsMonotonic() && temporality == metrics.AggregationTemporality_AGGREGATION_TEMPORALITY_CUMULATIVE {
			temporality = delta // it goes up and down: its total is a level, like a gauge
		}
		for _, p := range data.Sum.GetDataPoints() {
			take(number(p), temporality)
		}
	case *metrics.Metric_Histogram:
		for _, p := range data.Histogram.GetDataPoints() {
			take(point{p.Attributes, p.StartTimeUnixNano, p.TimeUnixNano, p.Flags, distribution(p.Count, p.Sum), p.Min, p.Max}, data.Histogram.GetAggregationTemporality())
		}
	case *metrics.Metric_ExponentialHistogram:
		for _, p := range data.ExponentialHistogram.GetDataPoints() {
			take(point{p.Attributes, p.StartTimeUnixNano, p.TimeUnixNano, p.Flags, distribution(p.Count, p.Sum), p.Min, p.Max}, data.ExponentialHistogram.GetAggregationTemporality())
		}
	case *metrics.Metric_Summary:
		for _, p := range data.Summary.GetDataPoints() {
			take(point{p.Attributes, p.StartTimeUnixNano, p.TimeUnixNano, p.Flags, distribution(p.Count, &p.Sum), nil, nil}, metrics.AggregationTemporality_AGGREGATION_TEMPORALITY_CUMULATIVE)
		}
	}
	return err
}

func number(p *metrics.NumberDataPoint) point {
	sum := p.GetAsDouble()
	if of, isInt := p.Value.(*metrics.NumberDataPoint_AsInt); isInt {
		sum = float64(of.AsInt)
	}
	return point{p.Attributes, p.StartTimeUnixNano, p.TimeUnixNano, p.Flags, store.Totals{Sum: store.Num(sum)}, nil, nil}
}

func distribution(count uint64, sum *float64) store.Totals {
	t := store.Totals{Count: store.Num(float64(count))}
	if sum != nil {
		t.Sum = store.Num(*sum)
	}
	return t
}

// point reads a point of a metric: an event named like the metric. What counts
// since the point before is kept as it is, what counts since a start as a counter.
func (r *reader) point(from *origin, metric *metrics.Metric, p point, temporality metrics.AggregationTemporality) error {
	draft, err := r.begin(from)
	if err != nil {
		return err
	}
	setAttributes(draft, p.attributes)
	draft.Name(metric.Name)
	series := seriesOf(from, p)
	if p.time != 0 {
		r.setTime(draft, p.time)
		draft.ID(fmt.Sprintf("%x@%d", series, p.time))
	}
	switch temporality {
	case metrics.AggregationTemporality_AGGREGATION_TEMPORALITY_CUMULATIVE:
		draft.Counter(&store.Counter{Series: series, Totals: p.totals})
	case metrics.AggregationTemporality_AGGREGATION_TEMPORALITY_DELTA:
		setTotals(draft, p)
	default:
		draft.Reject("invalid_metric", "metric %s does not say its temporality: send delta or cumulative.", store.Quote(metric.Name))
	}
	r.end(draft)
	return nil
}

// setTotals gives an event a point's numbers as they are.
func setTotals(draft *ingest.Draft, p point) {
	for _, property := range p.totals.Properties() {
		draft.Set(property.Key, property.Value)
	}
	if p.min != nil {
		draft.Set("min", store.Num(*p.min))
	}
	if p.max != nil {
		draft.Set("max", store.Num(*p.max))
	}
}

// seriesOf names the series of a point of a metric since its start. Two processes that
// call themselves the same have starts of their own, so neither's totals are taken for
// the other's.
func seriesOf(metric *origin, p point) store.CounterSeries {
	start := binary.BigEndian.AppendUint64(nil, p.start)
	return store.CounterSeries(metric.with(attributesKey(p.attributes), start).sum()[:16])
}
