package fold

import (
	"fmt"
	"math/rand/v2"
	"runtime"
	"testing"
	"time"

	"pulseboard/store"
)

func visit(at time.Time, path, user string) *store.Event {
	return &store.Event{Time: at, User: user, Properties: store.Properties{{Key: "path", Value: store.Text(path)}}}
}

// A fold that has to go on though there is no room takes less, and loses nothing.
func TestAFoldWithoutRoomMergesGroups(t *testing.T) {
	r, window := hourAt(epoch)
	f := New(boardOf(store.Bars, 10, store.Metric{Measure: store.Count, By: "path"}), store.View{Range: r}, window)
	const room = 2 << 20
	f.Limit(64<<20, func(bytes int) error {
		if bytes > room {
			return &Crowded{Room: room / 2}
		}
		return nil
	})
	const events = 60_000
	for i := range events {
		if err := f.Add(visit(epoch.Add(-time.Duration(i%3_000)*time.Second), fmt.Sprint("/", i), "")); err != nil {
			t.Fatal(err)
		}
	}
	if size := f.Size(); size > room+2*meterStep {
		t.Errorf("it takes %d bytes, and there is room for %d", size, room)
	}
	if reading := f.Readings()[0]; !reading.Merged {
		t.Error("it does not say that groups were merged")
	}
	total := int64(0)
	for _, g := range f.widgets[0].numbers(window) {
		total += g.events
	}
	if total != events {
		t.Errorf("%d of %d events are counted", total, events)
	}
}

// The notice that groups were merged goes when the window has left those steps.
func TestTheNoticeOfMergedGroupsGoesWithTheirSteps(t *testing.T) {
	r, window := hourAt(epoch)
	f := New(boardOf(store.Bars, 10, store.Metric{Measure: store.Count, By: "path"}), store.View{Range: r}, window)
	f.Limit(2<<20, nil)
	for i := range 30_000 {
		_ = f.Add(visit(epoch, fmt.Sprint("/", i), "")) // no meter that could refuse
	}
	for minute := 1; minute <= 70; minute++ {
		at := epoch.Add(time.Duration(minute) * time.Minute)
		window, _ = r.Window(at)
		if !f.Slide(window) {
			t.Fatal("it can't slide")
		}
		_ = f.Add(visit(at, "/a", ""))
		if merged := f.Readings()[0].Merged; merged != (minute < 60) {
			t.Fatalf("after %d minutes it says merged %t", minute, merged)
		}
	}
}

// Reading takes no more than folding may: cells of many users are merged one after the other.
func TestReadingManyUsersTakesNoMoreThanFoldingThem(t *testing.T) {
	if testing.Short() {
		t.Skip("takes seconds")
	}
	r, window := hourAt(epoch)
	f := New(boardOf(store.Table, 10, store.Metric{Measure: store.Uniques, By: "path"}), store.View{Range: r}, window)
	const limit = 16 << 20
	f.Limit(limit, nil)
	random := rand.New(rand.NewPCG(1, 2))
	before := heapAlloc()
	users := map[string]bool{}
	for i := range 400_000 {
		path := fmt.Sprint("/", random.IntN(2_000))
		user := fmt.Sprint(i)
		if path == "/7" {
			users[user] = true
		}
		_ = f.Add(visit(epoch.Add(-time.Duration(random.IntN(3_500))*time.Second), path, user))
	}
	size := f.Size()
	ranking := f.Readings()[0].Reading.(store.Ranking)
	if f.Size() > size || heapAlloc()-before > 3*limit/2 {
		t.Errorf("%d bytes before reading, %d after; the heap grew by %d", size, f.Size(), heapAlloc()-before)
	}
	if len(ranking) != 10 || ranking[0].Value < ranking[9].Value {
		t.Errorf("it reads %v", ranking)
	}
	for _, g := range f.widgets[0].numbers(window) {
		if g.Group == "/7" && g.Value != float64(len(users)) {
			t.Errorf("%v users of a path, %d came", g.Value, len(users))
		}
	}
	runtime.KeepAlive(f)
}

// Bars over a range that stays need no steps, so ten thousand groups take what ten thousand
// groups take.
func TestBarsOverAFixedRangeHoldNoSteps(t *testing.T) {
	r, err := store.ParseRange(epoch.Add(-2*time.Hour).Format(time.RFC3339), epoch.Format(time.RFC3339))
	if err != nil {
		t.Fatal(err)
	}
	window, err := r.Window(epoch)
	if err != nil || window.Len() < 100 {
		t.Fatal(window, err)
	}
	f := New(boardOf(store.Bars, 3, store.Metric{Measure: store.Count, By: "path"}), store.View{Range: r}, window)
	f.Limit(8<<20, nil)
	for step := range window.Len() {
		for i := range 10_000 {
			_ = f.Add(visit(time.Unix(window.From+int64(step)*window.Step, 0), fmt.Sprint("/articles/", i), ""))
		}
	}
	reading := f.Readings()[0]
	want := fmt.Sprintf(`[{"group":"/articles/0","value":%d},{"group":"/articles/1","value":%[1]d},{"group":"/articles/10","value":%[1]d}]`, window.Len())
	if got := string(reading.JSON()); got != want || reading.Merged {
		t.Errorf("it reads %s, merged %t", got, reading.Merged)
	}
}
