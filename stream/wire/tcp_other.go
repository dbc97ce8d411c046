//go:build !linux

package wire

import "net"

// Poller does nothing where there is no epoll.
type Poller struct{}

// NewPoller makes a poller.
func NewPoller() (*Poller, error) { return &Poller{}, nil }

// Close ends the poller.
func (p *Poller) Close() error { return nil }

// AttachTCP leaves every connection alone: here a goroutine writes to each.
func (w *Writers) AttachTCP(*Poller, net.Conn, *Group, Feed) (*Conn, bool) { return nil, false }
