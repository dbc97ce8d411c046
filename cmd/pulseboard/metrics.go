package main

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/http"

	"pulseboard/handlers"
)

// listenForMetrics opens the address that /metrics is served on instead of the
// public one; nil when there is none.
func (cmd *serveCmd) listenForMetrics(ctx context.Context, log *slog.Logger) (net.Listener, error) {
	if cmd.MetricsListen == "" {
		return nil, nil
	}
	listener, err := listen(ctx, cmd.MetricsListen, "--metrics-listen")
	if err == nil {
		log.Info("metrics listening", "address", listener.Addr().String())
	}
	return listener, err
}

// serveMetrics answers scrapes until ctx ends and then lets those under way finish.
// An error says that it could not go on.
func serveMetrics(ctx context.Context, server *handlers.Server, listener net.Listener, log *slog.Logger) error {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", server.MetricsHandler())
	web := &http.Server{
		Handler:           mux,
		ReadHeaderTimeout: headerTimeout,
		IdleTimeout:       idleTimeout,
		ErrorLog:          slog.NewLogLogger(log.Handler(), slog.LevelDebug),
	}
	ended := make(chan error, 1)
	go func() { ended <- serveHTTP(web, newLoggingListener(listener, log), nil) }()
	select {
	case err := <-ended:
		return fmt.Errorf("serving metrics ended: %w", err)
	case <-ctx.Done():
	}
	deadline, cancel := context.WithTimeout(context.WithoutCancel(ctx), drainTimeout)
	defer cancel()
	if err := web.Shutdown(deadline); err != nil {
		log.Warn("some scrapes did not end in time", "error", err)
		_ = web.Close() // of what is left, there is nothing more to do
	}
	return nil
}
