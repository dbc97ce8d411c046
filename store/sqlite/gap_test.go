package sqlite

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"pulseboard/store"
	"pulseboard/store/fold"
)

func TestADamagedPackIsLeftOutAndShown(t *testing.T) {
	dir := t.TempDir()
	s := openIn(t, dir, lockTimeout)
	now := time.Now()
	acme, other := newTenant(t, s, "acme"), newTenant(t, s, "other")
	const packs, each = 6, 1500
	for _, tenant := range []store.TenantID{acme, other} {
		apply(t, s, tenant, damagedBoard)
		for i := range packs { // half a day apart, the last within minutes
			var events []store.Event
			for j := range each {
				events = append(events, store.Event{Name: "a", Time: now.Add(-time.Duration(packs-1-i)*12*time.Hour - time.Duration(j)*time.Second/3)})
			}
			record(t, s, tenant, now, events...)
		}
	}
	damagePack := func(offset int, how func([]byte) []byte) {
		t.Helper()
		var id int64
		var packed []byte
		if err := s.writer.QueryRow(`SELECT id, packed FROM segments WHERE tenant_id = ? ORDER BY last_seq LIMIT 1 OFFSET ?`, acme, offset).Scan(&id, &packed); err != nil {
			t.Fatal(err)
		}
		if _, err := s.writer.Exec(`UPDATE segments SET packed = ? WHERE id = ?`, how(packed), id); err != nil {
			t.Fatal(err)
		}
	}
	counts := func(from string) string {
		t.Helper()
		return string(readings(t, s, acme, from, now, true)["count"].JSON())
	}
	all := "count line bars ratio twice"
	log := &bytes.Buffer{}
	logger := slog.New(slog.NewTextHandler(log, nil))
	check := func(when, wantCount, wantWeek, wantMinutes string) {
		t.Helper()
		if got := counts("now-6d"); got != wantCount {
			t.Errorf("%s: %s events count, want %s", when, got, wantCount)
		}
		if got := partial(t, s, acme, "now-6d", now); got != wantWeek {
			t.Errorf("%s: of a week %q lack events, want %q", when, got, wantWeek)
		}
		if got := partial(t, s, acme, "now-20m", now); got != wantMinutes {
			t.Errorf("%s: of minutes %q lack events, want %q", when, got, wantMinutes)
		}
		sameReadings(t, s, other, now, when+", the other tenant")
	}

	damagePack(2, bytesFlipped["middle"])
	check("damaged before it is counted", "7500", all, "")
	s.mend(t.Context(), logger)
	check("noted", "7500", all, "")
	if err := s.DefineRollups(t.Context(), acme); err != nil {
		t.Fatal(err)
	}
	followAll(t, s, acme)
	check("counted", "7500", all, "")
	if lag, err := s.RollupLag(t.Context()); err != nil || lag != 0 {
		t.Errorf("rollups lag by %d, %v", lag, err)
	}

	// What rollups had counted before is there still.
	damagePack(packs-1, bytesFlipped["empty"])
	check("damaged after it is counted", "7500", all, all)
	s.mend(t.Context(), logger)
	check("noted too", "7500", all, all)
	if got := partial(t, s, acme, "now-2h", now); got != "" {
		t.Errorf("of two hours %q lack events, which were counted before", got)
	}
	if text := log.String(); strings.Count(text, "\n") != 2 || strings.Count(text, "events=1500") != 2 {
		t.Errorf("the log says\n%s", text)
	}

	// A block that is counted anew from events that are damaged is partial, with all above it.
	for _, tier := range fold.Tiers {
		damageBlocks(t, s, acme, tier, true, bytesFlipped["zeros"])
	}
	check("rollups are damaged too", "6000", all, all)
	mendAll(t, s, acme, logger)
	check("rollups are mended", "6000", all, all)
	if got := partial(t, s, acme, "now-2h", now); got != all {
		t.Errorf("of two hours %q lack events, want %q", got, all)
	}

	// All that reads events reads the rest.
	if values, err := s.PropertyValues(t.Context(), acme, "event", time.Time{}, time.Time{}, 5); err != nil || len(values) != 1 {
		t.Errorf("values %v, %v", values, err)
	}
	exported := 0
	err := s.EachEvent(t.Context(), acme, store.Scan{}, func(*store.Event) error { exported++; return nil })
	if !errors.Is(err, store.ErrDamaged) || exported != (packs-2)*each {
		t.Errorf("%d events are exported, %v", exported, err)
	}
	for range 3 * mergeAfter { // and is merged
		record(t, s, acme, now, event("a", "", now))
	}
	for range 3 {
		if err := s.mergePacks(t.Context(), acme); err != nil {
			t.Fatal(err)
		}
	}
	followAll(t, s, acme)
	s.Close()
	s = openIn(t, dir, lockTimeout)
	check("opened again", fmt.Sprint(6000+3*mergeAfter), all, all)

	// The gap goes with what is counted.
	log.Reset()
	s.mend(t.Context(), logger)
	if log.Len() > 0 {
		t.Errorf("the log says again\n%s", log)
	}
	for more := true; more; {
		if more, err = s.Forget(t.Context(), acme, now.AddDate(4, 0, 0)); err != nil {
			t.Fatal(err)
		}
	}
	if left, err := s.damagedPacks(t.Context(), acme); err != nil || len(left) > 0 {
		t.Errorf("%d gaps are left, %v", len(left), err)
	}
}

