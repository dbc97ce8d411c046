package stream

import (
	"context"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"pulseboard/store"
	"pulseboard/store/fold"
)

// Source is where a hub reads from: the store.
type Source interface {
	// Dashboard returns one dashboard of a tenant, or store.ErrNotFound.
	Dashboard(context.Context, store.TenantID, store.DashboardID) (store.Dashboard, error)
	// Heads returns how far the data of each tenant have moved on.
	Heads(context.Context) (map[store.TenantID]store.Head, error)
	// ScanEvents calls fn for each event of the scan, in any order, and gives the
	// head that the next scan has to begin after.
	ScanEvents(context.Context, store.TenantID, store.Scan, func(*store.Event) error) (store.EventSeq, error)
	// FoldView fills a new fold with all events of its window, those at to or later
	// left out unless it is zero, and gives the head that the next scan has to begin
	// after.
	FoldView(ctx context.Context, tenant store.TenantID, f *fold.Fold, to time.Time) (store.EventSeq, error)
	// ViewState returns what SaveViewState kept of a view, the zero value when nothing was.
	ViewState(context.Context, store.TenantID, store.ViewKey) (store.ViewState, error)
	// SaveViewState keeps what is known of a view in place of what was. It returns
	// store.ErrBusy if others hold the store for too long.
	SaveViewState(context.Context, store.TenantID, store.ViewKey, store.ViewOwner, store.ViewState) error
}

// countedSource counts what is asked for views. Heads are of no view.
type countedSource struct {
	Source
	calls prometheus.Counter
}

func (s countedSource) Dashboard(ctx context.Context, tenant store.TenantID, id store.DashboardID) (store.Dashboard, error) {
	s.calls.Inc()
	return s.Source.Dashboard(ctx, tenant, id)
}

func (s countedSource) ScanEvents(ctx context.Context, tenant store.TenantID, scan store.Scan, fn func(*store.Event) error) (store.EventSeq, error) {
	s.calls.Inc()
	return s.Source.ScanEvents(ctx, tenant, scan, fn)
}

func (s countedSource) FoldView(ctx context.Context, tenant store.TenantID, f *fold.Fold, to time.Time) (store.EventSeq, error) {
	s.calls.Inc()
	return s.Source.FoldView(ctx, tenant, f, to)
}

func (s countedSource) ViewState(ctx context.Context, tenant store.TenantID, key store.ViewKey) (store.ViewState, error) {
	s.calls.Inc()
	return s.Source.ViewState(ctx, tenant, key)
}

func (s countedSource) SaveViewState(ctx context.Context, tenant store.TenantID, key store.ViewKey, owner store.ViewOwner, state store.ViewState) error {
	s.calls.Inc()
	return s.Source.SaveViewState(ctx, tenant, key, owner, state)
}
