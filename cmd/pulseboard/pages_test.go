package main

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
)

func TestSignOutEndsTheStream(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	client := s.signIn(email)
	stream := s.open(client, "", "")
	stream.must("metric_update")
	response, err := client.Post(s.url+"/logout", "", nil)
	if err != nil {
		t.Fatal(err)
	}
	response.Body.Close()
	if got := stream.must("goodbye").data; got != `{"reason":"signed_out"}` {
		t.Errorf("goodbye says %s", got)
	}
	if again := s.open(client, "", ""); again.status != http.StatusUnauthorized {
		t.Errorf("a new stream got %d, want 401", again.status)
	}
}

func TestAnotherTenantsDashboardDoesNotExist(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.command("", "tenant", "create", "other")
	s.command(password, "user", "create", "--tenant", "other", "--email", "bob@example.com", "--role", "admin", "--password-stdin")
	stranger := s.signIn("bob@example.com")
	for _, path := range []string{"/dashboards/web", "/api/stream/dashboard/web", "/api/dashboards/web/snapshot"} {
		response, err := stranger.Get(s.url + path)
		if err != nil {
			t.Fatal(err)
		}
		response.Body.Close()
		if response.StatusCode != http.StatusNotFound {
			t.Errorf("%s: %s, want 404", path, response.Status)
		}
	}
}

func TestAnEmbedIsLiveInAFrameOnAPageOfAnotherOrigin(t *testing.T) {
	slow(t)
	t.Parallel()
	s := newSite(t, "--cycle", "200ms")
	var hostURL string
	host := serveHost(t, func() string {
		token := s.command("", "token", "create", "--tenant", "acme", "--dashboard", "web", "--ancestor", hostURL)
		return s.url + "/embed/web?token=" + token
	})
	hostURL = host
	b := newBrowser(t)
	b.do(chromedp.Navigate(host))
	inFrame := func() string {
		return s.metric("pulseboard_streams")
	}
	s.eventually("the frame opens its stream", func() bool { return inFrame() == "1" })
	if strings.Contains(s.log.String(), "token=") {
		t.Error("a token stands in the log")
	}
}

func TestTextOfEventsStaysText(t *testing.T) {
	slow(t)
	t.Parallel()
	s := newSite(t, "--cycle", "200ms")
	b := newBrowser(t)
	b.signIn(s, email, "/dashboards/web")
	b.sees(liveState, "live")
	hostile := "<script>window.broken=1</script>\"'\r\nevent: goodbye\ndata: {}\n\n\x00<img src=x onerror=\"window.broken=1\">"
	s.post(request("<b>", hostile, 200))
	b.sees(numberOf("event_count"), "1")
	shown := `document.querySelector("#widget-top_pages .bar-label").textContent`
	b.sees(shown+`.startsWith("<script>window.broken=1</script>")`, "true")
	b.sees(shown+`.includes("\n")`, "false")
	b.sees(`window.broken`, "undefined")
	b.sees(liveState, "live")
	var labels []struct{ Group string }
	if err := json.Unmarshal(s.readings(s.signIn(email))["top_pages"], &labels); err != nil || len(labels) != 1 || strings.ContainsAny(labels[0].Group, "\x00\r\n") {
		t.Errorf("the snapshot says %v (%v)", labels, err)
	}
}

// What a page says of times is what the viewer's clock says, also when the clocks
// change, and after an update too.
func TestTimesAreThoseOfTheViewersClock(t *testing.T) {
	slow(t)
	t.Parallel()
	s := newSite(t, "--cycle", "200ms")
	b := newBrowser(t)
	b.inZone("America/New_York")
	for _, time := range []string{"2025-09-06T12:00:00Z", "2025-11-02T05:45:00Z", "2026-03-08T10:00:00Z", "2026-04-05T12:00:00Z"} {
		e := request("u1", "/", 200)
		e["time"] = time
		s.post(e)
	}
	b.signIn(s, email, "/dashboards/web?from=2026-03-07T12:00:00Z&to=2026-03-09T18:00:00Z")
	const labels = `Array.from(document.querySelectorAll(".plot-x")[0].children, (e) => e.textContent + " at " + e.getAttribute("x")).join(", ")`
	// The steps are of an hour: the last begins at 13:00. At night the clocks went an hour forward.
	b.sees(labels, "7 Mar 12:00 at 9.43%, 8 Mar at 32.08%, 8 Mar 12:00 at 52.83%, 9 Mar at 75.47%, 9 Mar 13:00 at 100%")
	b.sees(`document.querySelector("#range > summary").textContent.trim()`, "7 Mar 07:00 – 9 Mar 14:00")
	b.sees(`document.querySelector("[data-zone-note]").textContent`, "Times are those of America/New_York.")

	// No clock shows the hour that is left out, and one that comes again stands twice.
	b.do(chromedp.Navigate(s.url + "/dashboards/web?from=2026-03-08T05:00:00Z&to=2026-03-08T11:00:00Z"))
	b.sees(labels, "01:00 at 16.90%, 03:00 at 33.80%, 04:00 at 50.70%, 05:00 at 67.61%, 06:55 at 100%")
	b.do(chromedp.Navigate(s.url + "/dashboards/web?from=2025-11-02T04:00:00Z&to=2025-11-02T10:00:00Z"))
	b.sees(labels, "01:00 at 16.90%, 01:00 at 33.80%, 02:00 at 50.70%, 03:00 at 67.61%, 04:55 at 100%")
	b.do(chromedp.Navigate(s.url + "/dashboards/web?from=2025-11-02T05:30:00Z&to=2025-11-02T06:30:00Z"))
	b.sees(labels, "01:40 at 16.95%, 01:50 at 33.90%, 01:00 at 50.85%, 01:10 at 67.80%, 01:29 at 100%")
	b.do(chromedp.Navigate(s.url + "/dashboards/web?tz=America/Santiago&from=2025-09-05T12:00:00Z&to=2025-09-08T12:00:00Z"))
	b.sees(labels, "5 Sep 12:00 at 5.63%, 6 Sep at 22.54%, 6 Sep 12:00 at 39.44%, 7 Sep at 56.34%, 7 Sep 12:00 at 71.83%, 8 Sep 08:00 at 100%") // the clocks leave out the first hour of the 7th

	// In Sydney they go back in the night after the first midnight.
	b.do(chromedp.Navigate(s.url + "/dashboards/web?tz=Australia/Sydney&from=2026-04-04T00:00:00Z&to=2026-04-06T06:00:00Z"))
	b.sees(labels, "5 Apr at 24.53%, 5 Apr 12:00 at 49.06%, 6 Apr at 71.70%, 6 Apr 15:00 at 100%")

	b.do(chromedp.Navigate(s.url + "/dashboards/web?from=now-1h&tz=Asia/Kolkata"))
	b.sees(liveState, "live")
	s.post(request("u1", "/", 200))
	b.sees(numberOf("event_count"), "1")
	const last = `(() => { const svg = document.querySelector(".plot-x"), to = Number(svg.dataset.window.split(" ")[1]);
		const shown = new Date((to - 60 + 5.5 * 3600) * 1000).toISOString().slice(11, 16);
		return svg.querySelector(".label-last").textContent === shown })()`
	b.sees(last, "true")

	b.do(chromedp.Navigate(s.url + "/dashboards/web?tz=Atlantis/Center"))
	b.sees(`document.querySelector("[data-zone-note]").textContent`, "There is no time zone Atlantis/Center. Times are those of America/New_York.")
}
