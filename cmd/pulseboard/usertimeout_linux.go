package main

import (
	"crypto/tls"
	"net"
	"time"

	"golang.org/x/sys/unix"
)

// setUserTimeout bounds how long bytes written to a connection may stay
// unacknowledged (TCP_USER_TIMEOUT, RFC 5482). Without it the kernel goes on
// sending for a quarter of an hour.
func setUserTimeout(conn net.Conn, timeout time.Duration) error {
	if secure, ok := conn.(*tls.Conn); ok {
		conn = secure.NetConn()
	}
	tcp, ok := conn.(*net.TCPConn)
	if !ok {
		return nil
	}
	raw, err := tcp.SyscallConn()
	if err != nil {
		return err
	}
	var optionErr error
	err = raw.Control(func(fd uintptr) {
		optionErr = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT, int(timeout.Milliseconds()))
	})
	if err != nil {
		return err
	}
	return optionErr
}
