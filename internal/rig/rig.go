// Package rig is what the tests of this module share: base transports that do as they are
// told, bodies that note what is done with them, real servers, and a look at how the calls
// of a Transport have ended.
package rig

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"runtime/pprof"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed-0b728cf8/httpbreaker"
	"github.com/seed-0b728cf8/httpbreaker/breaker"
)

// A BaseFunc is a base transport made of one function.
type BaseFunc func(*http.Request) (*http.Response, error)

func (f BaseFunc) RoundTrip(req *http.Request) (*http.Response, error) { return f(req) }

// Respond returns a base that answers every request with a status and a body.
func Respond(status int, body string) BaseFunc {
	return func(req *http.Request) (*http.Response, error) {
		return &http.Response{
			StatusCode: status, Status: http.StatusText(status), ProtoMajor: 1, ProtoMinor: 1,
			Header: make(http.Header), Body: io.NopCloser(bytes.NewReader([]byte(body))),
			ContentLength: int64(len(body)), Request: req,
		}, nil
	}
}

var ErrBase = errors.New("the base failed")

func Failing(*http.Request) (*http.Response, error) { return nil, ErrBase }

// TripAfter makes a set whose circuits open at n failures and stay open for an hour.
func TripAfter(n int) *breaker.Set {
	return breaker.NewSet(breaker.Options{Config: breaker.Config{
		Failures: n, ShedRate: -1, OpenFor: time.Hour, MaxOpenFor: time.Hour, ProbeShare: -1,
	}})
}

// CountsOnly makes a set whose circuits never open by themselves.
func CountsOnly() *breaker.Set {
	return breaker.NewSet(breaker.Options{Config: breaker.Config{ShedRate: -1, HangAfter: -1, ConsecutiveFailures: 1 << 30}})
}

// Opened returns a transport whose circuit for url is open.
func Opened(t testing.TB, url string, cfg httpbreaker.Config) *httpbreaker.Transport {
	t.Helper()
	rt := httpbreaker.New(&cfg)
	Trip(t, rt, url)
	return rt
}

func Trip(t testing.TB, rt *httpbreaker.Transport, url string) {
	t.Helper()
	rt.Breakers().Get(httpbreaker.ByHost(NewRequest(t, "GET", url, nil))).Trip(time.Hour, "tripped by the test")
}

// Verdicts says how the calls of all circuits have ended.
type Verdicts struct{ Success, Failure, Ignored, Late uint64 }

func VerdictsOf(rt *httpbreaker.Transport) (v Verdicts) {
	for _, b := range rt.Breakers().All() {
		t := b.Snapshot().Totals
		v.Success += t.Successes
		v.Failure += t.Failures
		v.Ignored += t.Ignored
		v.Late += t.Late
	}
	return v
}

func InFlight(rt *httpbreaker.Transport) (n int) {
	for _, b := range rt.Breakers().All() {
		n += b.Snapshot().InFlight
	}
	return n
}

func StateOf(t testing.TB, rt *httpbreaker.Transport, url string) breaker.State {
	t.Helper()
	b, ok := rt.Breakers().Lookup(httpbreaker.ByHost(NewRequest(t, "GET", url, nil)))
	require.True(t, ok, "no circuit for %s", url)
	return b.State()
}

func NewRequest(t testing.TB, method, url string, body io.Reader) *http.Request {
	t.Helper()
	req, err := http.NewRequestWithContext(context.Background(), method, url, body)
	require.NoError(t, err)
	return req
}

// A SpyBody is a request or response body that notes what is done with it. It has no
// GetBody.
type SpyBody struct {
	io.Reader
	Reads, Closes atomic.Int32
}

func NewSpyBody(content string) *SpyBody { return &SpyBody{Reader: bytes.NewBufferString(content)} }

func (b *SpyBody) Read(p []byte) (int, error) { b.Reads.Add(1); return b.Reader.Read(p) }
func (b *SpyBody) Close() error               { b.Closes.Add(1); return nil }

// ReaderFunc is a reader made of one function.
type ReaderFunc func([]byte) (int, error)

func (f ReaderFunc) Read(p []byte) (int, error) { return f(p) }

// A Peer is a real server and the transport that reaches it.
type Peer struct {
	*httptest.Server
	Base  *http.Transport
	Major int // version of HTTP
}

// Over runs a server for one version of HTTP, and fails the test if anything of it
// outlives it. A test's further servers are to be run by Serve.
func Over(t *testing.T, major int, h http.Handler) Peer {
	t.Helper()
	NoLeaks(t)
	return Serve(t, major, h)
}

func Serve(t *testing.T, major int, h http.Handler) Peer {
	t.Helper()
	s := httptest.NewUnstartedServer(h)
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	if major == 2 {
		s.EnableHTTP2 = true
		s.StartTLS()
	} else {
		s.Start()
	}
	p := Peer{s, s.Client().Transport.(*http.Transport), major}
	t.Cleanup(func() {
		p.Base.CloseIdleConnections()
		s.CloseClientConnections()
		s.Close()
	})
	return p
}

// EachProtocol runs test over HTTP/1.1 and HTTP/2, with a server for each.
func EachProtocol(t *testing.T, h http.HandlerFunc, test func(*testing.T, Peer)) {
	t.Helper()
	t.Run("HTTP 1.1", func(t *testing.T) { test(t, Over(t, 1, h)) })
	t.Run("HTTP 2", func(t *testing.T) { test(t, Over(t, 2, h)) })
}

// NoLeaks fails the test if it leaves more goroutines in net/http than it found.
func NoLeaks(t testing.TB) {
	t.Helper()
	before := len(httpGoroutines())
	t.Cleanup(func() {
		if !t.Failed() && !Eventually(func() bool { return len(httpGoroutines()) <= before }) {
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

// Eventually waits for what another goroutine is about to do.
func Eventually(done func() bool) bool {
	ticker := time.NewTicker(time.Millisecond)
	defer ticker.Stop()
	for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); <-ticker.C {
		if done() {
			return true
		}
	}
	return done()
}

// BodyOf returns a base whose responses have this body, of unknown length.
func BodyOf(status int, body io.ReadCloser) BaseFunc {
	return func(req *http.Request) (*http.Response, error) {
		return &http.Response{
			StatusCode: status, ProtoMajor: 1, ProtoMinor: 1, Header: make(http.Header),
			Body: body, ContentLength: -1, Request: req,
		}, nil
	}
}

var ErrReset = errors.New("connection reset")

// BrokenBody gives its content and then an error.
func BrokenBody(content string, err error) *SpyBody {
	return &SpyBody{Reader: io.MultiReader(strings.NewReader(content), ReaderFunc(func([]byte) (int, error) { return 0, err }))}
}
