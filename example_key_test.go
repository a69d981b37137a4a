package httpbreaker_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"

	"github.com/seed-0b728cf8/httpbreaker"
)

func ExampleByHost() {
	for _, url := range []string{
		"https://api.example.com/users/7",
		"https://API.Example.com:443/",
		"http://api.example.com/",
		"https://[2001:DB8::1]:8443/",
	} {
		req, _ := http.NewRequest("GET", url, nil)
		fmt.Println(httpbreaker.ByHost(req))
	}
	// Output:
	// api.example.com
	// api.example.com
	// api.example.com:80
	// [2001:db8::1]:8443
}

// One bad endpoint leaves the others of its host alone.
func ExampleByRoute() {
	key := httpbreaker.ByRoute("GET /users/{id}", "/search/", "POST pay.example.com/charges")
	client := &http.Client{Transport: httpbreaker.New(&httpbreaker.Config{Key: key})}
	_ = client

	for _, url := range []string{
		"https://api.example.com/users/7",
		"https://api.example.com/users/8",
		"https://eu.example.com/users/7",
		"https://api.example.com/search/shoes",
		"https://api.example.com/about",
	} {
		req, _ := http.NewRequest("GET", url, nil)
		fmt.Println(key(req))
	}
	// Output:
	// GET /users/{id} api.example.com
	// GET /users/{id} api.example.com
	// GET /users/{id} eu.example.com
	// /search/ api.example.com
	// api.example.com
}

// A circuit for each tenant of one host, and none for health checks.
func ExampleWithKey() {
	server := httptest.NewServer(http.NotFoundHandler())
	defer server.Close()
	transport := httpbreaker.New(nil)
	client := &http.Client{Transport: transport}

	for _, key := range []string{"tenant-7", "tenant-7", ""} {
		ctx := httpbreaker.WithKey(context.Background(), key)
		req, _ := http.NewRequestWithContext(ctx, "GET", server.URL, nil)
		res, err := client.Do(req)
		if err != nil {
			fmt.Println(err)
			return
		}
		res.Body.Close()
	}
	for _, b := range transport.Breakers().All() {
		fmt.Println(b.Key(), b.Snapshot().Totals.Successes)
	}
	// Output: tenant-7 2
}

// A KeyFunc is any function: here, a circuit for each host and method.
func ExampleKeyFunc() {
	var key httpbreaker.KeyFunc = func(req *http.Request) string {
		return req.Method + " " + httpbreaker.ByHost(req)
	}

	req, _ := http.NewRequest("PUT", "https://api.example.com/users/7", nil)
	fmt.Println(key(req))
	// Output: PUT api.example.com
}
