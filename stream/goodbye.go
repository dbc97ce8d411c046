package stream

import "encoding/json"

// Goodbye is why a stream ends for good. Used as the cause of a cancelled
// context it is the last thing its watcher sends.
type Goodbye string

// The reasons of a goodbye.
const (
	SignedOut Goodbye = "signed_out"
	Expired   Goodbye = "expired"  // of a token or a session
	Revoked   Goodbye = "revoked"  // of a token
	Removed   Goodbye = "removed"  // the user or the dashboard is no more
	Replaced  Goodbye = "replaced" // the same screen opened a newer stream
)

// Error returns the reason, for logs.
func (g Goodbye) Error() string { return "stream ended: " + string(g) }

func (g Goodbye) event() []byte {
	data, _ := json.Marshal(map[string]string{"reason": string(g)}) // strings always marshal
	return appendEvent(nil, goodbye, 0, data)
}
