package main

import (
	"bytes"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"testing"
	"time"
)

// sizeTime is how long the demo is watched.
const sizeTime = time.Minute

// BenchmarkUpdateSizes compares what the demo's streams send an update with what a
// full refresh would send: the page, and the whole snapshot.
func BenchmarkUpdateSizes(b *testing.B) {
	s := &site{t: b, dir: b.TempDir(), args: []string{"--demo"}}
	s.start()
	jar, _ := cookiejar.New(nil)
	client := &http.Client{Jar: jar}
	response, err := client.PostForm(s.url+"/login", url.Values{"email": {demoEmail}, "password": {demoPassword}})
	if err != nil {
		b.Fatal(err)
	}
	response.Body.Close()
	for _, board := range []string{"shop", "growth"} {
		for _, format := range []string{"json", "html"} {
			b.Run(board+"/"+format, func(b *testing.B) {
				for b.Loop() {
					page := s.pageSize(client, "/dashboards/"+board)
					full, update := s.updateSizes(client, board, format)
					b.ReportMetric(page, "page-B")
					b.ReportMetric(full, "snapshot-B")
					b.ReportMetric(update, "update-B")
					b.ReportMetric(100*(1-update/page), "%less-than-page")
					b.ReportMetric(100*(1-update/full), "%less-than-snapshot")
				}
			})
		}
	}
}

func (s *site) pageSize(client *http.Client, path string) float64 {
	request, _ := http.NewRequest("GET", s.url+path, nil)
	request.Header.Set("Accept", "text/html")
	response, err := client.Do(request)
	if err != nil {
		s.t.Fatal(err)
	}
	defer response.Body.Close()
	var body bytes.Buffer
	_, _ = body.ReadFrom(response.Body)
	return float64(body.Len())
}

// updateSizes watches a board and gives the size of the first update, which is
// the snapshot, and the mean size of the others, in bytes of data.
func (s *site) updateSizes(client *http.Client, board, format string) (full, update float64) {
	stream := s.openBoard(client, board, "refresh=5s&format="+format, "")
	defer stream.stop()
	full = float64(len(stream.must("metric_update").data))
	n, end := 0.0, time.Now().Add(sizeTime)
	for {
		m, ok := stream.next("metric_update", time.Until(end))
		if !ok {
			break
		}
		update += float64(len(m.data))
		n++
	}
	return full, update / max(1, n)
}
