package main

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
)

// The promises of the story, one test each, with the real program and, where a
// page is part of the promise, a real browser.

func TestAC1_AnEventThatOnePostsIsSeenByAnotherWithinFiveSeconds(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	b := newBrowser(t)
	b.signIn(s, email, "/dashboards/web")
	b.sees(liveState, "live")
	b.sees(numberOf("event_count"), "0")

	posted := s.post(request("u1", "/", 200))
	if took := b.sees(numberOf("event_count"), "1").Sub(posted); took > 5*time.Second {
		t.Errorf("seen after %s", took)
	}
	// The board was not quiet any more: the next change waits for its cadence.
	posted = s.post(request("u2", "/a", 200), request("u2", "/a", 200))
	if took := b.sees(numberOf("event_count"), "3").Sub(posted); took > 5*time.Second+500*time.Millisecond {
		t.Errorf("seen after %s", took)
	}
	b.sees(numberOf("unique_users"), "2")
}

func TestAC2_ADeltaHoldsTheChangedMetricsOnly(t *testing.T) {
	t.Parallel()
	s := newSite(t, "--cycle", "200ms")
	s.post(request("u1", "/", 200), signup())
	stream := s.open(s.signIn(email), "refresh=live", "")
	if n := len(stream.must("metric_update").readings(t)); n != 6 {
		t.Fatalf("the first update holds %d widgets, want all 6", n)
	}
	s.post(signup())
	if got := stream.must("metric_update").data; got != `{"signups":2}` {
		t.Errorf("the delta is %s, want the sign-ups alone", got)
	}
	// The same user again: the count changes, the users do not.
	s.post(request("u1", "/", 200))
	delta := stream.must("metric_update").readings(t)
	if _, sent := delta["unique_users"]; sent || string(delta["event_count"]) != "2" {
		t.Errorf("the delta is %v, want event_count 2 and no unique_users", delta)
	}
}

// A page whose server is killed tries again after 1, 2, 4, 8 and 16 seconds,
// says so in words and colour, and misses nothing when the server is back.
func TestAC3_AC5_ReconnectsWithBackoffAndShowsIt(t *testing.T) {
	slow(t)
	t.Parallel()
	s := newSite(t)
	b := newBrowser(t)
	b.signIn(s, email, "/dashboards/web")
	b.sees(liveState, "live")
	dot := `getComputedStyle(document.querySelector(".status-mark")).backgroundColor`
	if live := b.eval(dot); !strings.HasPrefix(live, "oklch(0.64 0.17 150") {
		t.Errorf("the dot of a live page is %s, want green", live)
	}
	if animation := b.eval(`getComputedStyle(document.querySelector(".status-mark")).animationName`); animation != "breathe" {
		t.Errorf("the dot of a live page does not pulse: %q", animation)
	}

	s.kill()
	killed := time.Now()
	tries := countConnects(t, strings.TrimPrefix(s.url, "http://"))
	b.sees(liveState, "reconnecting")
	b.sees(statusWord, "Reconnecting…")
	banner := regexp.MustCompile(`^Reconnecting… (next try in \d+ s|trying now)$`)
	b.sees(bannerText+`.startsWith("Reconnecting… next try in ")`, "true")
	if text := b.eval(bannerText); !banner.MatchString(text) {
		t.Errorf("the banner says %q", text)
	}
	b.seesWithin(liveState, "disconnected", time.Minute)
	b.sees(bannerText+`.startsWith("Disconnected. The server has not answered since ")`, "true")
	b.sees(`document.querySelector("[data-action=retry]").textContent.trim()`, "Retry now")

	times := tries.stop()
	if len(times) != 5 {
		t.Fatalf("%d tries in %s", len(times), time.Since(killed))
	}
	for i, want := range []time.Duration{time.Second, 2 * time.Second, 4 * time.Second, 8 * time.Second, 16 * time.Second} {
		since := killed
		if i > 0 {
			since = times[i-1]
		}
		took := times[i].Sub(since)
		t.Logf("try %d after %s", i+1, took.Round(time.Millisecond))
		if took < want-50*time.Millisecond || took > want*11/10+700*time.Millisecond {
			t.Errorf("try %d came after %s, want %s and at most a tenth more", i+1, took, want)
		}
	}

	// What came while nobody was there is shown, and nothing flashes for it.
	lines := `{"event":"request","id":"a","user":"u9","properties":{"path":"/late","status":200}}` + "\n"
	s.command(lines, "import", "--tenant", "acme", "--format", "ndjson", "-")
	b.eval(recordFlashesNow)
	s.start()
	b.do(chromedp.Click("[data-action=retry]"))
	b.sees(liveState, "live")
	b.sees(numberOf("event_count"), "1")
	b.sees(`document.querySelector("#banner").hidden`, "true")
	if flashed := b.eval(`window.flashes.join()`); flashed != "" {
		t.Errorf("flashed after the reconnect: %s", flashed)
	}
}

// recordFlashesNow starts recordFlashes in a page that is open.
const recordFlashesNow = `(() => {` + recordFlashes + `})()`

