//go:build !linux

package main

import (
	"net"
	"time"
)

// setUserTimeout does nothing where the system has no such option; keep-alive
// probes then end a connection whose other side vanished.
func setUserTimeout(net.Conn, time.Duration) error { return nil }
