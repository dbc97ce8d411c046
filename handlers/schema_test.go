package handlers_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
)

func TestAnyoneGetsTheSchemaOfDashboards(t *testing.T) {
	w := newWorld(t)
	const path = "/schema/dashboard.json"
	a := w.get(http.DefaultClient, path)
	var schema struct {
		Dialect    string                     `json:"$schema"`
		ID         string                     `json:"$id"`
		Properties map[string]json.RawMessage `json:"properties"`
	}
	must(t, json.Unmarshal([]byte(a.body), &schema))
	if a.status != http.StatusOK || a.header.Get("Content-Type") != "application/schema+json" {
		t.Errorf("%d, %q", a.status, a.header.Get("Content-Type"))
	}
	if schema.Dialect != "https://json-schema.org/draft/2020-12/schema" || schema.ID != "dashboard.json" || schema.Properties["widgets"] == nil {
		t.Errorf("%+v", schema)
	}
	if a.header.Get("Access-Control-Allow-Origin") != "*" || len(a.header.Values("Set-Cookie")) > 0 {
		t.Errorf("%v", a.header)
	}

	tag := a.header.Get("ETag")
	if cached := a.header.Get("Cache-Control"); tag == "" || !strings.Contains(cached, "public") {
		t.Errorf("it is not cached: ETag %q, Cache-Control %q", tag, cached)
	}
	if again := w.get(http.DefaultClient, path, "If-None-Match", tag); again.status != http.StatusNotModified || again.body != "" || again.header.Get("ETag") != tag {
		t.Errorf("asked for again: %d, %d bytes, ETag %q", again.status, len(again.body), again.header.Get("ETag"))
	}
	if other := w.get(http.DefaultClient, path, "If-None-Match", `"other"`); other.status != http.StatusOK || other.body != a.body {
		t.Errorf("asked for with another tag: %d", other.status)
	}
}
