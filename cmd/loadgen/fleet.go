package main

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"runtime"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// fleet is many viewers of streams, all read by one thread. Times are ns of the
// system's clock, as the kernel stamped what arrived.
type fleet struct {
	address *unix.SockaddrInet4
	request func(v *viewer) string // an HTTP/1.1 request of a stream
	sizes   bool                   // count bytes only: what comes is compressed

	epoll int
	stop  chan struct{}
	done  chan struct{}

	mu      sync.Mutex
	byFD    map[int32]*viewer
	viewers []*viewer
	ticks   map[string]*update // by id
	order   []string           // ids as they first came
	states  states
	again   bool // viewers that lose their stream come back
	counts  counts
}

type counts struct {
	Connects   int `json:"connects"`
	Refused    int `json:"refused"`
	Broken     int `json:"broken"`     // streams that ended
	Duplicates int `json:"duplicates"` // ids that did not grow
	Bytes      int64
	Messages   int64
}

// update is one that came to many.
type update struct {
	posted   int64 // when the event was about to be sent; 0: by somebody else
	arrivals []int64
}

// viewer is one stream.
type viewer struct {
	index   int
	fd      int
	phase   phase
	stalled bool // it reads nothing
	buffer  []byte
	body    dechunker
	status  int

	asked   int64 // when it began to connect
	first   int64 // when its first update came
	comeAt  int64 // when it may connect again
	retry   time.Duration
	id      string
	state   int // of states
	updates int
	bytes   int64 // of body
}

type phase uint8

const (
	closed phase = iota
	connecting
	head
	streaming
)

func newFleet(address string, request func(*viewer) string) (*fleet, error) {
	tcp, err := net.ResolveTCPAddr("tcp4", address)
	if err != nil {
		return nil, err
	}
	f := &fleet{
		address: &unix.SockaddrInet4{Port: tcp.Port}, request: request,
		stop: make(chan struct{}), done: make(chan struct{}),
		byFD: map[int32]*viewer{}, ticks: map[string]*update{},
	}
	copy(f.address.Addr[:], tcp.IP.To4())
	if f.epoll, err = unix.EpollCreate1(unix.EPOLL_CLOEXEC); err != nil {
		return nil, err
	}
	go f.run()
	return f, nil
}

// close ends all streams.
func (f *fleet) close() {
	close(f.stop)
	<-f.done
	for _, v := range f.viewers {
		if v.phase != closed {
			unix.Close(v.fd)
		}
	}
	unix.Close(f.epoll)
}

// open opens n more streams, spread over a time.
func (f *fleet) open(n int, over time.Duration, stalled bool) error {
	began := time.Now()
	for i := range n {
		time.Sleep(time.Until(began.Add(over * time.Duration(i) / time.Duration(n))))
		f.mu.Lock()
		v := &viewer{index: len(f.viewers), stalled: stalled}
		f.viewers = append(f.viewers, v)
		err := f.connect(v)
		f.mu.Unlock()
		if err != nil {
			return err
		}
	}
	return nil
}

// connect begins to connect. The caller holds f.mu.
func (f *fleet) connect(v *viewer) error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("open a socket: %w", err)
	}
	if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_TIMESTAMPNS, 1); err != nil {
		return err
	}
	if v.stalled {
		if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUF, 4<<10); err != nil {
			return err
		}
	}
	err = unix.Connect(fd, f.address)
	if err != nil && !errors.Is(err, unix.EINPROGRESS) {
		unix.Close(fd)
		return fmt.Errorf("connect: %w", err)
	}
	v.fd, v.phase, v.buffer, v.status, v.body = fd, connecting, v.buffer[:0], 0, dechunker{}
	if v.asked == 0 {
		v.asked = time.Now().UnixNano()
	}
	f.byFD[int32(fd)] = v
	return unix.EpollCtl(f.epoll, unix.EPOLL_CTL_ADD, fd, &unix.EpollEvent{Events: unix.EPOLLIN | unix.EPOLLOUT | unix.EPOLLET, Fd: int32(fd)})
}

func (f *fleet) run() {
	runtime.LockOSThread()
	defer close(f.done)
	events := make([]unix.EpollEvent, 512)
	buffer := make([]byte, 256<<10)
	for {
		select {
		case <-f.stop:
			return
		default:
		}
		n, err := unix.EpollWait(f.epoll, events, 20)
		if err != nil && !errors.Is(err, unix.EINTR) {
			panic(err)
		}
		f.mu.Lock()
		for _, e := range events[:max(n, 0)] {
			if v := f.byFD[e.Fd]; v != nil {
				f.serve(v, buffer)
			}
		}
		if n <= 0 {
			f.comeBack()
		}
		f.mu.Unlock()
	}
}

