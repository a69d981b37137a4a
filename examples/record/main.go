// Record shows how to write down the calls of a service, to try other settings of the
// breaker on them later:
//
//	go run ./examples/record
//	go run ./bench/tune -replay calls.log
//
// A client calls a server that goes down for a while. What becomes of the calls, those
// included that the circuit rejects, is in calls.log then.
package main

import (
	"errors"
	"flag"
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
	"github.com/seed-0b728cf8/httpbreaker/record"
)

func main() {
	file := flag.String("o", "calls.log", "the recording, `file`")
	flag.Parse()
	if err := run(*file, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "record:", err)
		os.Exit(1)
	}
}

func run(name string, out io.Writer) error {
	var down atomic.Bool
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if down.Load() {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
	}))
	defer server.Close()

	// A service would append, so that a restart goes on where it was.
	file, err := os.OpenFile(name, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer file.Close()
	recorder := record.New(file, nil) // or &record.Options{KeySecret: …}, where names of hosts must not leave the house
	circuits := breaker.NewSet(breaker.Options{
		Config: breaker.Config{ConsecutiveFailures: 3, ConsecutiveSpan: -1, OpenFor: 200 * time.Millisecond, Jitter: -1},
		Hooks:  []breaker.Hooks{recorder.Hooks()},
	})
	client := &http.Client{Transport: httpbreaker.New(&httpbreaker.Config{Breakers: circuits})}

	answered, failed, rejected := 0, 0, 0
	for i := range 60 {
		down.Store(i >= 20 && i < 40)
		switch res, err := client.Get(server.URL); {
		case errors.Is(err, httpbreaker.ErrOpen):
			rejected++
		case err != nil:
			return err
		default:
			_ = res.Body.Close()
			if res.StatusCode < 500 {
				answered++
			} else {
				failed++
			}
		}
		time.Sleep(20 * time.Millisecond)
	}
	fmt.Fprintf(out, "%d calls were answered, %d failed, %d were rejected.\n", answered, failed, rejected)

	// Close writes what is still in memory.
	if err := recorder.Close(); err != nil {
		return err
	}
	s := recorder.Stats()
	fmt.Fprintf(out, "%d of them are in %s, %d had to be dropped. It begins like this:\n\n", s.Written, name, s.Dropped)
	text, err := os.ReadFile(name)
	if err != nil {
		return err
	}
	lines := strings.SplitAfter(string(text), "\n")
	fmt.Fprintf(out, "%s\nReplay it, in a clone of this repository:\n\n\tgo run ./bench/tune -replay %s\n", strings.Join(lines[:min(3, len(lines))], ""), name)
	return nil
}
