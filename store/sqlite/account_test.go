package sqlite

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"testing"
	"time"

	"pulseboard/store"
)

func TestTenants(t *testing.T) {
	s := newStore(t)
	acme, err := s.CreateTenant(t.Context(), "acme", "Acme Ltd", true)
	if err != nil {
		t.Fatal(err)
	}
	abc, err := s.CreateTenant(t.Context(), "abc", "", false)
	if err != nil || abc.Name != "abc" {
		t.Fatalf("tenant %+v, error %v", abc, err)
	}
	if _, err := s.CreateTenant(t.Context(), "acme", "", false); !errors.Is(err, store.ErrExists) {
		t.Errorf("the slug again: error %v", err)
	}
	if got, err := s.Tenant(t.Context(), "acme"); err != nil || got != acme {
		t.Errorf("tenant %+v, error %v", got, err)
	}
	if got, err := s.TenantByID(t.Context(), acme.ID); err != nil || got != acme {
		t.Errorf("tenant %+v, error %v", got, err)
	}
	if _, err := s.Tenant(t.Context(), "nobody"); err != store.ErrNotFound {
		t.Errorf("nobody: error %v", err)
	}
	if all, err := s.Tenants(t.Context()); err != nil || !reflect.DeepEqual(all, []store.Tenant{abc, acme}) {
		t.Errorf("tenants %+v, error %v", all, err)
	}
}

func TestUsersBelongToOneTenant(t *testing.T) {
	s := newStore(t)
	a, b := newTenant(t, s, "a"), newTenant(t, s, "b")
	ann, annOfB := newUser(t, s, a, "ann@example.com"), newUser(t, s, b, "ann@example.com")
	if _, err := s.CreateUser(t.Context(), a, "ann@example.com", store.Admin, ""); !errors.Is(err, store.ErrExists) {
		t.Errorf("the address again: error %v", err)
	}
	if _, err := s.CreateUser(t.Context(), 999, "ann@example.com", store.Admin, ""); err != store.ErrNotFound {
		t.Errorf("no tenant: error %v", err)
	}
	if got, err := s.User(t.Context(), ann); err != nil || got != (store.User{ID: ann, Tenant: a, Email: "ann@example.com", Role: store.Viewer}) {
		t.Errorf("user %+v, error %v", got, err)
	}
	for slug, want := range map[store.Slug][]store.UserID{"": {ann, annOfB}, "b": {annOfB}, "c": nil} {
		found, err := s.Credentials(t.Context(), "ann@example.com", slug)
		var ids []store.UserID
		for _, c := range found {
			ids = append(ids, c.User.ID)
			if c.PasswordHash != "hash of ann@example.com" {
				t.Errorf("hash %q", c.PasswordHash)
			}
		}
		if err != nil || !reflect.DeepEqual(ids, want) {
			t.Errorf("credentials in %q: %v, error %v", slug, ids, err)
		}
	}
	live, err := s.LiveUsers(t.Context(), []store.UserID{ann, 999})
	if err != nil || !reflect.DeepEqual(live, map[store.UserID]bool{ann: true}) {
		t.Errorf("live %v, error %v", live, err)
	}
}

func TestCadenceIsTheUsersOwn(t *testing.T) {
	s := newStore(t)
	tenant := newTenant(t, s, "acme")
	ann, bob := newUser(t, s, tenant, "ann@example.com"), newUser(t, s, tenant, "bob@example.com")
	for _, c := range []store.Cadence{store.Every30s, store.Off} {
		if err := s.SetCadence(t.Context(), ann, c); err != nil {
			t.Fatal(err)
		}
		if got, err := s.Cadence(t.Context(), ann); err != nil || got != c {
			t.Errorf("cadence %q, error %v", got, err)
		}
	}
	if got, err := s.Cadence(t.Context(), bob); err != nil || got != store.DefaultCadence {
		t.Errorf("cadence of one who never chose: %q, error %v", got, err)
	}
	if err := s.SetCadence(t.Context(), 999, store.Off); err != store.ErrNotFound {
		t.Errorf("nobody: error %v", err)
	}
}

