package handlers

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"net/http"
	"net/url"
	"time"

	"github.com/alexedwards/scs/v2"

	"pulseboard/store"
	"pulseboard/store/sqlite"
)

// sessionCookie is the cookie that an account is known by.
const sessionCookie = "pulseboard_session"

// sessionLife is how long a person stays signed in.
const sessionLife = 30 * 24 * time.Hour

// sessionUser is the session's one value: the store.UserID as an int64.
const sessionUser = "user"

func newSessions(st *sqlite.Store, secure bool, failed func(http.ResponseWriter, *http.Request, error)) *scs.SessionManager {
	m := scs.New()
	m.Store = st.Sessions()
	m.Lifetime = sessionLife
	m.HashTokenInStore = true
	m.Cookie.Name = sessionCookie
	m.Cookie.HttpOnly = true
	m.Cookie.SameSite = http.SameSiteLaxMode
	m.Cookie.Secure = secure
	m.ErrorFunc = failed
	return m
}

// account is a signed-in user with the tenant and the session.
type account struct {
	store.User
	tenant  store.Tenant
	session string // as the store names it, so not the secret of the cookie
}

var errNotSignedIn = errors.New("not signed in")

// account gives who a request's session belongs to. The context must have the
// session: from LoadAndSave, or from loadSession.
func (s *Server) account(ctx context.Context) (account, error) {
	id := store.UserID(s.sessions.GetInt64(ctx, sessionUser))
	if id == 0 {
		return account{}, errNotSignedIn
	}
	user, err := s.Store.User(ctx, id)
	if errors.Is(err, store.ErrNotFound) {
		return account{}, errNotSignedIn
	}
	if err != nil {
		return account{}, err
	}
	tenant, err := s.Store.TenantByID(ctx, user.Tenant)
	if err != nil {
		return account{}, err
	}
	return account{user, tenant, sessionName(s.sessions.Token(ctx))}, nil
}

// loadSession reads the session of a request without the middleware, which is
// not for streams.
func (s *Server) loadSession(r *http.Request) (context.Context, error) {
	token := ""
	if cookie, err := r.Cookie(sessionCookie); err == nil {
		token = cookie.Value
	}
	return s.sessions.Load(r.Context(), token)
}

// sessionName is what the store calls the session of a token. It is the hash
// that scs keeps under HashTokenInStore.
func sessionName(token string) string {
	sum := sha256.Sum256([]byte(token))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

// signedIn gives the account of a page's request, or the error to answer: a
// browser is sent to sign in, a machine is told.
func (s *Server) signedIn(w http.ResponseWriter, r *http.Request) (account, bool, error) {
	a, err := s.account(r.Context())
	switch {
	case err == nil:
		return a, true, nil
	case !errors.Is(err, errNotSignedIn):
		return account{}, false, err
	case wantsPage(r):
		next := ""
		if r.Method == http.MethodGet {
			next = "?next=" + url.QueryEscape(r.URL.RequestURI())
		}
		seeOther(w, "/login"+next)
		return account{}, false, nil
	}
	return account{}, false, unauthorized(nil)
}

func unauthorized(cause error) *httpError {
	return fail(http.StatusUnauthorized, "unauthorized", "Sign in, or send a valid token, to see this.").because(cause)
}
