// Command pulseboard serves real-time dashboards for product and operations
// events, and manages the folder they are kept in.
//
// It knows configuration: flags, environment variables, exit codes. Results go
// to standard output, bare; errors to standard error, one line that says what
// to do. Commands work on the data folder directly, also while a server runs on it.
package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/alecthomas/kong"

	"pulseboard/store/sqlite"
)

// Exit codes.
const (
	exitFailure = 1
	exitUsage   = 2
)

// cli is all commands and flags. Every flag has an environment variable.
type cli struct {
	Data string `help:"Folder of the database and the secrets; made on first run." default:"./data" env:"PULSEBOARD_DATA" placeholder:"DIR"`

	Serve     serveCmd     `cmd:"" help:"Run the server."`
	Tenant    tenantCmd    `cmd:"" help:"Manage tenants: who owns data."`
	User      userCmd      `cmd:"" help:"Manage users: people who sign in."`
	Key       keyCmd       `cmd:"" help:"Manage ingest keys, which let programs send events."`
	Dashboard dashboardCmd `cmd:"" help:"Manage dashboards."`
	Token     tokenCmd     `cmd:"" help:"Manage embed tokens, which let people without an account see one dashboard."`
	Import    importCmd    `cmd:"" help:"Read events from a file or standard input. Safe to run twice."`
	Export    exportCmd    `cmd:"" help:"Write out what is kept."`
	Backup    backupCmd    `cmd:"" help:"Write a copy of all data to a file, also while a server runs."`
	Restore   restoreCmd   `cmd:"" help:"Put a backup into the data folder. Stop the server first."`
	Version   versionCmd   `cmd:"" help:"Print version, commit and Go version."`
	Help      helpCmd      `cmd:"" help:"Print a topic of the manual, or the list of topics."`
}

// console is where a command reads and writes.
type console struct {
	ctx context.Context // ends on SIGINT and SIGTERM
	in  io.Reader
	out io.Writer
	err io.Writer
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	os.Exit(run(&console{ctx, os.Stdin, os.Stdout, os.Stderr}, os.Args[1:]))
}

// output remembers the first error of writing, so that no command has to look after each line
// whether it was written: run does, once.
type output struct {
	io.Writer
	err error
}

// Write passes on what it is given.
func (o *output) Write(b []byte) (int, error) {
	n, err := o.Writer.Write(b)
	if o.err == nil {
		o.err = err
	}
	return n, err
}

// failure says that the results of a command did not arrive; nil when they did.
func (o *output) failure() error {
	if o.err == nil {
		return nil
	}
	return fmt.Errorf("the output could not be written: %w", o.err)
}

// run does what the arguments say and gives the exit code.
func run(c *console, args []string) int {
	out := &output{Writer: c.out}
	c = &console{c.ctx, c.in, out, c.err}
	var commands cli
	exited := -1
	parser, err := kong.New(&commands,
		kong.Name("pulseboard"),
		kong.Description("Real-time dashboards for product and operations events, as one binary."),
		kong.Writers(c.out, c.err),
		kong.Exit(func(code int) { exited = code }),
		kong.UsageOnError(),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true}),
	)
	if err != nil {
		return complain(c, err)
	}
	parsed, err := parser.Parse(args)
	if lost := out.failure(); lost != nil && exited <= 0 {
		return complain(c, lost)
	}
	if exited >= 0 { // --help was printed
		return exited
	}
	if err != nil {
		fmt.Fprintf(c.err, "pulseboard: %s (see pulseboard --help)\n", oneLine(err.Error()))
		return exitUsage
	}
	if err := cmp.Or(parsed.Run(c, &commands), out.failure()); err != nil {
		return complain(c, err)
	}
	return 0
}

// usageError is a failure that another command line would mend.
type usageError struct{ error }

func (e usageError) Unwrap() error { return e.error }

func complain(c *console, err error) int {
	if errors.Is(err, errNobodyReads) {
		return exitFailure
	}
	fmt.Fprintf(c.err, "pulseboard: %s\n", oneLine(err.Error()))
	var usage usageError
	if errors.As(err, &usage) {
		return exitUsage
	}
	return exitFailure
}

func oneLine(s string) string { return strings.Join(strings.Fields(s), " ") }

// open opens the store in the data folder for a command.
func (c *cli) open(ctx context.Context) (*sqlite.Store, error) {
	return sqlite.Open(ctx, c.Data, sqlite.Patient)
}
