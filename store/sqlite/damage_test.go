package sqlite

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"pulseboard/store"
	"pulseboard/store/fold"
)

// damagedBoard reads each kind of cell.
var damagedBoard = store.Dashboard{ID: "d", Title: "D", Widgets: []store.Widget{
	{Key: "count", Kind: store.Stat, Metric: store.Metric{Measure: store.Count}},
	{Key: "line", Kind: store.Line, Metric: store.Metric{Measure: store.P90, Property: "ms"}},
	{Key: "bars", Kind: store.Bars, Metric: store.Metric{Measure: store.Uniques, By: "path"}},
	{Key: "ratio", Kind: store.Gauge, Metric: store.Metric{Measure: store.Avg, Property: "ms"}},
	{Key: "twice", Kind: store.Stat, Metric: store.Metric{Measure: store.Formula, Formula: "2 * count"}},
}}

// damagedRanges read steps of all tiers.
var damagedRanges = []string{"now-20m", "now-2h", "now-20h", "now-6d", "now-60d"}

// bytesFlipped are what a disk may do to bytes.
var bytesFlipped = map[string]func([]byte) []byte{
	"first":    func(b []byte) []byte { b[0] ^= 0x40; return b },
	"middle":   func(b []byte) []byte { b[len(b)/2] ^= 1; return b },
	"checksum": func(b []byte) []byte { b[len(b)-1] ^= 0x80; return b },
	"empty":    func([]byte) []byte { return []byte{} },
	"cut":      func(b []byte) []byte { return b[:len(b)-5] },
	"zeros":    func(b []byte) []byte { return make([]byte, len(b)) },
}

// spread gives events over two months, more of them lately.
func spread(now time.Time, n int) []store.Event {
	events := make([]store.Event, n)
	for i := range events {
		ago := time.Duration(i*i*i%(60*24*3600)) * time.Second
		if i%2 == 0 {
			ago = time.Duration(i%7200) * time.Second
		}
		events[i] = store.Event{Name: "a", User: fmt.Sprint("u", i%17), Time: now.Add(-ago), Properties: store.NewProperties([]store.Property{
			{Key: "ms", Value: store.Num(float64(i % 101))}, {Key: "path", Value: store.Text(fmt.Sprint("/", i%5))}})}
	}
	return events
}

// damageBlocks changes blocks of a tier, one of them or all.
func damageBlocks(t *testing.T, s *Store, tenant store.TenantID, tier int64, all bool, how func([]byte) []byte) {
	t.Helper()
	var some []struct {
		Rollup int64 `db:"rollup_id"`
		Start  int64
		Cells  []byte
	}
	if err := s.writer.Select(&some, `SELECT rollup_id, start, cells FROM rollup_steps JOIN rollups ON id = rollup_id WHERE tenant_id = ? AND tier = ? ORDER BY start DESC`, tenant, tier); err != nil {
		t.Fatal(err)
	}
	if !all {
		some = some[len(some)/2:][:1]
	}
	tx := s.writer.MustBegin()
	defer tx.Commit()
	for _, b := range some {
		if _, err := tx.Exec(`UPDATE rollup_steps SET cells = ? WHERE rollup_id = ? AND tier = ? AND start = ?`, how(b.Cells), b.Rollup, tier, b.Start); err != nil {
			t.Fatal(err)
		}
	}
}

// readings gives what a tenant's board reads of a range, by widget, from its rollups or from
// all events that can be read.
func readings(t *testing.T, s *Store, tenant store.TenantID, from string, now time.Time, rollups bool) map[store.WidgetKey]store.WidgetReading {
	t.Helper()
	r, err := store.ParseRange(from, "now")
	if err != nil {
		t.Fatal(err)
	}
	window, err := r.Window(now)
	if err != nil {
		t.Fatal(err)
	}
	f := fold.New(damagedBoard, store.View{Dashboard: "d", Range: r}, window)
	if rollups {
		_, err = s.FoldView(t.Context(), tenant, f, time.Time{})
	} else {
		_, err = s.ScanEvents(t.Context(), tenant, store.Scan{}, func(e *store.Event) error { f.Add(e); return nil })
	}
	if err != nil {
		t.Fatalf("%s: %v", from, err)
	}
	by := map[store.WidgetKey]store.WidgetReading{}
	for _, w := range f.Readings() {
		by[w.Key] = w
	}
	return by
}

