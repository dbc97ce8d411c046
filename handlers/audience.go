package handlers

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"pulseboard/store"
	"pulseboard/store/token"
	"pulseboard/stream"
)

var (
	noContext        = context.Background() // drawing a widget waits for nothing
	errPinnedUnknown = errors.New("the token pins a variable that the dashboard does not have")
)

const goodbyeSignedOut = stream.SignedOut

func ofSession(session string) func(stream.Entry) bool {
	return func(e stream.Entry) bool { return e.Session == session }
}

// audience is who asks for a dashboard: a signed-in user, or the holder of a token.
type audience struct {
	tenant  store.TenantID
	cadence store.Cadence   // when the request names none
	pinned  store.Vars      // by the token
	expires time.Time       // of the token; zero for users
	claims  *token.Claims   // nil for users
	entry   stream.Entry    // as the roster counts it
	token   stream.QuotaKey // that the roster counts views for too; empty for users
	wider   int             // how many times the limits of one viewer hold
}

// audience finds who asks for dashboard id. A token stands above a cookie.
func (s *Server) audience(r *http.Request, id store.DashboardID) (audience, error) {
	if text, ok := tokenOf(r); ok {
		return s.tokenAudience(r, text, id)
	}
	ctx, err := s.loadSession(r)
	if err != nil {
		return audience{}, err
	}
	a, err := s.account(ctx)
	if errors.Is(err, errNotSignedIn) {
		return audience{}, unauthorized(err)
	}
	if err != nil {
		return audience{}, err
	}
	cadence, err := s.Store.Cadence(ctx, a.ID)
	if err != nil {
		return audience{}, err
	}
	if cadence == store.Off {
		cadence = store.DefaultCadence // who opens a stream wants updates
	}
	return audience{
		tenant:  a.User.Tenant,
		cadence: cadence,
		wider:   1,
		entry:   stream.Entry{Key: userKey(a.ID), Session: a.session, User: int64(a.ID)},
	}, nil
}

// tokenOf gives the embed token of a request, from the header or the query.
func tokenOf(r *http.Request) (text string, ok bool) {
	if h := r.Header.Get("Authorization"); h != "" {
		scheme, credentials, _ := strings.Cut(h, " ")
		if strings.EqualFold(scheme, "Bearer") {
			return strings.TrimSpace(credentials), true
		}
	}
	query := r.URL.Query()
	return query.Get("token"), query.Has("token")
}

// anonymousTimes is how many times the limits of one viewer an address has: many
// people may stand behind one.
const anonymousTimes = 10

func (s *Server) tokenAudience(r *http.Request, text string, id store.DashboardID) (audience, error) {
	var tenant store.TenantID
	var keyID string
	claims, err := token.Verify(text, time.Now(), func(kid string) (store.Slug, []byte, error) {
		secret, err := s.Store.SigningSecretByKID(r.Context(), kid)
		tenant, keyID = secret.Tenant.ID, kid
		return secret.Tenant.Slug, secret.Secret, err
	})
	if errors.Is(err, token.ErrInvalid) {
		return audience{}, unauthorized(err)
	}
	if err != nil {
		return audience{}, err
	}
	if claims.Dashboard != id {
		return audience{}, notFound("dashboard")
	}
	a := audience{
		tenant:  tenant,
		token:   stream.QuotaKey("token " + shortName(text)),
		cadence: store.Live,
		pinned:  claims.Vars,
		expires: claims.Expires,
		claims:  &claims,
		wider:   1,
		entry:   stream.Entry{Key: stream.QuotaKey(fmt.Sprintf("tenant %d subject %s", tenant, shortName(claims.Subject))), KeyID: keyID},
	}
	if claims.Subject == "" {
		a.entry.Key = stream.QuotaKey(fmt.Sprintf("tenant %d address %s", tenant, clientNetwork(r)))
		a.wider = anonymousTimes
	}
	return a, nil
}

// shortName returns a name of bounded length, itself or a digest, for what a client sends.
func shortName(name string) string {
	if len(name) <= 64 {
		return name
	}
	sum := sha256.Sum256([]byte(name))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

// opener opens views for the audience.
func (s *Server) opener(a audience, watches bool) stream.Opener {
	keys := []stream.QuotaKey{a.entry.Key}
	if a.token != "" {
		keys = append(keys, a.token)
	}
	return stream.Opener{Key: a.entry.Key, Watches: watches, Admit: func() error { return s.roster.AdmitView(keys...) }}
}

// userOpener opens views for a page of a signed-in user.
func (s *Server) userOpener(a account) stream.Opener {
	return s.opener(audience{entry: stream.Entry{Key: userKey(a.ID)}}, false)
}

func userKey(id store.UserID) stream.QuotaKey { return stream.QuotaKey(fmt.Sprintf("user %d", id)) }

// openView gives the dashboard and the view that a request is about.
func (s *Server) openView(r *http.Request, a audience, id store.DashboardID) (store.Dashboard, store.View, error) {
	d, err := s.Store.Dashboard(r.Context(), a.tenant, id)
	if errors.Is(err, store.ErrNotFound) {
		return d, store.View{}, notFound("dashboard")
	}
	if err != nil {
		return d, store.View{}, err
	}
	view, err := viewOf(a.tenant, d, r.URL.Query(), a.pinned)
	return d, view, err
}

// sweepStreams ends the streams whose session, user or signing secret is gone.
func (s *Server) sweepStreams(ctx context.Context) error {
	sessions, users, keys := map[string]bool{}, map[store.UserID]bool{}, map[string]bool{}
	for _, e := range s.roster.Entries() {
		if e.Session != "" {
			sessions[e.Session], users[store.UserID(e.User)] = true, true
		}
		if e.KeyID != "" {
			keys[e.KeyID] = true
		}
	}
	liveSessions, err := s.Store.LiveSessions(ctx, keysOf(sessions))
	if err != nil {
		return err
	}
	liveUsers, err := s.Store.LiveUsers(ctx, keysOf(users))
	if err != nil {
		return err
	}
	for kid := range keys {
		if _, err := s.Store.SigningSecretByKID(ctx, kid); errors.Is(err, store.ErrNotFound) {
			s.roster.EndWhere(stream.Revoked, func(e stream.Entry) bool { return e.KeyID == kid })
		} else if err != nil {
			return err
		}
	}
	// Only what was asked about is judged: a stream that came since has been let
	// in by a check of its own.
	s.roster.EndWhere(stream.Removed, func(e stream.Entry) bool {
		return e.Session != "" && users[store.UserID(e.User)] && !liveUsers[store.UserID(e.User)]
	})
	s.roster.EndWhere(stream.SignedOut, func(e stream.Entry) bool {
		return sessions[e.Session] && !liveSessions[e.Session]
	})
	return nil
}

func keysOf[K comparable](set map[K]bool) []K {
	keys := make([]K, 0, len(set))
	for k := range set {
		keys = append(keys, k)
	}
	return keys
}
