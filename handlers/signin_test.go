package handlers_test

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"pulseboard/handlers"
	"pulseboard/store"
)

// clientFrom is a client at an address of this machine's own network, 127.0.0.0/8.
func (w *world) clientFrom(address string) *http.Client {
	client := w.client()
	dialer := &net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(address)}}
	transport := &http.Transport{DialContext: func(ctx context.Context, _, target string) (net.Conn, error) {
		return dialer.DialContext(ctx, "tcp4", target)
	}}
	w.t.Cleanup(transport.CloseIdleConnections)
	client.Transport = transport
	return client
}

// tryFrom signs in with a new client at an address.
func (w *world) tryFrom(address, email, pass string) answer {
	w.t.Helper()
	return w.postForm(w.clientFrom(address), "/login", "email", email, "password", pass)
}

// guessAt makes strangers wait for an account.
func (w *world) guessAt(email store.Email) { w.server.FailToSignIn(email, "127.0.0.66", 20) }

func TestRightPasswordsUseUpNothing(t *testing.T) {
	w := newWorld(t)
	for i := range 16 {
		if a := w.postForm(w.client(), "/login", "email", "ann@example.com", "password", password); a.status != http.StatusSeeOther {
			t.Fatalf("sign-in %d: %d", i+1, a.status)
		}
	}
}

func TestAnOwnerGetsInWhereTheySignedInBefore(t *testing.T) {
	slow(t)
	w := newWorld(t)
	phone := w.clientFrom("127.0.0.3")
	w.postForm(phone, "/login", "email", "ann@example.com", "password", password)
	w.tryFrom("127.0.0.2", "ann@example.com", password)
	w.guessAt("ann@example.com")
	if a := w.tryFrom("127.0.0.2", "ann@example.com", password); a.status != http.StatusSeeOther {
		t.Errorf("from a network that signed in before: %d", a.status)
	}
	phone.Transport = w.clientFrom("127.0.0.4").Transport // the same browser on another network
	if a := w.postForm(phone, "/login", "email", "Ann@Example.com", "password", password); a.status != http.StatusSeeOther {
		t.Errorf("in a browser that signed in before: %d", a.status)
	}
	if a := w.postForm(phone, "/login", "email", "ann@example.com", "password", "mistyped"); a.status != http.StatusUnauthorized {
		t.Errorf("in a browser that signed in before, mistyped: %d", a.status)
	}
	if a := w.tryFrom("127.0.0.5", "ann@example.com", password); a.status != http.StatusTooManyRequests {
		t.Errorf("from elsewhere: %d", a.status)
	}
	w.newTenant("other", "bob@example.com")
	w.guessAt("bob@example.com")
	if a := w.postForm(phone, "/login", "email", "bob@example.com", "password", password); a.status != http.StatusTooManyRequests {
		t.Errorf("another account in the browser: %d", a.status)
	}
}

func TestWhereOwnersSignedInIsKnownAfterARestart(t *testing.T) {
	w := newWorld(t)
	phone := w.clientFrom("127.0.0.3")
	w.postForm(phone, "/login", "email", "ann@example.com", "password", password)
	w.tryFrom("127.0.0.2", "ann@example.com", password)
	server, err := handlers.New(t.Context(), handlers.Config{Store: w.store, Log: slog.New(slog.DiscardHandler), Registry: prometheus.NewRegistry(), Cycle: time.Second, Heartbeat: time.Second})
	must(t, err)
	again := httptest.NewServer(server.Handler())
	t.Cleanup(again.Close)
	w.server, w.url = server, again.URL
	w.guessAt("ann@example.com")
	if a := w.tryFrom("127.0.0.2", "ann@example.com", password); a.status != http.StatusSeeOther {
		t.Errorf("the network: %d", a.status)
	}
	phone.Transport = w.clientFrom("127.0.0.4").Transport
	if a := w.postForm(phone, "/login", "email", "ann@example.com", "password", password); a.status != http.StatusSeeOther {
		t.Errorf("the browser: %d", a.status)
	}
}