// recounted gives what boards read of all ranges, from the events.
func recounted(t *testing.T, s *Store, tenant store.TenantID, now time.Time) map[string]map[store.WidgetKey]store.WidgetReading {
	t.Helper()
	all := map[string]map[store.WidgetKey]store.WidgetReading{}
	for _, from := range damagedRanges {
		all[from] = readings(t, s, tenant, from, now, false)
	}
	return all
}

// sameReadings checks that boards read what all events say, and lack nothing.
func sameReadings(t *testing.T, s *Store, tenant store.TenantID, now time.Time, when string) {
	t.Helper()
	readsAs(t, s, tenant, now, when, recounted(t, s, tenant, now))
}

func readsAs(t *testing.T, s *Store, tenant store.TenantID, now time.Time, when string, all map[string]map[store.WidgetKey]store.WidgetReading) {
	t.Helper()
	for from, want := range all {
		for key, got := range readings(t, s, tenant, from, now, true) {
			if string(got.Picture()) != string(want[key].Picture()) {
				t.Errorf("%s: %s of %s reads %.200s, want %.200s", when, key, from, got.Picture(), want[key].Picture())
			}
		}
	}
}

func filledStore(t *testing.T, dir string, now time.Time) (s *Store, acme, other store.TenantID) {
	t.Helper()
	s = openIn(t, dir, lockTimeout)
	acme, other = newTenant(t, s, "acme"), newTenant(t, s, "other")
	for _, tenant := range []store.TenantID{acme, other} {
		apply(t, s, tenant, damagedBoard)
		record(t, s, tenant, now, spread(now, 600)...)
		if err := s.DefineRollups(t.Context(), tenant); err != nil {
			t.Fatal(err)
		}
		followAll(t, s, tenant)
		record(t, s, tenant, now, spread(now, 50)...) // that no rollup counts yet
	}
	return s, acme, other
}

func TestADamagedBlockIsCountedAnew(t *testing.T) {
	now := noon
	s, acme, other := filledStore(t, t.TempDir(), now)
	want := recounted(t, s, acme, now)
	readsAs(t, s, acme, now, "before", want)
	for _, tier := range fold.Tiers {
		for name, how := range bytesFlipped {
			what := fmt.Sprintf("%s of blocks of %d s", name, tier)
			log := &bytes.Buffer{}
			logger := slog.New(slog.NewTextHandler(log, nil))
			damageBlocks(t, s, acme, tier, name == "middle", how)
			readsAs(t, s, acme, now, what, want)
			s.mend(t.Context(), logger)
			if damagedLeft(t, s, acme) > 0 { // for no board reads it
				mendAll(t, s, acme, logger)
			}
			if left := damagedLeft(t, s, acme); left > 0 {
				t.Fatalf("%s: %d blocks are still damaged", what, left)
			}
			lines := strings.Count(log.String(), "counted anew")
			if lines == 0 || lines > len(damagedBoard.Widgets) || strings.Count(log.String(), "\n") != lines {
				t.Errorf("%s: the log says\n%s", what, log)
			}
			readsAs(t, s, acme, now, what+", mended", want)
			log.Reset()
			if s.mend(t.Context(), logger); log.Len() > 0 {
				t.Errorf("%s: the log says again\n%s", what, log)
			}
		}
		sameReadings(t, s, other, now, "the other tenant")
	}
}

// TestAByteThatFlipsInTheFileIsNoticed changes the file of a store that is closed, at the
// beginning, in the middle and at the end of a block.
func TestAByteThatFlipsInTheFileIsNoticed(t *testing.T) {
	dir, now := t.TempDir(), noon
	s, acme, _ := filledStore(t, dir, now)
	want := recounted(t, s, acme, now)
	for _, at := range []int{0, 1, 2, 4} { // quarters of the block
		var block []byte
		if err := s.reader.Get(&block, `SELECT cells FROM rollup_steps WHERE tier = 86400 AND rollup_id IN (SELECT id FROM rollups WHERE tenant_id = 1) AND length(cells) BETWEEN 60 AND 300 ORDER BY start DESC LIMIT 1`); err != nil {
			t.Fatal(err)
		}
		s.Close()
		file := contents(t, dir)
		found := false
		for i := bytes.Index(file, block); i >= 0; i = bytes.Index(file, block) { // also where it once stood
			found = true
			file[i+min(at*len(block)/4, len(block)-1)] ^= 0x10
		}
		if !found {
			t.Fatal("the block is not in the file")
		}
		if err := os.WriteFile(filepath.Join(dir, File), file, 0o600); err != nil {
			t.Fatal(err)
		}
		s = openIn(t, dir, lockTimeout)
		if damagedLeft(t, s, acme) == 0 {
			t.Error("no block is damaged")
		}
		readsAs(t, s, acme, now, "a flipped byte", want)
		mendAll(t, s, acme, slog.New(slog.DiscardHandler))
		readsAs(t, s, acme, now, "mended", want)
		if left := damagedLeft(t, s, acme); left > 0 {
			t.Errorf("%d blocks are still damaged", left)
		}
	}
}

