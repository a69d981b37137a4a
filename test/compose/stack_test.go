package compose

import (
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hashicorp/go-retryablehttp"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp"
	"golang.org/x/oauth2"

	"github.com/seed-0b728cf8/httpbreaker"
	"github.com/seed-0b728cf8/httpbreaker/breaker"
)

func newCache(rt http.RoundTripper) http.RoundTripper { return &cache{base: rt} }

// stack is the whole order, from the bottom to the top.
func stack(base http.RoundTripper, tokens oauth2.TokenSource, circuits *breaker.Set) *http.Client {
	auth := &oauth2.Transport{Source: tokens, Base: base}
	tracing := otelhttp.NewTransport(auth)
	circuit := httpbreaker.New(&httpbreaker.Config{Base: tracing, Breakers: circuits})

	retries := retryablehttp.NewClient()
	retries.HTTPClient = &http.Client{Transport: circuit, Timeout: 5 * time.Second} // for one attempt
	retries.CheckRetry = httpbreaker.StopRetryWhenOpen(retries.CheckRetry)
	retries.RetryWaitMin = 100 * time.Millisecond
	retries.Logger = nil

	cached := newCache(&retryablehttp.RoundTripper{Client: retries})
	return &http.Client{Transport: cached, Timeout: 20 * time.Second} // for all of them
}

func TestStack(t *testing.T) {
	h, i, circuits := newHost(t), newIssuer(t), opensAfter(2)
	tokens, ok := i.authorized(nil, &http.Client{Transport: base(t)}).(*oauth2.Transport)
	require.True(t, ok)
	client := stack(base(t), tokens.Source, circuits)

	_, body, err := get(t, client, h.URL+"/kept")
	require.NoError(t, err)
	assert.Equal(t, "hello", body)
	assert.Equal(t, "Bearer secret", h.auth.Load())

	// The second attempt opens the circuit, and the third is the last.
	h.broken.Store(true)
	_, _, err = get(t, client, h.URL+"/other")
	var open *httpbreaker.OpenError
	require.ErrorAs(t, err, &open)
	assert.Equal(t, h.name(), open.Key)
	assert.EqualValues(t, 3, h.asked.Load())

	_, _, err = get(t, client, h.URL+"/other")
	require.ErrorIs(t, err, httpbreaker.ErrOpen)
	assert.EqualValues(t, 3, h.asked.Load())
	assert.EqualValues(t, 3, i.asked.Load(), "no token for what is not sent")

	res, _, err := get(t, client, h.URL+"/kept")
	require.NoError(t, err)
	assert.Equal(t, "cache", res.Header.Get("X-From"))
	assert.Equal(t, breaker.Totals{Successes: 1, Failures: 2, Rejected: 2, Opened: 1}, withoutTime(totals(circuits, h)))
}

// Where two circuits lie on one path, the inner one's rejections do not open the outer one.
func TestAnotherCircuitInside(t *testing.T) {
	h, inner, outer := newHost(t), opensAfter(1), opensAfter(1)
	inner.Get(h.name()).Trip(time.Hour, "test")
	var attempts atomic.Int64
	client := &http.Client{Transport: httpbreaker.New(&httpbreaker.Config{
		Base:     counting(&attempts, httpbreaker.New(&httpbreaker.Config{Base: base(t), Breakers: inner})),
		Breakers: outer,
	})}
	for range 5 {
		_, _, err := get(t, client, h.URL)
		require.ErrorIs(t, err, httpbreaker.ErrOpen)
	}
	assert.EqualValues(t, 5, attempts.Load())
	assert.Equal(t, breaker.Totals{Ignored: 5}, totals(outer, h))
}

// http.Client follows redirects above us: each hop is judged by the host it goes to.
func TestRedirects(t *testing.T) {
	to, circuits := newHost(t), opensAfter(1)
	from := &host{Server: httptest.NewServer(http.RedirectHandler(to.URL, http.StatusFound))}
	t.Cleanup(from.Close)
	client := &http.Client{Transport: httpbreaker.New(&httpbreaker.Config{Base: base(t), Breakers: circuits})}
	_, body, err := get(t, client, from.URL)
	require.NoError(t, err)
	assert.Equal(t, "hello", body)
	circuits.Get(to.name()).Trip(time.Hour, "test")
	_, _, err = get(t, client, from.URL)
	var open *httpbreaker.OpenError
	require.ErrorAs(t, err, &open)
	assert.Equal(t, to.name(), open.Key)
	assert.EqualValues(t, 2, totals(circuits, from).Successes)
}
