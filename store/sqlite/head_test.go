package sqlite

import (
	"context"
	"testing"
	"time"

	"pulseboard/store"
)

// A commit is noticed whoever makes it, and what a caller of Changes reads then
// includes it.
func TestChangesAreNoticed(t *testing.T) {
	dir := t.TempDir()
	s, other := openIn(t, dir, lockTimeout), openIn(t, dir, lockTimeout)
	tenant := newTenant(t, s, "acme")
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	heads, ended := make(chan store.Head), make(chan bool)
	go func() {
		defer close(ended)
		s.Changes(ctx, time.Millisecond, func() {
			all, err := s.Heads(ctx)
			if err != nil && ctx.Err() == nil {
				t.Error(err)
			}
			select {
			case heads <- all[tenant]:
			case <-ctx.Done():
			}
		})
	}()
	if head := <-heads; head.Events != 0 {
		t.Errorf("head %+v", head)
	}
	for name, writer := range map[string]*Store{"this": s, "another": other} {
		r, err := writer.Record(t.Context(), tenant, []store.Event{{Name: "x"}}, noon)
		if err != nil {
			t.Fatal(err)
		}
		noticed := time.NewTimer(10 * time.Second)
		for seen := store.EventSeq(0); seen < r.Head; {
			select {
			case head := <-heads:
				seen = head.Events
			case <-noticed.C:
				t.Fatalf("a commit of %s process was not noticed", name)
			}
		}
		noticed.Stop()
	}
	cancel()
	<-ended
}
