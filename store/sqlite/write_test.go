package sqlite

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"pulseboard/store"
)

func TestWritersGiveUpOnALockThatStays(t *testing.T) {
	dir := t.TempDir()
	const wait = 300 * time.Millisecond
	s := openIn(t, dir, wait)
	tenant := newTenant(t, s, "acme")
	sessions := s.Sessions()
	release := holdLock(t, dir)

	for name, write := range map[string]func() error{
		"Record": func() error {
			_, err := s.Record(t.Context(), tenant, []store.Event{{Name: "x"}}, noon)
			return err
		},
		"Commit of a session": func() error { return sessions.Commit("t", nil, time.Now().Add(time.Hour)) },
	} {
		began := time.Now()
		if err := write(); !errors.Is(err, store.ErrBusy) {
			t.Errorf("%s: error %v", name, err)
		}
		if took := time.Since(began); took < wait {
			t.Errorf("%s gave up after %v", name, took)
		}
	}

	// Those in the queue behind a waiting writer don't wait one after the other.
	var queue sync.WaitGroup
	began := time.Now()
	for range 20 {
		queue.Go(func() {
			if _, err := s.Record(t.Context(), tenant, []store.Event{{Name: "x"}}, noon); !errors.Is(err, store.ErrBusy) {
				t.Errorf("error %v", err)
			}
		})
	}
	queue.Wait()
	if took := time.Since(began); took > 10*wait {
		t.Errorf("a queue of 20 took %v", took)
	}

	if _, head := scanned(t, s, tenant, store.Scan{}); head != 0 {
		t.Error("something was kept")
	}
	release()
	record(t, s, tenant, noon, store.Event{Name: "x"})
}

func TestWritersWaitForALockThatGoes(t *testing.T) {
	dir := t.TempDir()
	s := openIn(t, dir, lockTimeout)
	tenant := newTenant(t, s, "acme")
	release := holdLock(t, dir)
	timer := time.AfterFunc(3*lockSlice, release)
	defer timer.Stop()
	record(t, s, tenant, noon, store.Event{Name: "x"})
}

func TestACallerMayGiveUpWaiting(t *testing.T) {
	dir := t.TempDir()
	s := openIn(t, dir, time.Hour)
	tenant := newTenant(t, s, "acme")
	defer holdLock(t, dir)()
	ctx, cancel := context.WithTimeout(t.Context(), lockSlice)
	defer cancel()
	for range 2 {
		_, err := s.Record(ctx, tenant, []store.Event{{Name: "x"}}, noon)
		if !errors.Is(err, context.DeadlineExceeded) || errors.Is(err, store.ErrBusy) {
			t.Errorf("error %v", err)
		}
	}
}

func TestBackgroundWorkAndCommandsWaitLongerThanRequests(t *testing.T) {
	dir := t.TempDir()
	s, err := open(t.Context(), dir, waits{request: 2 * lockSlice, patience: lockTimeout})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	tenant := newTenant(t, s, "acme")
	apply(t, s, tenant, store.Dashboard{ID: "d", Widgets: []store.Widget{{Key: "n", Kind: store.Stat, Metric: store.Metric{Measure: store.Count}}}})
	release := holdLock(t, dir)
	background := make(chan error)
	go func() { background <- s.DefineRollups(t.Context(), tenant) }()
	if _, err := s.Record(t.Context(), tenant, []store.Event{{Name: "x"}}, noon); !errors.Is(err, store.ErrBusy) {
		t.Errorf("a request: error %v", err)
	}
	release()
	if err := <-background; err != nil {
		t.Errorf("the background: %v", err)
	}

	w := waits{requestWait, lockTimeout}
	if Patient(&w); w.request != lockTimeout {
		t.Errorf("a command waits %v", w.request)
	}
}
