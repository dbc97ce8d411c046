package handlers_test

import (
	"context"
	"net/http"
	"regexp"
	"strings"
	"testing"

	"pulseboard/store/token"
)

var inline = regexp.MustCompile(`(?i)<script(?:[^>]*)>[^<]|<script>|<style|\sstyle=|\son[a-z]+=|javascript:`)

func TestEveryPageIsSafeByItsHeadersAndHoldsNothingInline(t *testing.T) {
	w := newWorld(t)
	client, stranger := w.signIn("ann@example.com"), w.client()
	for name, a := range map[string]answer{
		"sign-in":   w.page(stranger, "/login"),
		"list":      w.page(client, "/dashboards"),
		"board":     w.page(client, "/dashboards/web"),
		"polling":   w.page(client, "/dashboards/web?poll=1"),
		"kiosk":     w.page(client, "/dashboards/web?kiosk=1&theme=dark"),
		"not found": w.page(client, "/dashboards/none"),
		"no page":   w.page(client, "/nothing"),
		"bad range": w.page(client, "/dashboards/web?from=x"),
	} {
		for header, want := range map[string]string{
			"Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'",
			"X-Content-Type-Options":  "nosniff",
			"Referrer-Policy":         "no-referrer",
			"Cache-Control":           "no-store",
		} {
			if got := a.header.Get(header); !strings.HasPrefix(got, want) {
				t.Errorf("%s: %s is %q", name, header, got)
			}
		}
		if !strings.Contains(a.header.Get("Content-Security-Policy"), "frame-ancestors 'none'") {
			t.Errorf("%s may be framed", name)
		}
		if found := inline.FindString(a.body); found != "" {
			t.Errorf("%s holds %q", name, found)
		}
		if !strings.Contains(strings.ToLower(a.body), "<!doctype html>") {
			t.Errorf("%s is no page: %.100s", name, a.body)
		}
	}
}

func TestAnErrorIsAPageForBrowsersAndJSONForMachines(t *testing.T) {
	w := newWorld(t)
	client := w.signIn("ann@example.com")
	if a := w.page(client, "/dashboards/web?from=x"); a.status != http.StatusBadRequest || !strings.Contains(a.body, "use now, now-1h") {
		t.Errorf("a page of a bad range: %d", a.status)
	}
	for _, path := range []string{"/dashboards/none", "/nothing", "/api/nothing"} {
		if a := w.get(client, path); a.status != http.StatusNotFound || a.code(t) != "not_found" {
			t.Errorf("%s: %d %s", path, a.status, a.body)
		}
	}
	if a := w.do(client, "DELETE", "/api/events", ""); a.status != http.StatusMethodNotAllowed || a.header.Get("Allow") == "" {
		t.Errorf("a wrong method: %d %s", a.status, a.body)
	}
}

func TestAnEmbedNamesWhoMayFrameIt(t *testing.T) {
	w := newWorld(t)
	framed := w.token(func(c *token.Claims) { c.Ancestors = []string{"https://a.example", "http://localhost:3000"} })
	a := w.page(w.client(), "/embed/web?token="+framed)
	if a.status != http.StatusOK || !strings.HasSuffix(a.header.Get("Content-Security-Policy"), "frame-ancestors https://a.example http://localhost:3000") {
		t.Errorf("%d %s", a.status, a.header.Get("Content-Security-Policy"))
	}
	cookie := a.header.Get("Set-Cookie")
	for _, want := range []string{"pulseboard_viewer=", "HttpOnly", "Secure", "SameSite=None", "Partitioned"} {
		if !strings.Contains(cookie, want) {
			t.Errorf("cookie %q lacks %s", cookie, want)
		}
	}
	if strings.Contains(a.body, framed) {
		t.Error("the page holds the token")
	}
	if found := inline.FindString(a.body); found != "" {
		t.Errorf("the embed holds %q", found)
	}
	alone := w.page(w.client(), "/embed/web?token="+w.token(nil))
	if !strings.HasSuffix(alone.header.Get("Content-Security-Policy"), "frame-ancestors 'none'") {
		t.Errorf("without ancestors: %s", alone.header.Get("Content-Security-Policy"))
	}
	if a := w.page(w.client(), "/embed/web"); a.status != http.StatusUnauthorized {
		t.Errorf("without a token: %d", a.status)
	}
}

func TestOperatorsSeeHowTheServerIs(t *testing.T) {
	w := newWorld(t)
	for path, want := range map[string]string{"/healthz": `"ok"`, "/readyz": `"ready"`, "/version": `"version":"v1"`, "/metrics": "pulseboard_streams 0"} {
		if a := w.get(w.client(), path); a.status != http.StatusOK || !strings.Contains(a.body, want) {
			t.Errorf("%s: %d %.200s", path, a.status, a.body)
		}
	}
	s := w.stream(w.signIn("ann@example.com"), "")
	s.next("heartbeat")
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	w.server.Drain(ctx)
	if ctx.Err() != nil {
		t.Error("draining took too long")
	}
	for range s.events { // ends cleanly
	}
	if a := w.get(w.client(), "/readyz"); a.status != http.StatusServiceUnavailable || a.code(t) != "draining" {
		t.Errorf("while draining: %d", a.status)
	}
	if a := w.get(w.client(), "/healthz"); a.status != http.StatusOK {
		t.Errorf("health while draining: %d", a.status)
	}
}

func TestFilesAreCachedForEverUnderTheNameOfTheirContent(t *testing.T) {
	w := newWorld(t)
	page := w.page(w.client(), "/login")
	path := regexp.MustCompile(`/static/app\.[0-9a-f]+\.css`).FindString(page.body)
	a := w.get(w.client(), path)
	if a.status != http.StatusOK || !strings.Contains(a.header.Get("Cache-Control"), "immutable") || !strings.HasPrefix(a.header.Get("Content-Type"), "text/css") {
		t.Errorf("%s: %d %v", path, a.status, a.header)
	}
	if a := w.get(w.client(), "/static/app.css"); a.status != http.StatusNotFound {
		t.Errorf("a name without digest: %d", a.status)
	}
}
