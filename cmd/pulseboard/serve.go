package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"pulseboard/handlers"
	"pulseboard/store/sqlite"
	"pulseboard/stream"
)

type serveCmd struct {
	Demo                  bool          `help:"Serve a demo: a tenant, a user and dashboards over a simulated shop with live events." env:"PULSEBOARD_DEMO"`
	Listen                string        `help:"Address to listen on; port 0 picks one and logs it." default:":8080" env:"PULSEBOARD_LISTEN" placeholder:"ADDRESS"`
	Cycle                 time.Duration `help:"The shortest cadence: a view is recomputed at most once in it; 100ms to 60s." default:"5s" env:"PULSEBOARD_CYCLE"`
	Heartbeat             time.Duration `help:"Time between two heartbeats of a stream." default:"30s" env:"PULSEBOARD_HEARTBEAT"`
	MaxConnectionsPerUser int           `help:"Open streams of one user." default:"10" env:"PULSEBOARD_MAX_CONNECTIONS_PER_USER" placeholder:"N"`
	MaxConnectsPerMinute  int           `help:"New streams of one user within a minute." default:"60" env:"PULSEBOARD_MAX_CONNECTS_PER_MINUTE" placeholder:"N"`
	ViewMemory            byteSize      `help:"Memory for views, as 256MiB or 2GiB; a quarter of the machine's unless set." env:"PULSEBOARD_VIEW_MEMORY" placeholder:"SIZE"`
	TLSCert               string        `name:"tls-cert" help:"Certificate file, for HTTPS with HTTP/2." env:"PULSEBOARD_TLS_CERT" placeholder:"FILE"`
	TLSKey                string        `name:"tls-key" help:"Key file of the certificate." env:"PULSEBOARD_TLS_KEY" placeholder:"FILE"`
	LogFormat             string        `help:"text or json." default:"text" env:"PULSEBOARD_LOG_FORMAT"`
	LogLevel              string        `help:"debug, info, warn or error." default:"info" env:"PULSEBOARD_LOG_LEVEL"`
	MetricsListen         string        `help:"Address to serve /metrics on instead of the public one." env:"PULSEBOARD_METRICS_LISTEN" placeholder:"ADDRESS"`

	stallTimeout time.Duration // of streams; 0: the usual one. No flag: tests shorten it
}

// check finds what no server can run with.
func (cmd *serveCmd) check() error {
	switch {
	case cmd.Cycle < 100*time.Millisecond || cmd.Cycle > time.Minute:
		return fmt.Errorf("--cycle %s is out of range: use 100ms to 60s", cmd.Cycle)
	case cmd.Heartbeat < 100*time.Millisecond || cmd.Heartbeat > time.Hour:
		return fmt.Errorf("--heartbeat %s is out of range: use 100ms to 1h", cmd.Heartbeat)
	case cmd.MaxConnectionsPerUser < 1:
		return fmt.Errorf("--max-connections-per-user %d: use 1 or more", cmd.MaxConnectionsPerUser)
	case cmd.MaxConnectsPerMinute < 1:
		return fmt.Errorf("--max-connects-per-minute %d: use 1 or more", cmd.MaxConnectsPerMinute)
	case cmd.ViewMemory != 0 && cmd.ViewMemory < leastViewMemory:
		return fmt.Errorf("--view-memory %s is too little: use %s or more", cmd.ViewMemory, leastViewMemory)
	case (cmd.TLSCert == "") != (cmd.TLSKey == ""):
		return errors.New("--tls-cert and --tls-key belong together: give both or neither")
	}
	return nil
}

func (cmd *serveCmd) logger(c *console) (*slog.Logger, error) {
	var level slog.Level
	if err := level.UnmarshalText([]byte(cmd.LogLevel)); err != nil {
		return nil, fmt.Errorf("--log-level %q is unknown: use debug, info, warn or error", cmd.LogLevel)
	}
	options := &slog.HandlerOptions{Level: level}
	switch cmd.LogFormat {
	case "text":
		return slog.New(slog.NewTextHandler(c.err, options)), nil
	case "json":
		return slog.New(slog.NewJSONHandler(c.err, options)), nil
	}
	return nil, fmt.Errorf("--log-format %q is unknown: use text or json", cmd.LogFormat)
}

// Run serves until the context ends, then drains: readiness fails, streams end,
// what was accepted is on disk.
func (cmd *serveCmd) Run(c *console, flags *cli) error {
	if err := cmd.check(); err != nil {
		return usageError{err}
	}
	log, err := cmd.logger(c)
	if err != nil {
		return usageError{err}
	}
	certificate, err := cmd.certificate()
	if err != nil {
		return err
	}
	st, err := sqlite.Open(c.ctx, flags.Data) // requests wait less than commands
	if err != nil {
		return err
	}
	defer st.Close()
	listener, err := listen(c.ctx, cmd.Listen, "--listen")
	if err != nil {
		return err
	}
	defer listener.Close()
	server, registry, err := cmd.server(c.ctx, st, log)
	if err != nil {
		return err
	}
	var demo *demo
	if cmd.Demo {
		if demo, err = prepareDemo(c.ctx, st, flags.Data, registry); err != nil {
			return err
		}
	}
	// Background work goes on while streams drain, so it has a context of its own.
	work, stopWork := context.WithCancel(context.WithoutCancel(c.ctx))
	var background sync.WaitGroup
	defer background.Wait()
	defer stopWork()
	background.Go(func() { server.Run(work) })
	background.Go(func() { limitHeap(work, cmd.viewMemory()) })
	if demo != nil {
		background.Go(func() { demo.run(work, server.Hub(), log) })
	}
	metrics, err := cmd.listenForMetrics(c.ctx, log)
	if err != nil {
		return err
	}
	log.Info("listening", "address", listener.Addr().String(), "url", publicURL(listener.Addr(), certificate != nil))
	if demo != nil {
		demo.announce(c.out, publicURL(listener.Addr(), certificate != nil))
	}
	serving, stop := context.WithCancelCause(c.ctx)
	defer stop(nil)
	if metrics != nil {
		background.Go(func() {
			if err := serveMetrics(serving, server, metrics, log); err != nil {
				stop(err)
			}
		})
	}
	if err := serveUntil(serving, server, listener, certificate, log); err != nil || c.ctx.Err() != nil {
		return err
	}
	return context.Cause(serving)
}