func TestANetworkOfAProxyIsNotKnownToAccounts(t *testing.T) {
	w := newWorld(t)
	signIn := func(client *http.Client, headers ...string) int {
		t.Helper()
		form := "email=ann%40example.com&password=" + url.QueryEscape(password)
		return w.do(client, "POST", "/login", form, append(headers, "Content-Type", "application/x-www-form-urlencoded")...).status
	}
	browser := w.clientFrom("127.0.0.2")
	signIn(browser, "X-Forwarded-For", "203.0.113.5")
	w.guessAt("ann@example.com")
	if got := signIn(w.clientFrom("127.0.0.2")); got != http.StatusTooManyRequests {
		t.Errorf("the proxy's network after a sign-in through it: %d", got)
	}
	if got := signIn(browser, "X-Forwarded-For", "203.0.113.6"); got != http.StatusSeeOther {
		t.Errorf("the browser, through the proxy: %d", got)
	}
	if got := signIn(browser); got != http.StatusSeeOther {
		t.Errorf("the browser: %d", got)
	}
	if got := signIn(w.clientFrom("127.0.0.2"), "Forwarded", "for=203.0.113.5"); got != http.StatusTooManyRequests {
		t.Errorf("another behind the proxy: %d", got)
	}
}

func TestABrowserCookieThatIsForgedIsNotBelieved(t *testing.T) {
	w := newWorld(t)
	phone := w.clientFrom("127.0.0.3")
	a := w.postForm(phone, "/login", "email", "ann@example.com", "password", password)
	var cookie *http.Cookie
	for _, line := range a.header.Values("Set-Cookie") {
		if c, err := http.ParseSetCookie(line); err == nil && c.Name == "pulseboard_browser" {
			cookie = c
		}
	}
	if cookie == nil || !cookie.HttpOnly || cookie.SameSite != http.SameSiteLaxMode || cookie.Path != "/login" || cookie.MaxAge < 89*24*3600 {
		t.Fatalf("cookie %+v", cookie)
	}
	w.guessAt("ann@example.com")
	for value, want := range map[string]int{cookie.Value: http.StatusSeeOther, cookie.Value[:len(cookie.Value)-6] + "AAAAAA": http.StatusTooManyRequests, "x": http.StatusTooManyRequests} {
		client := w.clientFrom("127.0.0.9")
		client.Jar.SetCookies(mustURL(t, w.url+"/login"), []*http.Cookie{{Name: cookie.Name, Value: value, Path: "/login"}})
		if a := w.postForm(client, "/login", "email", "ann@example.com", "password", password); a.status != want {
			t.Errorf("cookie %.20q: %d, want %d", value, a.status, want)
		}
		w.guessAt("ann@example.com")
		must(t, w.store.PruneSignIns(t.Context(), time.Now().Add(time.Hour))) // so that only the cookie counts
	}
}

func TestAnAddressCountsHoweverItIsTyped(t *testing.T) {
	slow(t)
	w := newWorld(t)
	w.server.FailToSignIn("ann@example.com", "127.0.0.66", 8)
	counts := map[int]int{}
	for i := range 5 {
		email := []byte("ann@example.com")
		email[i%3] -= 'a' - 'A'
		typed := strings.Repeat(" ", i%4) + string(email)
		counts[w.tryFrom(fmt.Sprintf("127.0.0.%d", 2+i%2), typed, "a wrong guess").status]++
	}
	if counts[http.StatusUnauthorized] != 2 || counts[http.StatusTooManyRequests] != 3 {
		t.Errorf("answers %v", counts)
	}
}

func TestGuessesAtOnceAreNoMoreThanOneAfterAnother(t *testing.T) {
	w := newWorld(t)
	var mu sync.Mutex
	var wg sync.WaitGroup
	counts := map[int]int{}
	client := w.clientFrom("127.0.0.2")
	for range 40 {
		wg.Go(func() {
			a := w.postForm(client, "/login", "email", "ann@example.com", "password", "a wrong guess")
			mu.Lock()
			defer mu.Unlock()
			counts[a.status]++
		})
	}
	wg.Wait()
	if counts[http.StatusUnauthorized] != 10 || counts[http.StatusTooManyRequests] != 30 {
		t.Errorf("answers %v", counts)
	}
}

