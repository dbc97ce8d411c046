package handlers

import (
	"context"
	"errors"
	"math"
	"net/http"
	"time"

	"pulseboard/store"
	"pulseboard/store/secret"
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

// maxEmail is the longest e-mail address that is read, in bytes; see store.ParseEmail.
const maxEmail = 254

const (
	// waitingStrangers is how many passwords may wait to be checked for those who
	// have not signed in before: those in the line wait a second or two.
	waitingStrangers = 64
	// waitingKnown is the same for those who have.
	waitingKnown = 64
	// throttledTakes is how long after it was refused an attempt is answered: longer
	// than checking a password, so that the time does not tell whether one was.
	throttledTakes = 500 * time.Millisecond
)

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
	form.NeedTenant = form.Tenant != ""
	password := r.PostForm.Get("password")
	if e := tooLong(form.Email, password); e != nil {
		form.Email = ""
		return s.refuseLogin(w, r, form, e)
	}
	email, err := store.ParseEmail(form.Email)
	if err != nil {
		email = ""
	}
	origin, err := s.origins.of(r, email)
	if err != nil {
		return err
	}
	attempt, refusal, err := s.logins.begin(r.Context(), origin)
	if err != nil {
		return err
	}
	if attempt == nil {
		return s.refuseThrottled(w, r, form, refusal)
	}
	defer attempt.end(false) // should this panic
	user, ambiguous, err := s.authenticate(r.Context(), s.line(origin), email, password, form.Tenant)
	attempt.end(err == nil && user == nil && !ambiguous)
	switch {
	case errors.Is(err, secret.ErrBusy):
		e := fail(http.StatusServiceUnavailable, "busy", "Too many people sign in at this moment. Try again in a few seconds.").because(err)
		e.RetryAfter = 3 * time.Second
		return s.refuseLogin(w, r, form, e)
	case err != nil:
		return err
	case ambiguous:
		form.NeedTenant = true
		return s.refuseLogin(w, r, form, wrongCredentials("This e-mail address belongs to several workspaces. Enter the one to sign in to."))
	case user == nil:
		if attempt.refusal != (loginRefusal{}) {
			return s.refuseThrottled(w, r, form, attempt.refusal)
		}
		return s.refuseLogin(w, r, form, wrongCredentials("The e-mail address or the password is wrong."))
	}
	if err := s.sessions.RenewToken(r.Context()); err != nil {
		return err
	}
	s.sessions.Put(r.Context(), sessionUser, int64(user.ID))
	log := requestLog(r.Context(), s.Log)
	if err := s.origins.remember(w, r, user.ID, origin); err != nil {
		log.Warn("keeping where a user signed in from failed", "user", user.ID, "error", err)
	}
	log.Info("signed in", "user", user.ID)
	seeOther(w, form.Next)
	return nil
}

// tooLong refuses what can't be anybody's before it costs anything.
func tooLong(email, password string) *httpError {
	switch {
	case len(email) > maxEmail:
		return fail(http.StatusBadRequest, "too_long", "The e-mail address is too long: it has at most %d bytes.", maxEmail)
	case secret.TooLong(password):
		return fail(http.StatusBadRequest, "too_long", "The password is too long: it has at most %d characters.", secret.MaxPassword)
	}
	return nil
}

func wrongCredentials(message string) *httpError {
	return fail(http.StatusUnauthorized, "wrong_credentials", "%s", message)
}

// refuseLogin answers with an error: a browser gets it in the form.
func (s *Server) refuseLogin(w http.ResponseWriter, r *http.Request, form views.LoginPage, e *httpError) error {
	if !wantsPage(r) {
		return e
	}
	form.Error = e.Message
	s.beginError(w, r, e)
	s.writePage(w, r, e.Status, views.Login(form))
	return nil
}

// refuseThrottled answers an attempt that has to wait.
func (s *Server) refuseThrottled(w http.ResponseWriter, r *http.Request, form views.LoginPage, refusal loginRefusal) error {
	time.Sleep(time.Until(refusal.at.Add(throttledTakes)))
	seconds := math.Ceil(refusal.wait.Seconds())
	e := fail(http.StatusTooManyRequests, "too_many_attempts",
		"Too many attempts to sign in. Try again in %.0f s. Where you have signed in before, the right password still works.", seconds)
	e.RetryAfter = refusal.wait
	return s.refuseLogin(w, r, form, e)
}

// line gives where the password of an attempt waits to be checked.
func (s *Server) line(o signInOrigin) *secret.Line {
	if o.browser != "" || o.knownNetwork {
		return s.knownLine
	}
	return s.strangersLine
}

// authenticate gives the user of these credentials, nil when there is none.
// ambiguous says that the password is right for users of several tenants. The
// error is secret.ErrBusy when too many passwords wait to be checked.
func (s *Server) authenticate(ctx context.Context, line *secret.Line, email store.Email, password, tenant string) (user *store.User, ambiguous bool, err error) {
	if email == "" {
		return nil, false, nil // which tells nothing of who exists, and so need not take time
	}
	var slug store.Slug
	if tenant != "" {
		if slug, err = store.ParseSlug(tenant); err != nil {
			return nil, false, line.DummyVerify(ctx, password)
		}
	}
	credentials, err := s.Store.Credentials(ctx, email, slug)
	if err != nil {
		return nil, false, err
	}
	if len(credentials) == 0 {
		return nil, false, line.DummyVerify(ctx, password)
	}
	var matching []store.Credential
	for _, c := range credentials {
		match, err := line.VerifyPassword(ctx, password, c.PasswordHash)
		if err != nil {
			return nil, false, err
		}
		if match {
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
