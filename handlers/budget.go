package handlers

import (
	"net/http"
	"sync"
	"time"
)

// budget bounds what requests hold while they are worked on. Who holds is named from the
// whole to the part: by ingest key, then by address. None may hold more than it leaves free for
// those beside it, so that a few that hold what they can don't stop all others.
type budget struct {
	mu    sync.Mutex
	limit int
	used  int
	held  map[string]int
}

func newBudget(limit int) *budget {
	return &budget{limit: limit, held: map[string]int{}}
}

// share is what one request holds.
type share struct {
	of    *budget
	names []string
	size  int
}

// share begins a share, with nothing in it. Release it in the end.
func (b *budget) share(sender ...string) *share {
	s := &share{of: b}
	path := ""
	for _, name := range sender {
		path += name + "\x00"
		s.names = append(s.names, path)
	}
	return s
}

// grow gives a body memory of another size. While it is copied, both are held. The error
// says to come again.
func (s *share) grow(body []byte, size int) ([]byte, error) {
	before := s.size
	if !s.add(size) {
		e := fail(http.StatusTooManyRequests, "too_much_at_once", "The batches that you are sending at the same time are more than the server has room for. Nothing of this one was kept; send it again in a moment, and send fewer at once.")
		e.RetryAfter = time.Second
		return nil, e
	}
	grown := make([]byte, len(body), size)
	copy(grown, body)
	s.of.give(s.names, before)
	s.size -= before
	return grown, nil
}

// add takes more into a share, and reports whether there is room.
func (s *share) add(n int) bool {
	ok := s.of.take(s.names, n)
	if ok {
		s.size += n
	}
	return ok
}

func (s *share) release() {
	s.of.give(s.names, s.size)
	s.size = 0
}

func (b *budget) take(names []string, n int) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	free := b.limit - b.used - n
	for _, name := range names {
		held := b.held[name] + n
		if held > free {
			return false
		}
		free -= held
	}
	b.used += n
	for _, name := range names {
		b.held[name] += n
	}
	return true
}

func (b *budget) give(names []string, n int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.used -= n
	for _, name := range names {
		if b.held[name] -= n; b.held[name] <= 0 {
			delete(b.held, name)
		}
	}
}
