package main

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"
)

// serveHost serves a page of another origin with a frame in it, and gives the
// page's address.
func serveHost(t *testing.T, frame func() string) string {
	t.Helper()
	host := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/" {
			http.NotFound(w, r)
			return
		}
		w.Header().Set("Content-Type", "text/html")
		fmt.Fprintf(w, `<!DOCTYPE html><title>Host</title><iframe src="%s" width="900" height="600"></iframe>`, frame())
	}))
	t.Cleanup(host.Close)
	return host.URL
}
