package ingest

import (
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"pulseboard/store/growth"
)

// again repeats a text up to a length.
func again(s string) func(n int) string {
	return func(n int) string { return strings.Repeat(s, n/len(s)) }
}

// numbered repeats a text with numbers up to a length.
func numbered(format string) func(n int) string {
	return func(n int) string {
		var b strings.Builder
		for i := 0; b.Len() < n; i++ {
			fmt.Fprintf(&b, format, i)
		}
		return b.String()
	}
}

func between(before string, middle func(n int) string, after string) func(n int) string {
	return func(n int) string { return before + middle(n) + after }
}

// nested puts as many lists into each other as may be, again and again.
func nested(n int) string {
	const depth = 5_000
	one := strings.Repeat("[", depth) + strings.Repeat("]", depth)
	return strings.TrimSuffix(strings.Repeat(one+",", max(1, n/len(one))), ",")
}

// TestTimeGrowsWithTheFile reads files that a sender made to take long.
func TestTimeGrowsWithTheFile(t *testing.T) {
	for name, file := range map[string]struct {
		format Format
		build  func(n int) string
	}{
		"CSV, quotes never closed":            {CSV, between("event\n", again("x\",\"\n"), "")},
		"CSV, quotes closed at the end":       {CSV, between("event\n", again("x\",\"\n"), "\"\n")},
		"CSV, a row of lines with stray ones": {CSV, between("event\n\"", again("\"a\",\"b\n"), "\"\n\"\n")},
		"CSV, stray quotes in short rows":     {CSV, between("event\n\"a\n", again("\"a\" b\n"), "")},
		"CSV, a quote open before long rows":  {CSV, between("event\n\"", again("\"\"\n\"a\nb\"c\n"), "")},
		"CSV, only quotes":                    {CSV, between("event\n", again("\""), "")},
		"CSV, only quotes in the header":      {CSV, again("\"\n")},
		"CSV, CR alone":                       {CSV, between("event\n", again("a\r"), "")},
		"CSV, no end of line":                 {CSV, again("a,")},
		"CSV, blank lines":                    {CSV, between("event\n", again("\n"), "")},
		"CSV, blank lines in quotes":          {CSV, between("event\n\"", again("\r\n"), "")},
		"CSV, many columns":                   {CSV, numbered("a%d,")},
		"CSV, many columns and cells": {CSV, func(n int) string {
			return numbered("a%d,")(n/2) + "event\n" + again("1,")(n/2) + "e\n"
		}},
		"NDJSON, a long line":  {NDJSON, between(`{"event":"`, again("x"), `"}`)},
		"NDJSON, escapes":      {NDJSON, between(`{"event":"`, again(`\u00e9`), `"}`)},
		"NDJSON, many members": {NDJSON, between(`{"event":"e","properties":{`, numbered(`"k%d":1,`), `"z":1}}`)},
		"NDJSON, equal lines":  {NDJSON, again("{\"event\":\"e\"}\n")},
		"NDJSON, braces":       {NDJSON, again("{")},
		"log, words":           {Combined, between(`1.1.1.1 - - [17/May/2015:10:05:03 +0000] "`, again("GET "), `" 200 1 "-" "-"`)},
		"log, backslashes":     {Combined, between(`1.1.1.1 - - [17/May/2015:10:05:03 +0000] "`, again(`\"`), `" 200 1 "-" "-"`)},
		"log, brackets":        {Combined, again(" [")},
		"log, quotes":          {Common, between(`1.1.1.1 - - [17/May/2015:10:05:03 +0000] `, again(`"`), ``)},
		"log, no UTF-8":        {Common, again("\xff ")},
	} {
		t.Run(name, func(t *testing.T) {
			growth.Check(t, 32<<10, 256<<10, file.build, func(s string) {
				r := NewReader(strings.NewReader(s), file.format, Columns{}, time.Now)
				for {
					_, err := r.Next()
					var header *HeaderError
					if errors.Is(err, io.EOF) || errors.As(err, &header) {
						return
					}
				}
			})
		})
	}
}

