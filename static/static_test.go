package static

import (
	"compress/gzip"
	"io"
	"net/http/httptest"
	"os"
	"regexp"
	"strings"
	"testing"
)

func get(path, accept string) *httptest.ResponseRecorder {
	r := httptest.NewRequest("GET", path, nil)
	r.Header.Set("Accept-Encoding", accept)
	w := httptest.NewRecorder()
	Handler().ServeHTTP(w, r)
	return w
}

func TestEveryFileIsServedAsItIsAndPacked(t *testing.T) {
	for name, a := range assets {
		plain := get(Path(name), "")
		if plain.Code != 200 || plain.Body.String() != string(a.plain) || plain.Header().Get("Content-Type") == "" {
			t.Errorf("%s: %d, %s", name, plain.Code, plain.Header().Get("Content-Type"))
		}
		packed := get(Path(name), "br, gzip")
		if packed.Header().Get("Content-Encoding") != "gzip" {
			continue // it would not be smaller
		}
		r, err := gzip.NewReader(packed.Body)
		if err != nil {
			t.Fatal(err)
		}
		if text, err := io.ReadAll(r); err != nil || string(text) != string(a.plain) {
			t.Errorf("%s does not unpack to itself: %v", name, err)
		}
	}
	if got := get("/static/../static.go", ""); got.Code != 404 {
		t.Errorf("another file: %d", got.Code)
	}
}

func TestStylesNameTheFontsByTheirAddress(t *testing.T) {
	css := string(assets["app.css"].plain)
	for _, m := range regexp.MustCompile(`url\(([^)#]+)\)`).FindAllStringSubmatch(css, -1) {
		if served[m[1]] == nil {
			t.Errorf("the styles name %s, which is not served", m[1])
		}
	}
	if !strings.HasPrefix(strings.TrimSpace(css), "/* Layers in order") {
		t.Error("the layers are not named first")
	}
}

// compat.js runs where scripts of today do not even parse.
func TestTheCheckForOldBrowsersIsOldItself(t *testing.T) {
	text, err := os.ReadFile("js/compat.js")
	if err != nil {
		t.Fatal(err)
	}
	code := regexp.MustCompile(`//.*`).ReplaceAllString(string(text), "")
	if found := regexp.MustCompile("=>|\\blet\\b|\\bconst\\b|`|\\bclass\\b\\s|\\basync\\b|\\?\\.|URLSearchParams").FindString(code); found != "" {
		t.Errorf("it uses %q", found)
	}
}

func TestAMissingFileIsAFaultOfTheProgram(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("it has an address")
		}
	}()
	Path("nothing.css")
}
