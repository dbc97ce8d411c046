package main

import (
	"fmt"
	"runtime"
	"runtime/debug"

	"pulseboard/handlers"
)

// version and commit are set by the linker (see the Makefile).
var (
	version = "dev"
	commit  = ""
)

type versionCmd struct{}

func (versionCmd) Run(c *console) error {
	b := build()
	fmt.Fprintf(c.out, "pulseboard %s %s %s\n", b.Version, b.Commit, b.Go)
	return nil
}

// build names the program: as linked, else as the Go tool recorded.
func build() handlers.Build {
	b := handlers.Build{Version: version, Commit: commit, Go: runtime.Version()}
	if info, ok := debug.ReadBuildInfo(); ok && b.Commit == "" {
		for _, setting := range info.Settings {
			if setting.Key == "vcs.revision" {
				b.Commit = setting.Value
			}
		}
	}
	if b.Commit == "" {
		b.Commit = "unknown"
	}
	return b
}
