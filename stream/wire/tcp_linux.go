package wire

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"
)

// unsentLimit is how much a socket takes that has not left the machine yet. It
// keeps a slow reader's backlog small, so that what it gets next is new.
const unsentLimit = 16 << 10

// maxRubbish is how much a reader may send: it has nothing to say.
const maxRubbish = 64 << 10

var errRubbish = errors.New("the reader sent more than a reader has to say")

// Poller tells connections when their sockets can take more or have ended. It has
// an epoll set of its own, so that no goroutine waits for each (see epoll(7)).
type Poller struct {
	epoll *os.File // waited for by the runtime, as any other file
	fd    int

	mu    sync.Mutex
	conns map[int32]*Conn // by file descriptor
}

// NewPoller starts a poller.
func NewPoller() (*Poller, error) {
	fd, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("make an epoll set: %w", err)
	}
	if err := unix.SetNonblock(fd, true); err != nil { // else the runtime does not wait for it
		return nil, fmt.Errorf("make an epoll set: %w", err)
	}
	p := &Poller{epoll: os.NewFile(uintptr(fd), "epoll"), fd: fd, conns: map[int32]*Conn{}}
	go p.run()
	return p, nil
}

// Close ends the poller. Connections hear nothing from it any more.
func (p *Poller) Close() error { return p.epoll.Close() }

func (p *Poller) run() {
	raw, err := p.epoll.SyscallConn()
	if err != nil {
		return
	}
	events := make([]unix.EpollEvent, 256)
	ready := make([]*Conn, 0, len(events))
	// It ends when the poller is closed.
	_ = raw.Read(func(fd uintptr) bool {
		for {
			n, err := unix.EpollWait(int(fd), events, 0)
			if errors.Is(err, unix.EINTR) {
				continue
			}
			if err != nil || n == 0 {
				return false // wait for more
			}
			ready = ready[:0]
			p.mu.Lock()
			for _, e := range events[:n] {
				if c := p.conns[e.Fd]; c != nil {
					ready = append(ready, c)
				}
			}
			p.mu.Unlock()
			for _, c := range ready {
				c.Ready()
			}
		}
	})
}

// AttachTCP is Attach for a connection of the network. It says false, and leaves
// the connection alone, when that is not one that can be written without waiting,
// such as one with TLS.
func (w *Writers) AttachTCP(p *Poller, conn net.Conn, g *Group, feed Feed) (*Conn, bool) {
	tcp, ok := conn.(*net.TCPConn)
	if !ok {
		return nil, false
	}
	raw, err := tcp.SyscallConn()
	if err != nil {
		return nil, false
	}
	s := &tcpSocket{conn: tcp, poller: p}
	err = raw.Control(func(fd uintptr) {
		s.fd = int(fd)
		_ = unix.SetsockoptInt(s.fd, unix.IPPROTO_TCP, unix.TCP_NOTSENT_LOWAT, unsentLimit) // it only saves memory
	})
	if err != nil {
		return nil, false
	}
	return w.Attach(s, g, feed), true
}

// tcpSocket writes to a descriptor directly. The net.Conn keeps it open, and
// nobody else has that.
type tcpSocket struct {
	conn   *net.TCPConn
	poller *Poller
	fd     int
}

func (s *tcpSocket) Watch(c *Conn) error {
	s.poller.mu.Lock()
	s.poller.conns[int32(s.fd)] = c
	s.poller.mu.Unlock()
	event := unix.EpollEvent{Events: unix.EPOLLIN | unix.EPOLLRDHUP | unix.EPOLLOUT | unix.EPOLLET, Fd: int32(s.fd)}
	return unix.EpollCtl(s.poller.fd, unix.EPOLL_CTL_ADD, s.fd, &event)
}

func (s *tcpSocket) Write(b []byte) (int, error) {
	for {
		n, err := unix.Write(s.fd, b)
		switch {
		case err == nil:
			return n, nil
		case errors.Is(err, syscall.EAGAIN):
			return 0, nil
		case !errors.Is(err, syscall.EINTR):
			return 0, err
		}
	}
}

func (s *tcpSocket) Drain() error {
	var rubbish [4 << 10]byte
	for total := 0; ; {
		n, err := unix.Read(s.fd, rubbish[:])
		switch {
		case errors.Is(err, syscall.EINTR):
			continue
		case errors.Is(err, syscall.EAGAIN):
			return nil
		case err != nil:
			return err
		case n == 0:
			return io.EOF
		}
		if total += n; total > maxRubbish {
			return errRubbish
		}
	}
}

func (s *tcpSocket) Close() error {
	s.poller.mu.Lock()
	delete(s.poller.conns, int32(s.fd)) // closing the descriptor takes it out of the set
	s.poller.mu.Unlock()
	return s.conn.Close()
}
