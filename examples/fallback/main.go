// Fallback shows what a caller can get instead of an error while a host is failing:
//
//	go run ./examples/fallback
//
// A weather server answers, then breaks down. Three clients ask it, each with another
// fallback: an answer made up beforehand, the answer of a replica, and the last good
// answer, kept by a function of our own.
package main

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/seed-0b728cf8/httpbreaker"
	"github.com/seed-0b728cf8/httpbreaker/breaker"
)

func main() {
	if err := run(os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "fallback:", err)
		os.Exit(1)
	}
}

func run(w io.Writer) error {
	var broken atomic.Bool
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if broken.Load() {
			http.Error(w, "out of order", http.StatusInternalServerError)
			return
		}
		fmt.Fprint(w, "sunny, says the server")
	}))
	defer server.Close()
	replica := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		fmt.Fprint(w, "sunny, says the replica")
	}))
	defer replica.Close()
	replicaURL, err := url.Parse(replica.URL)
	if err != nil {
		return err
	}
	last := &lastGood{}

	for _, example := range []struct {
		title string
		cfg   httpbreaker.Config
	}{
		{"An answer made up beforehand, once the circuit is open", httpbreaker.Config{
			Fallback: httpbreaker.Respond(http.StatusServiceUnavailable,
				http.Header{"Content-Type": {"application/json"}}, []byte(`{"weather":"unknown"}`)),
		}},
		{"A replica, also for the requests that fail before the circuit is open", httpbreaker.Config{
			Fallback:          httpbreaker.Reroute(sendTo{replicaURL, http.DefaultTransport}),
			FallbackOnFailure: true,
		}},
		{"The last good answer, by a function of our own", httpbreaker.Config{
			Fallback:          last.fallback,
			FallbackOnFailure: true,
		}},
	} {
		fmt.Fprintf(w, "%s\n\n", example.title)
		broken.Store(false)
		// Two failures in a row open the circuit here, so that the example is short.
		example.cfg.Breakers = breaker.NewSet(breaker.Options{
			Config: breaker.Config{ConsecutiveFailures: 2, ConsecutiveSpan: -1},
		})
		client := &http.Client{Transport: httpbreaker.New(&example.cfg), Timeout: time.Second}
		for n := range 4 {
			broken.Store(n > 0) // after the first request
			if err := ask(w, client, server.URL+"/berlin", last); err != nil {
				return err
			}
		}
		client.CloseIdleConnections()
		fmt.Fprintln(w)
	}
	return nil
}

// ask makes one request and prints what came back.
func ask(w io.Writer, client *http.Client, url string, last *lastGood) error {
	res, err := client.Get(url)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		return err
	}
	from := "the server"
	switch {
	case httpbreaker.IsFallback(res):
		from = "fallback: " + res.Header.Get("Proxy-Status")
	case res.StatusCode == http.StatusOK:
		last.keep(url, body)
	}
	fmt.Fprintf(w, "  %d  %-24s %s\n", res.StatusCode, strings.TrimSpace(string(body)), from)
	for _, field := range []string{"Age", "Retry-After"} {
		if value := res.Header.Get(field); value != "" {
			fmt.Fprintf(w, "       %s: %s\n", field, value)
		}
	}
	return nil
}

// sendTo sends requests to another server. A RoundTripper must not change the request
// that it is given, so it sends a copy.
type sendTo struct {
	server *url.URL
	http.RoundTripper
}

func (s sendTo) RoundTrip(req *http.Request) (*http.Response, error) {
	req = req.Clone(req.Context())
	req.URL.Scheme, req.URL.Host, req.Host = s.server.Scheme, s.server.Host, ""
	return s.RoundTripper.RoundTrip(req)
}

// lastGood keeps the last good answer to each URL. It is for answers that are the same
// for everybody: what was sent for one user's cookie or token must never be kept for
// the next one. Where URLs are many it would need a bound as well.
type lastGood struct{ answers sync.Map } // URL → kept

type kept struct {
	body []byte
	at   time.Time
}

func (l *lastGood) keep(url string, body []byte) { l.answers.Store(url, kept{body, time.Now()}) }

// fallback is an httpbreaker.Fallback. Whatever it leaves out of the response, such as
// Status and Proto, is filled in.
func (l *lastGood) fallback(r httpbreaker.Result) (*http.Response, error) {
	v, ok := l.answers.Load(r.Request.URL.String())
	if !ok || r.Request.Method != http.MethodGet {
		return nil, nil // declined: the caller gets the error or response as it was
	}
	last := v.(kept)
	return &http.Response{
		StatusCode: http.StatusOK,
		Header:     http.Header{"Age": {strconv.Itoa(int(time.Since(last.at).Seconds()))}},
		Body:       io.NopCloser(strings.NewReader(string(last.body))),
	}, nil
}
