package httpbreaker_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/jarcoal/httpmock"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seed-0b728cf8/httpbreaker"
	"github.com/seed-0b728cf8/httpbreaker/breaker"
	"github.com/seed-0b728cf8/httpbreaker/internal/rig"
)

func TestZeroTransportEqualsNewNil(t *testing.T) {
	for name, rt := range map[string]*httpbreaker.Transport{
		"zero": new(httpbreaker.Transport), "New(nil)": httpbreaker.New(nil), "zero Config": httpbreaker.New(new(httpbreaker.Config)),
	} {
		t.Run(name, func(t *testing.T) {
			p := rig.Over(t, 1, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "ok") }))
			defer rt.CloseIdleConnections()
			var wg sync.WaitGroup
			for range 4 {
				wg.Go(func() {
					res, err := (&http.Client{Transport: rt}).Get(p.URL)
					if assert.NoError(t, err) {
						_, _ = io.Copy(io.Discard, res.Body)
						_ = res.Body.Close()
					}
				})
			}
			wg.Wait()
			assert.Equal(t, rig.Verdicts{Success: 4}, rig.VerdictsOf(rt))
			base, ok := rt.Unwrap().(*http.Transport)
			require.True(t, ok)
			assert.NotSame(t, http.DefaultTransport, base)
			assert.False(t, base.DisableKeepAlives, "a pooled transport")
		})
	}
	assert.NotSame(t, httpbreaker.New(nil).Unwrap(), httpbreaker.New(nil).Unwrap(), "one base for each")
}

func TestNewCopiesItsConfig(t *testing.T) {
	base := rig.BaseFunc(rig.Failing)
	cfg := &httpbreaker.Config{Base: base, Breakers: rig.TripAfter(1)}
	set := cfg.Breakers
	rt := httpbreaker.New(cfg)
	*cfg = httpbreaker.Config{}
	assert.Same(t, set, rt.Breakers())
	assert.NotNil(t, rt.Unwrap())
	_, ok := rt.Unwrap().(rig.BaseFunc)
	assert.True(t, ok)
}

func TestNewPanicsAtAnInvalidConfig(t *testing.T) {
	assert.PanicsWithValue(t, "httpbreaker: Config.RetryAfter = -1s; want >= 0", func() {
		httpbreaker.New(&httpbreaker.Config{RetryAfter: -time.Second})
	})
}

func TestTransportsShareASet(t *testing.T) {
	set := rig.TripAfter(1)
	one := httpbreaker.New(&httpbreaker.Config{Base: rig.BaseFunc(rig.Failing), Breakers: set})
	two := httpbreaker.New(&httpbreaker.Config{Base: rig.Respond(200, ""), Breakers: set})
	_, err := one.RoundTrip(rig.NewRequest(t, "GET", "http://a.test/", nil))
	require.ErrorIs(t, err, rig.ErrBase)
	_, err = two.RoundTrip(rig.NewRequest(t, "GET", "http://a.test/", nil))
	require.ErrorIs(t, err, httpbreaker.ErrOpen)
}

func TestRejectionIsABareOpenError(t *testing.T) {
	rt := rig.Opened(t, "http://a.test/", httpbreaker.Config{})
	_, err := rt.RoundTrip(rig.NewRequest(t, "GET", "http://a.test/?token=secret", nil))
	open, ok := err.(*httpbreaker.OpenError) //nolint:errorlint // not wrapped
	require.True(t, ok, "%T", err)
	assert.Equal(t, "a.test:80", open.Key)
	assert.Equal(t, breaker.Open, open.State)
	assert.Equal(t, "tripped by the test", open.Reason)
	assert.Greater(t, open.RetryAfter(), 59*time.Minute)
	assert.NotContains(t, err.Error(), "secret")

	_, err = (&http.Client{Transport: rt}).Get("http://a.test/")
	require.ErrorIs(t, err, httpbreaker.ErrOpen)
	require.ErrorAs(t, err, &open)
}

