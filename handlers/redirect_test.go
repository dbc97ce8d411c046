package handlers

import (
	"net/http/httptest"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	whatwg "github.com/nlnwa/whatwg-url/url"
)

// signInPage is where a browser is that gets the redirects of these tests.
const signInPage = "https://pulse.example/login"

// sent gives the Location of a redirect.
func sent(target string) string {
	recorder := httptest.NewRecorder()
	seeOther(recorder, target)
	return recorder.Header().Get("Location")
}

var hostileTargets = []string{
	"", "/", "/dashboards", "/dashboards/web?from=now-6h", "dashboards", "?next", "#top",
	"https://evil.example/", "//evil.example", "///evil.example", `/\evil.example`, `\\evil.example`, `\/evil.example`,
	`/./\evil.example`, `/x/../\evil.example`, `/x/..//evil.example`, `/.//evil.example`, `/..\/evil.example`, "/../%5Cevil.example",
	`/%2e/\evil.example`, "/%2E//evil.example", "/x/%2e%2E//evil.example", "/x/.%2e/%2e./\\evil.example",
	"/\t/evil.example", "/\n\\evil.example", "\r//evil.example", "/\r\n/evil.example", "/./\t\\evil.example",
	" //evil.example", "\x00//evil.example", "\x1f/\\evil.example", "//evil.example ", "/ //evil.example",
	"javascript:alert(1)", "java\tscript:alert(1)", "data:text/html,x", "https:evil.example", `https:\\evil.example`, "HTTPS:/evil.example",
	"//pulse.example@evil.example", "/@evil.example", "//evil。example", "/／evil.example", "/\u2028/evil.example", "/\xff\xfe/x", "/é?ü#ß",
	"/a?b=//evil.example", `/a?b=\evil.example`, `/a#\\evil.example`, "/a?b=c\nSet-Cookie: x=y", "/%", "/%zz", "/a//b", "/a/", "/;/..;/x",
}

func TestARedirectLeadsWhereItWasChecked(t *testing.T) {
	for target, want := range map[string]string{
		"/dashboards/web?from=now-6h&var-host=a":  "/dashboards/web?from=now-6h&var-host=a",
		`/dashboards/web?host=C:\x&next=//a/../b`: `/dashboards/web?host=C:\x&next=//a/../b`,
		"/dashboards/web/?q#part":                 "/dashboards/web/?q#part",
		"/...":                                    "/...",
		"/a%2Fb":                                  "/a%2Fb",
		"/ü?ö":                                    "/%C3%BC?%C3%B6",
		`/./\evil.example`:                        defaultTarget,
		`/x/../\evil.example`:                     defaultTarget,
		"/%2e/x":                                  defaultTarget,
		"/a//b":                                   defaultTarget,
		"/a b":                                    defaultTarget,
		"/" + strings.Repeat("a", maxTarget):      defaultTarget,
	} {
		if got := sent(target); got != want {
			t.Errorf("%.100q leads to %.100q, want %q", target, got, want)
		}
	}
}

// http.Redirect is for targets that are written in the code.
func TestTargetsThatAreNotConstantGoThroughSeeOther(t *testing.T) {
	files, err := filepath.Glob("*.go")
	if err != nil || len(files) == 0 {
		t.Fatal(err)
	}
	other := regexp.MustCompile(`http\.Redirect\(\w+, \w+, [^"].*|Set\("Location".*`)
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, found := range other.FindAllString(string(text), -1) {
			if !strings.HasSuffix(file, "_test.go") && file != "redirect.go" {
				t.Errorf("%s has %s", file, found)
			}
		}
	}
}

// Whatever is asked for, a browser stays on this server, by the rules of the
// WHATWG URL Standard.
func FuzzRedirectsStayOnThisServer(f *testing.F) {
	for _, target := range hostileTargets {
		f.Add(target)
	}
	f.Add("/" + strings.Repeat("é", maxTarget/4)) // too long when it is escaped
	f.Fuzz(func(t *testing.T, target string) {
		location := sent(target)
		if strings.ContainsFunc(location, func(r rune) bool { return r <= ' ' || r > '~' }) {
			t.Fatalf("%q gives the Location %q, which is not sent as it is", target, location)
		}
		landed, err := whatwg.ParseRef(signInPage, location)
		if err != nil {
			t.Fatalf("%q gives the Location %q, which no browser reads: %v", target, location, err)
		}
		if origin := landed.Protocol() + "//" + landed.Host(); origin != "https://pulse.example" || landed.Username() != "" {
			t.Fatalf("%q gives the Location %q, which leads to %s", target, location, landed.Href(false))
		}
		if again := sent(location); again != location {
			t.Fatalf("%q gives the Location %q and that gives %q", target, location, again)
		}
	})
}

// The addresses of this server's pages, as a browser or url.URL writes them, come
// back unchanged.
func FuzzRedirectsKeepPathAndQuery(f *testing.F) {
	f.Add("dashboards/web", "from", "now-6h")
	f.Add(`a\b/../c d`, "x y", `\//evil.example`)
	f.Add("%2e%2e/..a/.b", "", "\x00\n")
	f.Fuzz(func(t *testing.T, p, key, value string) {
		u := url.URL{Path: path.Clean("/" + p), RawQuery: url.Values{key: {value}}.Encode()}
		if target := u.RequestURI(); len(target) <= maxTarget && sent(target) != target {
			t.Fatalf("%q leads to %q", target, sent(target))
		}
	})
}
