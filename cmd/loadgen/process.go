package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// process is a server that was started for a measurement.
type process struct {
	cmd     *exec.Cmd
	address string
}

// mostErrors bounds the lines of a server's log that are shown.
const mostErrors = 20

// start runs a program and waits until a line of it says where it listens.
func start(ctx context.Context, address func(line string) (string, bool), name string, args ...string) (*process, error) {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL} // it does not outlive a measurement that fails
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	cmd.Stderr = cmd.Stdout
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	found := make(chan string, 1)
	go func() {
		lines, shown := bufio.NewScanner(out), 0
		for lines.Scan() {
			if a, ok := address(lines.Text()); ok {
				found <- a
			} else if shown < mostErrors && (strings.Contains(lines.Text(), "level=ERROR") || strings.Contains(lines.Text(), "panic")) {
				shown++
				fmt.Fprintln(os.Stderr, lines.Text())
			}
		}
		// After a line that is too long to scan: a server whose log nobody reads stands still.
		_, _ = io.Copy(io.Discard, out)
	}()
	select {
	case a := <-found:
		return &process{cmd, a}, nil
	case <-time.After(20 * time.Second):
		_ = cmd.Process.Kill()
		return nil, fmt.Errorf("%s %s did not begin to listen", name, strings.Join(args, " "))
	}
}

func (p *process) kill() {
	_ = p.cmd.Process.Signal(syscall.SIGKILL)
	_ = p.cmd.Wait()
}

// cpu gives the time that all threads of the process ran, to the nanosecond (see
// proc_pid_schedstat(5)). Threads that ended are not in it; Go ends none.
func (p *process) cpu() time.Duration {
	var total int64
	files, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/schedstat", p.cmd.Process.Pid))
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			continue
		}
		if fields := strings.Fields(string(text)); len(fields) > 0 {
			ns, _ := strconv.ParseInt(fields[0], 10, 64)
			total += ns
		}
	}
	return time.Duration(total)
}

// memory gives the resident size in bytes.
func (p *process) memory() int64 {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", p.cmd.Process.Pid))
	if err != nil {
		return 0
	}
	pages, _ := strconv.ParseInt(strings.Fields(string(text))[1], 10, 64)
	return pages * int64(os.Getpagesize())
}
