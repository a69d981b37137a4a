package main

import (
	"bytes"
	"errors"
	"net/http"
	"net/http/httptest"
	"regexp"
	"sync/atomic"
	"testing"

	"github.com/hashicorp/go-retryablehttp"

	"github.com/seed-0b728cf8/httpbreaker"
	"github.com/seed-0b728cf8/httpbreaker/breaker"
)

// The function is a CheckRetry, without that package being imported by ours.
var _ retryablehttp.CheckRetry = httpbreaker.StopRetryWhenOpen(retryablehttp.DefaultRetryPolicy)

// want is what the example prints, but for the times.
const want = `10 calls, with at most 3 retries each, to a server that fails:

                                  requests  rejected       time
retries, no circuit                     40         0 TIME
retries outside the circuit              5        35 TIME
… with StopRetryWhenOpen                 5         9 TIME
retries inside the circuit              20         5 TIME

requests  reached the server
rejected  were stopped by the open circuit, at once
`

func TestRun(t *testing.T) {
	var out bytes.Buffer
	if err := run(&out); err != nil {
		t.Fatal(err)
	}
	got := regexp.MustCompile(`(?m)(\d) +[\d.]+m?s$`).ReplaceAllString(out.String(), "$1 TIME")
	if got != want {
		t.Errorf("got:\n%s\nwant:\n%s", got, want)
	}
}

// TestStopRetryWhenOpen makes one call against an open circuit.
func TestStopRetryWhenOpen(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		t.Error("a request has reached the server")
	}))
	defer server.Close()
	for _, test := range []struct {
		name     string
		fallback httpbreaker.Fallback
		check    retryablehttp.CheckRetry
		attempts int64
		fails    bool
	}{
		{"retries go on", nil, retryablehttp.DefaultRetryPolicy, 4, true},
		{"so they do if errors are to be handed on", nil, retryablehttp.ErrorPropagatedRetryPolicy, 4, true},
		{"stopped", nil, httpbreaker.StopRetryWhenOpen(retryablehttp.DefaultRetryPolicy), 1, true},
		{"a fallback is an answer", httpbreaker.Respond(200, nil, nil), httpbreaker.StopRetryWhenOpen(retryablehttp.DefaultRetryPolicy), 1, false},
		{"so is one that is an error", httpbreaker.Respond(500, nil, nil), httpbreaker.StopRetryWhenOpen(retryablehttp.DefaultRetryPolicy), 1, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			circuits := breaker.NewSet(breaker.Options{Config: breaker.Config{Mode: breaker.ForceOpen}})
			var attempts atomic.Int64
			client := retrying(counting{&attempts, httpbreaker.New(&httpbreaker.Config{Breakers: circuits, Fallback: test.fallback})})
			client.CheckRetry = test.check
			res, err := client.Get(server.URL)
			if err == nil {
				res.Body.Close()
			}
			if n := attempts.Load(); n != test.attempts {
				t.Errorf("%d attempts; want %d", n, test.attempts)
			}
			if (err != nil) != test.fails {
				t.Errorf("error %v; want one: %v", err, test.fails)
			}
			var open *httpbreaker.OpenError
			if test.fails && !errors.As(err, &open) {
				t.Errorf("error %v; want an *OpenError in it", err)
			}
			if !test.fails && !httpbreaker.IsFallback(res) {
				t.Error("the response is not marked")
			}
		})
	}
}

type counting struct {
	n *atomic.Int64
	http.RoundTripper
}

func (c counting) RoundTrip(req *http.Request) (*http.Response, error) {
	c.n.Add(1)
	return c.RoundTripper.RoundTrip(req)
}
