// Gateway shows a reverse proxy with a circuit breaker in it:
//
//	go run ./examples/gateway          # see it happen
//	go run ./examples/gateway -stay    # and look at the status page afterwards
//
// While its backend is failing, visitors get 503 with a Retry-After field at once, and
// the backend is left in peace. A status page shows the circuits.
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/seed-0b728cf8/httpbreaker"
	"github.com/seed-0b728cf8/httpbreaker/breaker"
	"github.com/seed-0b728cf8/httpbreaker/statuspage"
)

func main() {
	stay := flag.Bool("stay", false, "stay up until interrupted, to look at the status page")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if !*stay {
		stop() // ctx is done
	}
	if err := run(ctx, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "gateway:", err)
		os.Exit(1)
	}
}

// run shows it all, and then stays up until ctx is done.
func run(ctx context.Context, w io.Writer) error {
	var broken atomic.Bool
	backend := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if broken.Load() {
			panic(http.ErrAbortHandler) // hang up without an answer
		}
		fmt.Fprintln(w, "hello from the backend")
	}))
	defer backend.Close()
	target, err := url.Parse(backend.URL)
	if err != nil {
		return err
	}

	gateway := httptest.NewServer(newGateway(target))
	defer gateway.Close()
	defer gateway.CloseClientConnections() // status pages that are being looked at
	fmt.Fprintf(w, "gateway %s, backend %s\n\n", gateway.URL, backend.URL)
	visit := func(path string) (http.Header, []byte, error) { return get(w, gateway.URL, path) }

	if _, _, err := visit("/"); err != nil {
		return err
	}
	fmt.Fprintln(w, "\nThe backend breaks down: three failures open its circuit.")
	broken.Store(true)
	var header http.Header
	for range 5 {
		if header, _, err = visit("/"); err != nil {
			return err
		}
	}

	fmt.Fprintln(w, "\nThe status page knows why:")
	_, body, err := visit("/status/circuits?state=open")
	if err != nil {
		return err
	}
	var status struct{ Circuits []breaker.Snapshot }
	if err := json.Unmarshal(body, &status); err != nil {
		return err
	}
	for _, s := range status.Circuits {
		fmt.Fprintf(w, "  %s is %v: %s; %d rejected so far\n", s.Key, s.State, s.Reason, s.Totals.Rejected)
	}

	fmt.Fprintln(w, "\nThe backend has recovered. A visitor comes back when Retry-After says:")
	broken.Store(false)
	seconds, err := strconv.Atoi(header.Get("Retry-After"))
	if err != nil {
		return err
	}
	time.Sleep(time.Duration(seconds) * time.Second)
	if _, _, err := visit("/"); err != nil {
		return err
	}

	if ctx.Err() == nil {
		fmt.Fprintf(w, "\nLook at %s/status/ and interrupt this program when you have seen enough.\n", gateway.URL)
		<-ctx.Done()
	}
	return nil
}

// newGateway is a reverse proxy for target, with a status page below /status/.
func newGateway(target *url.URL) http.Handler {
	transport := httpbreaker.New(&httpbreaker.Config{
		Breakers: breaker.NewSet(breaker.Options{
			// Few and short, so that the example is.
			Config: breaker.Config{ConsecutiveFailures: 3, ConsecutiveSpan: -1, OpenFor: time.Second, Jitter: -1},
		}),
	})
	proxy := &httputil.ReverseProxy{
		Rewrite: func(pr *httputil.ProxyRequest) {
			pr.SetURL(target)
			pr.SetXForwarded()
		},
		Transport: transport,
		// Rejected requests are answered with 503 and Retry-After, the others, which
		// have really failed, by our own function.
		ErrorHandler: httpbreaker.ProxyErrorHandler(func(w http.ResponseWriter, _ *http.Request, _ error) {
			http.Error(w, "the backend has hung up", http.StatusBadGateway)
		}),
	}
	mux := http.NewServeMux()
	mux.Handle("/", proxy)
	// In earnest, mount this where only operators reach it.
	mux.Handle("/status/", statuspage.New(transport.Breakers(), nil))
	return mux
}

// get is a visitor. It prints what it was answered, unless that is JSON.
func get(w io.Writer, base, path string) (http.Header, []byte, error) {
	res, err := http.Get(base + path)
	if err != nil {
		return nil, nil, err
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	text := strings.TrimSpace(string(body))
	if strings.HasPrefix(res.Header.Get("Content-Type"), "application/json") {
		text = fmt.Sprintf("%d bytes of JSON", len(body))
	}
	if after := res.Header.Get("Retry-After"); after != "" {
		text += ", Retry-After: " + after
	}
	fmt.Fprintf(w, "  GET %-28s %d  %s\n", path, res.StatusCode, text)
	return res.Header, body, err
}
