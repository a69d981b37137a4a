package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/redis/go-redis/v9"

	"github.com/seed-0b728cf8/httpbreaker"
	"github.com/seed-0b728cf8/httpbreaker/breaker"
	"github.com/seed-0b728cf8/httpbreaker/contrib/breakerprom"
	"github.com/seed-0b728cf8/httpbreaker/contrib/breakerredis"
	"github.com/seed-0b728cf8/httpbreaker/contrib/breakerredis/fleet"
	"github.com/seed-0b728cf8/httpbreaker/internal/doctest"
	"github.com/seed-0b728cf8/httpbreaker/statuspage"
)

// The code of the pages on fleets and on operating is here, word for word, and no
// link is dead.
func TestDocs(t *testing.T) {
	doctest.Check(t, "../../docs/fleet.md", "*_test.go")
	doctest.Check(t, "../../docs/operating.md", "*_test.go")
}

// A fleet is seen on the status page and in the metrics, and set to a mode from
// the page, all with a Redis that goes away.
func TestSeeing(t *testing.T) {
	addr, stop, err := startRedis()
	if err != nil {
		skip(t, err.Error())
	}
	defer stop()
	client := redis.NewClient(&redis.Options{Addr: addr})
	defer client.Close()
	circuits, others := breaker.NewSet(breaker.Options{}), breaker.NewSet(breaker.Options{})
	sharing, err := breakerredis.New(client, circuits, &breakerredis.Options{Fleet: "test"})
	if err != nil {
		t.Fatal(err)
	}
	defer sharing.Close()
	other, err := breakerredis.New(client, others, &breakerredis.Options{Fleet: "test"})
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()

	debug := http.NewServeMux()
	seeing(debug, circuits, sharing, func(*http.Request) bool { return true })
	debug.Handle("/metrics", promhttp.Handler())
	server := httptest.NewServer(debug)
	defer server.Close()
	shows := func(path string, texts ...string) {
		t.Helper()
		var got string
		for end := time.Now().Add(20 * time.Second); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
			got = read(http.Get(server.URL + path))
			all := true
			for _, text := range texts {
				all = all && strings.Contains(got, text)
			}
			if all {
				return
			}
		}
		t.Fatalf("%s does not show %q: %s", path, texts, got)
	}
	set := func() (status int, answer string) {
		resp, err := http.PostForm(server.URL+"/debug/circuits/fleet/mode", url.Values{
			"key": {"payments.example:80"}, "mode": {"force-open"}, "for": {"1h"}, "reason": {"maintenance"},
		})
		return resp.StatusCode, read(resp, err)
	}

	shows("/debug/circuits/circuits", `"fleet":"test"`, `"reachable":true`, `"listening":true`)
	shows("/metrics", `httpbreaker_fleet_reachable{fleet="test"} 1`, `httpbreaker_fleet_listening{fleet="test"} 1`)
	if status, answer := set(); status != http.StatusOK {
		t.Fatal(answer)
	}
	shows("/debug/circuits/circuits", `"key":"payments.example:80","mode":"force-open","reason":"maintenance"`)
	for others.Get("payments.example:80").Snapshot().Mode != breaker.ForceOpen {
		time.Sleep(50 * time.Millisecond)
	}

	stop()
	if status, answer := set(); status != http.StatusBadGateway || !strings.Contains(answer, "no confirmation that the mode was set") {
		t.Error(status, answer)
	}
	for range 10 {
		if p, err := circuits.Get("api.example.com").Allow(t.Context()); err == nil {
			p.Fail(io.ErrUnexpectedEOF) // so that there is something to tell
		}
	}
	shows("/debug/circuits/circuits", `"reachable":false`, `connection refused`)
	shows("/metrics", `httpbreaker_fleet_reachable{fleet="test"} 0`)
}

func read(resp *http.Response, err error) string {
	if err != nil {
		return err.Error()
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	return fmt.Sprint(string(body), err)
}

func seeing(debug *http.ServeMux, circuits *breaker.Set, sharing *fleet.Fleet, isOperator func(*http.Request) bool) {
	debug.Handle("/debug/circuits/", statuspage.New(circuits, &statuspage.Options{Fleet: sharing, Control: isOperator}))
	prometheus.MustRegister(breakerprom.NewCollector(circuits, &breakerprom.Options{Fleet: sharing}))
}

// What follows is compiled, and called by nobody.

func _(transport *httpbreaker.Transport) error {
	client := redis.NewUniversalClient(&redis.UniversalOptions{Addrs: []string{"redis:6379"}})
	sharing, err := breakerredis.New(client, transport.Breakers(), &breakerredis.Options{Fleet: "checkout"})
	if err != nil {
		return err
	}
	defer sharing.Close()
	return nil
}

func _(ctx context.Context, sharing *fleet.Fleet) error {
	err := sharing.SetMode(ctx, fleet.Mode{
		Key:  "payments.example:80", // "" for all circuits, those to come included
		Mode: breaker.ForceOpen, Reason: "maintenance of payments", By: "alice", For: time.Hour,
	})
	return err
}

func _(debug *http.ServeMux) *http.Client {
	circuits := breaker.NewSet(breaker.Options{
		Hooks: []breaker.Hooks{breaker.LogHooks(slog.Default())},
	})
	client := &http.Client{Transport: httpbreaker.New(&httpbreaker.Config{Breakers: circuits})}

	debug.Handle("/debug/circuits/", statuspage.New(circuits, nil))
	prometheus.MustRegister(breakerprom.NewCollector(circuits, nil))
	return client
}

func _(mux *http.ServeMux, circuits *breaker.Set) {
	mux.Handle("GET /status/health", statuspage.New(circuits, nil)) // and nothing else of the page

	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintln(w, "ok") // this process; no circuit has a say here
	})

	circuits.Get("api.example.com").SetMode(breaker.ForceOpen, "maintenance until 14:00, by alice")
	circuits.SetMode(breaker.Disabled, "the breakers are to blame, by alice") // the kill switch
}

func _() *breaker.Set {
	circuits := breaker.NewSet(breaker.Options{Config: breaker.Config{Mode: breaker.Observe}})
	return circuits
}

func _() breaker.Options {
	return breaker.Options{
		Override: func(key string, c *breaker.Config) {
			if key == "search.example.com" {
				c.Mode = breaker.Enforce
			}
		},
	}
}
