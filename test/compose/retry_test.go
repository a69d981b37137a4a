package compose

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hashicorp/go-retryablehttp"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seed-0b728cf8/httpbreaker"
	"github.com/seed-0b728cf8/httpbreaker/breaker"
)

// retrying makes up to four attempts.
func retrying(rt http.RoundTripper) *retryablehttp.Client {
	c := retryablehttp.NewClient()
	c.HTTPClient = &http.Client{Transport: rt}
	c.RetryMax = 3
	c.RetryWaitMin, c.RetryWaitMax = time.Millisecond, time.Millisecond
	c.Logger = nil
	return c
}

// counting counts the requests that pass.
func counting(n *atomic.Int64, rt http.RoundTripper) http.RoundTripper {
	return roundTripper(func(req *http.Request) (*http.Response, error) {
		n.Add(1)
		return rt.RoundTrip(req)
	})
}

func TestRetriesOutsideAreJudgedOneByOne(t *testing.T) {
	h, circuits := newHost(t), opensAfter(5)
	h.broken.Store(true)
	var attempts atomic.Int64
	retries := retrying(counting(&attempts, httpbreaker.New(&httpbreaker.Config{Base: base(t), Breakers: circuits})))
	retries.CheckRetry = httpbreaker.StopRetryWhenOpen(retries.CheckRetry)
	client := retries.StandardClient()

	_, _, err := get(t, client, h.URL)
	require.Error(t, err)
	assert.EqualValues(t, 4, attempts.Load())
	assert.EqualValues(t, 4, totals(circuits, h).Failures)

	// The first attempt of the second call is the fifth failure. The next one is
	// rejected, and the last.
	_, _, err = get(t, client, h.URL)
	require.ErrorIs(t, err, httpbreaker.ErrOpen)
	assert.EqualValues(t, 6, attempts.Load())
	assert.EqualValues(t, 5, h.asked.Load())

	_, _, err = get(t, client, h.URL)
	var open *httpbreaker.OpenError
	require.ErrorAs(t, err, &open)
	assert.Equal(t, h.name(), open.Key)
	assert.EqualValues(t, 7, attempts.Load())
	assert.EqualValues(t, 5, h.asked.Load())
}

func TestRetriesOutsideWithoutStopRetryWhenOpenGoOn(t *testing.T) {
	h, circuits := newHost(t), opensAfter(1)
	circuits.Get(h.name()).Trip(time.Hour, "test")
	var attempts atomic.Int64
	retries := retrying(counting(&attempts, httpbreaker.New(&httpbreaker.Config{Base: base(t), Breakers: circuits})))

	_, _, err := get(t, retries.StandardClient(), h.URL)
	require.ErrorIs(t, err, httpbreaker.ErrOpen)
	assert.EqualValues(t, 4, attempts.Load())
	assert.Zero(t, h.asked.Load())
}

func TestRetriesInsideAreOneCall(t *testing.T) {
	h, circuits := newHost(t), opensAfter(5)
	h.broken.Store(true)
	client := &http.Client{Transport: httpbreaker.New(&httpbreaker.Config{
		Base:     &retryablehttp.RoundTripper{Client: retrying(base(t))},
		Breakers: circuits,
	})}
	for range 4 {
		_, _, err := get(t, client, h.URL)
		require.Error(t, err)
		require.NotErrorIs(t, err, httpbreaker.ErrOpen)
	}
	assert.EqualValues(t, 16, h.asked.Load())
	assert.EqualValues(t, 4, totals(circuits, h).Failures)
}

// A rejected request's body is closed; a retrying client sends it again from the start.
func TestRetriesSendTheWholeBodyAgain(t *testing.T) {
	h, circuits := newHost(t), opensAfter(5)
	var attempts atomic.Int64
	failFirst := roundTripper(func(req *http.Request) (*http.Response, error) {
		if attempts.Add(1) == 1 {
			return nil, errors.Join(errors.New("connection lost"), req.Body.Close())
		}
		return base(t).RoundTrip(req)
	})
	retries := retrying(httpbreaker.New(&httpbreaker.Config{Base: failFirst, Breakers: circuits}))
	retries.CheckRetry = httpbreaker.StopRetryWhenOpen(retries.CheckRetry)

	res, err := retries.Post(h.URL, "text/plain", strings.NewReader(", world"))
	require.NoError(t, err)
	defer res.Body.Close()
	var body strings.Builder
	require.NoError(t, res.Write(&body))
	assert.Contains(t, body.String(), "hello, world")
	assert.EqualValues(t, 1, totals(circuits, h).Failures)
	assert.EqualValues(t, 1, totals(circuits, h).Successes)
}

func TestAFallbackEndsRetries(t *testing.T) {
	h, circuits := newHost(t), opensAfter(1)
	circuits.Get(h.name()).Trip(time.Hour, "test")
	var attempts atomic.Int64
	retries := retrying(counting(&attempts, httpbreaker.New(&httpbreaker.Config{
		Base: base(t), Breakers: circuits, Fallback: httpbreaker.Respond(503, nil, nil),
	})))
	retries.CheckRetry = httpbreaker.StopRetryWhenOpen(retries.CheckRetry)

	res, _, err := get(t, retries.StandardClient(), h.URL)
	require.NoError(t, err)
	assert.Equal(t, 503, res.StatusCode)
	assert.True(t, httpbreaker.IsFallback(res))
	assert.EqualValues(t, 1, attempts.Load())
}

func TestATimeoutForEachAttempt(t *testing.T) {
	for _, test := range []struct {
		name             string
		attempt, overall time.Duration
		failures         uint64
	}{
		{"for each", 20 * time.Millisecond, time.Minute, 4},
		{"for all", 0, 20 * time.Millisecond, 1},
	} {
		t.Run(test.name, func(t *testing.T) {
			server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, req *http.Request) { <-req.Context().Done() }))
			t.Cleanup(server.Close)
			h, circuits := &host{Server: server}, opensAfter(100)
			retries := retrying(httpbreaker.New(&httpbreaker.Config{Base: base(t), Breakers: circuits}))
			retries.HTTPClient.Timeout = test.attempt
			ctx, cancel := context.WithTimeout(t.Context(), test.overall)
			defer cancel()
			req, err := retryablehttp.NewRequestWithContext(ctx, http.MethodGet, h.URL, nil)
			require.NoError(t, err)
			_, err = retries.Do(req)
			require.Error(t, err)
			assert.Equal(t, breaker.Totals{Failures: test.failures}, totals(circuits, h))
		})
	}
}
