package compose

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seed-0b728cf8/httpbreaker"
	"github.com/seed-0b728cf8/httpbreaker/breaker"
)

// newHangingHost answers every other request, and tells when it leaves one hanging.
func newHangingHost(t *testing.T) (h *host, hangs <-chan struct{}) {
	h = new(host)
	arrived := make(chan struct{}, 100)
	h.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if h.asked.Add(1)%2 == 1 {
			arrived <- struct{}{}
			<-req.Context().Done()
			return
		}
		_, _ = io.WriteString(w, "hello")
	}))
	t.Cleanup(h.Close)
	return h, arrived
}

// The loser's cancellation says nothing about the host.
func TestHedgingOutside(t *testing.T) {
	h, hangs := newHangingHost(t)
	circuits := opensAfter(1)
	hedging := &hedge{base: httpbreaker.New(&httpbreaker.Config{Base: base(t), Breakers: circuits}), after: hangs}
	client := &http.Client{Transport: hedging}
	const calls = 20
	for range calls {
		_, body, err := get(t, client, h.URL)
		require.NoError(t, err)
		require.Equal(t, "hello", body)
	}
	hedging.legs.Wait()
	s := circuits.Get(h.name()).Snapshot()
	assert.Equal(t, breaker.Closed, s.State)
	assert.Equal(t, breaker.Totals{Successes: calls, Ignored: calls}, s.Totals)
	assert.Zero(t, s.InFlight)
}

// With a second host to ask, an open circuit costs no wait: the second leg leaves at once.
func TestHedgingOutsideToAnotherHost(t *testing.T) {
	first, second, circuits := newHost(t), newHost(t), opensAfter(1)
	circuits.Get(first.name()).Trip(time.Hour, "test")
	to, err := url.Parse(second.URL)
	require.NoError(t, err)
	hedging := &hedge{
		base:   httpbreaker.New(&httpbreaker.Config{Base: base(t), Breakers: circuits}),
		after:  nil, // never
		second: to,
	}
	_, body, err := get(t, &http.Client{Transport: hedging}, first.URL)
	require.NoError(t, err)
	assert.Equal(t, "hello", body)
	assert.Zero(t, first.asked.Load())
	assert.EqualValues(t, 1, totals(circuits, first).Rejected)
	assert.EqualValues(t, 1, totals(circuits, second).Successes)
}

// Inside, both legs are one call with one verdict, and a probe may be two requests.
func TestHedgingInside(t *testing.T) {
	h, hangs := newHangingHost(t)
	circuits := opensAfter(1)
	hedging := &hedge{base: base(t), after: hangs}
	client := &http.Client{Transport: httpbreaker.New(&httpbreaker.Config{Base: hedging, Breakers: circuits})}
	const calls = 5
	for range calls {
		_, body, err := get(t, client, h.URL)
		require.NoError(t, err)
		require.Equal(t, "hello", body)
	}
	hedging.legs.Wait()
	assert.EqualValues(t, 2*calls, h.asked.Load())
	assert.Equal(t, breaker.Totals{Successes: calls}, totals(circuits, h))
}

// A half-open circuit lets one leg through, and its hedge is rejected.
func TestHedgingAProbe(t *testing.T) {
	asked := new(atomic.Int64)
	sent := make(chan struct{}, 1)
	release := make(chan struct{})
	slow := roundTripper(func(req *http.Request) (*http.Response, error) {
		asked.Add(1)
		sent <- struct{}{}
		<-release
		return &http.Response{StatusCode: 200, Header: http.Header{}, Body: io.NopCloser(strings.NewReader("hello")), Request: req}, nil
	})
	circuits := opensAfter(1)
	b := circuits.Get("host.test:80")
	b.Trip(time.Nanosecond, "test")
	hedging := &hedge{
		base: httpbreaker.New(&httpbreaker.Config{Base: slow, Breakers: circuits}),
		// The second leg leaves when the first is on its way, and is rejected; then
		// the first is answered.
		after: sent,
	}
	stop := circuits.Watch(breaker.Hooks{Rejected: func(_ context.Context, _ *httpbreaker.OpenError) { close(release) }})
	defer stop()
	_, body, err := get(t, &http.Client{Transport: hedging}, "http://host.test/")
	require.NoError(t, err)
	hedging.legs.Wait()
	assert.Equal(t, "hello", body)
	assert.EqualValues(t, 1, asked.Load())
	assert.Equal(t, breaker.Closed, b.State())
}
