package httpbreaker_test

import (
	"context"
	"io"
	"net/http"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seed-0b728cf8/httpbreaker"
	"github.com/seed-0b728cf8/httpbreaker/breaker"
	"github.com/seed-0b728cf8/httpbreaker/internal/rig"
)

// endless is a base whose responses never end: a line of JSON each second, until the caller
// leaves. Each failing-th request gets a 500 instead.
func endless(failing int) rig.BaseFunc {
	var mu sync.Mutex
	n := 0
	return func(req *http.Request) (*http.Response, error) {
		mu.Lock()
		n++
		failed := failing > 0 && n%failing == 0
		mu.Unlock()
		if failed {
			return rig.Respond(500, "")(req)
		}
		return rig.BodyOf(200, io.NopCloser(rig.ReaderFunc(func(p []byte) (int, error) {
			select {
			case <-time.After(time.Second):
				return copy(p, "{}\n"), nil
			case <-req.Context().Done():
				return 0, req.Context().Err()
			}
		})))(req)
	}
}

// As a watch of Kubernetes, docker logs -f or a long download: successes that have no end yet.
func TestEndlessBodiesThatAreReadKeepTheCircuitClosed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rt := httpbreaker.New(&httpbreaker.Config{Base: endless(20)})
		ctx, leave := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		for i := range 1000 {
			res, err := rt.RoundTrip(rig.NewRequest(t, "GET", "http://a.test/", nil).WithContext(ctx))
			require.NoError(t, err, "request %d", i)
			wg.Go(func() { _, _ = io.Copy(io.Discard, res.Body) })
			time.Sleep(50 * time.Millisecond)
		}
		s := onlyBreaker(t, rt).Snapshot()
		assert.Equal(t, breaker.Closed, s.State)
		assert.Zero(t, s.Totals.Opened)
		assert.Zero(t, s.Totals.Rejected)
		assert.Equal(t, 950, s.Answered)
		assert.Zero(t, s.InFlight)
		leave()
		wg.Wait()
		s = onlyBreaker(t, rt).Snapshot()
		assert.Zero(t, s.Answered)
		assert.EqualValues(t, 950, s.Totals.Ignored, "their callers left")
	})
}

func TestBodiesThatAreNeverClosedAreShownAndHideNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		healthy := endless(0)
		down := false
		rt := httpbreaker.New(&httpbreaker.Config{Base: rig.BaseFunc(func(req *http.Request) (*http.Response, error) {
			if down {
				return rig.Failing(req)
			}
			return healthy(req)
		})})
		for i := range 10_000 {
			_, err := rt.RoundTrip(rig.NewRequest(t, "GET", "http://a.test/", nil)) // and never closed
			require.NoError(t, err, "request %d", i)
			time.Sleep(10 * time.Millisecond)
		}
		s := onlyBreaker(t, rt).Snapshot()
		assert.Equal(t, breaker.Closed, s.State)
		assert.Zero(t, s.Totals.Rejected)
		assert.Equal(t, 10_000, s.Answered)

		down = true
		sent := 0
		for onlyBreaker(t, rt).State() == breaker.Closed && sent < 1000 {
			_, _ = rt.RoundTrip(rig.NewRequest(t, "GET", "http://a.test/", nil))
			time.Sleep(10 * time.Millisecond)
			sent++
		}
		assert.LessOrEqual(t, sent, 150, "calls until the circuit opened")
	})
}

// Streams that are open and read must not hide that every new request fails.
func TestOpenStreamsHideNoOutage(t *testing.T) {
	for _, failing := range []int{0, 20} {
		synctest.Test(t, func(t *testing.T) {
			healthy := endless(failing)
			down := false
			rt := httpbreaker.New(&httpbreaker.Config{Base: rig.BaseFunc(func(req *http.Request) (*http.Response, error) {
				if down {
					return rig.Failing(req)
				}
				return healthy(req)
			})})
			ctx, leave := context.WithCancel(t.Context())
			var wg sync.WaitGroup
			send := func() {
				res, err := rt.RoundTrip(rig.NewRequest(t, "GET", "http://a.test/", nil).WithContext(ctx))
				if err == nil {
					wg.Go(func() { _, _ = io.Copy(io.Discard, res.Body) })
				}
				time.Sleep(50 * time.Millisecond)
			}
			for range 1000 {
				send()
			}
			down = true
			sent := 0
			for onlyBreaker(t, rt).State() == breaker.Closed && sent < 2000 {
				send()
				sent++
			}
			t.Logf("failing every %d: %d calls until open", failing, sent)
			assert.LessOrEqual(t, sent, 60, "at 20 a second")
			leave()
			wg.Wait()
		})
	}
}
