package handlers

import (
	"net/http"
	"time"

	"pulseboard/store/ingest"
)

// segmentPaths are the addresses of Segment's and RudderStack's SDKs, each with the
// type of the calls that come to it. The short ones are those of browsers.
var segmentPaths = map[string]string{
	"/v1/batch":    "",
	"/v1/track":    "track",
	"/v1/page":     "page",
	"/v1/screen":   "screen",
	"/v1/identify": "identify",
	"/v1/group":    "group",
	"/v1/alias":    "alias",
	"/v1/t":        "track",
	"/v1/p":        "page",
	"/v1/s":        "screen",
	"/v1/i":        "identify",
	"/v1/g":        "group",
	"/v1/a":        "alias",
}

// posthogPaths are the addresses of PostHog's SDKs.
var posthogPaths = []string{"/batch", "/batch/{$}", "/capture", "/capture/{$}", "/i/v0/e", "/i/v0/e/{$}", "/e", "/e/{$}"}

// postSegment takes in calls of Segment's SDKs.
func (s *Server) postSegment(kind string) handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		return s.postSDK(w, r, map[string]bool{"success": true}, func(body []byte, now time.Time) (ingest.Sent, error) {
			return ingest.DecodeSegment(body, kind, now)
		})
	}
}

// postPostHog takes in events of PostHog's SDKs.
func (s *Server) postPostHog(w http.ResponseWriter, r *http.Request) error {
	return s.postSDK(w, r, map[string]int{"status": 1}, ingest.DecodePostHog)
}

// postSDK takes in the events of an SDK, which reads nothing but the answer it
// expects. So what was rejected is counted and logged.
func (s *Server) postSDK(w http.ResponseWriter, r *http.Request, expected any, decode func([]byte, time.Time) (ingest.Sent, error)) error {
	_, err := s.takeIn(r, form{keyInBody: true, decode: func(body []byte, now time.Time) (ingest.Sent, error) {
		body, err := unwrap(body)
		if err != nil {
			return ingest.Sent{}, err
		}
		return decode(body, now)
	}})
	if err != nil {
		return err
	}
	writeJSON(w, http.StatusOK, expected)
	return nil
}
