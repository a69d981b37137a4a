// Observability is a service to play with: a client calls three hosts through
// circuit breakers, and you take the hosts down and watch what happens, on the
// status page, in Prometheus metrics and in the log.
//
//	go run ./examples/observability
package main

import (
	"bufio"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/seed-0b728cf8/httpbreaker"
	"github.com/seed-0b728cf8/httpbreaker/breaker"
	"github.com/seed-0b728cf8/httpbreaker/contrib/breakerprom"
	"github.com/seed-0b728cf8/httpbreaker/statuspage"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdin, os.Stdout); err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "observability:", err)
		os.Exit(1)
	}
}

const instructions = `A client calls three hosts, ten times a second each:
payments.example, search.example and mail.example.

  switches       http://%[1]s/           take hosts down and bring them back
  status page    http://%[1]s/circuits/  what the circuit breakers make of it
  metrics        http://%[1]s/metrics    the same for Prometheus

Press Enter to take payments.example down, and again to bring it back. Or say how
it shall fail:

  curl -X POST http://%[1]s/hosts/payments.example/down     no connection
  curl -X POST http://%[1]s/hosts/payments.example/failing  503 for each request
  curl -X POST http://%[1]s/hosts/payments.example/hanging  no answer
  curl -X POST http://%[1]s/hosts/payments.example/up

Each circuit %[2]s.

`

// run is the program, until ctx is done or the time of -for has passed.
func run(ctx context.Context, args []string, stdin io.Reader, stdout io.Writer) error {
	flags := flag.NewFlagSet("observability", flag.ContinueOnError)
	flags.SetOutput(stdout)
	addr := flags.String("addr", "127.0.0.1:8377", "where to show it; on this machine only, for anybody there can use the controls")
	end := flags.Duration("for", 0, "end after this time, such as 10s (default: run until interrupted)")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if *end > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, *end)
		defer cancel()
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stdout = &lockedWriter{w: stdout}

	hosts, err := startHosts("payments.example", "search.example", "mail.example")
	if err != nil {
		return err
	}
	defer hosts.close()

	// From here on it is what a program would do with its own client.
	rules := breaker.Config{}
	set := breaker.NewSet(breaker.Options{
		Config: rules,
		Hooks:  []breaker.Hooks{breaker.LogHooks(slog.New(slog.NewTextHandler(stdout, nil)))},
	})
	client := &http.Client{
		Transport: httpbreaker.New(&httpbreaker.Config{Base: hosts.transport(), Breakers: set}),
		Timeout:   2 * time.Second,
	}
	registry := prometheus.NewRegistry()
	registry.MustRegister(breakerprom.NewCollector(set, nil))

	mux := http.NewServeMux()
	mux.Handle("/metrics", promhttp.HandlerFor(registry, promhttp.HandlerOpts{}))
	mux.Handle("/circuits/", statuspage.New(set, &statuspage.Options{
		Control: func(*http.Request) bool { return true }, // in a program: only for operators
	}))
	mux.Handle("/", hosts.switches())

	listener, err := net.Listen("tcp", *addr)
	if err != nil {
		return fmt.Errorf("%w; choose another address with -addr", err)
	}
	server := &http.Server{Handler: mux, ReadHeaderTimeout: 10 * time.Second}
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	defer server.Close()
	fmt.Fprintf(stdout, instructions, listener.Addr(), rules)

	var calls sync.WaitGroup
	defer calls.Wait()
	for _, name := range hosts.names {
		calls.Go(func() { callAgainAndAgain(ctx, client, "http://"+name+"/") })
	}
	go toggleOnEnter(stdin, stdout, hosts.byName["payments.example"])

	select {
	case err := <-served:
		cancel()
		return err
	case <-ctx.Done():
		return nil
	}
}

// callAgainAndAgain calls url ten times a second until ctx is done.
func callAgainAndAgain(ctx context.Context, client *http.Client, url string) {
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	var calls sync.WaitGroup
	defer calls.Wait()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			calls.Go(func() { call(ctx, client, url) })
		}
	}
}

// call makes one call and drops what comes of it: the breakers have seen it.
func call(ctx context.Context, client *http.Client, url string) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return
	}
	resp, err := client.Do(req)
	if err != nil {
		return
	}
	defer resp.Body.Close()
	_, _ = io.Copy(io.Discard, resp.Body)
}

// toggleOnEnter takes h down or up for each line that is read.
func toggleOnEnter(stdin io.Reader, stdout io.Writer, h *host) {
	lines := bufio.NewScanner(stdin)
	for lines.Scan() {
		to := down
		if h.state() == down {
			to = up
		}
		if err := h.set(to); err != nil {
			fmt.Fprintln(stdout, err)
			continue
		}
		fmt.Fprintf(stdout, "%s is %s\n", h.name, to)
	}
}

// lockedWriter lets the log and the program write to one place.
type lockedWriter struct {
	mu sync.Mutex
	w  io.Writer
}

func (l *lockedWriter) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.w.Write(p)
}