func TestKeys(t *testing.T) {
	asked := 0
	rt := httpbreaker.New(&httpbreaker.Config{
		Base:     rig.BaseFunc(rig.Failing),
		Breakers: rig.TripAfter(1),
		Key: func(req *http.Request) string {
			asked++
			return req.Header.Get("Tenant")
		},
	})
	send := func(tenant string, withKey ...string) error {
		req := rig.NewRequest(t, "GET", "http://a.test/", nil)
		req.Header.Set("Tenant", tenant)
		for _, key := range withKey {
			req = req.WithContext(httpbreaker.WithKey(req.Context(), key))
		}
		_, err := rt.RoundTrip(req)
		return err
	}
	require.ErrorIs(t, send("red"), rig.ErrBase)
	require.ErrorIs(t, send("red"), httpbreaker.ErrOpen)
	require.ErrorIs(t, send("blue"), rig.ErrBase, "another circuit")
	require.ErrorIs(t, send(""), rig.ErrBase, "no circuit")
	require.ErrorIs(t, send(""), rig.ErrBase, "no circuit")
	before := asked
	require.ErrorIs(t, send("red", "green"), rig.ErrBase, "the context's key comes first")
	require.ErrorIs(t, send("white", "green"), httpbreaker.ErrOpen)
	require.ErrorIs(t, send("red", ""), rig.ErrBase, "the empty key bypasses")
	assert.Equal(t, before, asked)
	assert.Equal(t, 3, rt.Breakers().Len())

	rt = httpbreaker.New(&httpbreaker.Config{Base: rig.BaseFunc(rig.Failing)})
	for _, req := range []*http.Request{{Header: http.Header{}}, {URL: &url.URL{Host: "a.test"}}} {
		_, err := rt.RoundTrip(req)
		require.ErrorIs(t, err, rig.ErrBase, "the base refuses it")
	}
	assert.Zero(t, rt.Breakers().Len())
}

func TestRequestThatIsNotSentIsClosed(t *testing.T) {
	errLeft := errors.New("left")
	left, cancel := context.WithCancelCause(t.Context())
	cancel(errLeft)
	closed := make(chan struct{})
	close(closed)
	for _, tc := range []struct {
		host, key string
		ctx       context.Context
		cancel    chan struct{}
		want      error
		closes    int32
	}{
		{"a.test", "a.test:80", t.Context(), nil, httpbreaker.ErrOpen, 1},
		{"b.test", "b.test:80", left, nil, errLeft, 1},
		{"b.test", "b.test:80", t.Context(), closed, context.Canceled, 1},
		{"b.test", "b.test:80", t.Context(), make(chan struct{}), rig.ErrBase, 0}, // by the base
		{"b.test", "", t.Context(), nil, rig.ErrBase, 0},
		{"b.test", "panics", t.Context(), nil, nil, 1},
	} {
		rt := rig.Opened(t, "http://a.test/", httpbreaker.Config{Base: rig.BaseFunc(rig.Failing), Key: func(*http.Request) string {
			if tc.key == "panics" {
				panic(tc.key)
			}
			return tc.key
		}})
		body := rig.NewSpyBody("x")
		req := rig.NewRequest(t, "POST", "http://"+tc.host, body).WithContext(tc.ctx)
		//lint:ignore SA1019 http.Client.Timeout works by it
		req.Cancel = tc.cancel
		send := func() {
			_, err := rt.RoundTrip(req)
			require.ErrorIs(t, err, tc.want)
		}
		if tc.want == nil {
			assert.Panics(t, send)
		} else {
			send()
		}
		assert.Equal(t, tc.closes, body.Closes.Load(), "%+v", tc)
	}
}

