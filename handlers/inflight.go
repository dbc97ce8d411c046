package handlers

import (
	"net/http"
	"net/netip"
	"sync"
	"time"
)

// inFlight bounds the memory of bodies that come in. Who sends is named from the
// whole to the part: by ingest key, then by address. None may hold more than it leaves free for
// those beside it, so that a few that hold what they can don't stop all others.
type inFlight struct {
	mu    sync.Mutex
	limit int // bytes
	used  int
	held  map[string]int
}

func newInFlight(limit int) *inFlight {
	return &inFlight{limit: limit, held: map[string]int{}}
}

// share is what one body holds.
type share struct {
	of    *inFlight
	names []string
	size  int
}

// share begins a share, with nothing in it. Release it in the end.
func (f *inFlight) share(sender ...string) *share {
	s := &share{of: f}
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
	if !s.of.take(s.names, size) {
		e := fail(http.StatusTooManyRequests, "too_much_at_once", "The batches that you are sending at the same time are more than the server has room for. Nothing of this one was kept; send it again in a moment, and send fewer at once.")
		e.RetryAfter = time.Second
		return nil, e
	}
	grown := make([]byte, len(body), size)
	copy(grown, body)
	s.of.give(s.names, s.size)
	s.size = size
	return grown, nil
}

func (s *share) release() {
	s.of.give(s.names, s.size)
	s.size = 0
}

func (f *inFlight) take(names []string, n int) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	free := f.limit - f.used - n
	for _, name := range names {
		held := f.held[name] + n
		if held > free {
			return false
		}
		free -= held
	}
	f.used += n
	for _, name := range names {
		f.held[name] += n
	}
	return true
}

func (f *inFlight) give(names []string, n int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.used -= n
	for _, name := range names {
		if f.held[name] -= n; f.held[name] <= 0 {
			delete(f.held, name)
		}
	}
}

// clientNetwork is the address of the one who asks, as clientAddress gives it; of
// IPv6 the /64, all of which one client has.
func clientNetwork(r *http.Request) string {
	text := clientAddress(r)
	address, err := netip.ParseAddr(text)
	if err != nil {
		return text
	}
	if address = address.Unmap().WithZone(""); address.Is4() {
		return address.String()
	}
	prefix, err := address.Prefix(64)
	if err != nil {
		return text
	}
	return prefix.String()
}
