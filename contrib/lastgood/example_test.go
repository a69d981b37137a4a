package lastgood_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"time"

	"github.com/seed-0b728cf8/httpbreaker"
	"github.com/seed-0b728cf8/httpbreaker/contrib/lastgood"
)

func Example() {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		fmt.Fprint(w, "1 EUR = 1.17 USD")
	}))

	cache := lastgood.New(&lastgood.Options{MaxStale: time.Hour})
	client := &http.Client{Transport: httpbreaker.New(&httpbreaker.Config{
		Base:              cache.Transport(nil), // keeps answers
		Fallback:          cache.Fallback,       // gives them
		FallbackOnFailure: true,                 // also before the circuit is open
	})}
	for range 2 {
		res, err := client.Get(server.URL + "/rate")
		if err != nil {
			fmt.Println(err)
			return
		}
		body, _ := io.ReadAll(res.Body)
		res.Body.Close()
		fmt.Printf("%s, fallback: %v, age: %q\n", body, httpbreaker.IsFallback(res), res.Header.Get("Age"))
		server.Close() // the second request finds no host
	}
	// Output:
	// 1 EUR = 1.17 USD, fallback: false, age: ""
	// 1 EUR = 1.17 USD, fallback: true, age: "0"
}

// A client that always acts for the same account is one user, whose answers can be kept although
// its requests have credentials.
func ExampleOptions_oneAccount() {
	cache := lastgood.New(&lastgood.Options{
		User: func(*http.Request) string { return "billing" },
	})
	_ = httpbreaker.Config{Base: cache.Transport(nil), Fallback: cache.Fallback}
}

type userID struct{}

// A gateway has put into the context of each request whom it has authenticated.
func ExampleOptions_gateway() {
	cache := lastgood.New(&lastgood.Options{
		User: func(req *http.Request) string {
			id, _ := req.Context().Value(userID{}).(string)
			return id // "" for visitors who have not logged in
		},
	})
	_ = httpbreaker.Config{Base: cache.Transport(nil), Fallback: cache.Fallback}
}

// Where there is no last good answer, another fallback may have one.
func ExampleCache_Fallback() {
	cache := lastgood.New(nil)
	unavailable := httpbreaker.Respond(http.StatusServiceUnavailable, nil, []byte("come back later"))
	_ = httpbreaker.Config{
		Base: cache.Transport(nil),
		Fallback: func(r httpbreaker.Result) (*http.Response, error) {
			if res, err := cache.Fallback(r); res != nil || err != nil {
				return res, err
			}
			return unavailable(r)
		},
	}
}
