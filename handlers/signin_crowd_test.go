package handlers_test

import (
	"context"
	"fmt"
	"io"
	"maps"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"pulseboard/store"
	"pulseboard/store/secret"
)

// atOnce makes n attempts at the same moment and counts the answers by status.
func atOnce(n int, attempt func(i int) int) map[int]int {
	var mu sync.Mutex
	var all sync.WaitGroup
	statuses := map[int]int{}
	for i := range n {
		all.Go(func() {
			status := attempt(i)
			mu.Lock()
			defer mu.Unlock()
			statuses[status]++
		})
	}
	all.Wait()
	return statuses
}

func TestRightPasswordsAtOnceAreAllLetIn(t *testing.T) {
	w := newWorld(t)
	got := atOnce(16, func(int) int { return w.tryFrom("127.0.0.2", "ann@example.com", password).status })
	if want := map[int]int{http.StatusSeeOther: 16}; !maps.Equal(got, want) {
		t.Errorf("answers %v, want %v", got, want)
	}
}

func TestANetworkFullOfPeopleSignsInAtOnce(t *testing.T) {
	slow(t)
	const people = addressBurst + 10
	w := newWorld(t)
	hash, err := secret.HashPassword(password)
	must(t, err)
	email := func(i int) string { return fmt.Sprintf("u%d@example.com", i) }
	for i := range people {
		_, err := w.store.CreateUser(t.Context(), w.tenant.ID, store.Email(email(i)), store.Viewer, hash)
		must(t, err)
	}
	got := atOnce(people, func(i int) int { return w.tryFrom("127.0.0.2", email(i), password).status })
	if want := map[int]int{http.StatusSeeOther: people}; !maps.Equal(got, want) {
		t.Errorf("answers %v, want %v", got, want)
	}
}

// addressBurst is how many attempts of one network are made at once.
const addressBurst = 50

// Whoever gives up while an attempt waits leaves nothing behind.
func TestAnAttemptThatIsGivenUpWhileItWaitsCountsForNothing(t *testing.T) {
	slow(t)
	w := newWorld(t)
	decide := w.server.HoldSignIns("ann@example.com", "127.0.0.66", 10)
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, "POST", w.url+"/login", strings.NewReader("email=ann@example.com&password=x"))
	must(t, err)
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	if response, err := w.clientFrom("127.0.0.2").Do(r); err == nil {
		response.Body.Close()
		t.Fatalf("answered with %d while others were not decided", response.StatusCode)
	}
	for began := time.Now(); w.server.WaitingSignIns() > 0; time.Sleep(time.Millisecond) {
		if time.Since(began) > 2*time.Second {
			t.Fatal("it still waits")
		}
	}
	decide(false)
	if a := w.tryFrom("127.0.0.2", "ann@example.com", password); a.status != http.StatusSeeOther {
		t.Errorf("then: %d", a.status)
	}
}

// The time of a refusal does not tell of a known network, however slowly the form comes in.
func TestARefusalTakesItsTimeAfterASlowForm(t *testing.T) {
	w := newWorld(t)
	w.guessAt("eve@example.com")
	form, send := io.Pipe()
	sent := make(chan time.Time, 1)
	go func() {
		_, _ = io.WriteString(send, "email=eve@example.com&")
		time.Sleep(600 * time.Millisecond)
		sent <- time.Now()
		_, _ = io.WriteString(send, "password=x")
		send.Close()
	}()
	r, err := http.NewRequest("POST", w.url+"/login", form)
	must(t, err)
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	response, err := w.clientFrom("127.0.0.2").Do(r)
	must(t, err)
	response.Body.Close()
	if took := time.Since(<-sent); response.StatusCode != http.StatusTooManyRequests || took < 500*time.Millisecond {
		t.Errorf("%d after %v", response.StatusCode, took)
	}
}
