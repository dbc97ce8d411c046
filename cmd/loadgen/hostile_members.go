package main

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"sync/atomic"
	"time"
)

const (
	memberStreams = 50
	memberEvents  = 4 // a second
)

// members are viewers of the tenant that is attacked: they watch the board of five widgets
// over its own range, while it gets some events a second that are not the attacker's. Its
// view changes all the time, so that its updates come at the cadence and not at once, and
// it is the wait from one to the next that tells how its viewers fare.
type members struct {
	fleet *fleet
	from  atomic.Int64 // ns; when the attack began
	until atomic.Int64 // ns; when it ended
}

// newMembers opens the streams. Each viewer has a subject and is another one to the server.
func newMembers(t *target) (*members, error) {
	var texts []string
	for i := range memberStreams {
		text, err := t.bench.signMember("busy", fmt.Sprint("member-", i), nil)
		if err != nil {
			return nil, err
		}
		texts = append(texts, text)
	}
	f, err := newFleet(t.address, func(v *viewer) string {
		return streamRequest(t.address, "/api/stream/dashboard/busy?refresh=live&format=json&token="+texts[v.index], "", false)(v)
	})
	if err != nil {
		return nil, err
	}
	return &members{fleet: f}, crowd(f, memberStreams, 200*time.Millisecond)
}

// begin and end say which time counts. Only the first end does.
func (m *members) begin() { m.from.Store(time.Now().UnixNano()) }
func (m *members) end()   { m.until.CompareAndSwap(0, time.Now().UnixNano()) }

// longestWait returns the longest that the viewer at the 99th percentile waited from one
// update to the next.
func (m *members) longestWait() time.Duration {
	m.fleet.mu.Lock()
	defer m.fleet.mu.Unlock()
	var updates [][]int64
	for _, id := range m.fleet.order {
		updates = append(updates, m.fleet.ticks[id].arrivals)
	}
	return longestWait(updates, memberStreams, m.from.Load(), m.until.Load())
}

// longestWait goes through the arrivals of updates at viewers, the oldest update first, in
// ns. An update that came to fewer than 99 % of the viewers did not come: they wait on for
// the next. Of the waits those count that were not over at from; one that was not over at
// until ends there.
func longestWait(updates [][]int64, viewers int, from, until int64) (longest time.Duration) {
	rank, since := viewers*99/100, from
	for _, arrivals := range updates {
		if len(arrivals) <= rank {
			continue
		}
		sorted := slices.Sorted(slices.Values(arrivals))
		if came := min(sorted[rank], until); came > from {
			longest = max(longest, time.Duration(came-since))
		}
		since = min(sorted[0], until)
	}
	return max(longest, time.Duration(until-since))
}

// sendOfMember sends an event that the members' board shows, with a key that is not the attacker's.
func (o *bystanders) sendOfMember(i int) {
	body := fmt.Sprintf(`{"event":"request","user":"m%d","properties":{"path":"/shop/%d","status":200,"duration_ms":%d}}`, i%97, i%7, 10+i%90)
	status, err := o.send(o.t.bench.memberKey, body)
	o.count("member's events", status, http.StatusAccepted, err)
}

// openPages opens pages of a user and notes how long each took. One that failed took as
// long as anybody waits.
func (o *bystanders) openPages(ctx context.Context, who string, c *http.Client, cookie string, pages []string) {
	for _, page := range pages {
		began := time.Now()
		status, err := openPage(ctx, c, o.t.url(page, nil), cookie)
		took := time.Since(began)
		if err != nil || status != http.StatusOK {
			took = patience
		}
		if o.count(who+"'s "+page, status, http.StatusOK, err) {
			o.mu.Lock()
			o.pages[who] = append(o.pages[who], took.Seconds()*1e3)
			o.mu.Unlock()
		}
	}
}

// percentile99 returns the nearest-rank 99th percentile: of fewer than 101 values the greatest.
func percentile99(all []float64) float64 {
	if len(all) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(all))
	return sorted[(len(sorted)*99+99)/100-1]
}
