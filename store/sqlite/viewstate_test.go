package sqlite

import (
	"fmt"
	"reflect"
	"testing"
	"time"

	"pulseboard/store"
)

func TestViewStatesSurvive(t *testing.T) {
	dir := t.TempDir()
	s := openIn(t, dir, lockTimeout)
	a, b := newTenant(t, s, "a"), newTenant(t, s, "b")
	const view store.ViewKey = "web|now-1h|now|"
	if got, err := s.ViewState(t.Context(), a, view); err != nil || !reflect.DeepEqual(got, store.ViewState{}) {
		t.Errorf("of an unknown view: %+v, error %v", got, err)
	}
	state := store.ViewState{First: 1 << 50, Last: 1<<50 + 7, Epoch: 3, Loose: []store.IDRange{{Epoch: 9, First: 1 << 49, Last: 1<<49 + 5}}, Layout: "digest", LayoutSeq: 1<<50 + 1,
		Widgets: map[store.WidgetKey]store.WidgetState{
			"count": {Value: "a", ValueSeq: 1<<50 + 2, Picture: "b", PictureSeq: 1<<50 + 7},
			"gone":  {PictureSeq: 1<<50 + 3, Removed: true},
		}}
	for range 2 {
		state.Last++
		if err := s.SaveViewState(t.Context(), a, view, "ann", state); err != nil {
			t.Fatal(err)
		}
	}
	again := openIn(t, dir, lockTimeout)
	if got, err := again.ViewState(t.Context(), a, view); err != nil || !reflect.DeepEqual(got, state) {
		t.Errorf("state %+v, error %v", got, err)
	}
	if got, err := again.ViewState(t.Context(), b, view); err != nil || got.Last != 0 {
		t.Errorf("another tenant's state: %+v, error %v", got, err)
	}
	if err := s.SaveViewState(t.Context(), 999, view, "ann", state); err != store.ErrNotFound {
		t.Errorf("no tenant: error %v", err)
	}

	if err := s.PruneViewStates(t.Context(), time.Now().Add(-time.Hour)); err != nil {
		t.Fatal(err)
	}
	if got, err := s.ViewState(t.Context(), a, view); err != nil || got.Last != state.Last {
		t.Errorf("a young state was forgotten: %+v, error %v", got, err)
	}
	if err := s.PruneViewStates(t.Context(), time.Now().Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	if got, err := s.ViewState(t.Context(), a, view); err != nil || got.Last != 0 {
		t.Errorf("an old state stays: %+v, error %v", got, err)
	}
}

// Whoever opens ever more views forgets their own, and in the end a tenant's oldest; another
// tenant loses nothing.
func TestViewsKeptAreBoundedByOwnerAndTenant(t *testing.T) {
	s := openIn(t, t.TempDir(), lockTimeout)
	a, b := newTenant(t, s, "a"), newTenant(t, s, "b")
	save := func(tenant store.TenantID, owner store.ViewOwner, i int) {
		t.Helper()
		state := store.ViewState{First: 1, Last: 2, Widgets: map[store.WidgetKey]store.WidgetState{}}
		if err := s.SaveViewState(t.Context(), tenant, store.ViewKey(fmt.Sprint(owner, i)), owner, state); err != nil {
			t.Fatal(err)
		}
	}
	count := func(where string, args ...any) (n int) {
		t.Helper()
		if err := s.reader.GetContext(t.Context(), &n, `SELECT count(*) FROM view_states WHERE `+where, args...); err != nil {
			t.Fatal(err)
		}
		return n
	}
	save(b, "bob", 0)
	save(a, "ann", 0)
	for i := range maxOwnerViews + 20 {
		save(a, "eve", i)
	}
	if n := count(`owner = 'eve'`); n != maxOwnerViews {
		t.Errorf("%d views of one owner are kept", n)
	}
	if count(`view = 'eve19'`) != 0 || count(`view = 'eve20'`) != 1 || count(`view = 'ann0'`) != 1 {
		t.Error("others than the owner's oldest views are gone")
	}
	// A view that is saved again is as good as new.
	save(a, "eve", 20)
	save(a, "eve", maxOwnerViews+20)
	if count(`view = 'eve20'`) != 1 || count(`view = 'eve21'`) != 0 {
		t.Error("a view that was saved again went before older ones")
	}
	if _, err := s.writer.ExecContext(t.Context(), `INSERT INTO view_states (tenant_id, view, owner, first, last, epoch, layout, layout_seq, widgets, touched)
		WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?)
		SELECT ?, 'old' || i, 'owner' || i, 1, 2, 0, '', 0, '{}', i FROM n`, maxTenantViews, a); err != nil {
		t.Fatal(err)
	}
	save(a, "zoe", 0)
	if n := count(`tenant_id = ?`, a); n != maxTenantViews {
		t.Errorf("%d views of one tenant are kept", n)
	}
	if count(`view = 'zoe0'`) != 1 || count(`view = 'ann0'`) != 1 || count(`view = 'old1'`) != 0 || count(`tenant_id = ?`, b) != 1 {
		t.Error("others than the tenant's oldest views are gone")
	}
}
