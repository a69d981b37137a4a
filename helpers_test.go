package httpbreaker_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"runtime/pprof"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed-0b728cf8/httpbreaker"
	"github.com/seed-0b728cf8/httpbreaker/breaker"
)

// A baseFunc is a base transport made of one function.
type baseFunc func(*http.Request) (*http.Response, error)

func (f baseFunc) RoundTrip(req *http.Request) (*http.Response, error) { return f(req) }

// respond returns a base that answers every request with a status and a body.
func respond(status int, body string) baseFunc {
	return func(req *http.Request) (*http.Response, error) {
		return &http.Response{
			StatusCode: status, Status: http.StatusText(status), ProtoMajor: 1, ProtoMinor: 1,
			Header: make(http.Header), Body: io.NopCloser(bytes.NewReader([]byte(body))),
			ContentLength: int64(len(body)), Request: req,
		}, nil
	}
}

var errBase = errors.New("the base failed")

func failing(*http.Request) (*http.Response, error) { return nil, errBase }

// tripAfter makes a set whose circuits open at n failures and stay open for an hour.
func tripAfter(n int) *breaker.Set {
	return breaker.NewSet(breaker.Options{Config: breaker.Config{Failures: n, OpenFor: time.Hour, MaxOpenFor: time.Hour}})
}

// countsOnly makes a set whose circuits never open by themselves.
func countsOnly() *breaker.Set {
	return breaker.NewSet(breaker.Options{Config: breaker.Config{FailureRate: -1, ConsecutiveFailures: 1 << 30}})
}

// opened returns a transport whose circuit for url is open.
func opened(t testing.TB, url string, cfg httpbreaker.Config) *httpbreaker.Transport {
	t.Helper()
	rt := httpbreaker.New(&cfg)
	trip(t, rt, url)
	return rt
}

func trip(t testing.TB, rt *httpbreaker.Transport, url string) {
	t.Helper()
	rt.Breakers().Get(httpbreaker.ByHost(newRequest(t, "GET", url, nil))).Trip(time.Hour, "tripped by the test")
}

// verdicts says how the calls of all circuits have ended.
type verdicts struct{ Success, Failure, Ignored, Late uint64 }

func verdictsOf(rt *httpbreaker.Transport) (v verdicts) {
	for _, b := range rt.Breakers().All() {
		t := b.Snapshot().Totals
		v.Success += t.Successes
		v.Failure += t.Failures
		v.Ignored += t.Ignored
		v.Late += t.Late
	}
	return v
}

func inFlight(rt *httpbreaker.Transport) (n int) {
	for _, b := range rt.Breakers().All() {
		n += b.Snapshot().InFlight
	}
	return n
}

func stateOf(t testing.TB, rt *httpbreaker.Transport, url string) breaker.State {
	t.Helper()
	b, ok := rt.Breakers().Lookup(httpbreaker.ByHost(newRequest(t, "GET", url, nil)))
	require.True(t, ok, "no circuit for %s", url)
	return b.State()
}

func newRequest(t testing.TB, method, url string, body io.Reader) *http.Request {
	t.Helper()
	req, err := http.NewRequestWithContext(context.Background(), method, url, body)
	require.NoError(t, err)
	return req
}

// A spyBody is a request or response body that notes what is done with it. It has no
// GetBody.
type spyBody struct {
	io.Reader
	reads, closes atomic.Int32
}

func newSpyBody(content string) *spyBody { return &spyBody{Reader: bytes.NewBufferString(content)} }

func (b *spyBody) Read(p []byte) (int, error) { b.reads.Add(1); return b.Reader.Read(p) }
func (b *spyBody) Close() error               { b.closes.Add(1); return nil }

// readerFunc is a reader made of one function.
type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

// A peer is a real server and the transport that reaches it.
type peer struct {
	*httptest.Server
	base  *http.Transport
	major int // version of HTTP
}

// over runs a server for one version of HTTP, and fails the test if anything of it
// outlives it. A test's further servers are to be run by serve.
func over(t *testing.T, major int, h http.Handler) peer {
	t.Helper()
	noLeaks(t)
	return serve(t, major, h)
}

func serve(t *testing.T, major int, h http.Handler) peer {
	t.Helper()
	s := httptest.NewUnstartedServer(h)
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	if major == 2 {
		s.EnableHTTP2 = true
		s.StartTLS()
	} else {
		s.Start()
	}
	p := peer{s, s.Client().Transport.(*http.Transport), major}
	t.Cleanup(func() {
		p.base.CloseIdleConnections()
		s.CloseClientConnections()
		s.Close()
	})
	return p
}

// eachProtocol runs test over HTTP/1.1 and HTTP/2, with a server for each.
func eachProtocol(t *testing.T, h http.HandlerFunc, test func(*testing.T, peer)) {
	t.Helper()
	t.Run("HTTP 1.1", func(t *testing.T) { test(t, over(t, 1, h)) })
	t.Run("HTTP 2", func(t *testing.T) { test(t, over(t, 2, h)) })
}

// noLeaks fails the test if it leaves more goroutines in net/http than it found.
func noLeaks(t testing.TB) {
	t.Helper()
	before := len(httpGoroutines())
	t.Cleanup(func() {
		if !t.Failed() && !eventually(func() bool { return len(httpGoroutines()) <= before }) {
			t.Errorf("goroutines left behind:\n\n%s", bytes.Join(httpGoroutines(), []byte("\n\n")))
		}
	})
}

func httpGoroutines() (stacks [][]byte) {
	var buf bytes.Buffer
	_ = pprof.Lookup("goroutine").WriteTo(&buf, 2)
	for _, stack := range bytes.Split(buf.Bytes(), []byte("\n\n")) {
		if bytes.Contains(stack, []byte("net/http")) {
			stacks = append(stacks, stack)
		}
	}
	return stacks
}

// eventually waits for what another goroutine is about to do.
func eventually(done func() bool) bool {
	ticker := time.NewTicker(time.Millisecond)
	defer ticker.Stop()
	for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); <-ticker.C {
		if done() {
			return true
		}
	}
	return done()
}
