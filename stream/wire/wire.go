// Package wire writes to many connections at once, and waits for none.
//
// A connection costs some hundred bytes and no goroutine. A few writers, about one
// a core, own the connections; each takes turns at what woke it: a [Group] whose
// readers all have something new to get, or single connections that can take more,
// have gone, or are to end. To write, a writer asks the connection's [Feed] what
// its reader lacks now; nothing is queued. What a socket does not take at once is
// finished first, when there is room again, and only then is the feed asked anew:
// so a slow reader gets whole messages, fewer of them, and always the newest.
//
// # Concurrency
//
// All methods may be called by any number of goroutines, and none of them waits
// for a reader. The methods of a Feed are called by one goroutine at a time.
package wire

import (
	"errors"
	"sync"
	"sync/atomic"
	"time"
)

// Socket is a connection that is written to without waiting.
type Socket interface {
	// Watch begins to tell c when there is room, or something to read, or an end.
	Watch(c *Conn) error
	// Write takes as much as there is room for now, which may be nothing; that is
	// no error. Its caller is told by [Conn.Ready] when there is room again.
	Write(b []byte) (n int, err error)
	// Drain throws away what the other side sent. It gives io.EOF when that side
	// has ended the connection, and other errors when it broke.
	Drain() error
	// Close ends the connection. Its error says nothing that anybody could mend.
	Close() error
}

// Feed knows what a reader lacks.
type Feed interface {
	// Next gives the bytes to write now, nil when there are none. They must not
	// change. It is called when all bytes it gave before are with the kernel.
	Next() []byte
	// Done is called once, last, when the connection is closed; why is never nil.
	Done(why error)
}

// Causes of an end that are neither the network's nor the reader's.
var (
	ErrStalled = errors.New("the reader took nothing for too long")
	ErrEnded   = errors.New("ended by the server")
)

// endTimeout is how long a reader has to take the last bytes of its stream.
const endTimeout = 2 * time.Second

// Stats counts what writers do. Its functions may be called at once by several
// goroutines.
type Stats struct {
	Wrote   func(writes, bytes int) // after each round
	Skipped func(readers int)       // readers that were still busy with older bytes
}

// Writers own connections and write to them. Use [New].
type Writers struct {
	shards []*shard
	next   int
	mu     sync.Mutex
	close  sync.Once
}

// New starts n writers. A reader that takes nothing for stall is closed.
func New(n int, stall time.Duration, stats Stats) *Writers {
	w := &Writers{}
	for range n {
		s := &shard{stall: stall, stats: stats, signal: make(chan struct{}, 1), busy: map[*Conn]struct{}{}, stop: make(chan struct{}), stopped: make(chan struct{})}
		w.shards = append(w.shards, s)
		go s.run()
	}
	return w
}

// Close ends the writers and closes their connections. It may be called again.
func (w *Writers) Close() {
	w.close.Do(func() {
		for _, s := range w.shards {
			close(s.stop)
		}
	})
	for _, s := range w.shards {
		<-s.stopped
	}
}

// Writing reports whether there is something that the writers could be writing now.
func (w *Writers) Writing() bool {
	for _, s := range w.shards {
		if s.letters.Load() > 0 {
			return true
		}
	}
	return false
}

// Group is the connections that are woken together.
type Group struct {
	parts []part // by shard
}

type part struct {
	shard   *shard
	woken   bool    // the shard has mail about it; guarded by shard.mu
	members []*Conn // owned by the shard's goroutine
}

// NewGroup makes an empty group.
func (w *Writers) NewGroup() *Group {
	g := &Group{parts: make([]part, len(w.shards))}
	for i, s := range w.shards {
		g.parts[i].shard = s
	}
	return g
}

// Wake makes the writers ask the feeds of all members. Wakes that come faster than
// the writers write become one.
func (g *Group) Wake() {
	for i := range g.parts {
		p := &g.parts[i]
		p.shard.mu.Lock()
		if !p.woken {
			p.woken = true
			p.shard.mail = append(p.shard.mail, letter{what: wake, part: p})
			p.shard.letters.Add(1)
		}
		p.shard.mu.Unlock()
		p.shard.ring()
	}
}

// Conn is a connection that the writers own.
type Conn struct {
	shard  *shard
	part   *part
	socket Socket
	feed   Feed

	// Owned by the shard's goroutine.
	index   int    // in part.members
	pending []byte // not taken by the socket yet
	since   int64  // when the socket last took something, while it is busy; by shard.now
	last    []byte // to write before the end
	ending  bool
	closed  bool
}

// Attach gives a connection to the writers, which ask its feed at once. From then
// on the socket is theirs alone.
func (w *Writers) Attach(socket Socket, g *Group, feed Feed) *Conn {
	w.mu.Lock()
	w.next = (w.next + 1) % len(w.shards)
	p := &g.parts[w.next]
	w.mu.Unlock()
	c := &Conn{shard: p.shard, part: p, socket: socket, feed: feed}
	if !p.shard.post(letter{what: attach, conn: c}) {
		c.release(ErrEnded)
	}
	return c
}

// Ready says that the socket may have room again, or something to read, or has
// ended.
func (c *Conn) Ready() { c.shard.post(letter{what: ready, conn: c}) }

// End closes the connection after its reader took what it is busy with, and then
// last. After a while it is closed whatever was taken. Only the first End counts.
func (c *Conn) End(last []byte) { c.shard.post(letter{what: end, conn: c, last: last}) }

// A letter tells a shard what happened.
type letter struct {
	what letterKind
	conn *Conn
	part *part
	last []byte
}

