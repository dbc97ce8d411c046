package handlers

import (
	"context"
	"testing"
	"testing/synctest"
	"time"
)

// TestAJobThatIsSlowDelaysNoOther lets pruning take half an hour of the fake clock:
// streams are swept all the same, and the end waits for it.
func TestAJobThatIsSlowDelaysNoOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, stop := context.WithCancel(t.Context())
		var swept []time.Time
		pruned := false
		began := time.Now()
		time.AfterFunc(pruneEvery+time.Minute, stop)
		runTogether(
			func() { repeat(ctx, sweepEvery, func(context.Context) { swept = append(swept, time.Now()) }) },
			func() {
				repeat(ctx, pruneEvery, func(context.Context) { time.Sleep(30 * time.Minute); pruned = true })
			},
		)
		if !pruned || time.Since(began) != pruneEvery+30*time.Minute {
			t.Errorf("it ended after %v, pruned %t", time.Since(began), pruned)
		}
		for i, at := range swept {
			if want := time.Duration(i+1) * sweepEvery; at.Sub(began) != want {
				t.Fatalf("sweep %d came after %v, want %v", i, at.Sub(began), want)
			}
		}
		if want := int((pruneEvery + time.Minute) / sweepEvery); len(swept) < want-1 {
			t.Errorf("swept %d times, want %d", len(swept), want)
		}
	})
}
