package httpbreaker_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"time"

	"github.com/seed-0b728cf8/httpbreaker"
	"github.com/seed-0b728cf8/httpbreaker/breaker"
)

// brokenServer answers everything with 500.
func brokenServer() *httptest.Server {
	return httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusInternalServerError)
	}))
}

// impatient opens a circuit at the third failure, for a minute.
func impatient() *breaker.Set {
	return breaker.NewSet(breaker.Options{
		Config: breaker.Config{Failures: 3, OpenFor: time.Minute, ProbeShare: -1, Jitter: -1},
	})
}

func ExampleNew() {
	server := brokenServer()
	defer server.Close()

	client := &http.Client{Transport: httpbreaker.New(&httpbreaker.Config{Breakers: impatient()})}
	defer client.CloseIdleConnections()
	for range 5 {
		res, err := client.Get(server.URL)
		if err != nil {
			fmt.Println("rejected:", errors.Is(err, httpbreaker.ErrOpen))
			continue
		}
		fmt.Println(res.Status)
		res.Body.Close()
	}
	// Output:
	// 500 Internal Server Error
	// 500 Internal Server Error
	// 500 Internal Server Error
	// rejected: true
	// rejected: true
}

func ExampleOpenError() {
	server := brokenServer()
	defer server.Close()
	client := &http.Client{Transport: httpbreaker.New(&httpbreaker.Config{Breakers: impatient()})}
	defer client.CloseIdleConnections()

	for {
		res, err := client.Get(server.URL)
		var open *httpbreaker.OpenError
		if errors.As(err, &open) {
			fmt.Println("who:  ", "http://"+open.Key == server.URL)
			fmt.Println("why:  ", open.Reason)
			fmt.Println("last: ", open.Last)
			fmt.Println("until:", open.RetryAfter().Round(time.Second))
			return
		}
		res.Body.Close()
	}
	// Output:
	// who:   true
	// why:   3 calls failed in 10s
	// last:  500 Internal Server Error
	// until: 1m0s
}

// A function can answer from whatever it has at hand, and decline where it has nothing.
func ExampleFallback() {
	server := brokenServer()
	defer server.Close()
	cache := map[string]string{"/prices": "yesterday's prices"}

	client := &http.Client{Transport: httpbreaker.New(&httpbreaker.Config{
		Breakers:          impatient(),
		FallbackOnFailure: true,
		Fallback: func(r httpbreaker.Result) (*http.Response, error) {
			page, ok := cache[r.Request.URL.Path]
			if !ok || r.Request.Method != http.MethodGet {
				return nil, nil
			}
			return &http.Response{StatusCode: http.StatusOK, Body: io.NopCloser(strings.NewReader(page))}, nil
		},
	})}
	defer client.CloseIdleConnections()

	for _, path := range []string{"/prices", "/orders"} {
		res, err := client.Get(server.URL + path)
		if err != nil {
			fmt.Println(err)
			return
		}
		body, _ := io.ReadAll(res.Body)
		res.Body.Close()
		fmt.Printf("%s: %s %s\n", path, res.Status, body)
	}
	// Output:
	// /prices: 200 OK yesterday's prices
	// /orders: 500 Internal Server Error
}

func ExampleRespond() {
	transport := httpbreaker.New(&httpbreaker.Config{
		Fallback: httpbreaker.Respond(http.StatusOK,
			http.Header{"Content-Type": {"application/json"}}, []byte(`{"recommendations":[]}`)),
	})
	transport.Breakers().Get("recommendations.test").SetMode(breaker.ForceOpen, "maintenance")

	client := &http.Client{Transport: transport}
	res, err := client.Get("https://recommendations.test/for/42")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer res.Body.Close()
	body, _ := io.ReadAll(res.Body)
	fmt.Println(res.Status, string(body))
	fmt.Println(res.Header.Get("Proxy-Status"))
	// Output:
	// 200 OK {"recommendations":[]}
	// httpbreaker; error=destination_unavailable; details="circuit open: maintenance"
}

type roundTripperFunc func(*http.Request) (*http.Response, error)

func (f roundTripperFunc) RoundTrip(req *http.Request) (*http.Response, error) { return f(req) }

func ExampleReroute() {
	standby := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		fmt.Fprintf(w, "the standby's %s", req.URL.Path)
	}))
	defer standby.Close()

	toStandby := roundTripperFunc(func(req *http.Request) (*http.Response, error) {
		u, err := url.Parse(standby.URL)
		if err != nil {
			return nil, err
		}
		req = req.Clone(req.Context())
		req.URL.Scheme, req.URL.Host, req.Host = u.Scheme, u.Host, ""
		return http.DefaultTransport.RoundTrip(req)
	})
	transport := httpbreaker.New(&httpbreaker.Config{Fallback: httpbreaker.Reroute(toStandby)})
	transport.Breakers().Get("api.test").SetMode(breaker.ForceOpen, "maintenance")

	client := &http.Client{Transport: transport}
	res, err := client.Get("https://api.test/prices")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer res.Body.Close()
	body, _ := io.ReadAll(res.Body)
	fmt.Println(string(body))
	// Output: the standby's /prices
}

func ExampleIsFallback() {
	transport := httpbreaker.New(&httpbreaker.Config{Fallback: httpbreaker.Respond(http.StatusOK, nil, nil)})
	client := &http.Client{Transport: transport, Timeout: time.Minute}
	server := httptest.NewServer(http.NotFoundHandler())
	defer server.Close()
	defer client.CloseIdleConnections()

	for range 2 {
		res, err := client.Get(server.URL)
		if err != nil {
			fmt.Println(err)
			return
		}
		res.Body.Close()
		fmt.Println(res.StatusCode, httpbreaker.IsFallback(res))
		for _, b := range transport.Breakers().All() {
			b.Trip(time.Minute, "for the second request")
		}
	}
	// Output:
	// 404 false
	// 200 true
}

func ExampleProxyErrorHandler() {
	transport := httpbreaker.New(nil)
	transport.Breakers().Get("backend.test").Trip(30*time.Second, "deployment")

	proxy := &httputil.ReverseProxy{
		Rewrite:      func(r *httputil.ProxyRequest) { r.SetURL(&url.URL{Scheme: "https", Host: "backend.test"}) },
		Transport:    transport,
		ErrorHandler: httpbreaker.ProxyErrorHandler(nil),
	}
	rec := httptest.NewRecorder()
	proxy.ServeHTTP(rec, httptest.NewRequest("GET", "/", nil))
	fmt.Println(rec.Code, "Retry-After:", rec.Header().Get("Retry-After"))
	// Output: 503 Retry-After: 30
}

// The function has the type of a CheckRetry of github.com/hashicorp/go-retryablehttp. Here
// it controls a loop.
func ExampleStopRetryWhenOpen() {
	server := brokenServer()
	defer server.Close()
	client := &http.Client{Transport: httpbreaker.New(&httpbreaker.Config{Breakers: impatient()})}
	defer client.CloseIdleConnections()

	checkRetry := httpbreaker.StopRetryWhenOpen(func(_ context.Context, res *http.Response, err error) (bool, error) {
		return err != nil || res.StatusCode >= 500, nil
	})
	for attempt := 1; attempt <= 100; attempt++ {
		res, err := client.Get(server.URL)
		if err == nil {
			res.Body.Close()
		}
		if again, _ := checkRetry(context.Background(), res, err); !again {
			fmt.Println("gave up at attempt", attempt)
			return
		}
	}
	// Output: gave up at attempt 4
}
