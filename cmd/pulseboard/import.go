package main

import (
	"cmp"
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
	"pulseboard/store/ingest/follow"
	"pulseboard/store/sqlite"
)

type importCmd struct {
	Tenant string `help:"Tenant the events belong to." required:"" env:"PULSEBOARD_TENANT" placeholder:"SLUG"`
	Format string `help:"ndjson, csv, combined or common." required:"" env:"PULSEBOARD_FORMAT"`
	Follow bool   `help:"Go on with what is added to the file, and with the file that has its name after a rotation." short:"f" env:"PULSEBOARD_FOLLOW"`
	File   string `arg:"" optional:"" default:"-" help:"File to read, also one compressed by gzip or zstd; - is standard input."`

	NameColumn string `help:"Column of CSV with the events' names; default: event." env:"PULSEBOARD_NAME_COLUMN" placeholder:"COLUMN"`
	Name       string `help:"Name of all events of a CSV file, in place of a column." env:"PULSEBOARD_NAME" placeholder:"NAME"`
	TimeColumn string `help:"Column of CSV with the time; default: time." env:"PULSEBOARD_TIME_COLUMN" placeholder:"COLUMN"`
	TimeFormat string `help:"How that is written, as for strftime: %d.%m.%Y %H:%M; default: RFC 3339, or epoch seconds or milliseconds." env:"PULSEBOARD_TIME_FORMAT" placeholder:"FORMAT"`
	UserColumn string `help:"Column of CSV with the user; default: user." env:"PULSEBOARD_USER_COLUMN" placeholder:"COLUMN"`
	IDColumn   string `name:"id-column" help:"Column of CSV with the id; default: id." env:"PULSEBOARD_ID_COLUMN" placeholder:"COLUMN"`
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
	columns, err := cmd.columns(format)
	if err != nil {
		return usageError{err}
	}
	if cmd.Follow && cmd.File == "-" {
		return usageError{errors.New("--follow needs the name of a file: standard input is read as it comes anyway")}
	}
	st, tenant, err := openTenant(c, flags, cmd.Tenant)
	if err != nil {
		return err
	}
	defer st.Close()
	in, err := cmd.input(c)
	if err != nil {
		return err
	}
	bar := newBar(c, in.size)
	in.bar = bar
	job := &importJob{ctx: c.ctx, st: st, tenant: tenant.ID, input: in, report: func(line *ingest.LineError) {
		_ = bar.Clear()
		fmt.Fprintf(c.err, "%s: %s\n", cmd.place(line.Line), line.Message)
	}}
	err = job.run(format, columns)
	_ = bar.Exit()
	fmt.Fprintf(c.out, "accepted %d\nduplicate %d\nrejected %d\n", job.accepted, job.duplicate, job.rejected)
	return cmd.explain(err)
}

// columns gives those of the flags, which are for CSV.
func (cmd *importCmd) columns(format ingest.Format) (ingest.Columns, error) {
	c := ingest.Columns{Event: cmd.NameColumn, Name: cmd.Name, ID: cmd.IDColumn, Time: cmd.TimeColumn, User: cmd.UserColumn, TimeFormat: cmd.TimeFormat}
	if format != ingest.CSV && c != (ingest.Columns{}) {
		return c, fmt.Errorf("the flags for columns, names and times are for --format csv; %s says these itself", format)
	}
	return c, c.Validate()
}

// place names a line of the file.
func (cmd *importCmd) place(line int) string {
	if cmd.File == "-" {
		return fmt.Sprintf("line %d", line)
	}
	return fmt.Sprintf("%s:%d", cmd.File, line)
}

// explain says what to do about an import that ended early.
func (cmd *importCmd) explain(err error) error {
	var header *ingest.HeaderError
	var packed *ingest.PackedError
	switch {
	case cmd.Follow && errors.Is(err, context.Canceled):
		return nil // it was told to end
	case errors.Is(err, context.Canceled):
		return errors.New("import was interrupted; run it again to go on, what is in already counts once")
	case errors.As(err, &header) && header.NoName:
		return fmt.Errorf("%s: %s; say which column it is with --name-column, or call all events alike with --name", cmd.place(header.Line), header.Message)
	case errors.As(err, &header):
		return fmt.Errorf("%s: %s", cmd.place(header.Line), header.Message)
	case errors.As(err, &packed):
		return fmt.Errorf("%s: %w; what came before is kept, and counts once when the whole file is imported", cmd.File, err)
	}
	return err
}

// input is where an import reads: one file, or those of a log that is followed.
type input struct {
	reader io.Reader
	close  func()
	size   int64       // in bytes, -1 when unknown
	log    *follow.Log // nil for one file
	bar    io.Writer   // is told of what is read
}