// mendAll mends the rollups of a tenant as if a board had read them.
func mendAll(t *testing.T, s *Store, tenant store.TenantID, log *slog.Logger) (left int) {
	t.Helper()
	rows, err := s.rollupRows(t.Context(), tenant)
	if err != nil {
		t.Fatal(err)
	}
	for _, row := range rows {
		s.damage.noteRollup(tenant, row.ID)
	}
	s.mend(t.Context(), log)
	return damagedLeft(t, s, tenant)
}

func damagedLeft(t *testing.T, s *Store, tenant store.TenantID) (left int) {
	t.Helper()
	var blocks [][]byte
	if err := s.reader.Select(&blocks, `SELECT cells FROM rollup_steps JOIN rollups ON id = rollup_id WHERE tenant_id = ?`, tenant); err != nil {
		t.Fatal(err)
	}
	for _, b := range blocks {
		if _, err := fold.CheckBlock(b); err != nil {
			left++
		}
	}
	return left
}

func TestRollupsFollowPastDamagedBlocks(t *testing.T) {
	now := noon
	s, acme, other := filledStore(t, t.TempDir(), now)
	for _, tier := range fold.Tiers {
		damageBlocks(t, s, acme, tier, true, bytesFlipped["middle"])
	}
	for range 3 {
		record(t, s, acme, now, spread(now, 500)...)
		record(t, s, other, now, spread(now, 500)...)
		log := &bytes.Buffer{}
		s.keepRollups(t.Context(), slog.New(slog.NewTextHandler(log, nil)), map[store.TenantID]rollupProgress{})
		if log.Len() > 0 {
			t.Errorf("the log complains: %s", log)
		}
		followAll(t, s, acme)
		sameReadings(t, s, acme, now, "followed")
		sameReadings(t, s, other, now, "the other tenant")
	}
	if lag, err := s.RollupLag(t.Context()); err != nil || lag != 0 {
		t.Errorf("rollups lag by %d, %v", lag, err)
	}
	if left := damagedLeft(t, s, acme); left > 0 {
		t.Errorf("%d blocks are still damaged", left)
	}
}

// TestABlockWithARightChecksumThatNoFoldCanReadIsMendedToo is of what no disk does: the
// view that meets it fails once.
func TestABlockWithARightChecksumThatNoFoldCanReadIsMendedToo(t *testing.T) {
	now := noon
	s, acme, _ := filledStore(t, t.TempDir(), now)
	damageBlocks(t, s, acme, fold.Tiers[1], true, func(b []byte) []byte {
		b = append(b[:1:1], 1, 0xff, 0xff)
		return binary.LittleEndian.AppendUint32(b, crc32.Checksum(b, crc32.MakeTable(crc32.Castagnoli)))
	})
	r, err := store.ParseRange("now-20h", "now")
	if err != nil {
		t.Fatal(err)
	}
	window, err := r.Window(now)
	if err != nil {
		t.Fatal(err)
	}
	for range damagedBoard.Widgets { // each of which finds another rollup
		f := fold.New(damagedBoard, store.View{Dashboard: "d", Range: r}, window)
		if _, err := s.FoldView(t.Context(), acme, f, time.Time{}); err != nil && !errors.Is(err, store.ErrDamaged) {
			t.Fatal(err)
		}
		s.mend(t.Context(), slog.New(slog.DiscardHandler))
	}
	sameReadings(t, s, acme, now, "mended")
}

// partial gives the widgets of a range that lack events.
func partial(t *testing.T, s *Store, tenant store.TenantID, from string, now time.Time) string {
	t.Helper()
	var keys []string
	by := readings(t, s, tenant, from, now, true)
	for _, w := range damagedBoard.Widgets {
		if by[w.Key].Partial {
			keys = append(keys, string(w.Key))
		}
	}
	return strings.Join(keys, " ")
}

