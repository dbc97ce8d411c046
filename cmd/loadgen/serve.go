package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strconv"
	"sync"
	"syscall"

	r3labs "github.com/r3labs/sse/v2"
	gosse "github.com/tmaxmax/go-sse"
)

// serveCmd is a server that streams to all viewers of /stream what is posted to /tick.
type serveCmd struct {
	How    string `arg:"" enum:"raw,goroutine,r3labs,go-sse" help:"raw: one loop of blocking writes; goroutine: the usual handler, one a viewer; or a library."`
	Listen string `default:"127.0.0.1:0" help:"Address; it is printed."`
}

// broadcaster is one way to stream.
type broadcaster interface {
	http.Handler
	broadcast(id string, data []byte)
}

func (cmd *serveCmd) Run(ctx context.Context) error {
	if err := allowFiles(); err != nil {
		return err
	}
	b := map[string]func() broadcaster{
		"raw":       func() broadcaster { return &rawLoop{} },
		"goroutine": func() broadcaster { return &goroutines{viewers: map[chan []byte]struct{}{}} },
		"r3labs":    newR3labs,
		"go-sse":    func() broadcaster { return &goSSE{} },
	}[cmd.How]()
	mux := http.NewServeMux()
	mux.Handle("GET /stream", b)
	id := 1000
	mux.HandleFunc("POST /tick", func(w http.ResponseWriter, r *http.Request) {
		data, err := io.ReadAll(r.Body)
		if err != nil {
			return
		}
		id++
		b.broadcast(strconv.Itoa(id), data)
	})
	listener, err := net.Listen("tcp", cmd.Listen)
	if err != nil {
		return err
	}
	fmt.Println(listener.Addr())
	server := &http.Server{Handler: mux}
	context.AfterFunc(ctx, func() { server.Close() })
	if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// allowFiles raises the limit of open files as far as it goes.
func allowFiles() error {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return fmt.Errorf("read the limit of open files: %w", err)
	}
	limit.Cur = limit.Max
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		fmt.Fprintln(os.Stderr, "the limit of open files stays:", err)
	}
	return nil
}

func message(id string, data []byte) []byte {
	return fmt.Appendf(nil, "event: metric_update\nid: %s\ndata: %s\n\n", id, data)
}

// rawLoop is the floor: connections without net/http, and one loop of writes.
type rawLoop struct {
	mu    sync.Mutex
	conns []net.Conn
}

func (l *rawLoop) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if _, err := io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n"); err == nil {
		l.conns = append(l.conns, conn)
	}
}

func (l *rawLoop) broadcast(id string, data []byte) {
	frame := message(id, data)
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, conn := range l.conns {
		_, _ = conn.Write(frame) // who is gone is gone
	}
}

// goroutines is how it is usually done: a handler that waits for a channel.
type goroutines struct {
	mu      sync.Mutex
	viewers map[chan []byte]struct{}
}

func (g *goroutines) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "text/event-stream")
	control := http.NewResponseController(w)
	frames := make(chan []byte, 16)
	g.mu.Lock()
	g.viewers[frames] = struct{}{}
	g.mu.Unlock()
	defer func() {
		g.mu.Lock()
		delete(g.viewers, frames)
		g.mu.Unlock()
	}()
	_ = control.Flush()
	for {
		select {
		case <-r.Context().Done():
			return
		case frame := <-frames:
			if _, err := w.Write(frame); err != nil {
				return
			}
			if err := control.Flush(); err != nil {
				return
			}
		}
	}
}

func (g *goroutines) broadcast(id string, data []byte) {
	frame := message(id, data)
	g.mu.Lock()
	defer g.mu.Unlock()
	for viewer := range g.viewers {
		select {
		case viewer <- frame:
		default: // it is too slow
		}
	}
}

// r3 is github.com/r3labs/sse.
type r3 struct{ server *r3labs.Server }

func newR3labs() broadcaster {
	server := r3labs.New()
	server.AutoReplay = false
	server.CreateStream("board")
	return &r3{server}
}

func (s *r3) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	r.URL.RawQuery = "stream=board"
	s.server.ServeHTTP(w, r)
}

func (s *r3) broadcast(id string, data []byte) {
	s.server.Publish("board", &r3labs.Event{Event: []byte("metric_update"), ID: []byte(id), Data: data})
}

// goSSE is github.com/tmaxmax/go-sse.
type goSSE struct{ server gosse.Server }

func (s *goSSE) ServeHTTP(w http.ResponseWriter, r *http.Request) { s.server.ServeHTTP(w, r) }

func (s *goSSE) broadcast(id string, data []byte) {
	m := &gosse.Message{ID: gosse.ID(id), Type: gosse.Type("metric_update")}
	m.AppendData(string(data))
	_ = s.server.Publish(m) // it fails when closed only
}
