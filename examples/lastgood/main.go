// Lastgood shows a client that lives on the last good answers of a host that is down:
//
//	go run ./examples/lastgood
//
// A shop answers, then breaks down. Its customers ask again for what they have seen before, and
// get that, with its age, except where an old answer would be wrong: another customer's, one from
// before a change of their own, and one that the shop has forbidden to keep.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync/atomic"
	"time"

	"github.com/seed-0b728cf8/httpbreaker"
	"github.com/seed-0b728cf8/httpbreaker/breaker"
	"github.com/seed-0b728cf8/httpbreaker/contrib/lastgood"
)

func main() {
	run(os.Stdout)
}

func run(w io.Writer) {
	var broken atomic.Bool
	server := httptest.NewServer(shop(&broken))
	defer server.Close()

	cache := lastgood.New(&lastgood.Options{
		MaxStale: time.Hour, // where the shop does not say how long an answer may be given
		User:     customer,
	})
	client := &http.Client{
		Timeout: time.Second,
		Transport: httpbreaker.New(&httpbreaker.Config{
			Base:              cache.Transport(nil), // keeps answers
			Fallback:          cache.Fallback,       // gives them
			FallbackOnFailure: true,                 // also before the circuit is open
			// Two failures open the circuit here, so that the example is short.
			Breakers: breaker.NewSet(breaker.Options{Config: breaker.Config{Failures: 2}}),
		}),
	}
	defer client.CloseIdleConnections()

	fmt.Fprint(w, "The shop answers\n\n")
	for _, c := range []call{
		{"alice", "GET", "/prices"},
		{"alice", "GET", "/orders"},
		{"alice", "GET", "/stock"},
		{"alice", "GET", "/basket"},
		{"alice", "PUT", "/basket"},
	} {
		c.make(w, client, server.URL)
	}
	time.Sleep(1100 * time.Millisecond)
	broken.Store(true)
	fmt.Fprint(w, "\nThe shop is down\n\n")
	for _, c := range []call{
		{"alice", "GET", "/prices"},
		{"alice", "GET", "/orders"},
		{"bob", "GET", "/orders"},
		{"alice", "GET", "/stock"},
		{"alice", "GET", "/basket"},
	} {
		c.make(w, client, server.URL)
	}
}

// shop answers until it is broken.
func shop(broken *atomic.Bool) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		switch {
		case broken.Load():
			http.Error(w, "out of order", http.StatusInternalServerError)
		case req.URL.Path == "/orders":
			w.Header().Set("Cache-Control", "private") // for one customer alone
			fmt.Fprint(w, "orders of ", req.Header.Get("Authorization"))
		case req.URL.Path == "/stock":
			w.Header().Set("Cache-Control", "no-store") // of no use once it is old
			fmt.Fprint(w, "3 pieces left")
		default:
			fmt.Fprint(w, req.Method, " ", strings.TrimPrefix(req.URL.Path, "/"))
		}
	})
}

type customerKey struct{}

// customer is the lastgood.Options.User: whom a request is made for.
func customer(req *http.Request) string {
	name, _ := req.Context().Value(customerKey{}).(string)
	return name
}

type call struct{ customer, method, path string }

// make makes one request and prints what came back and where from.
func (c call) make(w io.Writer, client *http.Client, shop string) {
	ctx := context.WithValue(context.Background(), customerKey{}, c.customer)
	what, from := "", "the shop"
	req, err := http.NewRequestWithContext(ctx, c.method, shop+c.path, nil)
	if err == nil {
		req.Header.Set("Authorization", c.customer)
		what, from, err = ask(client, req)
	}
	switch {
	case errors.Is(err, httpbreaker.ErrOpen):
		what, from = "no answer", "the circuit is open"
	case err != nil:
		what, from = "no answer", err.Error()
	}
	fmt.Fprintf(w, "  %-5s  %-4s %-8s  %-16s  %s\n", c.customer, c.method, c.path, what, from)
}

func ask(client *http.Client, req *http.Request) (what, from string, err error) {
	res, err := client.Do(req)
	if err != nil {
		return "", "", err
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body) // to its end: only then is it kept
	if err != nil {
		return "", "", err
	}
	from = "the shop"
	if httpbreaker.IsFallback(res) {
		from = "kept, " + res.Header.Get("Age") + " s old"
	}
	return strings.TrimSpace(string(body)), from, nil
}