// TestWhatCannotBeCountedAnewIsShown damages blocks whose events are gone.
func TestWhatCannotBeCountedAnewIsShown(t *testing.T) {
	dir := t.TempDir()
	s := openIn(t, dir, lockTimeout)
	now := time.Now()
	acme := newTenant(t, s, "acme")
	apply(t, s, acme, damagedBoard)
	if err := s.SetRetention(t.Context(), acme, store.Retention{EventDays: 10, RollupDays: 100}); err != nil {
		t.Fatal(err)
	}
	for day := 40; day >= 0; day-- {
		at := now.AddDate(0, 0, -day).Add(-time.Hour)
		var events []store.Event
		for i := range 1000 {
			e := spread(at, 3)[1]
			e.Time = at.Add(-time.Duration(i) * time.Second)
			events = append(events, e)
		}
		if _, err := s.Record(t.Context(), acme, events, at); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.DefineRollups(t.Context(), acme); err != nil {
		t.Fatal(err)
	}
	followAll(t, s, acme)
	for more := true; more; {
		var err error
		if more, err = s.Forget(t.Context(), acme, now); err != nil {
			t.Fatal(err)
		}
	}
	whole := readings(t, s, acme, "now-60d", now, true)["count"]
	if whole.Partial || string(whole.JSON()) != "41000" {
		t.Fatalf("before, %s events count", whole.JSON())
	}
	check := func(when, wantMonths, wantWeek string) {
		t.Helper()
		if got := partial(t, s, acme, "now-60d", now); got != wantMonths {
			t.Errorf("%s: of two months %q lack events, want %q", when, got, wantMonths)
		}
		if got := partial(t, s, acme, "now-6d", now); got != wantWeek {
			t.Errorf("%s: of a week %q lack events, want %q", when, got, wantWeek)
		}
	}
	log := &bytes.Buffer{}
	logger := slog.New(slog.NewTextHandler(log, nil))

	// What the events or shorter steps still say lacks nothing.
	for _, tier := range fold.Tiers[1:] {
		damageBlocks(t, s, acme, tier, true, bytesFlipped["middle"])
	}
	check("long steps are damaged", "", "")
	mendAll(t, s, acme, logger)
	if strings.Contains(log.String(), "any more") {
		t.Errorf("the log says\n%s", log)
	}
	if got := readings(t, s, acme, "now-60d", now, true)["count"]; string(got.Picture()) != string(whole.Picture()) {
		t.Errorf("mended, %.100s, want %.100s", got.Picture(), whole.Picture())
	}
	recent := `UPDATE rollup_steps SET cells = x'' WHERE tier IN (60, 900) AND start > ` + fmt.Sprint(now.AddDate(0, 0, -5).Unix())
	if _, err := s.writer.Exec(recent); err != nil {
		t.Fatal(err)
	}
	check("recent steps are damaged", "", "")
	mendAll(t, s, acme, logger)
	check("recent steps are mended", "", "")
	if strings.Contains(log.String(), "any more") {
		t.Errorf("the log says\n%s", log)
	}

	// The rest is shown, for as long as it is in the range.
	old := fmt.Sprintf(`UPDATE rollup_steps SET cells = x'00' WHERE start BETWEEN %d AND %d AND rollup_id =
		(SELECT id FROM rollups WHERE key LIKE '%%"count"%%')`, now.AddDate(0, 0, -31).Unix(), now.AddDate(0, 0, -29).Unix())
	if _, err := s.writer.Exec(old); err != nil {
		t.Fatal(err)
	}
	log.Reset()
	check("old steps are damaged", "count twice", "")
	s.mend(t.Context(), logger)
	if text := log.String(); strings.Count(text, "\n") != 1 || !strings.Contains(text, "any more") {
		t.Errorf("the log says\n%s", text)
	}
	check("old steps are mended", "count twice", "")
	record(t, s, acme, now, store.Event{Name: "a", Time: now.AddDate(0, 0, -30)}) // into a step that lacks some
	followAll(t, s, acme)
	check("followed", "count twice", "")
	s.Close()
	s = openIn(t, dir, lockTimeout)
	check("opened again", "count twice", "")
	if log.Reset(); damagedLeft(t, s, acme) > 0 {
		t.Error("blocks are still damaged")
	}
	s.mend(t.Context(), logger)
	if log.Len() > 0 {
		t.Errorf("the log says again\n%s", log)
	}
}
