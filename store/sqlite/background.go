package sqlite

import (
	"context"
	"sync"
)

// background does one kind of work at a time, until the store is closed. The zero
// value is ready.
type background struct {
	mu      sync.Mutex
	cancel  context.CancelFunc // of what runs
	again   bool               // it is to run once more
	ended   bool
	running sync.WaitGroup
}

// start lets work run, if need be after what runs now. Its error is dropped: what was
// left undone is done the next time.
func (b *background) start(work func(context.Context) error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.ended || b.cancel != nil {
		b.again = true
		return
	}
	ctx, cancel := context.WithCancel(context.Background())
	b.cancel = cancel
	b.running.Go(func() {
		for {
			_ = work(ctx)
			b.mu.Lock()
			if !b.again || b.ended {
				b.cancel = nil
				b.mu.Unlock()
				cancel()
				return
			}
			b.again = false
			b.mu.Unlock()
		}
	})
}

// end waits for what runs, which is told to stop.
func (b *background) end() {
	b.mu.Lock()
	b.ended = true
	if b.cancel != nil {
		b.cancel()
	}
	b.mu.Unlock()
	b.running.Wait()
}
