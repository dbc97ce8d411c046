package main

import (
	"database/sql"
	"path/filepath"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"pulseboard/store/sqlite"
)

// change changes the database beside the running server, as commands do.
func (s *site) change(statements ...string) {
	s.t.Helper()
	db, err := sql.Open("sqlite3", filepath.Join(s.dir, sqlite.File)+"?_busy_timeout=10000")
	if err != nil {
		s.t.Fatal(err)
	}
	defer db.Close()
	for _, statement := range statements {
		if _, err := db.Exec(statement); err != nil {
			s.t.Fatal(err)
		}
	}
}

const (
	removeBoard = `DELETE FROM dashboards WHERE id = 'web'`
	tellServer  = `UPDATE heads SET dashboards = dashboards + 1`
	removeUsers = `DELETE FROM users`
	endSessions = `DELETE FROM sessions`
	newSecret   = `UPDATE signing_secrets SET kid = 'other'`
)

// offered is what the banner lets a person do: links with their addresses, buttons.
const offered = `Array.from(document.querySelectorAll("#banner a, #banner button"))
	.filter((e) => !e.hidden).map((e) => e.textContent.trim() + (e.href ? " " + e.getAttribute("href") : "")).join()`

const noLongerWorks = "Disconnected. This link no longer works. Ask the owner for a new one."

// A stream that ends for good says why, and offers what helps.
func TestAPageSaysWhyItsStreamEnded(t *testing.T) {
	slow(t)
	t.Parallel()
	b := newBrowser(t)
	for name, c := range map[string]struct {
		embedded bool
		ttl      string
		changes  []string
		words    string
		offers   string
	}{
		"the dashboard is removed":    {changes: []string{removeBoard, tellServer}, words: "Disconnected. This dashboard no longer exists.", offers: "All dashboards /dashboards"},
		"the user is removed":         {changes: []string{removeUsers}, words: "Signed out. Sign in again to go on.", offers: "Sign in /login?next=%2Fdashboards%2Fweb"},
		"the session ended":           {changes: []string{endSessions}, words: "Signed out. Sign in again to go on.", offers: "Sign in /login?next=%2Fdashboards%2Fweb"},
		"embedded, removed":           {embedded: true, changes: []string{removeBoard, tellServer}, words: "Disconnected. This dashboard no longer exists."},
		"embedded, the secret is new": {embedded: true, changes: []string{newSecret}, words: noLongerWorks},
		"embedded, expired":           {embedded: true, ttl: "6s", words: noLongerWorks},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSite(t, "--cycle", "200ms")
			tab := &browser{t, b.ctx}
			if c.embedded {
				ttl := "1h"
				if c.ttl != "" {
					ttl = c.ttl
				}
				tab.do(chromedp.Navigate(s.url + "/embed/web?token=" + s.command("", "token", "create", "--tenant", "acme", "--dashboard", "web", "--ttl", ttl)))
			} else {
				tab.signIn(s, email, "/dashboards/web")
			}
			tab.sees(liveState, "live")
			s.change(c.changes...)
			tab.sees(bannerText, c.words)
			tab.sees(liveState, "disconnected")
			if got := tab.eval(offered); got != c.offers {
				t.Errorf("the banner offers %q, want %q", got, c.offers)
			}
		})
	}
}

// What could not be saved is said until it is read, or saved after all.
func TestNotSavedStaysUntilItIsRead(t *testing.T) {
	slow(t)
	t.Parallel()
	s := newSite(t, "--cycle", "200ms")
	b := newBrowser(t)
	b.signIn(s, email, "/dashboards/web")
	b.sees(liveState, "live")
	const note = `Array.from(document.querySelectorAll("#notes p")).map((p) => p.textContent).join()`
	choose := func(cadence string) { b.do(chromedp.Click(`#refresh button[value="` + cadence + `"]`)) }
	answer := func(with string) { b.eval(`(window.trueFetch ??= fetch, window.fetch = ` + with + `, "")`) }
	const chosen = `document.querySelector("#refresh [aria-pressed=true]").value`
	before := b.eval(chosen)

	answer(`(url, options) => String(url).includes("/preferences") ? Promise.resolve(new Response("", {status: 403})) : trueFetch(url, options)`)
	choose("1m")
	b.sees(note, "Not saved. The server refused the choice.")
	b.sees(chosen, before)
	time.Sleep(6 * time.Second) // a toast would be gone
	if got := b.eval(note); got != "Not saved. The server refused the choice." {
		t.Errorf("after six seconds the note says %q", got)
	}
	if role := b.eval(`document.getElementById("notes").getAttribute("role")`); role != "status" {
		t.Errorf("its role is %q", role)
	}
	b.do(chromedp.Click(`#notes [data-action=dismiss]`))
	b.sees(note, "")

	answer(`(url, options) => String(url).includes("/preferences") ? Promise.reject(new TypeError("no network")) : trueFetch(url, options)`)
	choose("1m")
	b.sees(note, "Not saved. The server did not answer: choose once more.")
	answer(`trueFetch`)
	choose("15s")
	b.sees(note, "")
	b.sees(chosen, "15s")
}
