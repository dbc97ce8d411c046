package handlers_test

import (
	"context"
	"fmt"
	"log/slog"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"pulseboard/handlers"
	"pulseboard/store"
	"pulseboard/store/boardfile"
	"pulseboard/store/sqlite"
	"pulseboard/stream"
)

// housekeeping is what goroutines of Server.Run have on their stacks, and storeWork those
// that the store starts by itself.
var (
	housekeeping = []string{"(*Server).Run", "(*Store).Changes", "(*Store).KeepRollups", "(*Store).KeepTidy"}
	storeWork    = []string{"(*background).start", "(*committer).run"}
)

// running gives the stacks of goroutines that have one of some names on them.
func running(names []string) (stacks []string) {
	all := make([]byte, 4<<20)
	for _, stack := range strings.Split(string(all[:runtime.Stack(all, true)]), "\n\n") {
		for _, name := range names {
			if strings.Contains(stack, name) {
				stacks = append(stacks, stack)
				break
			}
		}
	}
	return stacks
}

// complaints is a log of which only the text counts.
type complaints struct {
	mu   sync.Mutex
	text strings.Builder
}

func (c *complaints) Write(b []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.text.Write(b)
}

// TestTheStoreOutlivesItsHousekeeping stops a server at moments when its rollups follow, its
// segments are merged and its old events go.
func TestTheStoreOutlivesItsHousekeeping(t *testing.T) {
	slow(t)
	dir := t.TempDir()
	log := &complaints{}
	boards, err := boardfile.Parse("board.yaml", []byte(board))
	must(t, err)
	now := time.Now()
	for round := range 12 {
		st, err := sqlite.Open(t.Context(), dir)
		must(t, err)
		server, err := handlers.New(t.Context(), handlers.Config{
			Store: st, Log: slog.New(slog.NewTextHandler(log, nil)), Registry: prometheus.NewRegistry(), Cycle: time.Second,
			Heartbeat: time.Second, Capacity: 10, Limits: stream.Limits{Streams: 10, ConnectsPerMinute: 60},
		})
		must(t, err)
		tenant, err := st.CreateTenant(t.Context(), store.Slug(fmt.Sprint("t", round)), "", false)
		must(t, err)
		must(t, st.ApplyDashboards(t.Context(), tenant.ID, boards))
		for batch := range 30 {
			var events []store.Event
			for i := range 500 {
				at := now.Add(-time.Duration(i) * time.Minute)
				path := store.Property{Key: "path", Value: store.Text(fmt.Sprint(i % 100))}
				events = append(events, store.Event{Name: "a", ID: fmt.Sprint(batch, i), Time: at, Properties: store.Properties{path}})
			}
			_, err := st.Record(t.Context(), tenant.ID, events[:1+batch%2*499], now.AddDate(0, 0, -batch*5))
			must(t, err)
		}
		ctx, stop := context.WithCancel(t.Context())
		time.AfterFunc(time.Duration(round)*7*time.Millisecond, stop)
		server.Run(ctx)
		if left := running(housekeeping); len(left) > 0 {
			t.Fatalf("round %d: Run has ended and this runs on:\n%s", round, strings.Join(left, "\n\n"))
		}
		server.Drain(ctx)
		must(t, st.Close())
		if left := running(slices.Concat(housekeeping, storeWork)); len(left) > 0 {
			t.Fatalf("round %d: the store is closed and this runs on:\n%s", round, strings.Join(left, "\n\n"))
		}
	}
	if text := log.text.String(); text != "" {
		t.Errorf("the log complains:\n%s", text)
	}
}
