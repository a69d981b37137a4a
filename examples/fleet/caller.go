package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/seed-0b728cf8/httpbreaker"
	"github.com/seed-0b728cf8/httpbreaker/breaker"
	"github.com/seed-0b728cf8/httpbreaker/contrib/breakerredis"
)

// options are the same for each node.
func options() breakerredis.Options {
	return breakerredis.Options{
		Fleet: "example",
		// The server of this show is on this machine, whose hosts are not shared
		// unless one says so.
		Shared: func(string) bool { return true },
	}
}

// beCaller is a process that calls url until its standard input ends. It prints
// the states of its circuit.
func beCaller(url, redisAddr string, in io.Reader, out io.Writer) error {
	c := newCaller(url, func(state string) { fmt.Fprintln(out, state) })
	if redisAddr != "" {
		client := redis.NewClient(&redis.Options{Addr: redisAddr})
		defer client.Close()
		opts := options()
		sharing, err := breakerredis.New(client, c.circuits, &opts)
		if err != nil {
			return err
		}
		defer sharing.Close()
	}
	ctx, cancel := context.WithCancel(context.Background())
	go func() {
		_, _ = io.Copy(io.Discard, in)
		cancel()
	}()
	c.call(ctx)
	return nil
}

// caller is one process's client and its circuits.
type caller struct {
	url      string
	client   *http.Client
	circuits *breaker.Set
}

func newCaller(url string, tell func(state string)) *caller {
	transport := httpbreaker.New(nil)
	transport.Breakers().Watch(breaker.Hooks{
		StateChanged: func(t breaker.Transition) { tell(t.To.String()) },
	})
	return &caller{url, &http.Client{Transport: transport, Timeout: 5 * time.Second}, transport.Breakers()}
}

// call calls five times a second until ctx is done.
func (c *caller) call(ctx context.Context) {
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	var calls sync.WaitGroup
	defer calls.Wait()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		calls.Go(func() {
			req, err := http.NewRequestWithContext(ctx, http.MethodGet, c.url, nil)
			if err != nil {
				return
			}
			resp, err := c.client.Do(req)
			if err != nil {
				return
			}
			_, _ = io.Copy(io.Discard, resp.Body)
			_ = resp.Body.Close()
		})
	}
}
