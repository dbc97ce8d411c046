package token

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"pulseboard/store"
)

var (
	now    = time.Unix(1_770_000_000, 0)
	secret = []byte("0123456789abcdef0123456789abcdef")
)

func lookup(kid string) (store.Slug, []byte, error) {
	if kid != "k1" {
		return "", nil, store.ErrNotFound
	}
	return "acme", secret, nil
}

func TestASignedTokenSaysWhatItWasGiven(t *testing.T) {
	given := Claims{Tenant: "acme", Dashboard: "web", IssuedAt: now, Expires: now.Add(time.Hour), ID: "1", Subject: "ann",
		Vars: store.Vars{"host": {"a"}, "country": {"DE", "FR"}}, Ancestors: []string{"https://a.example"}}
	text, err := Sign(given, "k1", secret)
	if err != nil {
		t.Fatal(err)
	}
	got, err := Verify(text, now, lookup)
	if err != nil || got.Subject != "ann" || got.Vars["host"][0] != "a" || len(got.Vars["country"]) != 2 || got.Ancestors[0] != "https://a.example" || !got.Expires.Equal(given.Expires) {
		t.Errorf("%+v, %v", got, err)
	}
}

// A host application signs them itself, in any language.
func TestATokenSignedElsewhereIsTaken(t *testing.T) {
	for name, audience := range map[string]any{"a text": "pulseboard", "a list": []string{"other", "pulseboard"}} {
		text := sign(t, jwt.SigningMethodHS256, secret, "k1", jwt.MapClaims{"iss": "acme", "aud": audience, "dashboard": "web", "exp": now.Add(time.Minute).Unix(), "vars": map[string]any{"host": "a"}})
		if got, err := Verify(text, now, lookup); err != nil || got.Vars["host"][0] != "a" {
			t.Errorf("aud is %s: %+v, %v", name, got, err)
		}
	}
}

