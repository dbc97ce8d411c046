package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/schollz/progressbar/v3"
	"golang.org/x/term"

	"pulseboard/store"
	"pulseboard/store/ingest"
	"pulseboard/store/sqlite"
)

type importCmd struct {
	Tenant string `help:"Tenant the events belong to." required:"" env:"PULSEBOARD_TENANT" placeholder:"SLUG"`
	Format string `help:"ndjson, csv, combined or common." required:"" env:"PULSEBOARD_FORMAT"`
	File   string `arg:"" optional:"" default:"-" help:"File to read; - is standard input."`
}

const (
	// importBatch is how many events share a transaction.
	importBatch = 1_000
	// importPause is how long events wait for others to share a transaction with,
	// so that a slow stream of lines is seen on the boards at once.
	importPause = 250 * time.Millisecond
)

// Run keeps events batch by batch as their lines come in. A bad line is named
// and left out; the rest goes in.
func (cmd *importCmd) Run(c *console, flags *cli) error {
	format, err := ingest.ParseFormat(cmd.Format)
	if err != nil {
		return usageError{err}
	}
	in, size, err := cmd.input(c)
	if err != nil {
		return err
	}
	defer in.Close()
	st, tenant, err := openTenant(c, flags, cmd.Tenant)
	if err != nil {
		return err
	}
	defer st.Close()
	bar := newBar(c, size)
	job := &importJob{ctx: c.ctx, st: st, tenant: tenant.ID, report: func(line *ingest.LineError) {
		_ = bar.Clear()
		fmt.Fprintf(c.err, "line %d: %s\n", line.Line, line.Message)
	}}
	err = job.run(ingest.NewReader(io.TeeReader(in, bar), format, time.Now))
	_ = bar.Exit()
	fmt.Fprintf(c.out, "accepted %d\nduplicate %d\nrejected %d\n", job.accepted, job.duplicate, job.rejected)
	if errors.Is(err, context.Canceled) {
		return errors.New("import was interrupted; run it again to go on, what is in already counts once")
	}
	return err
}

// input opens what is read, with its size in bytes, -1 when unknown.
func (cmd *importCmd) input(c *console) (io.ReadCloser, int64, error) {
	if cmd.File == "-" {
		return io.NopCloser(c.in), -1, nil
	}
	f, err := os.Open(cmd.File)
	if err != nil {
		return nil, 0, err
	}
	info, err := f.Stat()
	if err != nil {
		f.Close()
		return nil, 0, err
	}
	if info.IsDir() {
		f.Close()
		return nil, 0, fmt.Errorf("%s is a folder: name a file, or - for standard input", cmd.File)
	}
	return f, info.Size(), nil
}

// newBar gives a progress bar on a terminal, a silent one elsewhere.
func newBar(c *console, size int64) *progressbar.ProgressBar {
	f, ok := c.err.(*os.File)
	if !ok || !term.IsTerminal(int(f.Fd())) {
		return progressbar.DefaultBytesSilent(size)
	}
	return progressbar.NewOptions64(size,
		progressbar.OptionSetWriter(f),
		progressbar.OptionSetDescription("importing"),
		progressbar.OptionShowBytes(true),
		progressbar.OptionThrottle(100*time.Millisecond),
		progressbar.OptionClearOnFinish(),
		progressbar.OptionFullWidth(),
	)
}

// importJob is one run of an import and what became of its lines.
type importJob struct {
	ctx    context.Context
	st     *sqlite.Store
	tenant store.TenantID
	report func(*ingest.LineError)

	accepted, duplicate, rejected int
}

// readLine is what a line gave: an event, or the error that ends the input.
type lineRead struct {
	event store.Event
	bad   *ingest.LineError
	end   error
}

func (j *importJob) run(reader *ingest.Reader) error {
	lines := make(chan lineRead, importBatch)
	done := make(chan struct{})
	defer close(done)
	go readLines(reader, lines, done)
	var batch []store.Event
	pause := time.NewTimer(importPause)
	defer pause.Stop()
	for {
		select {
		case <-j.ctx.Done():
			return errors.Join(j.ctx.Err(), j.keep(context.WithoutCancel(j.ctx), batch))
		case <-pause.C:
			if err := j.keep(j.ctx, batch); err != nil {
				return err
			}
			batch = batch[:0]
			continue
		case line := <-lines:
			switch {
			case errors.Is(line.end, io.EOF):
				return j.keep(j.ctx, batch)
			case line.end != nil:
				return errors.Join(fmt.Errorf("read: %w", line.end), j.keep(j.ctx, batch))
			case line.bad != nil:
				j.rejected++
				j.report(line.bad)
				continue
			}
			if len(batch) == 0 {
				pause.Reset(importPause)
			}
			if batch = append(batch, line.event); len(batch) < importBatch {
				continue
			}
			if err := j.keep(j.ctx, batch); err != nil {
				return err
			}
			batch = batch[:0]
		}
	}
}

// readLines reads on its own, for a pipe may be silent while events wait to be kept.
func readLines(reader *ingest.Reader, lines chan<- lineRead, done <-chan struct{}) {
	for {
		event, err := reader.Next()
		line := lineRead{event: event}
		if !errors.As(err, &line.bad) {
			line.end = err
		}
		select {
		case lines <- line:
		case <-done:
			return
		}
		if line.end != nil {
			return
		}
	}
}

// keep records a batch. While another process holds the store it tries again: an
// import has time.
func (j *importJob) keep(ctx context.Context, batch []store.Event) error {
	if len(batch) == 0 {
		return nil
	}
	for {
		recorded, err := j.st.Record(ctx, j.tenant, batch, time.Now())
		if errors.Is(err, store.ErrBusy) && ctx.Err() == nil {
			continue
		}
		if err != nil {
			return err
		}
		for _, duplicate := range recorded.Duplicate {
			if duplicate {
				j.duplicate++
			} else {
				j.accepted++
			}
		}
		return nil
	}
}
