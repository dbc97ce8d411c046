// Package token signs and verifies embed tokens: JSON Web Tokens that let
// people without an account see one dashboard (RFC 7519, HS256 only).
//
// A host application may sign them itself, in any language, with the tenant's
// signing secret. The functions may be called by any number of goroutines.
package token

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"pulseboard/store"
)

const (
	// MaxLife is how far ahead a token's end may lie.
	MaxLife = 24 * time.Hour
	// Audience is the aud claim of every token.
	Audience = "pulseboard"

	maxLength    = 8 << 10 // bytes of a token
	maxAncestors = 32
	// clockSkew is how far the clock of a host that signs tokens may be ahead.
	// It lengthens no token: exp holds to the second.
	clockSkew = time.Minute
)

// ErrInvalid is any fault of a token. What it wraps is for the log alone: who
// brings a bad token gets no hint.
var ErrInvalid = errors.New("invalid token")

// Claims are what a token says.
type Claims struct {
	Tenant    store.Slug        // iss
	Dashboard store.DashboardID // the one dashboard it is for
	IssuedAt  time.Time         // iat; zero when it says nothing
	Expires   time.Time         // exp
	ID        string            // jti, optional
	Vars      store.Vars        // pinned variables, which a viewer can't change
	Ancestors []string          // origins whose pages may frame the dashboard
	Subject   string            // sub, a viewer, optional
}

// wireClaims are the claims as JSON.
type wireClaims struct {
	jwt.RegisteredClaims
	Dashboard string            `json:"dashboard"`
	Vars      map[string]values `json:"vars,omitempty"`
	Ancestors []string          `json:"ancestors,omitempty"`
}

// values are one text or a list of them.
type values []string

func (v *values) UnmarshalJSON(data []byte) error {
	var one *string // pointers, for null is no text
	if json.Unmarshal(data, &one) == nil && one != nil {
		*v = values{*one}
		return nil
	}
	var many []*string
	if json.Unmarshal(data, &many) != nil || len(many) == 0 || slices.Contains(many, nil) {
		return errors.New("a pinned variable must be a text or a list of texts")
	}
	*v = nil
	for _, text := range many {
		*v = append(*v, *text)
	}
	return nil
}

func (v values) MarshalJSON() ([]byte, error) {
	if len(v) == 1 {
		return json.Marshal(v[0])
	}
	return json.Marshal([]string(v))
}

// Sign makes a token. kid names the secret.
func Sign(c Claims, kid string, secret []byte) (string, error) {
	wire := wireClaims{
		RegisteredClaims: jwt.RegisteredClaims{
			Issuer:    string(c.Tenant),
			Audience:  jwt.ClaimStrings{Audience},
			ExpiresAt: jwt.NewNumericDate(c.Expires),
			IssuedAt:  jwt.NewNumericDate(c.IssuedAt),
			ID:        c.ID,
			Subject:   c.Subject,
		},
		Dashboard: string(c.Dashboard),
		Ancestors: c.Ancestors,
	}
	for name, v := range c.Vars {
		if wire.Vars == nil {
			wire.Vars = map[string]values{}
		}
		wire.Vars[name] = v
	}
	t := jwt.NewWithClaims(jwt.SigningMethodHS256, wire)
	t.Header["kid"] = kid
	signed, err := t.SignedString(secret)
	if err != nil {
		return "", fmt.Errorf("sign token: %w", err)
	}
	return signed, nil
}

// Lookup finds the secret that a token names, and the tenant it belongs to. An
// error that is store.ErrNotFound makes the token invalid; others are given back.
type Lookup func(kid string) (store.Slug, []byte, error)

