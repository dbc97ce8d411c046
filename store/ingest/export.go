package ingest

import (
	"crypto/sha256"
	"fmt"

	"pulseboard/store"
)

// AppendLine writes a kept event as a line of NDJSON, which reads back as the same event.
// One that came without an id gets one made of its content and its place among the
// tenant's events, so that it counts once however often the line comes in again, and
// apart from its equals.
func AppendLine(b []byte, e store.Event) []byte {
	if e.ID == "" {
		digest := sha256.Sum256(e.AppendJSON(nil))
		e.ID = fmt.Sprintf("event-%d-%x", e.Seq, digest[:8])
	}
	return append(e.AppendJSON(b), '\n')
}
