package handlers_test

import (
	"net/http"
	"strings"
	"testing"

	"pulseboard/store"
	"pulseboard/store/secret"
)

func TestSettingsSayWhatIsKeptAndAdminsSayForHowLong(t *testing.T) {
	w := newWorld(t)
	hash, err := secret.HashPassword(password)
	must(t, err)
	_, err = w.store.CreateUser(t.Context(), w.tenant.ID, "root@example.com", store.Admin, hash)
	must(t, err)
	w.send(`{"event":"a"}`)
	viewer, admin := w.signIn("ann@example.com"), w.signIn("root@example.com")

	page := w.page(viewer, "/settings")
	for _, want := range []string{"<dd>1</dd>", "90 days", "730 days", "Store on disk"} {
		if !strings.Contains(page.body, want) {
			t.Errorf("a viewer's page lacks %q", want)
		}
	}
	if page.status != http.StatusOK || strings.Contains(page.body, "<input") {
		t.Errorf("a viewer may change something: %d", page.status)
	}
	if a := w.postForm(viewer, "/settings/retention", "event_days", "1", "rollup_days", "1"); a.status != http.StatusForbidden {
		t.Errorf("a viewer changed it: %d", a.status)
	}
	for _, days := range []string{"0", "-1", "x", "", "99999"} {
		if a := w.postForm(admin, "/settings/retention", "event_days", days, "rollup_days", "30"); a.status != http.StatusBadRequest {
			t.Errorf("%q days: %d", days, a.status)
		}
	}
	if a := w.postForm(admin, "/settings/retention", "event_days", "7", "rollup_days", "30"); a.status != http.StatusSeeOther {
		t.Fatalf("an admin could not: %d %s", a.status, a.body)
	}
	if r, err := w.store.Retention(t.Context(), w.tenant.ID); err != nil || r != (store.Retention{EventDays: 7, RollupDays: 30}) {
		t.Errorf("%+v, %v", r, err)
	}
	other := w.newTenant("other", "bob@example.com")
	if r, err := w.store.Retention(t.Context(), other.ID); err != nil || r != store.DefaultRetention {
		t.Errorf("the other tenant's is %+v, %v", r, err)
	}
	if a := w.page(w.client(), "/settings"); a.status != http.StatusSeeOther {
		t.Errorf("who is not signed in: %d", a.status)
	}
}

func TestTheStoreCanBeWatched(t *testing.T) {
	w := newWorld(t)
	w.send(`[{"event":"a"},{"event":"b"}]`)
	metrics := w.get(http.DefaultClient, "/metrics").body
	for _, want := range []string{"pulseboard_store_events 2\n", "pulseboard_store_bytes ", "pulseboard_store_rollup_lag_events "} {
		if !strings.Contains(metrics, want) {
			t.Errorf("%q is not there", want)
		}
	}
}
