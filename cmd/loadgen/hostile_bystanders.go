package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"pulseboard/store"
)

const (
	// ticksEvery is longer than the default --cycle: each tick finds its view quiet and
	// goes out at once, so that the delay is the server's and not the cadence's.
	ticksEvery  = 6 * time.Second
	afterUpdate = 5200 * time.Millisecond
	longestTick = 5 * time.Second

	postsASecond  = 20
	eventsOfAPost = 5
)

// bystanders use a server as it is meant to be used: they watch, send 100 events a second,
// sign in and open pages. Most are of another tenant than the attacker, some of the same.
type bystanders struct {
	t       *target
	fleets  []*fleet // of each room
	each    int      // viewers of a room
	members *members
	client  *http.Client

	all, refused *tally
	accepted     atomic.Int64 // bytes of the bodies of accepted events
	counting     atomic.Bool
	underWay     sync.WaitGroup

	mu    sync.Mutex
	ticks []float64            // ms
	pages map[string][]float64 // ms, by the user
}

// newBystanders opens the streams. Each viewer is another one to the server.
func newBystanders(t *target, viewers, rooms int) (*bystanders, error) {
	o := &bystanders{t: t, each: viewers / rooms, client: clientAt(addressOfOthers), all: newTally(), refused: newTally(), pages: map[string][]float64{}}
	var err error
	if o.members, err = newMembers(t); err != nil {
		return o, err
	}
	for room := range rooms {
		var cookies []string
		for i := range o.each {
			text, err := t.bench.sign("calm", fmt.Sprintf("viewer-%d-%d", room, i), store.Vars{"room": {fmt.Sprint(room)}})
			if err != nil {
				return o, err
			}
			cookies = append(cookies, text)
		}
		f, err := newFleet(t.address, func(v *viewer) string {
			return streamRequest(t.address, "/api/stream/dashboard/calm?refresh=live&format=json&token="+cookies[v.index], "", false)(v)
		})
		if err != nil {
			return o, err
		}
		o.fleets = append(o.fleets, f)
		if err := crowd(f, o.each, 200*time.Millisecond); err != nil {
			return o, err
		}
	}
	return o, nil
}

func (o *bystanders) close() {
	for _, f := range o.streams() {
		f.close()
	}
}

// streams returns all fleets.
func (o *bystanders) streams() []*fleet {
	if o.members == nil {
		return o.fleets
	}
	return append(slices.Clone(o.fleets), o.members.fleet)
}

// begin counts from now on.
func (o *bystanders) begin() {
	o.all.forget()
	o.refused.forget()
	o.mu.Lock()
	o.ticks = nil
	clear(o.pages)
	o.mu.Unlock()
	o.members.begin()
	o.counting.Store(true)
}

// end counts no more.
func (o *bystanders) end() {
	o.members.end()
	o.counting.Store(false)
}

// finish waits for the answers to all that was asked. No more events come in by then.
func (o *bystanders) finish() {
	o.members.end()
	o.underWay.Wait()
}

