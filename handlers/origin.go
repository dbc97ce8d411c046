package handlers

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/gorilla/sessions"

	"pulseboard/store"
	"pulseboard/store/sqlite"
)

const (
	// browserCookie is the cookie that a browser is known by that signed in before.
	// It opens nothing: it only spares its owner the wait when others guess.
	browserCookie = "pulseboard_browser"
	// originLife is how long a browser and a network are known.
	originLife = 90 * 24 * time.Hour
	// maxBrowserAccounts bounds the accounts that a browser is known for.
	maxBrowserAccounts = 8
)

// signInOrigins knows which browsers and networks signed in to which accounts. A
// browser says so itself, in a signed cookie: a telephone changes its network all
// day. Of networks the store keeps keyed hashes: they serve programs, and people
// who clear their cookies.
type signInOrigins struct {
	store   *sqlite.Store
	key     []byte // of hashes of accounts and networks
	cookies *sessions.CookieStore
}

func newSignInOrigins(ctx context.Context, st *sqlite.Store, secure bool) (*signInOrigins, error) {
	key, err := st.ServerSecret(ctx, "sign-in-networks")
	if err != nil {
		return nil, fmt.Errorf("read the secret of sign-in networks: %w", err)
	}
	signing, err := st.ServerSecret(ctx, "browser-cookie")
	if err != nil {
		return nil, fmt.Errorf("read the secret of browser cookies: %w", err)
	}
	cookies := sessions.NewCookieStore(signing)
	cookies.Options = &sessions.Options{Path: "/login", HttpOnly: true, Secure: secure, SameSite: http.SameSiteLaxMode}
	cookies.MaxAge(int(originLife.Seconds()))
	return &signInOrigins{st, key, cookies}, nil
}

// proxied reports whether a proxy passed the request on. Then its network is
// everybody's, and not known to any account: otherwise whoever guesses would share
// the count of its owners, and could tell accounts that exist by being let try.
func proxied(r *http.Request) bool {
	for _, name := range []string{"X-Forwarded-For", "Forwarded", "Via", "X-Real-Ip"} {
		if r.Header.Get(name) != "" {
			return true
		}
	}
	return false
}

// of gives the origin of an attempt to sign in to the account of an address, which
// is empty for what is no e-mail address.
func (o *signInOrigins) of(r *http.Request, email store.Email) (signInOrigin, error) {
	origin := signInOrigin{email: email, network: networkOf(clientAddress(r))}
	if email == "" {
		return origin, nil
	}
	if id, accounts := o.browser(r); slices.Contains(accounts, o.accountName(email)) {
		origin.browser = id
	}
	if proxied(r) {
		return origin, nil
	}
	var err error
	origin.knownNetwork, err = o.store.SignedInFrom(r.Context(), email, o.networkHash(email, origin.network), time.Now().Add(-originLife))
	return origin, err
}

// remember lets the origin of a sign-in that succeeded be known next time. The
// cookie is set in any case.
func (o *signInOrigins) remember(w http.ResponseWriter, r *http.Request, user store.UserID, origin signInOrigin) error {
	id, accounts := o.browser(r)
	if id == "" {
		id = rand.Text()
	}
	name := o.accountName(origin.email)
	accounts = append(slices.DeleteFunc(accounts, func(a string) bool { return a == name }), name)
	accounts = accounts[max(0, len(accounts)-maxBrowserAccounts):]
	cookie, _ := o.cookies.New(r, browserCookie) // one that is broken is replaced
	cookie.Values["id"], cookie.Values["accounts"] = id, strings.Join(accounts, " ")
	if err := o.cookies.Save(r, w, cookie); err != nil {
		return fmt.Errorf("set the cookie of a browser: %w", err)
	}
	if proxied(r) {
		return nil
	}
	return o.store.RememberSignIn(r.Context(), user, o.networkHash(origin.email, origin.network), time.Now())
}

// browser gives the name of the browser and the accounts that it signed in to,
// the newest last; none when its cookie is not of this server or too old.
func (o *signInOrigins) browser(r *http.Request) (id string, accounts []string) {
	cookie, err := o.cookies.New(r, browserCookie)
	if err != nil {
		return "", nil
	}
	id, _ = cookie.Values["id"].(string)
	names, _ := cookie.Values["accounts"].(string)
	return id, strings.Fields(names)
}

// accountName names an account in cookies, which are signed but can be read.
func (o *signInOrigins) accountName(email store.Email) string {
	return base64.RawURLEncoding.EncodeToString(o.hash("account", string(email)))
}

// networkHash names a network to one account: what is kept does not tell which
// accounts share a network.
func (o *signInOrigins) networkHash(email store.Email, network netip.Prefix) []byte {
	return o.hash("network", string(email), network.String())
}

// hash gives 16 bytes for words that have no zero byte.
func (o *signInOrigins) hash(words ...string) []byte {
	mac := hmac.New(sha256.New, o.key)
	for _, word := range words {
		mac.Write([]byte(word))
		mac.Write([]byte{0})
	}
	return mac.Sum(nil)[:16]
}