func TestResponseAndErrorAreAnError(t *testing.T) {
	body := rig.NewSpyBody("x")
	rt := httpbreaker.New(&httpbreaker.Config{Base: rig.BaseFunc(func(req *http.Request) (*http.Response, error) {
		res, _ := rig.BodyOf(200, body)(req)
		return res, rig.ErrBase
	})})
	res, err := rt.RoundTrip(rig.NewRequest(t, "GET", "http://a.test/", nil))
	assert.Nil(t, res)
	require.ErrorIs(t, err, rig.ErrBase)
	assert.EqualValues(t, 1, body.Closes.Load())
}

func TestCallThatTripsGetsItsOwnResult(t *testing.T) {
	mock := httpmock.NewMockTransport()
	mock.RegisterResponder("GET", "http://a.test/", httpmock.NewStringResponder(500, "broken"))
	mock.RegisterResponder("GET", "http://b.test/", httpmock.NewStringResponder(200, "fine"))
	rt := httpbreaker.New(&httpbreaker.Config{Base: mock, Breakers: rig.TripAfter(3)})
	client := &http.Client{Transport: rt}
	for range 3 {
		res, err := client.Get("http://a.test/")
		require.NoError(t, err)
		body, err := io.ReadAll(res.Body)
		require.NoError(t, err)
		assert.Equal(t, "broken", string(body))
	}
	_, err := client.Get("http://a.test/")
	require.ErrorIs(t, err, httpbreaker.ErrOpen)
	assert.Equal(t, 3, mock.GetCallCountInfo()["GET http://a.test/"], "nothing was sent")

	res, err := client.Get("http://b.test/")
	require.NoError(t, err, "other hosts are untouched")
	require.NoError(t, res.Body.Close())
	assert.Equal(t, breaker.Closed, rig.StateOf(t, rt, "http://b.test/"))
}

func TestMockedHostBreaksAndRecovers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		mock := httpmock.NewMockTransport()
		mock.RegisterResponder("GET", "https://api.test/", httpmock.NewErrorResponder(errors.New("connection refused")).Times(2))
		rt := httpbreaker.New(&httpbreaker.Config{Base: mock, Breakers: breaker.NewSet(breaker.Options{
			Config: breaker.Config{Failures: 2, OpenFor: 10 * time.Second, ProbeShare: -1, Jitter: -1},
		})})
		get := func() error {
			res, err := rt.RoundTrip(rig.NewRequest(t, "GET", "https://api.test/", nil))
			if err == nil {
				_, err = io.Copy(io.Discard, res.Body)
			}
			return err
		}
		require.ErrorContains(t, get(), "connection refused")
		require.ErrorContains(t, get(), "connection refused")
		require.ErrorIs(t, get(), httpbreaker.ErrOpen)

		time.Sleep(10*time.Second - time.Nanosecond)
		var open *httpbreaker.OpenError
		require.ErrorAs(t, get(), &open)
		assert.Equal(t, time.Nanosecond, open.RetryAfter())
		require.ErrorContains(t, open.Last, "connection refused")

		time.Sleep(time.Nanosecond)
		mock.RegisterResponder("GET", "https://api.test/", httpmock.NewStringResponder(200, "back"))
		require.NoError(t, get(), "the probe")
		require.NoError(t, get())
		assert.Equal(t, breaker.Closed, rig.StateOf(t, rt, "https://api.test/"))
	})
}

func TestProbeRushLetsOneThrough(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var sent atomic.Int32
		rt := rig.Opened(t, "http://a.test/", httpbreaker.Config{Base: rig.BaseFunc(func(req *http.Request) (*http.Response, error) {
			sent.Add(1)
			time.Sleep(time.Second)
			return rig.Respond(200, "")(req)
		})})
		time.Sleep(time.Hour)
		var wg sync.WaitGroup
		var rejected atomic.Int32
		for range 50 {
			wg.Go(func() {
				_, err := rt.RoundTrip(rig.NewRequest(t, "GET", "http://a.test/", nil))
				if errors.Is(err, httpbreaker.ErrOpen) {
					rejected.Add(1)
				}
			})
		}
		wg.Wait()
		assert.EqualValues(t, 1, sent.Load())
		assert.EqualValues(t, 49, rejected.Load())
		assert.Equal(t, breaker.Closed, rig.StateOf(t, rt, "http://a.test/"))
	})
}

