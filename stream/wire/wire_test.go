package wire

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// news is what all readers are to know: the newest number.
type news struct{ newest atomic.Int64 }

// paper is what one reader got of it.
type paper struct {
	news *news
	read int64
	size int
	done chan error
}

func (p *paper) Next() []byte {
	n := p.news.newest.Load()
	if n == p.read {
		return nil
	}
	p.read = n
	return fmt.Appendf(nil, "%d %s\n", n, strings.Repeat("x", p.size))
}

func (p *paper) Done(why error) { p.done <- why }

func (p *paper) ended(t *testing.T) error {
	t.Helper()
	select {
	case why := <-p.done:
		return why
	case <-time.After(30 * time.Second):
		t.Fatal("the connection was not ended")
		return nil
	}
}

// hall is writers with real connections.
type hall struct {
	t        *testing.T
	writers  *Writers
	poller   *Poller
	group    *Group
	news     news
	listener net.Listener
	skipped  atomic.Int64
}

func newHall(t *testing.T, stall time.Duration) *hall {
	h := &hall{t: t}
	h.writers = New(2, stall, Stats{Wrote: func(int, int) {}, Skipped: func(n int) { h.skipped.Add(int64(n)) }})
	var err error
	if h.poller, err = NewPoller(); err != nil {
		t.Fatal(err)
	}
	h.group = h.writers.NewGroup()
	if h.listener, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		h.listener.Close()
		h.writers.Close()
		h.poller.Close()
	})
	return h
}

// sit lets a reader in.
func (h *hall) sit(size int) (net.Conn, *paper, *Conn) {
	h.t.Helper()
	reader, err := net.Dial("tcp", h.listener.Addr().String())
	if err != nil {
		h.t.Fatal(err)
	}
	h.t.Cleanup(func() { reader.Close() })
	conn, err := h.listener.Accept()
	if err != nil {
		h.t.Fatal(err)
	}
	p := &paper{news: &h.news, size: size, done: make(chan error, 2)}
	c, ok := h.writers.AttachTCP(h.poller, conn, h.group, p)
	if !ok {
		h.t.Skip("connections are written by goroutines here")
	}
	return reader, p, c
}

func (h *hall) tell() {
	h.news.newest.Add(1)
	h.group.Wake()
}

// Messages are larger than what a socket holds, so every one is written in parts;
// readers take them at different speeds.
func TestReadersGetWholeMessagesAndInTheEndTheNewest(t *testing.T) {
	const readers, last = 20, 300
	h := newHall(t, time.Minute)
	var all sync.WaitGroup
	for i := range readers {
		conn, _, _ := h.sit(1000 * i * i)
		all.Go(func() {
			r := bufio.NewReaderSize(conn, 1<<20)
			for before := int64(0); before < last; {
				line, err := r.ReadString('\n')
				if err != nil {
					t.Errorf("reader %d, after %d: %v", i, before, err)
					return
				}
				var n int64
				text, rest, _ := strings.Cut(line, " ")
				if _, err := fmt.Sscan(text, &n); err != nil || n <= before || len(rest) != 1000*i*i+1 {
					t.Errorf("reader %d: %q and %d more bytes came after %d", i, text, len(rest), before)
					return
				}
				before = n
				if i%5 == 4 {
					time.Sleep(time.Millisecond)
				}
			}
		})
	}
	for range last {
		h.tell()
		time.Sleep(100 * time.Microsecond) // else most readers get the last one only
	}
	all.Wait()
}

func TestOneWhoReadsNothingIsLeftBehindAndThenClosed(t *testing.T) {
	h := newHall(t, 500*time.Millisecond)
	_, stalled, _ := h.sit(1 << 20)
	conn, _, _ := h.sit(10)
	r := bufio.NewReader(conn)
	for i := 1; ; i++ {
		h.tell()
		line, err := r.ReadString('\n')
		if err != nil || !strings.HasPrefix(line, fmt.Sprint(i, " ")) {
			t.Fatalf("the other reader got %q, %v", line, err)
		}
		if len(stalled.done) > 0 {
			break
		}
		time.Sleep(time.Millisecond)
	}
	if why := stalled.ended(t); !errors.Is(why, ErrStalled) {
		t.Errorf("it was closed for: %v", why)
	}
	if h.skipped.Load() == 0 {
		t.Error("it was never skipped")
	}
}

func TestOneWhoGoesAwayIsNoticed(t *testing.T) {
	h := newHall(t, time.Minute)
	conn, p, _ := h.sit(10)
	conn.Close()
	if why := p.ended(t); why != io.EOF && !errors.Is(why, os.ErrClosed) {
		t.Errorf("ended for: %v", why)
	}
	// What a reader sends is thrown away, up to a measure.
	talker, p, _ := h.sit(10)
	go func() {
		for {
			if _, err := talker.Write(make([]byte, 1<<20)); err != nil {
				return
			}
		}
	}()
	if why := p.ended(t); !errors.Is(why, errRubbish) {
		t.Errorf("ended for: %v", why)
	}
}

func TestAnEndIsSaidAfterWhatIsUnderWay(t *testing.T) {
	h := newHall(t, time.Minute)
	conn, p, c := h.sit(1 << 20)
	h.tell()
	c.End([]byte("bye"))
	c.End([]byte("bye again"))
	all, err := io.ReadAll(conn)
	if err != nil || !strings.HasSuffix(string(all), "x\nbye") || len(all) < 1<<20 {
		t.Errorf("read %d bytes, ending with %q, %v", len(all), all[max(0, len(all)-10):], err)
	}
	if why := p.ended(t); why != ErrEnded {
		t.Errorf("ended for: %v", why)
	}
	// Who does not read gets some time, no more.
	_, p, c = h.sit(8 << 20)
	h.tell()
	c.End([]byte("bye"))
	if why := p.ended(t); why != ErrEnded {
		t.Errorf("ended for: %v", why)
	}
}

func TestClosedWritersCloseWhatTheyHaveAndWhatStillComes(t *testing.T) {
	h := newHall(t, time.Minute)
	_, before, _ := h.sit(10)
	h.writers.Close()
	_, after, _ := h.sit(10)
	for _, p := range []*paper{before, after} {
		if why := p.ended(t); why != ErrEnded {
			t.Errorf("ended for: %v", why)
		}
	}
	h.writers.Close()
}

// still is a socket that takes n bytes and then nothing.
type still struct {
	n      int
	closed bool
}

func (s *still) Watch(*Conn) error { return nil }
func (s *still) Drain() error      { return nil }
func (s *still) Close() error      { s.closed = true; return nil }
func (s *still) Write(b []byte) (int, error) {
	n := min(s.n, len(b))
	s.n -= n
	return n, nil
}

func TestTheTimeToStallBeginsWhenTheSocketIsFull(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := New(1, 30*time.Second, Stats{Wrote: func(int, int) {}, Skipped: func(int) {}})
		g := w.NewGroup()
		var n news
		p, s := &paper{news: &n, size: 100, done: make(chan error, 1)}, &still{n: 150}
		w.Attach(s, g, p)
		time.Sleep(time.Hour) // nothing to say is no stall
		n.newest.Add(1)
		g.Wake()
		time.Sleep(time.Hour) // it took everything
		n.newest.Add(1)
		g.Wake()
		began := time.Now()
		why := <-p.done
		if took := time.Since(began); why != ErrStalled || took < 30*time.Second || took > 32*time.Second || !s.closed {
			t.Errorf("ended after %v for: %v", took, why)
		}
		w.Close()
	})
}
