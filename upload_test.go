package httpbreaker_test

import (
	"context"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seed-0b728cf8/httpbreaker"
	"github.com/seed-0b728cf8/httpbreaker/breaker"
	"github.com/seed-0b728cf8/httpbreaker/internal/rig"
)

// slowReader gives n bytes, and each read takes d. It has no GetBody.
func slowReader(n int, d time.Duration) io.Reader {
	return io.LimitReader(rig.ReaderFunc(func(p []byte) (int, error) {
		time.Sleep(d)
		p[0] = 'x'
		return 1, nil
	}), int64(n))
}

// receive reads the request's body as http.Transport does, answers 200 after d, and gives up
// with the request's context.
func receive(d time.Duration) rig.BaseFunc {
	return func(req *http.Request) (*http.Response, error) {
		_, err := io.Copy(io.Discard, req.Body)
		req.Body.Close()
		if err != nil {
			return nil, err
		}
		select {
		case <-time.After(d):
			return rig.Respond(200, "")(req)
		case <-req.Context().Done():
			return nil, req.Context().Err()
		}
	}
}

func onlyBreaker(t *testing.T, rt *httpbreaker.Transport) *breaker.Breaker {
	t.Helper()
	require.Equal(t, 1, rt.Breakers().Len())
	for _, b := range rt.Breakers().All() {
		return b
	}
	return nil
}

func TestUploadIsTimedFromItsEnd(t *testing.T) {
	for _, tc := range []struct {
		name           string
		upload, answer time.Duration
		length         int64
		slow           uint64
	}{
		{"slow caller", 10 * time.Second, 0, -1, 0},
		{"slow caller, known length", 10 * time.Second, 0, 3, 0},
		{"slow host", 0, 2 * time.Second, -1, 1},
		{"slow host, known length", 0, 2 * time.Second, 3, 1},
		{"both slow", 10 * time.Second, 2 * time.Second, -1, 1},
		{"neither", 100 * time.Millisecond, 100 * time.Millisecond, -1, 0},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				rt := httpbreaker.New(&httpbreaker.Config{
					Base:     receive(tc.answer),
					Breakers: breaker.NewSet(breaker.Options{Config: breaker.Config{SlowCall: time.Second}}),
				})
				req := rig.NewRequest(t, "PUT", "http://a.test/", slowReader(3, tc.upload))
				req.ContentLength = tc.length
				_, err := rt.RoundTrip(req)
				require.NoError(t, err)
				assert.Equal(t, tc.slow, onlyBreaker(t, rt).Snapshot().Totals.Slow)
				assert.Equal(t, rig.Verdicts{Success: 1}, rig.VerdictsOf(rt))
			})
		})
	}
}

// What a base does after that is the host's time.
func TestUploadEndsWhenItIsReadOrClosed(t *testing.T) {
	for _, tc := range []struct {
		name   string
		length int64
		take   func(io.ReadCloser)
	}{
		{"read to its length", 3, func(b io.ReadCloser) { _, _ = io.ReadFull(b, make([]byte, 3)) }},
		{"read to its end", -1, func(b io.ReadCloser) { _, _ = io.Copy(io.Discard, b) }},
		{"closed half-way", 3, func(b io.ReadCloser) { _, _ = b.Read(make([]byte, 1)); _ = b.Close() }},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				rt := httpbreaker.New(&httpbreaker.Config{
					Base: rig.BaseFunc(func(req *http.Request) (*http.Response, error) {
						tc.take(req.Body)
						time.Sleep(2 * time.Second)
						return rig.Respond(200, "")(req)
					}),
					Breakers: breaker.NewSet(breaker.Options{Config: breaker.Config{SlowCall: time.Second}}),
				})
				req := rig.NewRequest(t, "PUT", "http://a.test/", slowReader(3, 0))
				req.ContentLength = tc.length
				_, err := rt.RoundTrip(req)
				require.NoError(t, err)
				assert.EqualValues(t, 1, onlyBreaker(t, rt).Snapshot().Totals.Slow)
			})
		})
	}
}

