package handlers_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	whatwg "github.com/nlnwa/whatwg-url/url"

	"pulseboard/store"
	"pulseboard/store/secret"
)

func TestSigningInSetsACookieThatScriptsAndOtherSitesDoNotGet(t *testing.T) {
	w := newWorld(t)
	a := w.postForm(w.client(), "/login", "email", " Ann@Example.com ", "password", password, "next", "/dashboards/web?from=now-6h")
	if a.status != http.StatusSeeOther || a.header.Get("Location") != "/dashboards/web?from=now-6h" {
		t.Fatalf("%d to %s", a.status, a.header.Get("Location"))
	}
	names := map[string]bool{}
	for _, line := range a.header.Values("Set-Cookie") {
		cookie, err := http.ParseSetCookie(line)
		must(t, err)
		names[cookie.Name] = true
		if !cookie.HttpOnly || cookie.SameSite != http.SameSiteLaxMode || !strings.HasPrefix(cookie.Path, "/") {
			t.Errorf("cookie %q", line)
		}
	}
	if !names["pulseboard_session"] {
		t.Error("there is no session")
	}
}

func TestSigningInRenewsTheSession(t *testing.T) {
	w := newWorld(t)
	client := w.signIn("ann@example.com")
	first := client.Jar.Cookies(mustURL(t, w.url))[0].Value
	w.postForm(client, "/login", "email", "ann@example.com", "password", password)
	if second := client.Jar.Cookies(mustURL(t, w.url))[0].Value; second == first {
		t.Error("the session kept its id over a sign-in")
	}
	old := w.get(http.DefaultClient, "/api/dashboards/web/snapshot", "Cookie", "pulseboard_session="+first)
	if old.status != http.StatusUnauthorized {
		t.Errorf("the old id still opens: %d", old.status)
	}
}

func TestAnUnknownAddressAndAWrongPasswordGetTheSameAnswer(t *testing.T) {
	w := newWorld(t)
	wrong := w.postForm(w.client(), "/login", "email", "ann@example.com", "password", "not this one")
	unknown := w.postForm(w.client(), "/login", "email", "eve@example.com", "password", "not this one")
	if wrong.status != http.StatusUnauthorized || wrong.status != unknown.status {
		t.Errorf("%d and %d", wrong.status, unknown.status)
	}
	if strings.ReplaceAll(wrong.body, "ann@", "eve@") != unknown.body {
		t.Error("the pages differ")
	}
}

func TestSigningInIsThrottledByAccount(t *testing.T) {
	w := newWorld(t)
	for range 10 {
		if a := w.postForm(w.client(), "/login", "email", "ann@example.com", "password", "wrong one"); a.status != http.StatusUnauthorized {
			t.Fatalf("%d", a.status)
		}
	}
	a := w.postForm(w.client(), "/login", "email", "ann@example.com", "password", password)
	if a.status != http.StatusTooManyRequests || a.header.Get("Retry-After") == "" {
		t.Errorf("after ten wrong passwords: %d, Retry-After %q", a.status, a.header.Get("Retry-After"))
	}
	w.newTenant("other", "bob@example.com")
	w.signIn("bob@example.com") // another account is not held up
}

func TestAnAddressInTwoTenantsHasToNameOne(t *testing.T) {
	w := newWorld(t)
	tenant, err := w.store.CreateTenant(t.Context(), "second", "Second", false)
	must(t, err)
	hash, err := secret.HashPassword(password)
	must(t, err)
	_, err = w.store.CreateUser(t.Context(), tenant.ID, "ann@example.com", store.Viewer, hash)
	must(t, err)
	a := w.postForm(w.client(), "/login", "email", "ann@example.com", "password", password)
	if a.status != http.StatusUnauthorized || !strings.Contains(a.body, `name="tenant"`) {
		t.Errorf("%d, and the page does not ask for the workspace", a.status)
	}
	a = w.postForm(w.client(), "/login", "email", "ann@example.com", "password", password, "tenant", "second")
	if a.status != http.StatusSeeOther {
		t.Errorf("with the tenant: %d", a.status)
	}
}

func TestSigningInLeadsToThisServerOnly(t *testing.T) {
	w := newWorld(t)
	client := w.signIn("ann@example.com")
	for _, next := range []string{"https://evil.example/", "//evil.example", `/\evil.example`, "javascript:alert(1)", "", "/\t/evil.example",
		`/./\evil.example`, `/x/../\evil.example`, `/%2e/\evil.example`, "/.//evil.example"} {
		for place, a := range map[string]answer{
			"the form":            w.postForm(w.client(), "/login", "email", "ann@example.com", "password", password, "next", next),
			"the page":            w.get(client, "/login?next="+url.QueryEscape(next)),
			"the choice of pause": w.postForm(client, "/preferences", "refresh", "off", "next", next),
		} {
			if to := a.header.Get("Location"); a.status != http.StatusSeeOther || to != "/dashboards" {
				t.Errorf("%s with next=%q: %d to %q", place, next, a.status, to)
			}
		}
	}
}

