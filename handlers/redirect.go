package handlers

import (
	"fmt"
	"net/http"
	"strings"
)

// defaultTarget is where a redirect leads whose target is not accepted.
const defaultTarget = "/dashboards"

// maxTarget bounds a target as it is sent, in bytes.
const maxTarget = 8 << 10

// seeOther redirects to a page of this server. The target may come from a user:
// this is the one place where it is checked, and it is sent as it was checked.
// http.Redirect would not do: it cleans the path after the check, and so makes
// "/\evil.example", another site to a browser, of the path "/./\evil.example".
func seeOther(w http.ResponseWriter, target string) {
	w.Header().Set("Location", localTarget(target))
	w.WriteHeader(http.StatusSeeOther)
}

// localTarget returns the target if every browser takes it for a path of this
// server, and defaultTarget otherwise. Bytes beyond ASCII are escaped.
//
// Browsers parse by the WHATWG URL Standard: they strip control characters and
// spaces, drop tabs and newlines, read '\' as '/', resolve dot segments, escaped
// ones too, and take what follows a leading "//" for a host. A target that any of
// these rules would change is not accepted, so that no parser reads it otherwise.
func localTarget(target string) string {
	target = escapeNonASCII(target)
	path, _, _ := strings.Cut(target, "#")
	path, _, _ = strings.Cut(path, "?")
	if len(target) > maxTarget || strings.ContainsFunc(target, isControlOrSpace) || !isPlainPath(path) {
		return defaultTarget
	}
	return target
}

func isControlOrSpace(r rune) bool { return r <= ' ' || r == 0x7f }

// isPlainPath reports whether a path is absolute and has no backslash, no dot
// segment and no empty segment but the last.
func isPlainPath(path string) bool {
	rest, absolute := strings.CutPrefix(path, "/")
	if !absolute || strings.Contains(path, `\`) || strings.Contains(path, "//") {
		return false
	}
	for segment := range strings.SplitSeq(rest, "/") {
		switch strings.ReplaceAll(strings.ToLower(segment), "%2e", ".") {
		case ".", "..":
			return false
		}
	}
	return true
}

func escapeNonASCII(s string) string {
	var b strings.Builder
	for i := range len(s) {
		if s[i] < 0x80 {
			b.WriteByte(s[i])
		} else {
			fmt.Fprintf(&b, "%%%02X", s[i])
		}
	}
	return b.String()
}
