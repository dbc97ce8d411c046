//go:build unix

package main

import (
	"errors"
	"math"
	"syscall"
)

// fileLimit gives how many files and connections the process may have open.
func fileLimit() int {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return math.MaxInt
	}
	return int(min(limit.Cur, math.MaxInt32))
}

// isFileLimit says whether an error means that the process, or the machine, has
// no room for another file or connection.
func isFileLimit(err error) bool {
	return errors.Is(err, syscall.EMFILE) || errors.Is(err, syscall.ENFILE)
}
