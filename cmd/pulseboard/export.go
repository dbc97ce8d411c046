package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"syscall"
	"time"

	"pulseboard/store"
	"pulseboard/store/ingest"
)

type exportCmd struct {
	Events exportEventsCmd `cmd:"" help:"Print a tenant's events as NDJSON, as import reads them."`
}

type exportEventsCmd struct {
	Tenant string   `help:"Tenant whose events they are." required:"" env:"PULSEBOARD_TENANT" placeholder:"SLUG"`
	From   string   `help:"Events from this time on: now-7d, RFC 3339 or epoch milliseconds." env:"PULSEBOARD_FROM" placeholder:"TIME"`
	To     string   `help:"Events before this time." env:"PULSEBOARD_TO" placeholder:"TIME"`
	Name   []string `help:"Events of this name only. May be repeated." env:"PULSEBOARD_NAME" sep:"none"`
	Output string   `help:"File to write; - is standard output." default:"-" env:"PULSEBOARD_OUTPUT" placeholder:"FILE" short:"o"`
}

// errNobodyReads says that the reader of the output has gone, which it knows itself.
var errNobodyReads = errors.New("nobody reads the output any more")

// Run writes the events kept when it begins, in the order they came in. It holds few of
// them at a time.
func (cmd *exportEventsCmd) Run(c *console, flags *cli) error {
	scan, err := cmd.scan(time.Now())
	if err != nil {
		return usageError{err}
	}
	st, tenant, err := openTenant(c, flags, cmd.Tenant)
	if err != nil {
		return err
	}
	defer st.Close()
	out, err := cmd.output(c)
	if err != nil {
		return err
	}
	w := bufio.NewWriterSize(out, 64<<10)
	var line []byte
	err = st.EachEvent(c.ctx, tenant.ID, scan, func(e *store.Event) error {
		if len(cmd.Name) > 0 && !slices.Contains(cmd.Name, e.Name) {
			return nil
		}
		line = ingest.AppendLine(line[:0], *e)
		_, err := w.Write(line)
		return err
	})
	if err == nil {
		err = w.Flush()
	}
	if closing := out.Close(); err == nil {
		err = closing
	}
	switch {
	case errors.Is(err, syscall.EPIPE):
		return errNobodyReads
	case errors.Is(err, context.Canceled):
		return errors.New("export was interrupted; what it wrote is not all")
	case err != nil:
		return fmt.Errorf("export is not complete: %w", err)
	}
	return nil
}

// scan gives the time that the flags say.
func (cmd *exportEventsCmd) scan(now time.Time) (scan store.Scan, err error) {
	for _, end := range []struct {
		flag, text string
		at         *time.Time
	}{{"--from", cmd.From, &scan.From}, {"--to", cmd.To, &scan.To}} {
		if end.text == "" {
			continue
		}
		bound, err := store.ParseBound(end.text)
		if err != nil {
			return scan, fmt.Errorf("%s: %w", end.flag, err)
		}
		*end.at = bound.At(now)
	}
	if cmd.From != "" && cmd.To != "" && !scan.From.Before(scan.To) {
		return scan, fmt.Errorf("the time from %s to %s is empty: --from must lie before --to", cmd.From, cmd.To)
	}
	return scan, nil
}

// output opens what is written to. A file is made for its owner only, for events may be
// about people.
func (cmd *exportEventsCmd) output(c *console) (io.WriteCloser, error) {
	if cmd.Output != "-" {
		return os.OpenFile(cmd.Output, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	}
	signal.Ignore(syscall.SIGPIPE) // else it ends the process before the store is closed
	return stdout{c.out}, nil
}

// stdout is a standard output that stays open.
type stdout struct{ io.Writer }

func (stdout) Close() error { return nil }
