package handlers

import (
	"context"
	"testing"
	"testing/synctest"
	"time"
)

func TestAbortEndsRequestsAndWaitsForThem(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var f inFlight
		request := func(afterwards time.Duration) context.Context {
			ctx, cancel := context.WithCancel(t.Context())
			end := f.begin(cancel)
			go func() {
				<-ctx.Done()
				time.Sleep(afterwards)
				end()
			}()
			return ctx
		}
		quick, slow := request(time.Millisecond), request(300*time.Millisecond)
		began := time.Now()
		f.abort(t.Context())
		if took := time.Since(began); took != 300*time.Millisecond || quick.Err() == nil || slow.Err() == nil {
			t.Errorf("it took %s", took)
		}
		if late := request(0); late.Err() == nil {
			t.Error("a request that came later goes on")
		}
		hung, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		request(time.Hour)
		began = time.Now()
		var other inFlight
		_, stop := context.WithCancel(t.Context())
		other.begin(stop)
		other.abort(hung)
		if took := time.Since(began); took != time.Second {
			t.Errorf("one that hangs was waited for %s", took)
		}
		time.Sleep(2 * time.Hour)
	})
}