// viewsPerMinute is how many views one key may open that nobody had open. A person who looks
// through ranges and filters opens a few; one that reads many by a program waits now and then.
const viewsPerMinute = 600

// server makes the HTTP side of the program.
func (cmd *serveCmd) server(ctx context.Context, st *sqlite.Store, log *slog.Logger) (*handlers.Server, *prometheus.Registry, error) {
	registry := prometheus.NewRegistry()
	registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	server, err := handlers.New(ctx, handlers.Config{
		Store:      st,
		Log:        log,
		Registry:   registry,
		Cycle:      cmd.Cycle,
		Heartbeat:  cmd.Heartbeat,
		Capacity:   streamCapacity(),
		Limits:     stream.Limits{Streams: cmd.MaxConnectionsPerUser, ConnectsPerMinute: cmd.MaxConnectsPerMinute, ViewsPerMinute: viewsPerMinute},
		ViewMemory: int(cmd.viewMemory()),
		TLS:        cmd.TLSCert != "",
		Metrics:    cmd.MetricsListen == "",
		Build:      build(),

		StallTimeout: cmd.stallTimeout,
	})
	return server, registry, err
}

func (cmd *serveCmd) certificate() (*tls.Certificate, error) {
	if cmd.TLSCert == "" {
		return nil, nil
	}
	certificate, err := tls.LoadX509KeyPair(cmd.TLSCert, cmd.TLSKey)
	if err != nil {
		return nil, fmt.Errorf("--tls-cert and --tls-key can't be used: %w", err)
	}
	return &certificate, nil
}

const (
	headerTimeout = 10 * time.Second
	// readTimeout bounds bodies that no handler hears of, since net/http refuses their
	// requests itself. For all others the handlers set deadlines. A request that is whole has
	// none, so streams don't either.
	readTimeout  = 15 * time.Second
	idleTimeout  = 2 * time.Minute
	drainTimeout = 8 * time.Second
	abortTimeout = time.Second
	// vanishedTimeout is how long written bytes may stay unacknowledged before a
	// connection is given up. With a heartbeat every 30 s, a reader that vanished
	// without a word has then lost its place within a minute.
	vanishedTimeout = 25 * time.Second
)

// serveUntil answers requests until ctx ends and then drains.
func serveUntil(ctx context.Context, server *handlers.Server, listener net.Listener, certificate *tls.Certificate, log *slog.Logger) error {
	web := &http.Server{
		Handler:           server.Handler(),
		ReadHeaderTimeout: headerTimeout,
		ReadTimeout:       readTimeout,
		IdleTimeout:       idleTimeout,
		// net/http would wait for the body of "OPTIONS *".
		DisableGeneralOptionsHandler: true,
		ErrorLog:                     slog.NewLogLogger(log.Handler(), slog.LevelDebug),
		ConnContext: func(ctx context.Context, conn net.Conn) context.Context {
			if err := setUserTimeout(conn, vanishedTimeout); err != nil {
				log.Debug("no user timeout on a connection", "error", err)
			}
			return ctx
		},
	}
	ended := make(chan error, 1)
	go func() { ended <- serveHTTP(web, newLoggingListener(listener, log), certificate) }()
	select {
	case err := <-ended:
		return fmt.Errorf("serving ended: %w", err)
	case <-ctx.Done():
	}
	log.Info("stopping")
	deadline, cancel := context.WithTimeout(context.WithoutCancel(ctx), drainTimeout)
	defer cancel()
	server.Drain(deadline)
	if err := web.Shutdown(deadline); err != nil {
		log.Warn("some requests did not end in time", "error", err)
		aborted, cancel := context.WithTimeout(context.WithoutCancel(ctx), abortTimeout)
		defer cancel()
		server.Abort(aborted)
		_ = web.Close() // of what is left, there is nothing more to do
	}
	log.Info("stopped")
	return nil
}

func serveHTTP(server *http.Server, listener net.Listener, certificate *tls.Certificate) error {
	if certificate == nil {
		return server.Serve(listener)
	}
	server.TLSConfig = &tls.Config{Certificates: []tls.Certificate{*certificate}, MinVersion: tls.VersionTLS12}
	// The deadline of a stream can't end it while the connection below takes nothing.
	server.HTTP2 = &http.HTTP2Config{WriteByteTimeout: vanishedTimeout}
	return server.ServeTLS(listener, "", "")
}

// publicURL gives an address to type into a browser on this machine.
func publicURL(address net.Addr, secure bool) string {
	scheme := "http"
	if secure {
		scheme = "https"
	}
	host, port, err := net.SplitHostPort(address.String())
	if err != nil {
		return scheme + "://" + address.String()
	}
	if ip := net.ParseIP(host); ip == nil || ip.IsUnspecified() {
		host = "localhost"
	}
	return scheme + "://" + net.JoinHostPort(host, port)
}