func TestSessionsLiveUntilTheyExpireOrEnd(t *testing.T) {
	s := newStore(t)
	sessions := s.Sessions()
	for token, life := range map[string]time.Duration{"ann": time.Hour, "bob": time.Hour, "old": -time.Hour} {
		if err := sessions.Commit(token, []byte("data of "+token), time.Now().Add(life)); err != nil {
			t.Fatal(err)
		}
	}
	if err := sessions.Delete("bob"); err != nil {
		t.Fatal(err)
	}
	live, err := s.LiveSessions(t.Context(), []string{"ann", "bob", "old", "never", `"`})
	if err != nil || !reflect.DeepEqual(live, map[string]bool{"ann": true}) {
		t.Errorf("live %v, error %v", live, err)
	}
	if data, found, err := sessions.Find("ann"); err != nil || !found || string(data) != "data of ann" {
		t.Errorf("data %q, found %v, error %v", data, found, err)
	}
	if _, found, err := sessions.Find("bob"); err != nil || found {
		t.Errorf("a deleted session: found %v, error %v", found, err)
	}
	if err := sessions.Commit("ann", []byte("more"), time.Now().Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	var rows int
	if err := s.reader.Get(&rows, `SELECT count(*) FROM sessions`); err != nil || rows != 1 {
		t.Errorf("%d rows are kept, error %v", rows, err)
	}
}

func TestKeysLetInOneTenantAndAreNotKept(t *testing.T) {
	dir := t.TempDir()
	s := openIn(t, dir, lockTimeout)
	a, b := newTenant(t, s, "a"), newTenant(t, s, "b")
	for _, tenant := range []store.TenantID{a, b} {
		key, err := s.CreateKey(t.Context(), tenant, "web")
		if err != nil {
			t.Fatal(err)
		}
		if got, err := s.TenantByKey(t.Context(), key); err != nil || got.ID != tenant {
			t.Errorf("tenant %+v, error %v", got, err)
		}
		for _, suffix := range []string{"", "-wal"} {
			if b, err := os.ReadFile(filepath.Join(dir, File+suffix)); err != nil || bytes.Contains(b, []byte(key)) {
				t.Errorf("the key stands in %s%s, error %v", File, suffix, err)
			}
		}
	}
	for _, wrong := range []string{"", "pb_", "' OR 1=1 --"} {
		if _, err := s.TenantByKey(t.Context(), wrong); err != store.ErrNotFound {
			t.Errorf("key %q: error %v", wrong, err)
		}
	}
	if _, err := s.CreateKey(t.Context(), 999, ""); err != store.ErrNotFound {
		t.Errorf("no tenant: error %v", err)
	}
}

func TestSecretsAreMadeOnceAndStay(t *testing.T) {
	dir := t.TempDir()
	s := openIn(t, dir, lockTimeout)
	a, b := newTenant(t, s, "a"), newTenant(t, s, "b")
	first, err := s.SigningSecret(t.Context(), a)
	if err != nil {
		t.Fatal(err)
	}
	if len(first.Secret) != 32 || first.KID == "" || first.Tenant.Slug != "a" {
		t.Errorf("secret %+v", first)
	}
	other, err := s.SigningSecret(t.Context(), b)
	if err != nil || bytes.Equal(other.Secret, first.Secret) || other.KID == first.KID {
		t.Errorf("two tenants share a secret; error %v", err)
	}
	cookies, err := s.ServerSecret(t.Context(), "cookies")
	if err != nil || len(cookies) != 64 {
		t.Errorf("%d bytes, error %v", len(cookies), err)
	}
	if more, err := s.ServerSecret(t.Context(), "more"); err != nil || bytes.Equal(more, cookies) {
		t.Errorf("two purposes share a secret; error %v", err)
	}

	again := openIn(t, dir, lockTimeout)
	if got, err := again.SigningSecret(t.Context(), a); err != nil || !reflect.DeepEqual(got, first) {
		t.Errorf("secret %+v, error %v", got, err)
	}
	if got, err := again.SigningSecretByKID(t.Context(), first.KID); err != nil || !reflect.DeepEqual(got, first) {
		t.Errorf("secret %+v, error %v", got, err)
	}
	if got, err := again.ServerSecret(t.Context(), "cookies"); err != nil || !bytes.Equal(got, cookies) {
		t.Errorf("another secret; error %v", err)
	}
	if _, err := again.SigningSecretByKID(t.Context(), "nobody"); err != store.ErrNotFound {
		t.Errorf("unknown kid: error %v", err)
	}
	if _, err := again.SigningSecret(t.Context(), 999); err != store.ErrNotFound {
		t.Errorf("no tenant: error %v", err)
	}
}
