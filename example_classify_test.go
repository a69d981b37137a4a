package httpbreaker_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"time"

	"github.com/seed-0b728cf8/httpbreaker"
	"github.com/seed-0b728cf8/httpbreaker/breaker"
)

func ExampleDefaultClassifier() {
	for _, status := range []int{200, 404, 429, 501, 503} {
		result := httpbreaker.Result{Response: &http.Response{StatusCode: status}}
		fmt.Println(status, httpbreaker.DefaultClassifier(result))
	}

	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	req, _ := http.NewRequestWithContext(ctx, "GET", "https://api.example.com", nil)
	result := httpbreaker.Result{Request: req, Err: errors.New("any error at all")}
	fmt.Println("cancelled by the caller:", httpbreaker.DefaultClassifier(result))
	// Output:
	// 200 success
	// 404 success
	// 429 ignored
	// 501 success
	// 503 failure
	// cancelled by the caller: ignored
}

// A server that answers bad queries with 500 has not failed, and one that has no
// quota left for us might as well be down.
func ExampleStatuses() {
	classify := httpbreaker.Statuses(nil, breaker.Ignored, 500)
	classify = httpbreaker.Statuses(classify, breaker.Failure, 429)

	client := &http.Client{Transport: httpbreaker.New(&httpbreaker.Config{Classify: classify})}
	_ = client

	for _, status := range []int{429, 500, 503} {
		fmt.Println(status, classify(httpbreaker.Result{Response: &http.Response{StatusCode: status}}))
	}
	// Output:
	// 429 failure
	// 500 ignored
	// 503 failure
}

// What our own dialler refuses says nothing about the host.
func ExampleErrors() {
	errForbidden := errors.New("address not allowed")
	transport := httpbreaker.New(&httpbreaker.Config{
		Base: &http.Transport{
			DialContext: func(context.Context, string, string) (net.Conn, error) { return nil, errForbidden },
		},
		Classify: httpbreaker.Errors(nil, breaker.Ignored, errForbidden),
	})
	client := &http.Client{Transport: transport}

	_, err := client.Get("http://169.254.169.254/")
	fmt.Println(err)
	for _, b := range transport.Breakers().All() {
		fmt.Println(b.Key(), "failures:", b.Snapshot().Totals.Failures)
	}
	// Output:
	// Get "http://169.254.169.254/": address not allowed
	// 169.254.169.254:80 failures: 0
}

// A caller in a hurry does not open the circuit for everybody.
func ExampleDeadlinesOver() {
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		<-r.Context().Done() // never answers
	}))
	defer server.Close()
	transport := httpbreaker.New(&httpbreaker.Config{
		Classify: httpbreaker.DeadlinesOver(nil, time.Second),
	})
	client := &http.Client{Transport: transport, Timeout: 10 * time.Millisecond}

	_, err := client.Get(server.URL)
	fmt.Println("timed out:", errors.Is(err, context.DeadlineExceeded))
	for _, b := range transport.Breakers().All() {
		totals := b.Snapshot().Totals
		fmt.Println("failures:", totals.Failures, "ignored:", totals.Ignored)
	}
	// Output:
	// timed out: true
	// failures: 0 ignored: 1
}

// A classifier of one's own sees the request and the response, and leaves the
// rest to the default.
func ExampleClassifier() {
	var classify httpbreaker.Classifier = func(r httpbreaker.Result) breaker.Outcome {
		if r.Response != nil && strings.HasPrefix(r.Response.Header.Get("X-Backend"), "degraded") {
			return breaker.Failure
		}
		return httpbreaker.DefaultClassifier(r)
	}

	res := &http.Response{StatusCode: 200, Header: http.Header{"X-Backend": {"degraded; cache=cold"}}}
	fmt.Println(classify(httpbreaker.Result{Response: res}))
	// Output: failure
}

// A classifier of one's own sees trailers as well, once the body has been read to its end. This
// one knows that a server answers UNKNOWN for its callers' mistakes.
func ExampleClassifier_gRPC() {
	var classify httpbreaker.Classifier = func(r httpbreaker.Result) breaker.Outcome {
		if r.Err == nil && r.Response != nil && r.Response.Trailer.Get("Grpc-Status") == "2" {
			return breaker.Success
		}
		return httpbreaker.DefaultClassifier(r)
	}

	for _, code := range []string{"0", "2", "14"} {
		res := &http.Response{
			StatusCode: 200,
			Header:     http.Header{"Content-Type": {"application/grpc"}},
			Trailer:    http.Header{"Grpc-Status": {code}},
		}
		fmt.Println(code, classify(httpbreaker.Result{Response: res}))
	}
	// Output:
	// 0 success
	// 2 success
	// 14 failure
}
