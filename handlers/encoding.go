package handlers

import (
	"net/http"
	"strconv"
	"strings"
)

// acceptsGzip says whether a request accepts gzip: by its name or by *, unless
// its weight is 0 (RFC 9110, 12.5.3).
func acceptsGzip(h http.Header) bool {
	accepted := false
	for _, field := range h.Values("Accept-Encoding") {
		for _, item := range strings.Split(field, ",") {
			coding, parameters, _ := strings.Cut(item, ";")
			coding = strings.ToLower(strings.TrimSpace(coding))
			weight := 1.0
			if name, value, ok := strings.Cut(strings.TrimSpace(parameters), "="); ok && strings.EqualFold(strings.TrimSpace(name), "q") {
				if f, err := strconv.ParseFloat(strings.TrimSpace(value), 64); err == nil {
					weight = f
				}
			}
			switch coding {
			case "gzip", "x-gzip":
				return weight > 0
			case "*":
				accepted = weight > 0
			}
		}
	}
	return accepted
}
