package main

import (
	"fmt"
	"math"
	"strconv"
	"time"

	"pulseboard/store"
)

// board12 reads all that can be counted of a web server's requests.
const board12 = `
id: web
title: Web
range: now-24h
widgets:
  - {key: requests, title: Requests, kind: stat, measure: count, event: request}
  - {key: visitors, title: Visitors, kind: stat, measure: uniques, event: request}
  - {key: errors, title: Errors, kind: gauge, measure: ratio, event: request, of: ["status >= 500"]}
  - {key: slow, title: Slow, kind: stat, measure: p95, property: duration_ms, event: request}
  - {key: mean, title: Mean, kind: stat, measure: avg, property: duration_ms, event: request}
  - {key: worst, title: Worst, kind: stat, measure: max, property: duration_ms, event: request}
  - {key: traffic, title: Traffic, kind: line, measure: count, event: request}
  - {key: statuses, title: Statuses, kind: line, measure: count, event: request, by: status}
  - {key: bytes, title: Bytes, kind: line, measure: sum, property: bytes, event: request}
  - {key: pages, title: Pages, kind: bars, measure: count, event: request, by: path}
  - {key: slowest, title: Slowest, kind: table, measure: p95, property: duration_ms, event: request, by: path}
  - {key: missing, title: Missing, kind: bars, measure: count, event: request, where: ["status = 404"], by: path}
`

// weblog makes up the requests of a web server, the same ones each time.
type weblog struct {
	from  time.Time
	every time.Duration
}

// spread is a weblog of n requests that ends now.
func spread(n int, over time.Duration) weblog {
	every := (over / time.Duration(n)).Truncate(time.Microsecond)
	return weblog{time.Now().UTC().Truncate(time.Second).Add(-every * time.Duration(n)), every}
}

// mixed gives a number that looks random; see https://prng.di.unimi.it/splitmix64.c.
func mixed(n uint64) uint64 {
	n += 0x9e3779b97f4a7c15
	n = (n ^ n>>30) * 0xbf58476d1ce4e5b9
	n = (n ^ n>>27) * 0x94d049bb133111eb
	return n ^ n>>31
}

func (l weblog) event(i int) store.Event {
	r := mixed(uint64(i))
	part := func(n uint64) uint64 { // of 0 to n-1
		r = mixed(r)
		return r % n
	}
	status := 200
	switch p := part(100); {
	case p < 2:
		status = 500
	case p < 7:
		status = 404
	case p < 15:
		status = 304
	}
	page := math.Pow(200, float64(part(10_000))/10_000) - 1 // a few are often asked for
	return store.Event{
		Name: "request", ID: fmt.Sprintf("%016x", mixed(uint64(i)^l.id())), User: "u" + strconv.Itoa(int(part(50_000))),
		Time: l.from.Add(time.Duration(i) * l.every),
		Properties: store.Properties{
			{Key: "bytes", Value: store.Num(float64(200 + part(60_000)))},
			{Key: "duration_ms", Value: store.Num(math.Floor(math.Exp(float64(part(7_000))/1_000)*10) / 10)},
			{Key: "method", Value: store.Text("GET")},
			{Key: "path", Value: store.Text("/docs/" + strconv.Itoa(int(page)))},
			{Key: "status", Value: store.Num(float64(status))},
		},
	}
}

// id tells the requests of this log from those of others.
func (l weblog) id() uint64 { return uint64(l.from.UnixNano()) * 31 }

func (l weblog) batch(first, n int) []store.Event {
	events := make([]store.Event, n)
	for i := range events {
		events[i] = l.event(first + i)
	}
	return events
}

// late lets one request in five come up to an hour late.
func late(events []store.Event) []store.Event {
	for i := range events {
		if r := mixed(uint64(i) ^ uint64(events[0].Time.UnixNano())); r%5 == 0 {
			events[i].Time = events[i].Time.Add(-time.Duration(mixed(r) % uint64(time.Hour)).Truncate(time.Microsecond))
		}
	}
	return events
}

// appendNDJSON appends events as lines.
func appendNDJSON(b []byte, events []store.Event) []byte {
	for _, e := range events {
		b = append(b, `{"event":"`+e.Name+`","id":"`+e.ID+`","time":"`...)
		b = e.Time.AppendFormat(b, "2006-01-02T15:04:05.000000Z")
		b = append(b, `","user":"`+e.User+`","properties":`...)
		b = e.Properties.AppendJSON(b)
		b = append(b, "}\n"...)
	}
	return b
}