func TestClassifierThatPanics(t *testing.T) {
	body := rig.NewSpyBody("x")
	rt := httpbreaker.New(&httpbreaker.Config{
		Base:     rig.BodyOf(200, body),
		Classify: func(httpbreaker.Result) breaker.Outcome { panic("what now?") },
	})
	assert.PanicsWithValue(t, "what now?", func() {
		_, _ = rt.RoundTrip(rig.NewRequest(t, "GET", "http://a.test/", nil))
	})
	assert.Equal(t, rig.Verdicts{Ignored: 1}, rig.VerdictsOf(rt))
	assert.Zero(t, rig.InFlight(rt))
	assert.EqualValues(t, 1, body.Closes.Load(), "nobody else will close it")
}

func TestInnerBreakersRejectionIsNotTheHostsFault(t *testing.T) {
	for _, retryAfter := range []time.Duration{0, time.Minute} {
		for _, fallback := range []httpbreaker.Fallback{nil, httpbreaker.Respond(200, nil, nil), httpbreaker.Respond(503, nil, nil)} {
			inner := rig.Opened(t, "http://a.test/", httpbreaker.Config{Fallback: fallback})
			outer := httpbreaker.New(&httpbreaker.Config{Base: inner, RetryAfter: retryAfter})
			_, err := outer.RoundTrip(rig.NewRequest(t, "GET", "http://a.test/", nil))
			assert.Equal(t, fallback == nil, errors.Is(err, httpbreaker.ErrOpen))
			assert.Equal(t, rig.Verdicts{Ignored: 1}, rig.VerdictsOf(outer))
		}
	}
}

func TestRetryAfterOpensTheCircuit(t *testing.T) {
	for _, tc := range []struct {
		name   string
		max    time.Duration
		status int
		field  string
		want   time.Duration // open for; zero: stays closed
		counts rig.Verdicts
	}{
		{"503", time.Minute, 503, "30", 30 * time.Second, rig.Verdicts{Failure: 1}},
		{"429", time.Minute, 429, "30", 30 * time.Second, rig.Verdicts{Failure: 1}},
		{"at most", time.Minute, 503, "99999999999", time.Minute, rig.Verdicts{Failure: 1}},
		{"date", time.Minute, 503, "Sat, 01 Jan 2000 00:00:20 GMT", 20 * time.Second, rig.Verdicts{Failure: 1}},
		{"no time at all", time.Minute, 429, "0", 0, rig.Verdicts{Ignored: 1}},
		{"garbage", time.Minute, 503, "soon", 0, rig.Verdicts{Failure: 1}},
		{"not asked for, 429", 0, 429, "30", 0, rig.Verdicts{Ignored: 1}},
		{"not asked for, 503", 0, 503, "30", 0, rig.Verdicts{Failure: 1}},
		{"another status", time.Minute, 500, "30", 0, rig.Verdicts{Failure: 1}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				rt := httpbreaker.New(&httpbreaker.Config{
					RetryAfter: tc.max,
					Base: rig.BaseFunc(func(req *http.Request) (*http.Response, error) {
						res, err := rig.Respond(tc.status, "")(req)
						res.Header.Set("Retry-After", tc.field)
						return res, err
					}),
					Breakers: breaker.NewSet(breaker.Options{Config: breaker.Config{OpenFor: time.Second, MaxOpenFor: time.Second}}),
				})
				res, err := rt.RoundTrip(rig.NewRequest(t, "GET", "http://a.test/", nil))
				require.NoError(t, err)
				assert.Equal(t, tc.status, res.StatusCode)
				assert.Equal(t, tc.counts, rig.VerdictsOf(rt))
				if tc.want == 0 {
					assert.Equal(t, breaker.Closed, rig.StateOf(t, rt, "http://a.test/"))
					return
				}
				_, err = rt.RoundTrip(rig.NewRequest(t, "GET", "http://a.test/", nil))
				var open *httpbreaker.OpenError
				require.ErrorAs(t, err, &open)
				assert.Equal(t, tc.want, open.RetryAfter())
				assert.Contains(t, open.Reason, "Retry-After "+tc.want.String())
			})
		})
	}
}

