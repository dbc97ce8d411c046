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

// BenchmarkThousandViewers measures how long an event takes to a thousand open
// streams of one dashboard, from before it is posted.
func BenchmarkThousandViewers(b *testing.B) {
	const viewers = 1000
	s := newSite(b, "--cycle", "100ms", "--max-connections-per-user", "2000", "--max-connects-per-minute", "5000")
	client := s.signIn(email)
	client.Transport = &http.Transport{DisableCompression: true}
	streams := make([]*reader, viewers)
	began := time.Now()
	for i := range streams {
		streams[i] = s.open(client, "refresh=live&format=html", "")
		streams[i].must("metric_update")
	}
	connected := time.Since(began)
	time.Sleep(time.Second) // a quiet time, so that the first event goes out at once
	var last time.Duration
	for b.Loop() {
		posted := time.Now()
		s.post(signup())
		for _, stream := range streams {
			stream.must("metric_update")
		}
		last += time.Since(posted)
		time.Sleep(200 * time.Millisecond) // more than a cycle
	}
	b.ReportMetric(0, "ns/op") // the pauses would count
	b.ReportMetric(float64(connected.Milliseconds()), "ms-to-connect-all")
	b.ReportMetric(float64(last.Milliseconds())/float64(b.N), "ms-to-last-viewer")
}
