package breakerprom_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/seed-0b728cf8/httpbreaker/breaker"
	"github.com/seed-0b728cf8/httpbreaker/contrib/breakerprom"
)

func Example() {
	set := breaker.NewSet(breaker.Options{}) // the Breakers of an httpbreaker.Config

	registry := prometheus.NewRegistry()
	registry.MustRegister(breakerprom.NewCollector(set, nil))
	metrics := httptest.NewServer(promhttp.HandlerFor(registry, promhttp.HandlerOpts{}))
	defer metrics.Close()

	for range 3 {
		_, err := breaker.Do(context.Background(), set.Get("api.example.com"), func(context.Context) (string, error) {
			return "hello", nil
		})
		if err != nil {
			fmt.Println(err)
		}
	}
	set.Get("www.example.com").SetMode(breaker.ForceOpen, "moving to another data centre")

	resp, err := http.Get(metrics.URL)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer resp.Body.Close()
	text, _ := io.ReadAll(resp.Body)
	for line := range strings.Lines(string(text)) {
		if strings.HasPrefix(line, "httpbreaker_circuit_state") ||
			strings.HasPrefix(line, "httpbreaker_circuit_mode") ||
			strings.HasPrefix(line, "httpbreaker_circuit_calls_total{key=\"api") {
			fmt.Print(line)
		}
	}
	// Output:
	// httpbreaker_circuit_calls_total{key="api.example.com",outcome="failure"} 0
	// httpbreaker_circuit_calls_total{key="api.example.com",outcome="ignored"} 0
	// httpbreaker_circuit_calls_total{key="api.example.com",outcome="success"} 3
	// httpbreaker_circuit_mode{key="api.example.com",mode="enforce"} 1
	// httpbreaker_circuit_mode{key="www.example.com",mode="force-open"} 1
	// httpbreaker_circuit_state{key="api.example.com"} 0
	// httpbreaker_circuit_state{key="www.example.com"} 1
}