// connects notes when something connects to an address, and gives no answer.
type connects struct {
	listener net.Listener
	mu       sync.Mutex
	times    []time.Time
}

func countConnects(t *testing.T, address string) *connects {
	t.Helper()
	listener, err := net.Listen("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	c := &connects{listener: listener}
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			accepted := time.Now()
			_ = conn.SetReadDeadline(accepted.Add(100 * time.Millisecond))
			request := make([]byte, len("GET /api/stream/"))
			_, _ = io.ReadFull(conn, request)
			conn.Close()
			// A page also asks for icons, and a browser repeats at once a request whose
			// connection was cut before an answer.
			c.mu.Lock()
			again := len(c.times) > 0 && accepted.Sub(c.times[len(c.times)-1]) < 500*time.Millisecond
			if string(request) == "GET /api/stream/" && !again {
				c.times = append(c.times, accepted)
			}
			c.mu.Unlock()
		}
	}()
	return c
}

func (c *connects) stop() []time.Time {
	c.listener.Close()
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.times)
}

func TestAC4_ViewersOfOneDashboardShareOnePool(t *testing.T) {
	t.Parallel()
	s := newSite(t, "--cycle", "200ms", "--max-connections-per-user", "200", "--max-connects-per-minute", "500")
	s.tenant("other", "bob@example.com")
	client, stranger := s.signIn(email), s.signIn("bob@example.com")
	const viewers = 50
	var streams []*reader
	for range viewers {
		stream := s.open(client, "refresh=live", "")
		stream.must("metric_update")
		streams = append(streams, stream)
	}
	elsewhere := s.open(stranger, "refresh=live", "")
	elsewhere.must("metric_update")
	if pools := s.metric("pulseboard_pools"); pools != "2" {
		t.Errorf("%s pools for one dashboard of each of two tenants", pools)
	}
	renders, frames := s.metric("pulseboard_renders_total"), s.metric("pulseboard_frames_total")

	s.post(signup())
	first := streams[0].must("metric_update")
	for _, stream := range streams[1:] {
		if got := stream.must("metric_update"); got != first {
			t.Fatalf("one viewer got %v, another %v", got, first)
		}
	}
	if got := s.metric("pulseboard_renders_total"); got != increment(renders, 1) {
		t.Errorf("renders went from %s to %s for one changed widget", renders, got)
	}
	if got := s.metric("pulseboard_frames_total"); got != increment(frames, 1) {
		t.Errorf("frames went from %s to %s for one change", frames, got)
	}
	if m, ok := elsewhere.next("metric_update", time.Second); ok {
		t.Errorf("another tenant was told: %v", m)
	}
}

func increment(number string, by int) string {
	var n int
	_, _ = fmt.Sscan(number, &n)
	return fmt.Sprint(n + by)
}

// metric gives the value of a metric without labels.
func (s *site) metric(name string) string {
	s.t.Helper()
	response, err := (&http.Client{Transport: s.transport}).Get(s.url + "/metrics")
	if err != nil {
		s.t.Fatal(err)
	}
	defer response.Body.Close()
	var text bytes.Buffer
	_, _ = text.ReadFrom(response.Body)
	for line := range strings.Lines(text.String()) {
		if value, found := strings.CutPrefix(line, name+" "); found {
			return strings.TrimSpace(value)
		}
	}
	s.t.Fatalf("there is no metric %s", name)
	return ""
}

func TestAC6_TheChangedWidgetFlashesAndNoOther(t *testing.T) {
	slow(t)
	t.Parallel()
	s := newSite(t)
	b := newBrowser(t)
	b.before(recordFlashes)
	b.signIn(s, email, "/dashboards/web")
	b.sees(liveState, "live")
	if flashed := b.eval(`window.flashes.join()`); flashed != "" {
		t.Errorf("flashed at the first sight: %s", flashed)
	}
	s.post(signup())
	b.sees(numberOf("signups"), "1")
	b.sees(`window.flashes.join()`, "widget-signups")
	b.sees(`document.querySelectorAll(".flash").length`, "0")
	if flashed := b.eval(`window.flashes.join()`); flashed != "widget-signups" {
		t.Errorf("flashed: %s, want the sign-ups once", flashed)
	}
}

func TestAC7_TheIntervalIsKeptForTheUser(t *testing.T) {
	slow(t)
	t.Parallel()
	s := newSite(t)
	b := newBrowser(t)
	b.signIn(s, email, "/dashboards/web")
	b.sees(liveState, "live")
	b.eval(`window.sameDocument = true`)
	pressed := `Array.from(document.querySelectorAll("#refresh [aria-pressed=true]"), (b) => b.textContent).join()`
	b.sees(pressed, "5s")
	for _, choice := range []string{"15s", "30s", "1m", "Off"} {
		b.do(chromedp.Click(fmt.Sprintf(`#refresh button[value="%s"]`, strings.ToLower(choice))))
		b.sees(pressed, choice)
	}
	b.sees(liveState, "paused")
	b.sees(statusWord, "Off")
	if b.eval(`window.sameDocument`) != "true" {
		t.Error("the page was loaded again")
	}
	s.post(signup())
	b.do(chromedp.Click(`#refresh button[value="30s"]`))
	b.sees(liveState, "live")
	b.sees(numberOf("signups"), "1") // the cursor was kept, so what came meanwhile is there

	other := newBrowser(t)
	other.signIn(s, email, "/dashboards/web")
	other.sees(pressed, "30s")
	s.kill()
	s.start()
	again := newBrowser(t)
	again.signIn(s, email, "/dashboards/web")
	again.sees(pressed, "30s")
}