// report adds the harm to the others to a row.
func (o *bystanders) report(r *hostileRow) {
	r.Others, r.Refused = o.all.byLabel(), o.refused.byLabel()
	if !r.Killed {
		for _, f := range o.streams() {
			total := f.total()
			r.BrokeOff += total.Broken + total.Refused
		}
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	r.ticks, r.Ticks, r.P99 = o.ticks, len(o.ticks), middle(slices.Clone(o.ticks))
	r.Pages, r.PagesP99 = len(o.pages["owner"]), percentile99(o.pages["owner"])
	r.MembersWait = o.members.longestWait().Seconds() * 1e3
}

// work goes on until ctx ends.
func (o *bystanders) work(ctx context.Context) {
	for room := range o.fleets {
		o.underWay.Go(func() { o.tickRoom(ctx, room) })
	}
	o.every(ctx, time.Second/postsASecond, o.ingest)
	o.every(ctx, time.Second/memberEvents, o.sendOfMember)
	o.every(ctx, time.Second, func(int) { o.visit("user", mail, clientAt(addressOfOthers), "/dashboards/calm") })
	o.every(ctx, time.Second, func(int) {
		o.visit("owner", owner, clientAt(addressOfOwner), "/dashboards/small", "/dashboards/busy")
	})
}

// every calls fn at each interval, whether the call before has returned or not.
func (o *bystanders) every(ctx context.Context, interval time.Duration, fn func(i int)) {
	o.underWay.Go(func() {
		ticker := time.NewTicker(interval)
		defer ticker.Stop()
		for i := 0; ; i++ {
			select {
			case <-ctx.Done():
				return
			case <-ticker.C:
				o.underWay.Go(func() { fn(i) })
			}
		}
	})
}

// count counts a request by its outcome, and reports whether it counts.
func (o *bystanders) count(kind string, status, wanted int, err error) bool {
	if !o.counting.Load() {
		return false
	}
	o.all.add(kind)
	switch {
	case err != nil:
		o.refused.add(kind + " failed")
	case status != wanted:
		o.refused.add(fmt.Sprint(kind, " ", status))
	}
	return true
}

// ingest sends events that no room shows.
func (o *bystanders) ingest(i int) {
	var body strings.Builder
	for n := range eventsOfAPost {
		fmt.Fprintf(&body, `{"event":"request","user":"u%d","properties":{"room":"hall","path":"/p%d","status":200,"duration_ms":%d}}`+"\n", i%97, i%7, 10+n*37)
	}
	status, err := o.send(o.key(i), body.String())
	o.count("events", status, http.StatusAccepted, err)
}

// key returns one of the keys.
func (o *bystanders) key(i int) string { return o.t.bench.keys[i%len(o.t.bench.keys)] }

// send posts events with a key.
func (o *bystanders) send(key, body string) (status int, err error) {
	status, n, err := postBatch(context.Background(), o.client, o.t, "/api/events", key, "", []byte(body))
	if n > 0 {
		o.accepted.Add(int64(len(body)))
	}
	return status, err
}

// visit signs in and opens pages.
func (o *bystanders) visit(who, email string, c *http.Client, pages ...string) {
	defer c.CloseIdleConnections()
	ctx := context.Background() // the client has a timeout
	status, cookie, err := o.t.signIn(ctx, c, email, password)
	o.count(who+"'s sign-in", status, http.StatusSeeOther, err)
	if err != nil || cookie == "" {
		return
	}
	o.openPages(ctx, who, c, cookie, pages)
}

// openPage reads a page.
func openPage(ctx context.Context, c *http.Client, address, cookie string) (status int, err error) {
	r, err := http.NewRequestWithContext(ctx, "GET", address, nil)
	if err != nil {
		return 0, err
	}
	r.Header.Set("Accept", "text/html")
	if cookie != "" {
		r.Header.Set("Cookie", cookie)
	}
	answer, err := c.Do(r)
	if err != nil {
		return 0, err
	}
	defer answer.Body.Close()
	_, err = io.Copy(io.Discard, answer.Body)
	return answer.StatusCode, err
}

// tickRoom sends a room an event now and then, and notes when its viewers have it.
func (o *bystanders) tickRoom(ctx context.Context, room int) {
	rooms := len(o.fleets)
	wait := ticksEvery * time.Duration(room) / time.Duration(rooms)
	for i := room; ; i += rooms {
		select {
		case <-ctx.Done():
			return
		case <-time.After(wait):
		}
		began, counted := time.Now(), o.counting.Load()
		took := o.tick(i, room)
		if counted && o.counting.Load() {
			o.mu.Lock()
			o.ticks = append(o.ticks, took.Seconds()*1e3)
			o.mu.Unlock()
		}
		wait = max(ticksEvery-time.Since(began), afterUpdate)
	}
}

// tick sends an event and returns how long the viewer at the 99th percentile waited for it.
func (o *bystanders) tick(i, room int) time.Duration {
	f := o.fleets[room]
	known, posted := f.known(), time.Now()
	answered := make(chan struct{})
	go func() {
		defer close(answered)
		status, err := o.send(o.key(i), fmt.Sprintf(`{"event":"request","user":"t%d","properties":{"room":"%d","path":"/p%d","status":200,"duration_ms":20}}`, i, room, i%7))
		o.count("events", status, http.StatusAccepted, err)
	}()
	id := ""
	waitFor(longestTick, func() bool {
		var n int
		n, id = f.arrived(known)
		return n >= o.each
	})
	took := tickP99(posted.UnixNano(), f.arrivalsOf(id), o.each, longestTick)
	<-answered
	return took
}

// postBatch sends a batch of events and returns how many of them were accepted.
func postBatch(ctx context.Context, c *http.Client, t *target, path, key, coding string, body []byte) (status, accepted int, err error) {
	r, err := http.NewRequestWithContext(ctx, "POST", t.url(path, nil), strings.NewReader(string(body)))
	if err != nil {
		return 0, 0, err
	}
	if key != "" {
		r.Header.Set("Authorization", "Bearer "+key)
	}
	if coding != "" {
		r.Header.Set("Content-Encoding", coding)
	}
	answer, err := c.Do(r)
	if err != nil {
		return 0, 0, err
	}
	defer answer.Body.Close()
	var result struct{ Accepted int }
	if answer.StatusCode == http.StatusAccepted {
		err = json.NewDecoder(answer.Body).Decode(&result)
	}
	_, _ = io.Copy(io.Discard, answer.Body)
	return answer.StatusCode, result.Accepted, err
}

// readJSON decodes an answer.
func readJSON(c *http.Client, r *http.Request, into any) error {
	answer, err := c.Do(r)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	if err := json.NewDecoder(answer.Body).Decode(into); err != nil {
		return fmt.Errorf("%s %s: %s: %w", r.Method, r.URL.Path, answer.Status, err)
	}
	return nil
}