// A host that is kept waiting for the caller's upload until the deadline had no time at all.
func TestDeadlineDuringAnUpload(t *testing.T) {
	for _, tc := range []struct {
		name   string
		upload time.Duration
		base   rig.BaseFunc
		want   rig.Verdicts
	}{
		{"read in time", time.Second, receive(time.Hour), rig.Verdicts{Failure: 1}},
		{"read too late", time.Minute, receive(time.Hour), rig.Verdicts{Ignored: 1}},
		{"still being read", time.Minute, func(req *http.Request) (*http.Response, error) {
			go func() { _, _ = req.Body.Read(make([]byte, 1)) }()
			<-req.Context().Done()
			return nil, req.Context().Err()
		}, rig.Verdicts{Ignored: 1}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
				defer cancel()
				rt := httpbreaker.New(&httpbreaker.Config{Base: tc.base, Classify: httpbreaker.DeadlinesOver(nil, time.Second)})
				_, err := rt.RoundTrip(rig.NewRequest(t, "PUT", "http://a.test/", slowReader(1, tc.upload)).WithContext(ctx))
				require.ErrorIs(t, err, context.DeadlineExceeded)
				assert.Equal(t, tc.want, rig.VerdictsOf(rt))
				time.Sleep(time.Minute) // until nobody reads
			})
		})
	}
}

func TestOnlyUploadsThatCannotBeRewoundAreWatched(t *testing.T) {
	for body, watched := range map[io.Reader]bool{
		nil: false, http.NoBody: false, strings.NewReader("x"): false, rig.NewSpyBody("x"): true,
	} {
		req := rig.NewRequest(t, "POST", "http://a.test/", body)
		rt := httpbreaker.New(&httpbreaker.Config{Base: rig.BaseFunc(func(sent *http.Request) (*http.Response, error) {
			assert.Equal(t, watched, sent != req, "%T", body)
			assert.Same(t, req.URL, sent.URL)
			return rig.Respond(200, "")(sent)
		})})
		res, err := rt.RoundTrip(req)
		require.NoError(t, err)
		assert.Same(t, req, res.Request)
	}
}

// As a client of S3 does, whose bodies cannot be rewound.
func TestHostThatHangsAfterUploadsIsCutOff(t *testing.T) {
	for name, cfg := range map[string]breaker.Config{"nothing set": {}, "SlowCall": {SlowCall: time.Second}} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var sent atomic.Int32
				answerAfter := time.Duration(0)
				rt := httpbreaker.New(&httpbreaker.Config{
					Base: rig.BaseFunc(func(req *http.Request) (*http.Response, error) {
						sent.Add(1)
						return receive(answerAfter)(req)
					}),
					Breakers: breaker.NewSet(breaker.Options{Config: cfg}),
				})
				for range 50 { // it works at first
					_, err := rt.RoundTrip(rig.NewRequest(t, "PUT", "http://a.test/", slowReader(3, 10*time.Millisecond)))
					require.NoError(t, err)
				}
				sent.Store(0)
				answerAfter = time.Hour
				var wg sync.WaitGroup
				for range 200 {
					wg.Go(func() {
						ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
						defer cancel()
						_, _ = rt.RoundTrip(rig.NewRequest(t, "PUT", "http://a.test/", slowReader(3, 10*time.Millisecond)).WithContext(ctx))
					})
					time.Sleep(100 * time.Millisecond)
				}
				assert.Less(t, sent.Load(), int32(80), "of 200, over 20 s")
				wg.Wait()
			})
		})
	}
}

// Visitors of a proxy who stop in the middle of their uploads look like nothing at all.
func TestVisitorsWhoStallConvictNobody(t *testing.T) {
	for name, cfg := range map[string]breaker.Config{"nothing set": {}, "SlowCall": {SlowCall: time.Second}} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				rt := httpbreaker.New(&httpbreaker.Config{Base: receive(50 * time.Millisecond), Breakers: breaker.NewSet(breaker.Options{Config: cfg})})
				ctx, leave := context.WithCancel(t.Context())
				var wg sync.WaitGroup
				for range 100 {
					wg.Go(func() {
						stalled := rig.ReaderFunc(func([]byte) (int, error) { <-ctx.Done(); return 0, io.ErrUnexpectedEOF })
						_, err := rt.RoundTrip(rig.NewRequest(t, "POST", "http://a.test/", stalled).WithContext(ctx))
						assert.Error(t, err)
					})
				}
				synctest.Wait()
				for range 100 { // others go on
					time.Sleep(100 * time.Millisecond)
					_, err := rt.RoundTrip(rig.NewRequest(t, "POST", "http://a.test/", slowReader(1, 0)))
					require.NoError(t, err)
				}
				s := onlyBreaker(t, rt).Snapshot()
				assert.Equal(t, breaker.Closed, s.State)
				assert.Zero(t, s.InFlight, "calls that the host has to answer")
				assert.Zero(t, s.Counts.Overdue)
				leave()
				wg.Wait()
				assert.Equal(t, rig.Verdicts{Success: 100, Ignored: 100}, rig.VerdictsOf(rt))
			})
		})
	}
}