// A guesser at the owner's own network, such as all of them behind a proxy, learns
// nothing of who has an account.
func TestThrottledAnswersTellNothing(t *testing.T) {
	slow(t)
	w := newWorld(t)
	w.signIn("ann@example.com")
	number := regexp.MustCompile(`\d+ s\.`)
	// Eight failures each are counted already: of a ninth and a tenth, the answer is
	// that the password is wrong.
	w.server.FailToSignIn("ann@example.com", "127.0.0.66", 8)
	w.server.FailToSignIn("eve@example.com", "127.0.0.66", 8)
	for i := range 5 {
		var got [2]answer
		var took [2]time.Duration
		for j, email := range []string{"ann@example.com", "eve@example.com"} {
			began := time.Now()
			got[j] = w.postForm(w.client(), "/login", "email", email, "password", "a wrong guess")
			took[j] = time.Since(began)
		}
		if got[0].status != got[1].status || number.ReplaceAllString(strings.ReplaceAll(got[0].body, "ann@", "eve@"), "") != number.ReplaceAllString(got[1].body, "") {
			t.Fatalf("guess %d: the answers differ: %d and %d", i, got[0].status, got[1].status)
		}
		if want := map[bool]int{true: http.StatusUnauthorized, false: http.StatusTooManyRequests}[i < 2]; got[0].status != want {
			t.Fatalf("guess %d: %d", i, got[0].status)
		}
		if i >= 2 && min(took[0], took[1]) < 500*time.Millisecond {
			t.Errorf("guess %d: answered after %v and %v", i, took[0], took[1])
		}
	}
}

func TestWhoeverHasToWaitIsToldForHowLong(t *testing.T) {
	slow(t)
	w := newWorld(t)
	w.guessAt("ann@example.com")
	a := w.tryFrom("127.0.0.2", "ann@example.com", password)
	seconds, err := strconv.Atoi(a.header.Get("Retry-After"))
	if err != nil || seconds < 1 || seconds > 15 || a.status != http.StatusTooManyRequests {
		t.Fatalf("%d, Retry-After %q", a.status, a.header.Get("Retry-After"))
	}
	for _, want := range []string{fmt.Sprintf("Try again in %d s.", seconds), `action="/login"`, `value="ann@example.com"`} {
		if !strings.Contains(a.body, want) {
			t.Errorf("the page lacks %s", want)
		}
	}
	a = w.postForm(w.clientFrom("127.0.0.2"), "/login", "email", "ann@example.com", "password", password, "tenant", "acme")
	if !strings.Contains(a.body, `name="tenant" value="acme"`) {
		t.Error("the page forgot the workspace")
	}
	machine := w.do(w.clientFrom("127.0.0.2"), "POST", "/login", "email=ann@example.com&password=x", "Content-Type", "application/x-www-form-urlencoded")
	if machine.status != http.StatusTooManyRequests || machine.code(t) != "too_many_attempts" || machine.header.Get("Retry-After") == "" {
		t.Errorf("a machine: %d %s", machine.status, machine.body)
	}
}

func TestOverlongCredentialsAreRefusedAndNotCounted(t *testing.T) {
	w := newWorld(t)
	long := strings.Repeat("a", 60_000)
	for range 20 {
		for _, credentials := range [][2]string{{"ann@example.com", long}, {"ann@example.com", strings.Repeat("a", 1_001)}, {long + "@example.com", password}, {long, password}} {
			a := w.tryFrom("127.0.0.2", credentials[0], credentials[1])
			if a.status != http.StatusBadRequest || !strings.Contains(a.body, "too long: it has at most") || len(a.body) > 10_000 {
				t.Fatalf("%.20q with a password of %d bytes: %d", credentials[0], len(credentials[1]), a.status)
			}
		}
	}
	if a := w.tryFrom("127.0.0.2", "ann@example.com", password); a.status != http.StatusSeeOther {
		t.Errorf("and then: %d", a.status)
	}
}