// Two calls in flight are told to stay away: the longer time holds, whichever comes first.
func TestRetryAfterNeverShortens(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		proceed := map[string]chan struct{}{"60": make(chan struct{}), "5": make(chan struct{})}
		rt := httpbreaker.New(&httpbreaker.Config{
			RetryAfter: time.Hour,
			Base: rig.BaseFunc(func(req *http.Request) (*http.Response, error) {
				field := req.Header.Get("X-Retry-After")
				<-proceed[field]
				res, err := rig.Respond(503, "")(req)
				res.Header.Set("Retry-After", field)
				return res, err
			}),
		})
		send := func(field string) {
			req := rig.NewRequest(t, "GET", "http://a.test/", nil)
			req.Header.Set("X-Retry-After", field)
			_, err := rt.RoundTrip(req)
			assert.NoError(t, err)
		}
		go send("60")
		go send("5")
		synctest.Wait()
		close(proceed["60"])
		synctest.Wait()
		close(proceed["5"])
		synctest.Wait()
		_, err := rt.RoundTrip(rig.NewRequest(t, "GET", "http://a.test/", nil))
		var open *httpbreaker.OpenError
		require.ErrorAs(t, err, &open)
		assert.Equal(t, time.Minute, open.RetryAfter())
	})
}

// A Transport keeps the breaker of the first host that it meets. It must be the one that the
// Set would give, whatever has become of that.
func TestFirstHostsBreakerIsTheSetsOwn(t *testing.T) {
	var evicted []string
	newTransport := func(opts breaker.Options) (rt *httpbreaker.Transport, send func(url string)) {
		opts.Hooks = []breaker.Hooks{{Evicted: func(key string) { evicted = append(evicted, key) }}}
		evicted = nil
		rt = httpbreaker.New(&httpbreaker.Config{Base: rig.Respond(200, ""), Breakers: breaker.NewSet(opts)})
		return rt, func(url string) {
			_, err := rt.RoundTrip(rig.NewRequest(t, "GET", url, nil))
			require.NoError(t, err)
		}
	}
	successes := func(rt *httpbreaker.Transport, key string) uint64 {
		b, ok := rt.Breakers().Lookup(key)
		require.True(t, ok, key)
		return b.Snapshot().Totals.Successes
	}
	t.Run("counted where it belongs", func(t *testing.T) {
		rt, send := newTransport(breaker.Options{})
		for range 3 {
			send("https://a.test/x")
			send("http://a.test/")
			send("https://A.test:443/y")
			send("https://b.test/")
		}
		assert.EqualValues(t, 6, successes(rt, "a.test"))
		assert.EqualValues(t, 3, successes(rt, "a.test:80"))
		assert.EqualValues(t, 3, successes(rt, "b.test"))
	})
	t.Run("removed", func(t *testing.T) {
		rt, send := newTransport(breaker.Options{})
		for range 3 {
			send("https://a.test/")
			send("https://a.test/")
			rt.Breakers().Remove("a.test")
			assert.Zero(t, rt.Breakers().Len())
			send("https://a.test/")
			assert.EqualValues(t, 1, successes(rt, "a.test"), "a new one")
		}
	})
	t.Run("evicted", func(t *testing.T) {
		rt, send := newTransport(breaker.Options{MaxKeys: 1})
		for range 3 {
			send("https://a.test/")
			send("https://b.test/")
			send("https://c.test/")
			send("https://a.test/")
			assert.EqualValues(t, 1, successes(rt, "a.test"), "a new one")
			send("https://b.test/")
		}
	})
	t.Run("in use", func(t *testing.T) {
		_, send := newTransport(breaker.Options{MaxKeys: 10})
		for i := range 1000 {
			send("https://a.test/")
			send(fmt.Sprintf("https://h%d.test/", i))
			if i == 20 {
				evicted = nil // when all were new, any had to go
			}
		}
		assert.Len(t, evicted, 1000-21)
		assert.NotContains(t, evicted, "a.test")
	})
	t.Run("updated", func(t *testing.T) {
		rt, send := newTransport(breaker.Options{})
		send("https://a.test/")
		require.NoError(t, rt.Breakers().Update(breaker.Options{Config: breaker.Config{Failures: 1}}))
		b, _ := rt.Breakers().Lookup("a.test")
		b.SetMode(breaker.ForceOpen, "by the test")
		_, err := rt.RoundTrip(rig.NewRequest(t, "GET", "https://a.test/", nil))
		assert.ErrorIs(t, err, httpbreaker.ErrOpen)
	})
	t.Run("with a key", func(t *testing.T) {
		rt, send := newTransport(breaker.Options{})
		send("https://a.test/")
		for _, key := range []string{"other", ""} {
			_, err := rt.RoundTrip(rig.NewRequest(t, "GET", "https://a.test/", nil).WithContext(httpbreaker.WithKey(t.Context(), key)))
			require.NoError(t, err)
		}
		assert.EqualValues(t, 1, successes(rt, "a.test"))
		assert.EqualValues(t, 1, successes(rt, "other"))
	})
	t.Run("removed at any time", func(t *testing.T) {
		rt, send := newTransport(breaker.Options{})
		var wg sync.WaitGroup
		for range 4 {
			wg.Go(func() {
				for range 500 {
					send("https://a.test/")
				}
			})
		}
		for range 100 {
			rt.Breakers().Remove("a.test")
		}
		wg.Wait()
		rt.Breakers().Remove("a.test")
		send("https://a.test/")
		assert.EqualValues(t, 1, successes(rt, "a.test"))
	})
}

