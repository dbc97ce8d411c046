package main

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestTheLongestWaitOfMembers(t *testing.T) {
	const s = int64(time.Second)
	both := func(at ...int64) (updates [][]int64) { // of two viewers, the second a little later
		for _, a := range at {
			updates = append(updates, []int64{a*s + 7, a * s})
		}
		return updates
	}
	const from, until = 100 * s, 120 * s
	for what, c := range map[string]struct {
		updates [][]int64
		want    time.Duration
	}{
		"none at all":                     {nil, 20 * time.Second},
		"one every five seconds":          {both(94, 99, 104, 109, 114, 119), 5*time.Second + 7},
		"a wait that was over before":     {both(80, 99, 104, 109, 114, 119), 5*time.Second + 7},
		"a wait that began before":        {both(92, 104, 109, 114, 119), 12*time.Second + 7},
		"a wait that did not end":         {both(99, 104, 109), 11 * time.Second},
		"one that came after the end":     {both(99, 104, 109, 130), 11 * time.Second},
		"one that one viewer did not get": {slices.Concat(both(99, 104), [][]int64{{109 * s}}, both(114, 119)), 10*time.Second + 7},
	} {
		if got := longestWait(c.updates, 2, from, until); got != c.want {
			t.Errorf("%s: got %s, want %s", what, got, c.want)
		}
	}
}

// withPages returns bystanders of a server whose pages are named after their statuses;
// "slow" does not answer.
func withPages(t *testing.T) *bystanders {
	end := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/slow":
			<-end
		case "/503":
			w.WriteHeader(http.StatusServiceUnavailable)
		}
		_, _ = io.WriteString(w, "a page")
	}))
	t.Cleanup(server.Close)
	t.Cleanup(func() { close(end) })
	site := &site{process: &process{address: strings.TrimPrefix(server.URL, "http://")}}
	o := &bystanders{t: &target{site: site}, members: &members{fleet: &fleet{}}, all: newTally(), refused: newTally(), pages: map[string][]float64{}}
	o.begin()
	return o
}

func TestAPageThatFailsTookTheLongest(t *testing.T) {
	o := withPages(t)
	c := &http.Client{Timeout: patience}
	o.openPages(context.Background(), "owner", c, "", []string{"/200", "/503"})
	o.openPages(context.Background(), "owner", &http.Client{Timeout: 100 * time.Millisecond}, "", []string{"/slow"})
	o.openPages(context.Background(), "user", c, "", []string{"/200"})
	longest := patience.Seconds() * 1e3
	if got := o.pages["owner"]; len(got) != 3 || got[0] >= longest || got[1] != longest || got[2] != longest {
		t.Errorf("the pages took %v ms", got)
	}
	if got := listed(o.refused.byLabel()); got != "owner's /503 503 ×1, owner's /slow failed ×1" {
		t.Errorf("refused %s", got)
	}
	var r hostileRow
	if o.report(&r); r.Pages != 3 || r.PagesP99 != longest {
		t.Errorf("reported %d pages of %.0f ms", r.Pages, r.PagesP99)
	}
}

func TestPagesCountFromTheBeginningToTheEnd(t *testing.T) {
	o := withPages(t)
	c := &http.Client{Timeout: patience}
	open := func() { o.openPages(context.Background(), "owner", c, "", []string{"/200"}) }
	open()
	o.begin()
	if open(); len(o.pages["owner"]) != 1 {
		t.Errorf("after the beginning %d count", len(o.pages["owner"]))
	}
	o.end()
	if open(); len(o.pages["owner"]) != 1 {
		t.Errorf("after the end %d count", len(o.pages["owner"]))
	}
}

// A server that is killed breaks all off, for which its memory is to blame.
func TestStreamsOfMembersThatBreakOffCount(t *testing.T) {
	o := withPages(t)
	o.fleets = []*fleet{{counts: counts{Broken: 1}}}
	o.members.fleet = &fleet{counts: counts{Broken: 2, Refused: 4}}
	var r hostileRow
	if o.report(&r); r.BrokeOff != 7 {
		t.Errorf("%d broke off", r.BrokeOff)
	}
	r = hostileRow{Killed: true}
	if o.report(&r); r.BrokeOff != 0 {
		t.Errorf("%d broke off from a server that was killed", r.BrokeOff)
	}
}

func TestThe99thPercentile(t *testing.T) {
	for _, c := range []struct {
		n    int
		want float64
	}{{0, 0}, {1, 1}, {34, 34}, {100, 99}, {101, 100}, {200, 198}} {
		var all []float64
		for i := range c.n {
			all = append(all, float64(c.n-i))
		}
		if got := percentile99(all); got != c.want {
			t.Errorf("of %d values: got %g, want %g", c.n, got, c.want)
		}
	}
}