// Verify reads a token and checks all it says. Whatever is wrong with it gives
// ErrInvalid.
func Verify(text string, now time.Time, lookup Lookup) (Claims, error) {
	if len(text) > maxLength {
		return Claims{}, fmt.Errorf("%w: %d bytes long", ErrInvalid, len(text))
	}
	var owner store.Slug
	var lookupErr error
	var wire wireClaims
	parser := jwt.NewParser(
		jwt.WithValidMethods([]string{jwt.SigningMethodHS256.Alg()}),
		jwt.WithAudience(Audience),
		jwt.WithExpirationRequired(),
		jwt.WithLeeway(clockSkew),
		jwt.WithStrictDecoding(), // else a signature could end in another letter
		jwt.WithTimeFunc(func() time.Time { return now }),
	)
	_, err := parser.ParseWithClaims(text, &wire, func(t *jwt.Token) (any, error) {
		if _, ok := t.Header["crit"]; ok {
			return nil, errors.New("its header has critical extensions, and none is known") // RFC 7515, 4.1.11
		}
		kid, _ := t.Header["kid"].(string)
		slug, secret, err := lookup(kid)
		owner, lookupErr = slug, err
		return secret, err
	})
	if lookupErr != nil && !errors.Is(lookupErr, store.ErrNotFound) {
		return Claims{}, lookupErr
	}
	if err != nil {
		return Claims{}, fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	claims, err := wire.claims(owner, now)
	if err != nil {
		return Claims{}, fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	return claims, nil
}

// claims checks what the JWT library does not know.
func (wire wireClaims) claims(owner store.Slug, now time.Time) (Claims, error) {
	if wire.Issuer != string(owner) {
		return Claims{}, fmt.Errorf("iss %q does not own the secret", wire.Issuer)
	}
	if !now.Before(wire.ExpiresAt.Time) {
		return Claims{}, fmt.Errorf("expired at %s", wire.ExpiresAt.UTC().Format(time.RFC3339))
	}
	if wire.ExpiresAt.After(now.Add(MaxLife + clockSkew)) {
		return Claims{}, fmt.Errorf("exp is more than %s ahead", MaxLife)
	}
	if wire.IssuedAt != nil && wire.IssuedAt.After(now.Add(clockSkew)) {
		return Claims{}, errors.New("iat lies in the future")
	}
	dashboard, err := store.ParseDashboardID(wire.Dashboard)
	if err != nil {
		return Claims{}, err
	}
	if len(wire.Ancestors) > maxAncestors {
		return Claims{}, fmt.Errorf("%d ancestors", len(wire.Ancestors))
	}
	c := Claims{
		Tenant:    owner,
		Dashboard: dashboard,
		Expires:   wire.ExpiresAt.Time,
		ID:        wire.ID,
		Subject:   wire.Subject,
		Vars:      store.Vars{},
	}
	if wire.IssuedAt != nil {
		c.IssuedAt = wire.IssuedAt.Time
	}
	for name, v := range wire.Vars {
		c.Vars[name] = v
	}
	for _, text := range wire.Ancestors {
		origin, err := ParseOrigin(text)
		if err != nil {
			return Claims{}, err
		}
		c.Ancestors = append(c.Ancestors, origin)
	}
	return c, nil
}

var hostPattern = regexp.MustCompile(`^[a-z0-9](?:[a-z0-9.-]*[a-z0-9])?$`)

// ParseOrigin checks that s is an origin, such as https://example.com:8443, and
// gives it in lower case. What it lets pass can stand in a content policy.
func ParseOrigin(s string) (string, error) {
	bad := fmt.Errorf("%q is no origin: it should look like https://example.com or http://localhost:3000", s)
	u, err := url.Parse(strings.ToLower(s))
	if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.User != nil || u.Opaque != "" ||
		(u.Path != "" && u.Path != "/") || u.RawQuery != "" || u.ForceQuery || u.Fragment != "" {
		return "", bad
	}
	host := u.Hostname()
	if strings.Contains(u.Host, "[") {
		if _, err := netip.ParseAddr(host); err != nil || strings.Contains(host, "%") {
			return "", bad
		}
	} else if !hostPattern.MatchString(host) {
		return "", bad
	}
	if port := u.Port(); port != "" || strings.HasSuffix(u.Host, ":") {
		if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
			return "", bad
		}
	}
	return u.Scheme + "://" + u.Host, nil
}
