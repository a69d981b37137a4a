// Retry shows where retries belong when there is a circuit breaker: outside of it, with
// httpbreaker.StopRetryWhenOpen.
//
//	go run ./examples/retry
//
// Ten calls are made to a server that fails all of them, with every order of the two
// layers. The retries are those of github.com/hashicorp/go-retryablehttp.
package main

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"sync/atomic"
	"time"

	"github.com/hashicorp/go-retryablehttp"

	"github.com/seed-0b728cf8/httpbreaker"
	"github.com/seed-0b728cf8/httpbreaker/breaker"
)

const calls = 10

func main() {
	if err := run(os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "retry:", err)
		os.Exit(1)
	}
}

func run(w io.Writer) error {
	var asked atomic.Int64
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		asked.Add(1)
		http.Error(w, "out of order", http.StatusInternalServerError)
	}))
	defer server.Close()

	fmt.Fprintf(w, "%d calls, with at most 3 retries each, to a server that fails:\n\n", calls)
	fmt.Fprintf(w, "%-32s %9s %9s %10s\n", "", "requests", "rejected", "time")
	for _, layers := range []struct {
		name   string
		client func(circuits *breaker.Set) *http.Client
	}{
		{"retries, no circuit", alone},
		{"retries outside the circuit", outside},
		{"… with StopRetryWhenOpen", outsideStopping},
		{"retries inside the circuit", inside},
	} {
		// Five failures in a row open the circuit, as by default, but without having
		// to last for a second.
		circuits := breaker.NewSet(breaker.Options{Config: breaker.Config{ConsecutiveSpan: -1, ProbeShare: -1}})
		client := layers.client(circuits)
		began, before := time.Now(), asked.Load()
		var err error
		for range calls {
			var res *http.Response
			if res, err = client.Get(server.URL); err == nil {
				res.Body.Close()
				return errors.New("a call has succeeded")
			}
		}
		took := time.Since(began)
		fmt.Fprintf(w, "%-32s %9d %9d %10v\n", layers.name, asked.Load()-before, rejected(circuits), took.Round(time.Millisecond))
		client.CloseIdleConnections()
	}
	fmt.Fprint(w, `
requests  reached the server
rejected  were stopped by the open circuit, at once
`)
	return nil
}

// alone has no circuit: every call is made four times.
func alone(*breaker.Set) *http.Client {
	return retrying(new(http.Transport)).StandardClient()
}

// outside judges each attempt, so that the fifth failure opens the circuit. But the
// retries do not know what they are up against: they go on, and wait between attempts
// that are all rejected.
func outside(circuits *breaker.Set) *http.Client {
	return retrying(httpbreaker.New(&httpbreaker.Config{Breakers: circuits})).StandardClient()
}

// outsideStopping is what we recommend.
func outsideStopping(circuits *breaker.Set) *http.Client {
	retries := retrying(httpbreaker.New(&httpbreaker.Config{Breakers: circuits}))
	retries.CheckRetry = httpbreaker.StopRetryWhenOpen(retries.CheckRetry)
	return retries.StandardClient()
}

// inside judges each call, when all of its attempts have failed: it takes four times as
// many requests, and all the waiting between them, until the circuit opens.
func inside(circuits *breaker.Set) *http.Client {
	return &http.Client{Transport: httpbreaker.New(&httpbreaker.Config{
		Base:     &retryablehttp.RoundTripper{Client: retrying(new(http.Transport))},
		Breakers: circuits,
	})}
}

func retrying(base http.RoundTripper) *retryablehttp.Client {
	c := retryablehttp.NewClient()
	c.HTTPClient = &http.Client{Transport: base, Timeout: time.Second}
	c.RetryMax = 3
	c.RetryWaitMin = 10 * time.Millisecond // then 20, then 40
	c.Logger = nil
	return c
}

// rejected counts the requests that the circuits have stopped.
func rejected(circuits *breaker.Set) (n uint64) {
	for _, b := range circuits.All() {
		n += b.Snapshot().Totals.Rejected
	}
	return n
}
