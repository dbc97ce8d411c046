package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"time"

	"golang.org/x/time/rate"
)

// listen opens the address that a flag names. Multipath TCP is off: on its sockets
// TCP_USER_TIMEOUT, which ends readers that vanished, can't be set.
func listen(ctx context.Context, address, flag string) (net.Listener, error) {
	var config net.ListenConfig
	config.SetMultipathTCP(false)
	listener, err := config.Listen(ctx, "tcp", address)
	if err != nil {
		return nil, fmt.Errorf("can't listen on %s: %w; choose another address with %s", address, errors.Unwrap(err), flag)
	}
	return listener, nil
}

// reservedFiles is kept from streams, for the store and for pages: who comes when
// all places are taken is told so, instead of not being heard.
const reservedFiles = 512

// streamCapacity gives how many streams the process has room for.
func streamCapacity() int { return max(1, fileLimit()-reservedFiles) }

// loggingListener says in the log, once a minute at most, that connections wait
// because the process can't open more. The server tries again by itself, ever
// less often up to once a second.
type loggingListener struct {
	net.Listener
	log *slog.Logger
	say *rate.Sometimes
}

func newLoggingListener(l net.Listener, log *slog.Logger) *loggingListener {
	return &loggingListener{Listener: l, log: log, say: &rate.Sometimes{First: 1, Interval: time.Minute}}
}

func (l *loggingListener) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if err != nil && isFileLimit(err) {
		l.say.Do(func() {
			l.log.Warn("no room for more connections: new ones wait until others end; raise the limit of open files", "limit", fileLimit(), "error", err)
		})
	}
	return conn, err
}