func TestAC8_ACursorResumesAfterKillAndRestartWithoutLoss(t *testing.T) {
	t.Parallel()
	s := newSite(t, "--cycle", "100ms")
	client := s.signIn(email)
	s.post(request("u1", "/", 200), signup())
	for _, format := range []string{"json", "html"} {
		stream := s.open(client, "refresh=live&format="+format, "")
		cursor := stream.must("metric_update").id
		s.kill()
		s.command(`{"event":"signup"}`+"\n"+`{"event":"signup","user":"`+format+`"}`, "import", "--tenant", "acme", "--format", "ndjson", "-")
		s.start()
		resumed := s.open(client, "refresh=live&format="+format, cursor)
		update := resumed.must("metric_update")
		if format == "json" {
			if delta := update.readings(t); len(delta) != 1 || delta["signups"] == nil {
				t.Errorf("after the gap came %s, want the sign-ups alone", update.data)
			}
		} else if ids := elementIDs(update.data); !slices.Equal(ids, []string{"widget-signups"}) {
			t.Errorf("after the gap came %v, want the sign-ups alone", ids)
		}
		if len(update.id) < len(cursor) || (len(update.id) == len(cursor) && update.id <= cursor) {
			t.Errorf("id %s does not follow %s", update.id, cursor)
		}
		// With the newest cursor there is nothing to say.
		idle := s.open(client, "refresh=live&format="+format+"&last_event_id="+update.id, "")
		idle.must("heartbeat")
		if m, ok := idle.next("metric_update", 500*time.Millisecond); ok {
			t.Errorf("nothing changed, and yet came %v", m)
		}
		for _, strange := range []string{"x", "-1", "99999999999999999", "1707504320000"} {
			if got := s.open(client, "format=json", strange).must("metric_update").readings(t); len(got) != 6 {
				t.Errorf("cursor %s gets %d widgets, want the snapshot", strange, len(got))
			}
		}
	}
}

var swappedID = regexp.MustCompile(`id="([^"]+)" hx-swap-oob`)

func elementIDs(html string) []string {
	var ids []string
	for _, m := range swappedID.FindAllStringSubmatch(html, -1) {
		ids = append(ids, m[1])
	}
	return ids
}

func TestAC9_TheEleventhStreamOfAUserIsRefused(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.tenant("other", "bob@example.com")
	client := s.signIn(email)
	var streams []*reader
	for range 10 {
		stream := s.open(client, "", "")
		stream.must("heartbeat")
		streams = append(streams, stream)
	}
	refused := s.open(client, "", "")
	if refused.status != http.StatusTooManyRequests || refused.header.Get("Retry-After") == "" ||
		!strings.HasPrefix(refused.header.Get("Content-Type"), "application/json") {
		t.Errorf("the 11th stream got %d %v, want 429 with Retry-After and JSON", refused.status, refused.header)
	}
	if got := s.open(s.signIn("bob@example.com"), "", "").status; got != http.StatusOK {
		t.Errorf("another user got %d", got)
	}
	streams[0].stop()
	s.eventually("the place of a closed stream is free", func() bool { return s.open(client, "", "").status == http.StatusOK })
}

func TestAC10_WithoutStreamsThePagePolls(t *testing.T) {
	slow(t)
	t.Parallel()
	s := newSite(t)
	s.post(signup())

	t.Run("JavaScript is off", func(t *testing.T) {
		response, err := s.signIn(email).Get(s.url + "/dashboards/web?from=now-6h")
		if err != nil {
			t.Fatal(err)
		}
		defer response.Body.Close()
		var page bytes.Buffer
		_, _ = page.ReadFrom(response.Body)
		for _, want := range []string{`<noscript><meta http-equiv="refresh" content="30"></noscript>`, "Last 6 hours", `<span class="number">1`} {
			if !strings.Contains(page.String(), want) {
				t.Errorf("the page lacks %s", want)
			}
		}
		b := newBrowser(t)
		b.withoutScript()
		b.signIn(s, email, "/dashboards/web?from=now-6h")
		if html, err := chromedp.Run(b.ctx, chromedp.OuterHTML("html")); err != nil || !strings.Contains(html, `content="30"`) {
			t.Errorf("no refresh in a browser without scripts: %v", err)
		}
	})
	t.Run("the browser has no streams", func(t *testing.T) {
		b := newBrowser(t)
		b.before(`delete window.ReadableStream`)
		b.signIn(s, email, "/dashboards/web?from=now-6h")
		b.sees(`location.search`, "?from=now-6h&poll=1")
		b.sees(`document.querySelector("meta[http-equiv=refresh]").content`, "30")
		b.sees(`document.scripts.length`, "0")
		b.sees(numberOf("signups"), "1")
	})
}
