package stream

import (
	"errors"
	"io"
	"sync"
	"time"

	"pulseboard/stream/wire"
)

// link is a connection to a client as a slow network makes it: a little fits into
// it, some of that arrives now and then, and what is under way when it is cut is
// lost.
type link struct {
	capacity int                  // in bytes; 0: all arrives at once
	pace     func() time.Duration // between two arrivals
	arrive   func([]byte)

	mu     sync.Mutex
	conn   *wire.Conn
	under  []byte        // way
	full   bool          // a write found no room
	cut    bool          // by the client
	filled chan struct{} // something is under way
	closed chan struct{}
	once   sync.Once
}

func newLink(capacity int, pace func() time.Duration, arrive func([]byte)) *link {
	l := &link{capacity: capacity, pace: pace, arrive: arrive, filled: make(chan struct{}, 1), closed: make(chan struct{})}
	if capacity > 0 {
		go l.run()
	}
	return l
}

func (l *link) Watch(c *wire.Conn) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.conn = c
	return nil
}

func (l *link) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	select {
	case <-l.closed:
		return 0, errors.New("write to a closed connection")
	default:
	}
	if l.cut {
		return 0, errors.New("broken pipe")
	}
	if l.capacity == 0 {
		l.arrive(b)
		return len(b), nil
	}
	n := min(len(b), l.capacity-len(l.under))
	l.full = n < len(b)
	l.under = append(l.under, b[:n]...)
	l.fill()
	return n, nil
}

func (l *link) Drain() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.cut {
		return io.EOF
	}
	return nil
}

func (l *link) Close() error {
	l.once.Do(func() { close(l.closed) })
	return nil
}

// run lets arrive what is under way, in pieces that have nothing to do with events.
func (l *link) run() {
	for size := 1; ; size = size%97 + 7 {
		select {
		case <-l.closed:
			return
		case <-l.filled:
		}
		select {
		case <-l.closed:
			return
		case <-time.After(l.pace()):
		}
		l.mu.Lock()
		n := min(size*l.capacity/50+1, len(l.under))
		l.arrive(l.under[:n])
		l.under = append([]byte(nil), l.under[n:]...)
		if len(l.under) > 0 {
			l.fill()
		}
		full, conn := l.full, l.conn
		l.full = false
		l.mu.Unlock()
		if full {
			conn.Ready()
		}
	}
}

func (l *link) fill() {
	select {
	case l.filled <- struct{}{}:
	default:
	}
}

// breakOff ends the connection from the client's side; what is under way is lost.
func (l *link) breakOff() {
	l.mu.Lock()
	l.cut = true
	conn := l.conn
	l.mu.Unlock()
	if conn != nil {
		conn.Ready()
	}
	<-l.closed
}