// comeBack connects viewers again whose time has come.
func (f *fleet) comeBack() {
	now := time.Now().UnixNano()
	for _, v := range f.viewers {
		if v.phase == closed && v.comeAt != 0 && now >= v.comeAt {
			v.comeAt = 0
			if f.connect(v) != nil {
				f.lose(v)
			}
		}
	}
}

func (f *fleet) serve(v *viewer, buffer []byte) {
	if v.phase == connecting {
		if code, err := unix.GetsockoptInt(v.fd, unix.SOL_SOCKET, unix.SO_ERROR); err != nil || code != 0 {
			f.lose(v)
			return
		}
		if _, err := unix.Write(v.fd, []byte(f.request(v))); err != nil {
			if !errors.Is(err, unix.EAGAIN) {
				f.lose(v)
			}
			return
		}
		v.phase = head
	}
	if v.stalled {
		return
	}
	var control [64]byte
	for {
		n, controls, _, _, err := unix.RecvmsgBuffers(v.fd, [][]byte{buffer}, control[:], 0)
		switch {
		case errors.Is(err, unix.EINTR):
			continue
		case errors.Is(err, unix.EAGAIN):
			return
		case err != nil || n == 0:
			f.lose(v)
			return
		}
		f.read(v, buffer[:n], arrival(control[:controls]))
		if n < len(buffer) {
			return
		}
	}
}

// arrival gives when the kernel got what was read, from the control message that
// comes with it (see socket(7), SO_TIMESTAMPNS).
func arrival(control []byte) int64 {
	messages, err := unix.ParseSocketControlMessage(control)
	if err == nil {
		for _, m := range messages {
			if m.Header.Level == unix.SOL_SOCKET && m.Header.Type == unix.SO_TIMESTAMPNS && len(m.Data) >= 16 {
				return int64(binary.NativeEndian.Uint64(m.Data))*1e9 + int64(binary.NativeEndian.Uint64(m.Data[8:]))
			}
		}
	}
	return time.Now().UnixNano()
}

// lose ends a stream and, if viewers come back, says when this one does.
func (f *fleet) lose(v *viewer) {
	delete(f.byFD, int32(v.fd))
	unix.Close(v.fd)
	if v.phase == streaming {
		f.counts.Broken++
	}
	v.phase = closed
	if f.again {
		wait := v.retry
		if wait == 0 {
			wait = time.Second + rand.N(time.Second)
		}
		v.comeAt = time.Now().Add(wait).UnixNano()
	}
}

func (f *fleet) read(v *viewer, data []byte, at int64) {
	if v.phase == head {
		v.buffer = append(v.buffer, data...)
		status, chunked, rest, whole := parseHead(v.buffer)
		if !whole {
			return
		}
		v.status = status
		if status != 200 {
			f.counts.Refused++
			f.lose(v)
			return
		}
		f.counts.Connects++
		v.phase, v.body.on = streaming, chunked
		data = append([]byte(nil), rest...)
		v.buffer = v.buffer[:0]
	}
	data = v.body.next(data)
	v.bytes += int64(len(data))
	f.counts.Bytes += int64(len(data))
	if f.sizes {
		if v.first == 0 && len(data) > 0 {
			v.first = at
		}
		return
	}
	v.buffer = append(v.buffer, data...)
	rest := v.buffer
	for {
		m, after, whole := parseEvent(rest)
		if !whole {
			break
		}
		rest = after
		f.take(v, m, at)
	}
	v.buffer = v.buffer[:copy(v.buffer, rest)]
}

// take notes a message.
func (f *fleet) take(v *viewer, m event, at int64) {
	f.counts.Messages++
	if m.retry != 0 {
		v.retry = m.retry
	}
	if m.name != "metric_update" {
		return
	}
	if v.id != "" && (len(m.id) < len(v.id) || len(m.id) == len(v.id) && m.id <= v.id) {
		f.counts.Duplicates++
	}
	v.state = f.states.after(v.state, m.data)
	v.id = m.id
	v.updates++
	if v.first == 0 {
		v.first = at
	}
	t := f.ticks[m.id]
	if t == nil {
		t = &update{}
		f.ticks[m.id] = t
		f.order = append(f.order, m.id)
	}
	t.arrivals = append(t.arrivals, at)
}

// streamRequest gives the request of a stream, with the cursor that its viewer has.
func streamRequest(host, path, cookie string, gzip bool) func(*viewer) string {
	encoding := "identity"
	if gzip {
		encoding = "gzip"
	}
	return func(v *viewer) string {
		text := "GET " + path + " HTTP/1.1\r\nHost: " + host + "\r\nAccept-Encoding: " + encoding + "\r\n"
		if cookie != "" {
			text += "Cookie: " + cookie + "\r\n"
		}
		if v.id != "" {
			text += "Last-Event-ID: " + v.id + "\r\n"
		}
		return text + "\r\n"
	}
}
