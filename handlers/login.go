package handlers

import (
	"net"
	"net/http"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"pulseboard/store"
	"pulseboard/store/secret"
	"pulseboard/store/sqlite"
	"pulseboard/views"
)

func (s *Server) getHome(w http.ResponseWriter, r *http.Request) error {
	to := "/login"
	if s.sessions.GetInt64(r.Context(), sessionUser) != 0 {
		to = "/dashboards"
	}
	seeOther(w, to)
	return nil
}

func (s *Server) getLogin(w http.ResponseWriter, r *http.Request) error {
	if _, err := s.account(r.Context()); err == nil {
		seeOther(w, r.URL.Query().Get("next"))
		return nil
	}
	s.writePage(w, r, http.StatusOK, views.Login(views.LoginPage{
		Page: visitorPage(r, "Sign in"),
		Next: r.URL.Query().Get("next"),
	}))
	return nil
}

// maxForm bounds the body of a form.
const maxForm = 64 << 10

// postLogin signs a user in. An unknown address and a wrong password get the
// same answer after the same work.
func (s *Server) postLogin(w http.ResponseWriter, r *http.Request) error {
	r.Body = http.MaxBytesReader(w, r.Body, maxForm)
	if err := r.ParseForm(); err != nil {
		return fail(http.StatusBadRequest, "bad_form", "The form could not be read. Send email and password as form fields.").because(err)
	}
	form := views.LoginPage{
		Page:   visitorPage(r, "Sign in"),
		Email:  r.PostForm.Get("email"),
		Tenant: r.PostForm.Get("tenant"),
		Next:   r.PostForm.Get("next"),
	}
	attempt, wait := s.logins.begin(form.Email, clientAddress(r))
	if wait > 0 {
		e := fail(http.StatusTooManyRequests, "too_many_attempts", "Too many attempts to sign in. Wait a little, then try again.")
		e.RetryAfter = wait
		return e
	}
	user, ambiguous, err := s.authenticate(r, form.Email, r.PostForm.Get("password"), form.Tenant)
	if err != nil {
		return err
	}
	if user == nil {
		form.Error, form.NeedTenant = "The e-mail address or the password is wrong.", form.Tenant != ""
		if ambiguous {
			form.Error, form.NeedTenant = "This e-mail address belongs to several workspaces. Enter the one to sign in to.", true
			attempt.forgive()
		}
		return s.refuseLogin(w, r, form)
	}
	attempt.forgive()
	if err := s.sessions.RenewToken(r.Context()); err != nil {
		return err
	}
	s.sessions.Put(r.Context(), sessionUser, int64(user.ID))
	requestLog(r.Context(), s.Log).Info("signed in", "user", user.ID)
	seeOther(w, form.Next)
	return nil
}

func (s *Server) refuseLogin(w http.ResponseWriter, r *http.Request, form views.LoginPage) error {
	if !wantsPage(r) {
		return fail(http.StatusUnauthorized, "wrong_credentials", "%s", form.Error)
	}
	s.writePage(w, r, http.StatusUnauthorized, views.Login(form))
	return nil
}

// authenticate gives the user of these credentials, nil when there is none.
// ambiguous says that the password is right for users of several tenants.
func (s *Server) authenticate(r *http.Request, email, password, tenant string) (user *store.User, ambiguous bool, err error) {
	address, err := store.ParseEmail(email)
	if err != nil {
		secret.DummyVerify(password)
		return nil, false, nil
	}
	var slug store.Slug
	if tenant != "" {
		if slug, err = store.ParseSlug(tenant); err != nil {
			secret.DummyVerify(password)
			return nil, false, nil
		}
	}
	credentials, err := s.Store.Credentials(r.Context(), address, slug)
	if err != nil {
		return nil, false, err
	}
	if len(credentials) == 0 {
		secret.DummyVerify(password)
	}
	var matching []sqlite.Credential
	for _, c := range credentials {
		if secret.VerifyPassword(password, c.PasswordHash) {
			matching = append(matching, c)
		}
	}
	if len(matching) != 1 {
		return nil, len(matching) > 1, nil
	}
	return &matching[0].User, false, nil
}

// postLogout ends the session and every stream that was opened with it.
func (s *Server) postLogout(w http.ResponseWriter, r *http.Request) error {
	session := sessionName(s.sessions.Token(r.Context()))
	if err := s.sessions.Destroy(r.Context()); err != nil {
		return err
	}
	s.roster.EndWhere(goodbyeSignedOut, ofSession(session))
	seeOther(w, "/login")
	return nil
}

// clientAddress is the address of the one who asks: of the last proxy, where
// there is one, since nothing a client writes into a header can be believed.
func clientAddress(r *http.Request) string {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		return r.RemoteAddr
	}
	return host
}

// A sign-in that fails costs one token of the account and one of the address.
// Ten tries in a row are what a person who forgot a password makes; after that,
// one in 15 s makes guessing hopeless and locks nobody out for long.
const (
	loginBurst        = 10
	loginEvery        = 15 * time.Second
	loginAddressBurst = 50
	loginAddressEvery = 3 * time.Second
)

// loginThrottle bounds failing sign-ins by account and by address.
type loginThrottle struct {
	mu       sync.Mutex
	limiters map[string]*rate.Limiter
}

func newLoginThrottle() *loginThrottle {
	return &loginThrottle{limiters: map[string]*rate.Limiter{}}
}

// loginAttempt is one try to sign in; it counts unless it is forgiven.
type loginAttempt []*rate.Reservation

func (a loginAttempt) forgive() {
	for _, r := range a {
		r.Cancel()
	}
}

// begin counts an attempt. When the account or the address has made too many, it
// gives how long to wait instead.
func (t *loginThrottle) begin(email, address string) (loginAttempt, time.Duration) {
	t.mu.Lock()
	defer t.mu.Unlock()
	var attempt loginAttempt
	for _, limiter := range []*rate.Limiter{
		t.limiter("account "+email, loginEvery, loginBurst),
		t.limiter("address "+address, loginAddressEvery, loginAddressBurst),
	} {
		r := limiter.Reserve()
		attempt = append(attempt, r)
		if wait := r.Delay(); wait > 0 {
			attempt.forgive()
			return nil, wait
		}
	}
	return attempt, 0
}

// maxLimiters bounds the memory of the throttle: beyond it, an attacker with many
// addresses is still bound by account, and the other way round.
const maxLimiters = 100_000

func (t *loginThrottle) limiter(name string, every time.Duration, burst int) *rate.Limiter {
	l := t.limiters[name]
	if l == nil {
		if len(t.limiters) >= maxLimiters {
			t.forgetIdle()
		}
		l = rate.NewLimiter(rate.Every(every), burst)
		t.limiters[name] = l
	}
	return l
}

func (t *loginThrottle) sweep() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.forgetIdle()
}

// forgetIdle drops limiters that are as good as new.
func (t *loginThrottle) forgetIdle() {
	for name, l := range t.limiters {
		if l.Tokens() >= float64(l.Burst()) {
			delete(t.limiters, name)
		}
	}
}