func TestWhatIsNoAddressCountsForTheNetworkOnly(t *testing.T) {
	w := newWorld(t)
	client := w.clientFrom("127.0.0.2")
	guesses, status := 0, http.StatusUnauthorized
	for ; status == http.StatusUnauthorized && guesses < 200; guesses++ {
		status = w.postForm(client, "/login", "email", []string{"", "ann", "ann@", "a@b@c"}[guesses%4], "password", "x").status
	}
	if guesses <= 50 || status != http.StatusTooManyRequests {
		t.Errorf("guess %d: %d", guesses, status)
	}
	if a := w.tryFrom("127.0.0.3", "", "x"); a.status != http.StatusUnauthorized {
		t.Errorf("from elsewhere: %d", a.status)
	}
}

func TestACrowdInLineIsToldToComeBackAndHoldsUpNoOwner(t *testing.T) {
	w := newWorld(t)
	w.tryFrom("127.0.0.2", "ann@example.com", password)
	w.server.FillStrangersLine()
	for _, email := range []string{"ann@example.com", "eve@example.com"} {
		a := w.tryFrom("127.0.0.3", email, password)
		if a.status != http.StatusServiceUnavailable || a.header.Get("Retry-After") == "" || !strings.Contains(a.body, "Try again in") {
			t.Errorf("%s in the crowd: %d", email, a.status)
		}
	}
	if a := w.tryFrom("127.0.0.2", "ann@example.com", password); a.status != http.StatusSeeOther {
		t.Errorf("an owner: %d", a.status)
	}
}

func TestAnswersOfSigningInAndOutAreNotKept(t *testing.T) {
	w := newWorld(t)
	check := func(what string, a answer, status int) {
		t.Helper()
		if a.status != status || !strings.Contains(strings.Join(a.header.Values("Cache-Control"), ", "), "no-store") {
			t.Errorf("%s: %d, Cache-Control %q", what, a.status, a.header.Values("Cache-Control"))
		}
	}
	form := []string{"Content-Type", "application/x-www-form-urlencoded"}
	client := w.client()
	check("the page", w.page(client, "/login"), http.StatusOK)
	check("a head", w.do(client, "HEAD", "/login", ""), http.StatusOK)
	check("a wrong method", w.do(client, "DELETE", "/login", ""), http.StatusMethodNotAllowed)
	check("a GET that signs out", w.page(client, "/logout"), http.StatusMethodNotAllowed)
	check("a form that can't be read", w.do(client, "POST", "/login", "%zz", form...), http.StatusBadRequest)
	check("another origin", w.do(client, "POST", "/login", "", append(form, "Origin", "https://evil.example")...), http.StatusForbidden)
	check("signing out without a session", w.postForm(client, "/logout"), http.StatusSeeOther)
	check("wrong", w.postForm(client, "/login", "email", "ann@example.com", "password", "wrong one"), http.StatusUnauthorized)
	check("wrong, a machine", w.do(client, "POST", "/login", "email=ann@example.com&password=x", form...), http.StatusUnauthorized)
	check("right", w.postForm(client, "/login", "email", "ann@example.com", "password", password), http.StatusSeeOther)
	check("signed in already", w.page(client, "/login"), http.StatusSeeOther)
	check("another's origin signs out", w.do(client, "POST", "/logout", "", append(form, "Origin", "https://evil.example")...), http.StatusForbidden)
	w.guessAt("ann@example.com")
	check("throttled", w.tryFrom("127.0.0.67", "ann@example.com", password), http.StatusTooManyRequests)
	w.store.Close()
	check("a store that fails", w.page(client, "/login"), http.StatusInternalServerError)
	check("a store that fails, signing in", w.postForm(w.client(), "/login", "email", "ann@example.com", "password", password), http.StatusInternalServerError)
	check("a store that fails, signing out", w.postForm(client, "/logout"), http.StatusInternalServerError)
}