// A transport over another one of the same Set, and one whose base fetches tokens from the
// host that is called, have calls inside of their calls. Their circuit closes again.
func TestCallsInsideOfCallsComeBack(t *testing.T) {
	for _, name := range []string{"stacked", "stacked, with a fallback", "tokens"} {
		synctest.Test(t, func(t *testing.T) {
			status, circuits := 503, breaker.NewSet(breaker.Options{})
			host := rig.BaseFunc(func(req *http.Request) (*http.Response, error) { return rig.Respond(status, "")(req) })
			inner := httpbreaker.New(&httpbreaker.Config{Base: host, Breakers: circuits})
			base := map[string]http.RoundTripper{"stacked": inner, "stacked, with a fallback": httpbreaker.New(&httpbreaker.Config{
				Base: host, Breakers: circuits, Fallback: httpbreaker.Respond(200, nil, nil),
			}), "tokens": rig.BaseFunc(func(req *http.Request) (*http.Response, error) {
				if _, err := inner.RoundTrip(rig.NewRequest(t, "GET", "http://a.test/token", nil)); err != nil {
					return nil, fmt.Errorf("no token: %w", err)
				}
				return host(req)
			})}[name]
			outer := httpbreaker.New(&httpbreaker.Config{Base: base, Breakers: circuits})
			for i := range 400 {
				if i == 100 {
					require.NotEqual(t, breaker.Closed, rig.StateOf(t, outer, "http://a.test/"), name)
					status = 200
				}
				_, _ = outer.RoundTrip(rig.NewRequest(t, "GET", "http://a.test/", nil))
				time.Sleep(100 * time.Millisecond)
			}
			require.Equal(t, breaker.Closed, rig.StateOf(t, outer, "http://a.test/"), name)
		})
	}
}
