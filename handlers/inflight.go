package handlers

import (
	"context"
	"sync"
)

// inFlight knows the requests that are being answered. The zero value is ready.
type inFlight struct {
	mu       sync.Mutex
	requests map[*context.CancelFunc]struct{}
	empty    chan struct{} // closed when the last has ended; nil before abort
}

// begin notes a request that cancel ends; end notes that it has ended.
func (f *inFlight) begin(cancel context.CancelFunc) (end func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.requests == nil {
		f.requests = map[*context.CancelFunc]struct{}{}
	}
	if f.empty != nil {
		cancel()
	}
	f.requests[&cancel] = struct{}{}
	return func() {
		f.mu.Lock()
		defer f.mu.Unlock()
		delete(f.requests, &cancel)
		f.tell()
	}
}

// tell closes empty when it is time. The caller holds f.mu.
func (f *inFlight) tell() {
	if f.empty != nil && len(f.requests) == 0 {
		select {
		case <-f.empty:
		default:
			close(f.empty)
		}
	}
}

// abort cancels all requests, also those that begin later, and waits until they have ended or
// ctx ends.
func (f *inFlight) abort(ctx context.Context) {
	f.mu.Lock()
	if f.empty == nil {
		f.empty = make(chan struct{})
	}
	for cancel := range f.requests {
		(*cancel)()
	}
	f.tell()
	empty := f.empty
	f.mu.Unlock()
	select {
	case <-empty:
	case <-ctx.Done():
	}
}
