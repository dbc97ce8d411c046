//go:build !unix

package main

import "math"

// fileLimit: there is no limit that a process could ask for.
func fileLimit() int { return math.MaxInt }

func isFileLimit(error) bool { return false }