func sign(t *testing.T, method jwt.SigningMethod, key any, kid string, claims jwt.MapClaims) string {
	t.Helper()
	token := jwt.NewWithClaims(method, claims)
	token.Header["kid"] = kid
	text, err := token.SignedString(key)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func TestWhateverIsWrongMakesATokenInvalid(t *testing.T) {
	claims := func(change func(jwt.MapClaims)) jwt.MapClaims {
		c := jwt.MapClaims{"iss": "acme", "aud": "pulseboard", "dashboard": "web", "exp": now.Add(time.Hour).Unix()}
		if change != nil {
			change(c)
		}
		return c
	}
	with := func(name string, value any) string {
		return sign(t, jwt.SigningMethodHS256, secret, "k1", claims(func(c jwt.MapClaims) { c[name] = value }))
	}
	good := sign(t, jwt.SigningMethodHS256, secret, "k1", claims(nil))
	if _, err := Verify(good, now, lookup); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		"empty":             "",
		"rubbish":           "a.b.c",
		"huge":              strings.Repeat("a", maxLength+1),
		"tampered":          good[:len(good)-6] + "abcdef",
		"without signature": good[:strings.LastIndex(good, ".")+1],
		"alg none":          sign(t, jwt.SigningMethodNone, jwt.UnsafeAllowNoneSignatureType, "k1", claims(nil)),
		"HS512":             sign(t, jwt.SigningMethodHS512, secret, "k1", claims(nil)),
		"another secret":    sign(t, jwt.SigningMethodHS256, []byte("x"), "k1", claims(nil)),
		"unknown kid":       sign(t, jwt.SigningMethodHS256, secret, "k2", claims(nil)),
		"another audience":  with("aud", "other"),
		"no audience":       with("aud", nil),
		"another issuer":    with("iss", "other"),
		"no exp":            with("exp", nil),
		"expired":           with("exp", now.Unix()-1),
		"exp too far":       with("exp", now.Add(MaxLife+2*time.Minute).Unix()),
		"iat in the future": with("iat", now.Add(time.Hour).Unix()),
		"no dashboard":      with("dashboard", nil),
		"odd dashboard":     with("dashboard", "../x"),
		"odd vars":          with("vars", map[string]any{"a": 1}),
		"empty vars":        with("vars", map[string]any{"a": []string{}}),
		"null vars":         with("vars", map[string]any{"a": nil}),
		"null among vars":   with("vars", map[string]any{"a": []any{"x", nil}}),
		"expires now":       with("exp", now.Unix()),
		"exp beyond time":   with("exp", 1e300),
		"exp as a text":     with("exp", "tomorrow"),
		"not yet valid":     with("nbf", now.Add(time.Hour).Unix()),
		"odd ancestor":      with("ancestors", []string{"https://a.example/; script-src *"}),
		"any ancestor":      with("ancestors", []string{"*"}),
	} {
		if got, err := Verify(text, now, lookup); !errors.Is(err, ErrInvalid) {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
	}
	broken := errors.New("the store is gone")
	if _, err := Verify(good, now, func(string) (store.Slug, []byte, error) { return "", nil, broken }); !errors.Is(err, broken) || errors.Is(err, ErrInvalid) {
		t.Errorf("a failing store: %v", err)
	}
}

func TestOrigins(t *testing.T) {
	for text, want := range map[string]string{
		"https://Example.com": "https://example.com", "http://localhost:3000/": "http://localhost:3000", "https://[::1]:8443": "https://[::1]:8443",
		"https://a.example/path": "", "https://*.example": "", "ftp://a.example": "", "a.example": "", "https://": "", "https://u@a.example": "",
		"https://a.example?x": "", "https://a.example#x": "", "https://a b": "", "https://a.example;": "", "'self'": "", "https://a.example:": "", "https://a.example:0": "", "https://a.example:65536": "", "https://a.example:x": "", "https://a..example'": "",
	} {
		if got, err := ParseOrigin(text); got != want || (err == nil) != (want != "") {
			t.Errorf("%q is %q, %v", text, got, err)
		}
	}
}

// The last letter of a signature carries bits that no decoder looks at, unless
// it is strict.
func TestNoLetterOfATokenCanChange(t *testing.T) {
	good := sign(t, jwt.SigningMethodHS256, secret, "k1", jwt.MapClaims{"iss": "acme", "aud": "pulseboard", "dashboard": "web", "exp": now.Add(time.Hour).Unix()})
	for i := range good {
		for _, c := range []byte("ABCQg_.") {
			if good[i] == c {
				continue
			}
			if _, err := Verify(good[:i]+string(c)+good[i+1:], now, lookup); !errors.Is(err, ErrInvalid) {
				t.Fatalf("letter %d as %c: %v", i, c, err)
			}
		}
	}
}

// A host whose clock is a little ahead signs tokens that begin in our future.
func TestAClockALittleAheadIsForgiven(t *testing.T) {
	claims := jwt.MapClaims{"iss": "acme", "aud": "pulseboard", "dashboard": "web", "exp": now.Add(time.Hour).Unix(), "iat": now.Unix() + 30, "nbf": now.Unix() + 30}
	if _, err := Verify(sign(t, jwt.SigningMethodHS256, secret, "k1", claims), now, lookup); err != nil {
		t.Error(err)
	}
}

func TestUnknownCriticalExtensionsAreRefused(t *testing.T) {
	token := jwt.NewWithClaims(jwt.SigningMethodHS256, jwt.MapClaims{"iss": "acme", "aud": "pulseboard", "dashboard": "web", "exp": now.Add(time.Hour).Unix()})
	token.Header["kid"], token.Header["crit"] = "k1", []string{"b64"}
	text, err := token.SignedString(secret)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Verify(text, now, lookup); !errors.Is(err, ErrInvalid) {
		t.Error(err)
	}
}

func FuzzOrigin(f *testing.F) {
	for _, s := range []string{"https://a.example:8443", "http://[::1]", "https://a; script-src *", "https://a'\"", "https://a\n"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		origin, err := ParseOrigin(s)
		if err != nil {
			return
		}
		_, host, _ := strings.Cut(origin, "://")
		if strings.ContainsAny(host, " \t\r\n;,'\"*<>/\\?#@") {
			t.Fatalf("%q gives %q", s, origin)
		}
		if again, err := ParseOrigin(origin); err != nil || again != origin {
			t.Fatalf("%q gives %q, and that %q, %v", s, origin, again, err)
		}
	})
}
