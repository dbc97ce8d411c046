package sqlite

import (
	"errors"
	"reflect"
	"testing"

	"pulseboard/store"
)

func board(id store.DashboardID, title string, where ...string) store.Dashboard {
	d := store.Dashboard{
		ID: id, Title: title, Range: "now-6h",
		Variables: []store.Variable{{Name: "host", Property: "host"}},
		Widgets: []store.Widget{{Key: "count", Title: "Requests: \"all\"", Kind: store.Stat,
			Metric:     store.Metric{Measure: store.Count, Event: "request"},
			Thresholds: []store.Threshold{{Above: 0.5, State: store.Warning}}}},
	}
	for _, text := range where {
		c, err := store.ParseCondition(text)
		if err != nil {
			panic(err)
		}
		d.Widgets[0].Metric.Where = append(d.Widgets[0].Metric.Where, c)
	}
	return d
}

func revision(t *testing.T, s *Store, tenant store.TenantID) store.Revision {
	t.Helper()
	heads, err := s.Heads(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return heads[tenant].Dashboards
}

func apply(t *testing.T, s *Store, tenant store.TenantID, dashboards ...store.Dashboard) {
	t.Helper()
	if err := s.ApplyDashboards(t.Context(), tenant, dashboards); err != nil {
		t.Fatal(err)
	}
}

func TestDashboardsComeBackAsTheyWereApplied(t *testing.T) {
	s := newStore(t)
	tenant, other := newTenant(t, s, "acme"), newTenant(t, s, "other")
	web, shop := board("web", "web traffic", "status >= 400", `path starts-with "/a b"`), board("shop", "Shop")
	apply(t, s, tenant, web, shop)
	for range 2 { // parsed, then remembered
		if got, err := s.Dashboard(t.Context(), tenant, "web"); err != nil || !reflect.DeepEqual(got, web) {
			t.Errorf("dashboard %+v, error %v", got, err)
		}
	}
	if all, err := s.Dashboards(t.Context(), tenant); err != nil || !reflect.DeepEqual(all, []store.Dashboard{shop, web}) {
		t.Errorf("dashboards %+v, error %v", all, err)
	}
	if _, err := s.Dashboard(t.Context(), other, "web"); err != store.ErrNotFound {
		t.Errorf("of another tenant: error %v", err)
	}
	apply(t, s, other, board("web", "Other"))
	if got, err := s.Dashboard(t.Context(), tenant, "web"); err != nil || !reflect.DeepEqual(got, web) {
		t.Errorf("another tenant changed it to %+v, error %v", got, err)
	}
	web = board("web", "Web")
	apply(t, s, tenant, web)
	if got, err := s.Dashboard(t.Context(), tenant, "web"); err != nil || !reflect.DeepEqual(got, web) {
		t.Errorf("replaced it reads %+v, error %v", got, err)
	}
}

func TestRevisionGrowsWithChangesOnly(t *testing.T) {
	s := newStore(t)
	tenant, other := newTenant(t, s, "acme"), newTenant(t, s, "other")
	web, shop := board("web", "Web"), board("shop", "Shop")
	steps := []struct {
		what  string
		apply []store.Dashboard
		grows bool
	}{
		{"new", []store.Dashboard{web}, true},
		{"the same", []store.Dashboard{web}, false},
		{"one of two is new", []store.Dashboard{web, shop}, true},
		{"both as they were", []store.Dashboard{shop, web}, false},
		{"another title", []store.Dashboard{board("web", "Web!")}, true},
		{"another filter", []store.Dashboard{board("web", "Web!", "status = 1")}, true},
		{"none", nil, false},
	}
	for _, step := range steps {
		before := revision(t, s, tenant)
		apply(t, s, tenant, step.apply...)
		if after := revision(t, s, tenant); (after > before) != step.grows {
			t.Errorf("%s: revision %d after %d", step.what, after, before)
		}
	}
	if r := revision(t, s, other); r != 0 {
		t.Errorf("another tenant's revision is %d", r)
	}
}

func TestApplyDashboardsIsAllOrNothing(t *testing.T) {
	s := newStore(t)
	tenant := newTenant(t, s, "acme")
	bad := board("bad", "Bad")
	bad.Widgets[0].Metric.Measure = "magic"
	err := s.ApplyDashboards(t.Context(), tenant, []store.Dashboard{board("web", "Web"), bad})
	var fe *store.FieldError
	if !errors.As(err, &fe) || fe.Path != "widgets[0].measure" {
		t.Errorf("error %v", err)
	}
	if err := s.ApplyDashboards(t.Context(), tenant, []store.Dashboard{board("web", "Web"), board("web", "Other")}); err == nil {
		t.Error("two dashboards of one id were taken")
	}
	if all, err := s.Dashboards(t.Context(), tenant); err != nil || len(all) != 0 {
		t.Errorf("kept %v, error %v", all, err)
	}
	if err := s.ApplyDashboards(t.Context(), 999, []store.Dashboard{board("web", "Web")}); err != store.ErrNotFound {
		t.Errorf("no tenant: error %v", err)
	}
}