// input opens what is read.
func (cmd *importCmd) input(c *console) (*input, error) {
	switch {
	case cmd.Follow:
		log := follow.Open(c.ctx, cmd.File)
		return &input{reader: log, close: log.Close, size: -1, log: log}, nil
	case cmd.File == "-":
		return &input{reader: c.in, close: func() {}, size: -1}, nil
	}
	f, err := os.Open(cmd.File)
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err == nil && info.IsDir() {
		err = fmt.Errorf("%s is a folder: name a file, or - for standard input", cmd.File)
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return &input{reader: f, close: func() { f.Close() }, size: info.Size()}, nil
}

// open gives what to read, unpacked.
func (in *input) open() (io.Reader, error) {
	raw := io.TeeReader(in.reader, in.bar)
	if in.log != nil {
		return raw, nil
	}
	return ingest.Unpack(raw)
}

// next goes on with the next file of a log; the error is io.EOF without one. It says what
// of the last line of the one before was never finished.
func (in *input) next(reader *ingest.Reader) (unfinished *ingest.LineError, err error) {
	if in.log == nil {
		return nil, io.EOF
	}
	if n := in.log.Unfinished(); n > 0 {
		unfinished = &ingest.LineError{Line: reader.Line() + 1, Message: fmt.Sprintf("the file was rotated before this line had an end; its %d bytes are left out", n)}
	}
	if err = in.log.Next(); err == nil {
		file, _ := in.open() // as it was the first time
		reader.Continue(file)
	}
	return unfinished, err
}

// newBar returns a progress bar on a terminal, and an invisible one elsewhere. Neither has a
// goroutine of its own that turns a spinner: the library draws there without its lock.
func newBar(c *console, size int64) *progressbar.ProgressBar {
	f, ok := c.err.(*os.File)
	if !ok || !term.IsTerminal(int(f.Fd())) {
		return progressbar.NewOptions64(size, progressbar.OptionSetVisibility(false), progressbar.OptionSetWriter(io.Discard))
	}
	return progressbar.NewOptions64(size,
		progressbar.OptionSetSpinnerChangeInterval(0),
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
	input  *input
	report func(*ingest.LineError)

	accepted, duplicate, rejected int
}

// lineRead is what a line gave: an event, or what is wrong with it, or the error that
// ends the input.
type lineRead struct {
	event store.Event
	bad   *ingest.LineError
	end   error
}

func (j *importJob) run(format ingest.Format, columns ingest.Columns) error {
	lines := make(chan lineRead, importBatch)
	done := make(chan struct{})
	defer close(done)
	go j.input.readLines(format, columns, lines, done)
	var batch []store.Event
	pause := time.NewTimer(importPause)
	defer pause.Stop()
	for {
		select {
		case <-j.ctx.Done():
			return cmp.Or(j.keep(batch), j.ctx.Err())
		case <-pause.C:
			if err := j.keep(batch); err != nil {
				return err
			}
			batch = batch[:0]
			continue
		case line := <-lines:
			if line.bad != nil {
				j.rejected++
				j.report(line.bad)
			}
			switch {
			case errors.Is(line.end, io.EOF):
				return j.keep(batch)
			case line.end != nil:
				return cmp.Or(j.keep(batch), line.end)
			case line.bad != nil:
				continue
			}
			if len(batch) == 0 {
				pause.Reset(importPause)
			}
			if batch = append(batch, line.event); len(batch) < importBatch {
				continue
			}
			if err := j.keep(batch); err != nil {
				return err
			}
			batch = batch[:0]
		}
	}
}

// readLines reads on its own, for a pipe may be silent while events wait to be kept.
func (in *input) readLines(format ingest.Format, columns ingest.Columns, lines chan<- lineRead, done <-chan struct{}) {
	defer in.close()
	send := func(line lineRead) (more bool) {
		select {
		case lines <- line:
			return line.end == nil
		case <-done:
			return false
		}
	}
	file, err := in.open()
	if err != nil {
		send(lineRead{end: err})
		return
	}
	reader := ingest.NewReader(file, format, columns, time.Now)
	for {
		event, err := reader.Next()
		line := lineRead{event: event}
		if errors.Is(err, io.EOF) {
			line.bad, line.end = in.next(reader)
			if line.bad == nil && line.end == nil {
				continue
			}
		} else if !errors.As(err, &line.bad) {
			line.end = err
		}
		if !send(line) {
			return
		}
	}
}

// keep records a batch, also when the import was told to end. While another process holds
// the store it tries again: an import has time.
func (j *importJob) keep(batch []store.Event) error {
	if len(batch) == 0 {
		return nil
	}
	for {
		recorded, err := j.st.Record(context.WithoutCancel(j.ctx), j.tenant, batch, time.Now())
		if errors.Is(err, store.ErrBusy) && j.ctx.Err() == nil {
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
