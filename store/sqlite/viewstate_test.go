package sqlite

import (
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
	state := store.ViewState{First: 1 << 50, Last: 1<<50 + 7, Epoch: 3, Layout: "digest", LayoutSeq: 1<<50 + 1,
		Widgets: map[store.WidgetKey]store.WidgetState{
			"count": {Value: "a", ValueSeq: 1<<50 + 2, Picture: "b", PictureSeq: 1<<50 + 7},
			"gone":  {PictureSeq: 1<<50 + 3, Removed: true},
		}}
	for range 2 {
		state.Last++
		if err := s.SaveViewState(t.Context(), a, view, state); err != nil {
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
	if err := s.SaveViewState(t.Context(), 999, view, state); err != store.ErrNotFound {
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
