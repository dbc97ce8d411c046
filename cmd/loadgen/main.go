// Command loadgen opens many streams at once and measures what becomes of them: how
// soon each viewer has an event, what was missed or came twice, and what it all costs
// the server. `loadgen watch` does that to any dashboard; `loadgen bench` compares
// pulseboard with other ways to stream the same bytes, and `loadgen metrics` with other
// ways to keep and read the same events, all on this machine. `loadgen hostile` attacks a
// server while others use it.
//
// It is a Go module of its own, so that what only the comparison needs is no
// dependency of pulseboard.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"github.com/alecthomas/kong"
)

type cli struct {
	Watch   watchCmd   `cmd:"" help:"Open streams of one dashboard, send events, and report."`
	Bench   benchCmd   `cmd:"" help:"Run pulseboard and others side by side, and print the table."`
	Metrics metricsCmd `cmd:"" help:"Measure how events are kept and read, against baselines, and print the table."`
	Hostile hostileCmd `cmd:"" help:"Attack a server while others use it, and print what it cost them."`
	Serve   serveCmd   `cmd:"" help:"Serve the same stream to all in another way; bench starts these."`
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	var commands cli
	parsed := kong.Parse(&commands, kong.Name("loadgen"), kong.Description("Load for streams and for events, and what it costs."), kong.ConfigureHelp(kong.HelpOptions{Compact: true}))
	parsed.BindTo(ctx, (*context.Context)(nil))
	parsed.FatalIfErrorf(parsed.Run())
}
