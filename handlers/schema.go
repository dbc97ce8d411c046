package handlers

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"sync"
	"time"

	"pulseboard/store/boardfile"
)

// schemaTag names the schema by its content.
var schemaTag = sync.OnceValue(func() string {
	sum := sha256.Sum256(boardfile.Schema())
	return `"` + hex.EncodeToString(sum[:16]) + `"`
})

// getSchema gives the JSON Schema of dashboards' files to anyone, also to editors in pages
// of other origins. It is kept for a while, and then asked for anew by its tag.
func (s *Server) getSchema(w http.ResponseWriter, r *http.Request) error {
	h := w.Header()
	h.Set("Content-Type", "application/schema+json")
	h.Set("Cache-Control", "public, max-age=300")
	h.Set("Access-Control-Allow-Origin", "*")
	h.Set("ETag", schemaTag())
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(boardfile.Schema()))
	return nil
}