// TestADamagedPackAmongTinyOnesStopsNoMerging damages one that is about to be merged.
func TestADamagedPackAmongTinyOnesStopsNoMerging(t *testing.T) {
	s := newStore(t)
	acme := newTenant(t, s, "acme")
	for range 3 * mergeAfter {
		record(t, s, acme, noon, event("a", "", noon))
	}
	if _, err := s.writer.Exec(`UPDATE segments SET packed = x'0102030405' WHERE last_seq = ?`, 2*mergeAfter); err != nil {
		t.Fatal(err)
	}
	log := &bytes.Buffer{}
	for range 3 {
		if err := s.mergePacks(t.Context(), acme); err != nil {
			t.Fatal(err)
		}
		s.mend(t.Context(), slog.New(slog.NewTextHandler(log, nil)))
	}
	if n := len(packsOf(t, s, acme)); n > mergeAfter {
		t.Errorf("%d packs are left", n)
	}
	if strings.Count(log.String(), "\n") != 1 {
		t.Errorf("the log says\n%s", log)
	}
	if found, _ := scanned(t, s, acme, store.Scan{}); len(found) != 3*mergeAfter-1 {
		t.Errorf("%d events are left", len(found))
	}
}

// syncBuffer may be written while it is read.
type syncBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *syncBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *syncBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

func TestDamageIsMendedInTheBackground(t *testing.T) {
	now := noon
	s, acme, other := filledStore(t, t.TempDir(), now)
	log := &syncBuffer{}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() { s.KeepRollups(ctx, slog.New(slog.NewTextHandler(log, nil))); close(ended) }()
	for _, tier := range fold.Tiers {
		damageBlocks(t, s, acme, tier, true, bytesFlipped["cut"])
	}
	sameReadings(t, s, acme, now, "damaged")
	for began := time.Now(); damagedLeft(t, s, acme) > 0; time.Sleep(10 * time.Millisecond) {
		if time.Since(began) > time.Minute {
			t.Fatalf("it is not mended; the log says\n%s", log)
		}
	}
	stop()
	<-ended
	sameReadings(t, s, acme, now, "mended")
	sameReadings(t, s, other, now, "the other tenant")
	if text := log.String(); !strings.Contains(text, "counted anew") || strings.Contains(text, "ERROR") || strings.Contains(text, "tenant=2") {
		t.Errorf("the log says\n%s", text)
	}
}