// The mux redirects by itself to an address without dot segments.
func TestCleaningAnAddressLeadsToThisServerOnly(t *testing.T) {
	w := newWorld(t)
	for _, path := range []string{`/./\evil.example`, "/x/../%5Cevil.example", "/.././/evil.example", "/x/..//evil.example/", "/.//%09/evil.example"} {
		r, err := http.NewRequest("GET", w.url, nil)
		must(t, err)
		r.URL.Opaque = path
		response, err := http.DefaultTransport.RoundTrip(r)
		must(t, err)
		response.Body.Close()
		to, err := whatwg.ParseRef("https://pulse.example/", response.Header.Get("Location"))
		if err != nil || to.Hostname() != "pulse.example" || response.StatusCode/100 != 3 {
			t.Errorf("%s: %d to %q", path, response.StatusCode, response.Header.Get("Location"))
		}
	}
}

func TestWhoIsNotSignedInIsSentToSignInOrTold(t *testing.T) {
	w := newWorld(t)
	a := w.page(w.client(), "/dashboards/web?from=now-6h")
	if a.status != http.StatusSeeOther || a.header.Get("Location") != "/login?next=%2Fdashboards%2Fweb%3Ffrom%3Dnow-6h" {
		t.Errorf("a browser: %d to %s", a.status, a.header.Get("Location"))
	}
	for _, path := range []string{"/dashboards/web", "/api/dashboards/web/snapshot", "/api/stream/dashboard/web"} {
		if a := w.get(w.client(), path); a.status != http.StatusUnauthorized || a.code(t) != "unauthorized" {
			t.Errorf("a machine at %s: %d", path, a.status)
		}
	}
	if a := w.get(w.client(), "/"); a.header.Get("Location") != "/login" {
		t.Errorf("/ leads to %q", a.header.Get("Location"))
	}
}

func TestSigningOutEndsStreamsAndTheSession(t *testing.T) {
	w := newWorld(t)
	client := w.signIn("ann@example.com")
	open := w.stream(client, "")
	open.next("metric_update")
	other := w.stream(w.signIn("ann@example.com"), "")
	other.next("metric_update")
	cookie := client.Jar.Cookies(mustURL(t, w.url))[0].Value
	if a := w.postForm(client, "/logout"); a.header.Get("Location") != "/login" {
		t.Fatalf("signing out leads to %q", a.header.Get("Location"))
	}
	if e := open.next("goodbye"); e.data != `{"reason":"signed_out"}` {
		t.Errorf("goodbye %s", e.data)
	}
	if a := w.get(http.DefaultClient, "/api/stream/dashboard/web", "Cookie", "pulseboard_session="+cookie); a.status != http.StatusUnauthorized {
		t.Errorf("the session still opens a stream: %d", a.status)
	}
	other.next("heartbeat") // signed in elsewhere, the same user goes on
}

func TestPreferencesAreKeptAndChecked(t *testing.T) {
	w := newWorld(t)
	client := w.signIn("ann@example.com")
	if a := w.postForm(client, "/preferences", "refresh", "30s", "next", "/dashboards/web"); a.status != http.StatusSeeOther || a.header.Get("Location") != "/dashboards/web" {
		t.Errorf("a form: %d to %s", a.status, a.header.Get("Location"))
	}
	elsewhere := w.page(w.signIn("ann@example.com"), "/dashboards/web")
	if !strings.Contains(elsewhere.body, `data-refresh="30s"`) {
		t.Error("the choice is not there in another browser")
	}
	a := w.do(client, "POST", "/preferences", "refresh=2s", "Content-Type", "application/x-www-form-urlencoded")
	if a.status != http.StatusBadRequest || !strings.Contains(a.body, "5s, 15s, 30s, 1m or off") {
		t.Errorf("an unknown interval: %d %s", a.status, a.body)
	}
}

func TestAChangingRequestFromAnotherOriginIsRefused(t *testing.T) {
	w := newWorld(t)
	client := w.signIn("ann@example.com")
	for _, headers := range [][]string{{"Origin", "https://evil.example"}, {"Sec-Fetch-Site", "cross-site"}} {
		for _, path := range []string{"/logout", "/preferences", "/login"} {
			a := w.do(client, "POST", path, "refresh=off", append(headers, "Content-Type", "application/x-www-form-urlencoded")...)
			if a.status != http.StatusForbidden || a.code(t) != "cross_origin" {
				t.Errorf("%s with %v: %d", path, headers, a.status)
			}
		}
	}
	if a := w.page(client, "/dashboards"); a.status != http.StatusOK {
		t.Errorf("and yet it signed out: %d", a.status)
	}
}
