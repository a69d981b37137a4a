// Quickstart shows what httpbreaker does for a client whose server breaks down:
//
//	go run ./examples/quickstart
//
// A steady client asks two servers on this machine five times a second each. One,
// the catalog, answers all the time. The other, the prices, hangs, then fails, then
// recovers. A second client, without a circuit breaker, asks a twin of the prices at
// the same moments, so that the difference is measured and not estimated.
//
// It takes 12 seconds. This file is what a user of the package would write; what the
// show looks like is in screen.go.
package main

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/seed-0b728cf8/httpbreaker"
	"github.com/seed-0b728cf8/httpbreaker/breaker"
)

const (
	beat  = 200 * time.Millisecond // from one request to the next
	beats = 60
	// For how long the client waits for an answer. It is no multiple of a beat, or an old
	// request would fail at the moment of a new one, and lines would come in either order.
	timeout = 900 * time.Millisecond
)

// script is what the server of the prices does, from which time on, a round being a beat.
var script = []struct {
	at    time.Duration
	what  string
	serve http.HandlerFunc
}{
	{0, "answers", answer},
	{2000 * time.Millisecond, "hangs", hang},
	{6600 * time.Millisecond, "answers 500", fail},
	{7400 * time.Millisecond, "has recovered", answer},
}

func main() {
	if err := run(os.Stdout, isTerminal(os.Stdout)); err != nil {
		fmt.Fprintln(os.Stderr, "quickstart:", err)
		os.Exit(1)
	}
}

func run(w io.Writer, live bool) error {
	var round atomic.Int64 // of requests: by it, not by the clock, the servers know what to do
	catalog := httptest.NewServer(http.HandlerFunc(answer))
	defer catalog.Close()
	prices := httptest.NewServer(breaksDown(&round))
	defer prices.Close()
	twin := httptest.NewServer(breaksDown(&round))
	defer twin.Close()

	show := newScreen(w, live, time.Now())

	// The circuits and their rules. All of this is optional: httpbreaker.New(nil)
	// has a set of its own. Here the time for which a circuit stays open is cut down
	// from 5s, growing to 45s, so that the show does not take a minute, and it is not
	// varied at random, so that every run is alike.
	circuits := breaker.NewSet(breaker.Options{
		Config: breaker.Config{OpenFor: time.Second, MaxOpenFor: time.Second, Jitter: -1},
		Hooks:  []breaker.Hooks{{StateChanged: show.stateChanged}},
	})

	// One client for all servers: each host gets a circuit of its own.
	client := &http.Client{
		Timeout: timeout, // without one, a host that hangs never fails
		Transport: httpbreaker.New(&httpbreaker.Config{
			Breakers: circuits,
			Fallback: httpbreaker.Respond(http.StatusOK, nil, []byte("yesterday's prices")),
		}),
	}
	defer client.CloseIdleConnections()
	plain := &http.Client{Timeout: timeout, Transport: new(http.Transport)}
	defer plain.CloseIdleConnections()

	circuit, err := circuitOf(prices, circuits)
	if err != nil {
		return err
	}
	show.open(circuit, catalog.URL, prices.URL, twin.URL)
	streams := []struct {
		row    int
		client *http.Client
		url    string
	}{
		{rowCatalog, client, catalog.URL},
		{rowPrices, client, prices.URL},
		{rowTwin, plain, twin.URL},
	}

	// A steady client does not wait for one answer before it asks for the next.
	ticker := time.NewTicker(beat)
	defer ticker.Stop()
	var calls sync.WaitGroup
	for n := range beats {
		round.Store(int64(n))
		show.beat(n)
		for _, s := range streams {
			calls.Go(func() {
				began := time.Now()
				body, how := get(s.client, s.url)
				show.result(s.row, n, how, time.Since(began), body)
			})
		}
		<-ticker.C
	}
	calls.Wait()
	show.close()
	return nil
}

// get makes one request and tells how it went.
func get(client *http.Client, url string) (string, mark) {
	res, err := client.Get(url)
	if err != nil {
		// Without a Fallback a rejected request has an error too, and
		// errors.Is(err, httpbreaker.ErrOpen) tells it from the others.
		var late interface{ Timeout() bool }
		if errors.As(err, &late) && late.Timeout() {
			return fmt.Sprintf("no answer within %v", client.Timeout), failed
		}
		return err.Error(), failed
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	switch {
	case err != nil:
		return err.Error(), failed
	case httpbreaker.IsFallback(res):
		return string(body), fallback
	case res.StatusCode >= 500:
		return res.Status, failed
	}
	return string(body), answered
}

// circuitOf returns the circuit of a server. Its key is the URL's host and port.
func circuitOf(server *httptest.Server, circuits *breaker.Set) (*breaker.Breaker, error) {
	u, err := url.Parse(server.URL)
	if err != nil {
		return nil, err
	}
	return circuits.Get(u.Host), nil
}

// breaksDown serves by the script.
func breaksDown(round *atomic.Int64) http.HandlerFunc {
	return func(w http.ResponseWriter, req *http.Request) {
		serve := script[0].serve
		for _, scene := range script {
			if time.Duration(round.Load())*beat >= scene.at {
				serve = scene.serve
			}
		}
		serve(w, req)
	}
}

func answer(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "fresh from the server") }

func hang(_ http.ResponseWriter, req *http.Request) { <-req.Context().Done() } // until the client has given up

func fail(w http.ResponseWriter, _ *http.Request) {
	http.Error(w, "out of order", http.StatusInternalServerError)
}