// TestTimeGrowsWithTheBody reads requests that a sender made to take long.
func TestTimeGrowsWithTheBody(t *testing.T) {
	event := func(s string) { _, _ = Decode([]byte(s), false, time.Now()) }
	lines := func(s string) { _, _ = Decode([]byte(s), true, time.Now()) }
	segment := func(s string) { _, _ = DecodeSegment([]byte(s), "track", time.Now()) }
	posthog := func(s string) { _, _ = DecodePostHog([]byte(s), time.Now()) }
	cloud := func(s string) { _, _ = DecodeCloudEvents([]byte(s), false, time.Now()) }
	binary := func(s string) {
		DecodeBinaryCloudEvent(map[string]string{"specversion": "1.0", "type": "a", "id": "1", "source": "s", "x": s}, "", []byte(s), time.Now())
	}
	for name, body := range map[string]struct {
		read  func(string)
		build func(n int) string
	}{
		"JSON, events":             {event, between("[", again(`{"event":"e"},`), `{"event":"e"}]`)},
		"JSON, numbers":            {event, between("[", again("1,"), "1]")},
		"JSON, nested":             {event, between(`{"event":"e","properties":{"a":[`, nested, `]}}`)},
		"JSON, nested and unknown": {event, between(`{"event":"e","x":[`, nested, `]}`)},
		"JSON, opened":             {event, again("[")},
		"JSON, opened and closed":  {event, again(`[{"a":`)},
		"JSON, members":            {event, between("{", numbered(`"k%d":1,`), `"event":"e"}`)},
		"JSON, equal members":      {event, between("{", again(`"event":"e",`), `"event":"e"}`)},
		"JSON, properties":         {event, between(`{"event":"e","properties":{`, numbered(`"k%d":1,`), `"z":1}}`)},
		"JSON, equal properties":   {event, between(`{"event":"e","properties":{`, again(`"k":1,`), `"z":1}}`)},
		"JSON, many properties":    {event, between("{", again(`"properties":{"a":1},`), `"event":"e"}`)},
		"JSON, a long number":      {event, between(`{"event":"e","properties":{"k":`, again("1"), `}}`)},
		"JSON, a long time":        {event, between(`{"event":"e","time":"`, again("2026-02-09T"), `"}`)},
		"JSON, surrogates":         {event, between(`{"event":"`, again(`\ud800`), `"}`)},
		"JSON, spaces":             {event, again(" ")},
		"JSON, text after":         {event, between(`{"event":"e"}`, again(" "), "x")},
		"NDJSON, blank lines":      {lines, again("\n")},
		"NDJSON, lines":            {lines, again("{}\n")},
		"NDJSON, bad lines":        {lines, again("{\n")},
		"Segment, batch":           {segment, between(`{"batch":[`, again(`{"event":"e"},`), `{}]}`)},
		"Segment, batches":         {segment, between(`{`, again(`"batch":[{"event":"e"}],`), `"a":1}`)},
		"Segment, keys":            {segment, between(`{`, numbered(`"writeKey":"%d",`), `"batch":[]}`)},
		"Segment, traits":          {segment, between(`{"type":"identify","traits":{`, numbered(`"k%d":1,`), `"z":1}}`)},
		"Segment, types":           {segment, between(`{`, again(`"type":"page",`), `"event":"e"}`)},
		"PostHog, batch":           {posthog, between(`{"api_key":"k","batch":[`, again(`{"event":"e","properties":{"token":"k"}},`), `{}]}`)},
		"PostHog, sets":            {posthog, between(`{"event":"e",`, again(`"$set":{"a":1},`), `"uuid":"u"}`)},
		"PostHog, tokens":          {posthog, between(`{"event":"e","properties":{`, again(`"token":"k",`), `"distinct_id":"u"}}`)},
		"CloudEvents, members":     {cloud, between(`{"specversion":"1.0","type":"t","source":"s","id":"1",`, numbered(`"k%d":1,`), `"z":1}`)},
		"CloudEvents, sources":     {cloud, between(`{"specversion":"1.0","type":"t","id":"1",`, again(`"source":"s",`), `"z":1}`)},
		"CloudEvents, data":        {cloud, between(`{"specversion":"1.0","type":"t","source":"s","id":"1","data":{`, numbered(`"k%d":1,`), `"z":1}}`)},
		"CloudEvents, base64": {cloud, func(n int) string {
			return `{"specversion":"1.0","type":"t","source":"s","id":"1","data_base64":"` + base64.StdEncoding.EncodeToString([]byte(again(`{"a":`)(n/2))) + `"}`
		}},
		"CloudEvents, percents": {binary, again("%41")},
		"CloudEvents, no UTF-8": {binary, again("\xff")},
		"CloudEvents, brackets": {binary, again("[")},
	} {
		t.Run(name, func(t *testing.T) {
			growth.Check(t, 256<<10, 1<<20, body.build, body.read)
		})
	}
}