type letterKind uint8

const (
	attach letterKind = iota
	wake
	ready
	end
	expire // the time to end is over
)

type shard struct {
	stall   time.Duration
	stats   Stats
	signal  chan struct{} // one pending signal is enough: all mail is read
	stop    chan struct{}
	stopped chan struct{}

	letters atomic.Int64 // that were posted and not worked on to the end

	mu     sync.Mutex
	mail   []letter
	closed bool // nobody reads the mail any more

	// Owned by the shard's goroutine.
	busy    map[*Conn]struct{} // those with pending bytes
	conns   map[*Conn]struct{}
	looking bool // for stalled ones, as long as some are busy
	writes  int
	bytes   int
	now     int64 // ns since the shard started, which no jump of the clock changes
}

func (s *shard) post(l letter) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return false
	}
	s.mail = append(s.mail, l)
	s.letters.Add(1)
	s.ring()
	return true
}

func (s *shard) ring() {
	select {
	case s.signal <- struct{}{}:
	default:
	}
}

// stallChecks is how often in the time a reader may stall it is looked at.
const stallChecks = 30

func (s *shard) run() {
	defer close(s.stopped)
	s.conns = map[*Conn]struct{}{}
	started, interval := time.Now(), max(s.stall/stallChecks, time.Millisecond)
	look := time.NewTimer(interval)
	look.Stop()
	var mail []letter
	for {
		select {
		case <-s.stop:
			s.closeAll()
			return
		case <-look.C:
			s.now = int64(time.Since(started))
			s.closeStalled()
			if s.looking = len(s.busy) > 0; s.looking {
				look.Reset(interval)
			}
			continue
		case <-s.signal:
		}
		s.mu.Lock()
		mail, s.mail = s.mail, mail[:0]
		s.mu.Unlock()
		for i := range mail {
			s.now = int64(time.Since(started))
			s.read(&mail[i])
			mail[i] = letter{}
			s.letters.Add(-1)
		}
		if len(s.busy) > 0 && !s.looking {
			s.looking = true
			look.Reset(interval)
		}
		if s.writes > 0 {
			s.stats.Wrote(s.writes, s.bytes)
			s.writes, s.bytes = 0, 0
		}
	}
}

func (s *shard) read(l *letter) {
	c := l.conn
	switch l.what {
	case wake:
		s.wake(l.part)
		return
	case attach:
		s.conns[c] = struct{}{}
		c.index = len(c.part.members)
		c.part.members = append(c.part.members, c)
		if err := c.socket.Watch(c); err != nil {
			s.close(c, err)
			return
		}
		s.advance(c)
		return
	}
	if c.closed {
		return
	}
	switch l.what {
	case ready:
		if err := c.socket.Drain(); err != nil {
			s.close(c, err)
			return
		}
		if c.pending != nil {
			s.advance(c)
		}
	case end:
		if !c.ending {
			c.ending, c.last = true, l.last
			time.AfterFunc(endTimeout, func() { s.post(letter{what: expire, conn: c}) })
			s.advance(c)
		}
	case expire:
		s.close(c, ErrEnded)
	}
}

// wake asks the feeds of a part. The members are walked backwards, for one that
// closes is replaced by the last.
func (s *shard) wake(p *part) {
	s.mu.Lock()
	p.woken = false
	s.mu.Unlock()
	skipped := 0
	for i := len(p.members) - 1; i >= 0; i-- {
		c := p.members[i]
		if c.pending != nil {
			skipped++
			continue
		}
		s.advance(c)
	}
	if skipped > 0 {
		s.stats.Skipped(skipped)
	}
}

// advance writes until the socket is full or the reader lacks nothing.
func (s *shard) advance(c *Conn) {
	for {
		if c.pending == nil {
			switch {
			case !c.ending:
				c.pending = c.feed.Next()
			case c.last != nil:
				c.pending, c.last = c.last, nil
			default:
				s.close(c, ErrEnded)
				return
			}
			if c.pending == nil {
				return
			}
			c.since = s.now
		}
		n, err := c.socket.Write(c.pending)
		if err != nil {
			s.close(c, err)
			return
		}
		if n > 0 {
			s.writes++
			s.bytes += n
			c.since = s.now
		}
		if n < len(c.pending) {
			c.pending = c.pending[n:]
			s.busy[c] = struct{}{}
			return
		}
		c.pending = nil
		if len(s.busy) > 0 {
			delete(s.busy, c)
		}
	}
}

func (s *shard) closeStalled() {
	for c := range s.busy {
		if time.Duration(s.now-c.since) >= s.stall {
			s.close(c, ErrStalled)
		}
	}
}

func (s *shard) close(c *Conn, why error) {
	if c.closed {
		return
	}
	c.closed = true
	c.pending, c.last = nil, nil
	delete(s.busy, c)
	delete(s.conns, c)
	p := c.part
	moved := p.members[len(p.members)-1]
	p.members[c.index], moved.index = moved, c.index
	p.members[len(p.members)-1] = nil
	p.members = p.members[:len(p.members)-1]
	c.release(why)
}

// release gives up the socket.
func (c *Conn) release(why error) {
	_ = c.socket.Close() // what was to be written is written, or can't be
	c.feed.Done(why)
}

func (s *shard) closeAll() {
	s.mu.Lock()
	s.closed = true
	mail := s.mail
	s.mu.Unlock()
	for _, l := range mail {
		if l.what == attach {
			l.conn.release(ErrEnded)
		}
	}
	for c := range s.conns {
		s.close(c, ErrEnded)
	}
}
