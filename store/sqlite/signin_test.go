package sqlite

import (
	"errors"
	"testing"
	"time"

	"pulseboard/store"
)

func TestNetworksOfSignInsAreKnownAndBounded(t *testing.T) {
	s := newStore(t)
	a, b := newTenant(t, s, "a"), newTenant(t, s, "b")
	ann, bob := newUser(t, s, a, "ann@example.com"), newUser(t, s, a, "bob@example.com")
	newUser(t, s, b, "ann@example.com")
	network := func(n int) []byte { return []byte{byte(n), 1, 2, 3} }
	remember := func(user store.UserID, n int, at time.Time) {
		t.Helper()
		if err := s.RememberSignIn(t.Context(), user, network(n), at); err != nil {
			t.Fatal(err)
		}
	}
	known := func(email store.Email, n int, since time.Time) bool {
		t.Helper()
		yes, err := s.SignedInFrom(t.Context(), email, network(n), since)
		if err != nil {
			t.Fatal(err)
		}
		return yes
	}
	remember(bob, 0, noon)
	for n := range MaxSignInNetworks {
		remember(ann, n, noon.Add(time.Duration(n)*time.Minute))
	}
	remember(ann, 0, noon.Add(time.Hour)) // seen again, so it is not the oldest any more
	remember(ann, 200, noon.Add(time.Hour))
	for n, want := range map[int]bool{0: true, 1: false, 2: true, 200: true, 201: false} {
		if got := known("ann@example.com", n, noon); got != want {
			t.Errorf("network %d of ann: known %t", n, got)
		}
	}
	if !known("bob@example.com", 0, noon) || known("bob@example.com", 2, noon) || known("eve@example.com", 0, noon) {
		t.Error("networks of users are mixed up")
	}
	if known("bob@example.com", 0, noon.Add(time.Second)) {
		t.Error("a network is known for longer than asked")
	}
	if err := s.RememberSignIn(t.Context(), 999, network(0), noon); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("nobody: error %v", err)
	}
	if err := s.PruneSignIns(t.Context(), noon.Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	var left int
	if err := s.reader.Get(&left, `SELECT count(*) FROM sign_in_networks`); err != nil || left != 2 {
		t.Errorf("%d networks are left, error %v", left, err)
	}
}
