package main

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"
)

// browser is one tab of a browser with an empty profile.
type browser struct {
	t   *testing.T
	ctx context.Context
}

func newBrowser(t *testing.T, more ...chromedp.ExecAllocatorOption) *browser {
	t.Helper()
	slow(t)
	options := append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.NoSandbox, chromedp.DisableGPU,
		chromedp.Flag("disable-background-networking", true),
		chromedp.Flag("disable-component-update", true),
		chromedp.Flag("disable-sync", true),
		chromedp.WindowSize(1440, 900),
	)
	allocator, cancelAllocator := chromedp.NewExecAllocator(context.Background(), append(options, more...)...)
	t.Cleanup(cancelAllocator)
	ctx, cancel := chromedp.NewContext(allocator)
	t.Cleanup(cancel)
	// The browser lives as long as the context of its first call: no timeout here.
	if err := chromedp.Do(ctx, chromedp.Navigate("about:blank")); err != nil {
		t.Fatal(err)
	}
	return &browser{t, ctx}
}

func (b *browser) do(steps ...chromedp.Action[chromedp.Void]) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, patience)
	defer cancel()
	if err := chromedp.Do(ctx, steps...); err != nil {
		b.t.Fatal(err)
	}
}

// before runs a script in every page before its own.
func (b *browser) before(script string) {
	b.t.Helper()
	if _, err := chromedp.Call(b.ctx, page.AddScriptToEvaluateOnNewDocument, page.AddScriptToEvaluateOnNewDocumentParams{Source: script}); err != nil {
		b.t.Fatal(err)
	}
}

func (b *browser) withoutScript() {
	b.t.Helper()
	if _, err := chromedp.Call(b.ctx, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: true}); err != nil {
		b.t.Fatal(err)
	}
}

// inZone lets the browser's clock be that of a time zone.
func (b *browser) inZone(zone string) {
	b.t.Helper()
	if _, err := chromedp.Call(b.ctx, emulation.SetTimezoneOverride, emulation.SetTimezoneOverrideParams{TimezoneID: zone}); err != nil {
		b.t.Fatal(err)
	}
}

// signIn fills in the form as a person does, and opens a page.
func (b *browser) signIn(s *site, email, path string) {
	b.t.Helper()
	b.do(
		chromedp.Navigate(s.url+path),
		chromedp.SetValue("input[name=email]", email),
		chromedp.SetValue("input[name=password]", password),
		chromedp.Click("form.login-form button"),
		chromedp.WaitVisible("#board"),
	)
}

// eval gives what an expression is worth in the page, as a text.
func (b *browser) eval(expression string) string {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, patience)
	defer cancel()
	text, err := chromedp.Run(ctx, chromedp.Evaluate[string]("String("+expression+")"))
	if err != nil {
		b.t.Fatalf("%s: %v", expression, err)
	}
	return text
}

// sees waits until an expression is worth this, and gives when it was.
func (b *browser) sees(expression, want string) time.Time {
	b.t.Helper()
	return b.seesWithin(expression, want, patience)
}

func (b *browser) seesWithin(expression, want string, within time.Duration) time.Time {
	b.t.Helper()
	deadline := time.Now().Add(within)
	for {
		got := b.eval(expression)
		if got == want {
			return time.Now()
		}
		if time.Now().After(deadline) {
			b.t.Fatalf("%s is %q, want %q", expression, got, want)
		}
		time.Sleep(25 * time.Millisecond)
	}
}

// What a page says, as expressions.
const (
	liveState  = `document.documentElement.dataset.live`
	statusWord = `document.querySelector("[data-status=word]").textContent`
	bannerText = `(document.querySelector("#banner").hidden ? "" : document.querySelector("[data-banner=text]").textContent)`
)

// numberOf is the number a widget shows.
func numberOf(widget string) string {
	return fmt.Sprintf(`document.querySelector("#widget-%s .number").textContent.trim()`, widget)
}

// recordFlashes makes the page note the widgets that flash.
const recordFlashes = `
	window.flashes = [];
	document.addEventListener("animationstart", (e) => {
		const w = e.target.closest && e.target.closest(".widget");
		if (w && (e.animationName === "ring")) window.flashes.push(w.id);
	}, true);
`

// demoSignIn signs in to the demo and opens the shop.
func demoSignIn(s *site) []chromedp.Action[chromedp.Void] {
	return []chromedp.Action[chromedp.Void]{
		chromedp.Navigate(s.url + "/dashboards/shop"),
		chromedp.SetValue("input[name=email]", demoEmail),
		chromedp.SetValue("input[name=password]", demoPassword),
		chromedp.Click("form.login-form button"),
		chromedp.WaitVisible("#board"),
	}
}
