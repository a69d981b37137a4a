// Perroute shows circuits for each route of a host, rules for each host, and rules that
// are reloaded while the program runs:
//
//	go run ./examples/perroute
//
// The rules are in a JSON file, which is read again on SIGHUP. So that one command shows
// it all, the program writes that file itself and sends itself the signal.
package main

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/seed-0b728cf8/httpbreaker"
	"github.com/seed-0b728cf8/httpbreaker/breaker"
)

func main() {
	if err := run(os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "perroute:", err)
		os.Exit(1)
	}
}

func run(w io.Writer) error {
	// The shop's search is out of order, the rest of it is well, at first. The partner
	// is out of order altogether.
	var usersBroken atomic.Bool
	mux := http.NewServeMux()
	mux.HandleFunc("/search", fail)
	mux.HandleFunc("/users/{id}", func(w http.ResponseWriter, req *http.Request) {
		if usersBroken.Load() {
			fail(w, req)
		}
	})
	shop := httptest.NewServer(mux)
	defer shop.Close()
	partner := httptest.NewServer(http.HandlerFunc(fail))
	defer partner.Close()
	partnerHost := strings.TrimPrefix(partner.URL, "http://")

	dir, err := os.MkdirTemp("", "perroute")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	file := filepath.Join(dir, "breakers.json")
	write := func(text string) error {
		fmt.Fprintf(w, "%s\n\n", text)
		return os.WriteFile(file, []byte(text), 0o600)
	}

	fmt.Fprintf(w, "shop = %s, partner = %s\n\n", shop.URL, partner.URL)
	if err := write(`{
  "default": {"consecutive_failures": 4, "consecutive_span": "-1s", "open_for": "1m"},
  "hosts": {"` + partnerHost + `": {"consecutive_failures": 2}}
}`); err != nil {
		return err
	}
	options, err := load(file)
	if err != nil {
		return err
	}
	circuits := breaker.NewSet(options)
	client := &http.Client{
		Transport: httpbreaker.New(&httpbreaker.Config{
			Breakers: circuits,
			Key:      httpbreaker.ByRoute("GET /search", "GET /users/{id}"),
		}),
		Timeout: time.Second,
	}
	defer client.CloseIdleConnections()

	// On SIGHUP the rules are read again. Circuits that are open stay open, and a file
	// with a mistake in it changes nothing.
	hup := make(chan os.Signal, 1)
	signal.Notify(hup, syscall.SIGHUP)
	defer close(hup)
	defer signal.Stop(hup)
	reloaded := make(chan error)
	go func() {
		for range hup {
			options, err := load(file)
			if err == nil {
				err = circuits.Update(options)
			}
			reloaded <- err
		}
	}()
	reload := func() error {
		self, err := os.FindProcess(os.Getpid())
		if err != nil {
			return err
		}
		if err := self.Signal(syscall.SIGHUP); err != nil {
			return err
		}
		return <-reloaded
	}

	get(w, client, shop.URL+"/search?q=shoes", 6)
	get(w, client, shop.URL+"/users/1", 3)
	get(w, client, shop.URL+"/users/2", 3)
	get(w, client, partner.URL+"/offers", 6)
	show(w, circuits)

	fmt.Fprint(w, "Now one failure is enough for everybody: kill -HUP.\n\n")
	if err := write(`{"default": {"consecutive_failures": 1, "consecutive_span": "-1s", "open_for": "1m"}}`); err != nil {
		return err
	}
	if err := reload(); err != nil {
		return err
	}
	usersBroken.Store(true)
	get(w, client, shop.URL+"/users/3", 3)
	show(w, circuits)

	fmt.Fprint(w, "A file with mistakes is refused as a whole: kill -HUP.\n\n")
	if err := write(`{"default": {"failure_rate": 50, "window": "-10s"}}`); err != nil {
		return err
	}
	fmt.Fprintf(w, "%v\n", reload())
	return nil
}

func fail(w http.ResponseWriter, _ *http.Request) {
	http.Error(w, "out of order", http.StatusInternalServerError)
}

// get makes n requests one after the other and prints what became of them.
func get(w io.Writer, client *http.Client, url string, n int) {
	var results []string
	for range n {
		res, err := client.Get(url)
		if err != nil {
			results = append(results, "rejected")
			continue
		}
		_, _ = io.Copy(io.Discard, res.Body)
		res.Body.Close()
		results = append(results, fmt.Sprint(res.StatusCode))
	}
	fmt.Fprintf(w, "GET %s  %s\n", url, strings.Join(results, " "))
}

// show prints the circuits.
func show(w io.Writer, circuits *breaker.Set) {
	var lines []string
	for key, b := range circuits.All() {
		s := b.Snapshot()
		lines = append(lines, fmt.Sprintf("  %-34s %-7v %s", key, s.State, s.Reason))
	}
	slices.Sort(lines)
	for _, line := range lines {
		fmt.Fprintln(w, strings.TrimRight(line, " "))
	}
	fmt.Fprintln(w)
}
