package contract_test

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"runtime"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seed-0b728cf8/httpbreaker"
	"github.com/seed-0b728cf8/httpbreaker/breaker"
	"github.com/seed-0b728cf8/httpbreaker/internal/rig"
)

// What net/http does to a round trip that is given up, and what must not get lost then.

// HTTP/1 returns the context's cause, HTTP/2 the context's error: either way what the
// base returned, and nothing against the host.
func TestErrorOfACanceledRequestIsTheBasesOwn(t *testing.T) {
	cause := errors.New("the user pressed stop")
	for _, major := range []int{1, 2} {
		arrived := make(chan struct{})
		p := rig.Over(t, major, http.HandlerFunc(func(_ http.ResponseWriter, req *http.Request) {
			close(arrived)
			<-req.Context().Done()
		}))
		ctx, cancel := context.WithCancelCause(t.Context())
		go func() { <-arrived; cancel(cause) }()
		var inner error
		rt := httpbreaker.New(&httpbreaker.Config{Base: rig.BaseFunc(func(req *http.Request) (*http.Response, error) {
			res, err := p.Base.RoundTrip(req)
			inner = err
			return res, err
		})})
		_, err := rt.RoundTrip(rig.NewRequest(t, "GET", p.URL, nil).WithContext(ctx))
		require.Error(t, err)
		assert.True(t, err == inner, "the very error") //nolint:errorlint // identity is the point
		assert.Equal(t, rig.Verdicts{Ignored: 1}, rig.VerdictsOf(rt))
	}
}

// HTTP/1 waits for the caller's own Read, however long that takes.
func TestRoundTripMayOutliveTheContext(t *testing.T) {
	p := rig.Over(t, 1, http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) { _, _ = io.Copy(w, req.Body) }))
	rt := httpbreaker.New(&httpbreaker.Config{Base: p.Base})
	ctx, cancel := context.WithCancel(t.Context())
	body, upload := io.Pipe()
	go func() {
		_, _ = upload.Write([]byte("first"))
		cancel()
		_ = upload.CloseWithError(errors.New("gone"))
	}()
	_, err := rt.RoundTrip(rig.NewRequest(t, "POST", p.URL, body).WithContext(ctx))
	require.Error(t, err)
	assert.Equal(t, rig.Verdicts{Ignored: 1}, rig.VerdictsOf(rt))
	assert.Zero(t, rig.InFlight(rt))
}

func TestDialMayGoOnAfterCancellation(t *testing.T) {
	rig.NoLeaks(t)
	dialling, hangUp := make(chan struct{}), make(chan struct{})
	base := &http.Transport{DialContext: func(context.Context, string, string) (c net.Conn, err error) {
		close(dialling)
		<-hangUp
		return nil, errors.New("dial failed late")
	}}
	rt := httpbreaker.New(&httpbreaker.Config{Base: base})
	ctx, cancel := context.WithCancel(t.Context())
	go func() { <-dialling; cancel() }()
	_, err := rt.RoundTrip(rig.NewRequest(t, "GET", "http://a.test/", nil).WithContext(ctx))
	require.ErrorIs(t, err, context.Canceled)
	close(hangUp)
	assert.Equal(t, rig.Verdicts{Ignored: 1}, rig.VerdictsOf(rt))
	assert.Zero(t, rig.InFlight(rt))
}

func TestPanicAndGoexitBelowReleaseThePermit(t *testing.T) {
	newTransport := func(below func()) *httpbreaker.Transport {
		base := rig.BaseFunc(func(*http.Request) (*http.Response, error) { below(); return nil, nil })
		rt := httpbreaker.New(&httpbreaker.Config{Base: base, Breakers: breaker.NewSet(breaker.Options{
			Config: breaker.Config{Failures: 1, OpenFor: 10 * time.Millisecond, Jitter: -1},
		})})
		rt.Breakers().Get(httpbreaker.ByHost(rig.NewRequest(t, "GET", "http://a.test/", nil))).Trip(time.Nanosecond, "so that a probe is next")
		return rt
	}
	check := func(t *testing.T, rt *httpbreaker.Transport) {
		assert.Equal(t, rig.Verdicts{Ignored: 2}, rig.VerdictsOf(rt), "both were let through as the one probe")
		assert.Zero(t, rig.InFlight(rt))
	}
	t.Run("panic", func(t *testing.T) {
		rt := newTransport(func() { panic(http.ErrAbortHandler) })
		for range 2 {
			assert.PanicsWithValue(t, http.ErrAbortHandler, func() {
				_, _ = rt.RoundTrip(rig.NewRequest(t, "GET", "http://a.test/", nil))
			})
		}
		check(t, rt)
	})
	t.Run("Goexit", func(t *testing.T) {
		rt := newTransport(runtime.Goexit)
		for range 2 {
			returned, done := false, make(chan struct{})
			go func() {
				defer close(done)
				_, _ = rt.RoundTrip(rig.NewRequest(t, "GET", "http://a.test/", nil))
				returned = true
			}()
			<-done
			assert.False(t, returned, "the goroutine must end")
		}
		check(t, rt)
	})
}

// http.Client.Timeout reaches us as a deadline, as a closed Cancel channel or as both:
// whichever comes first, it is one and the same failure.
func TestClientTimeout(t *testing.T) {
	h := func(w http.ResponseWriter, req *http.Request) {
		if req.URL.Path == "/body" {
			_, _ = io.WriteString(w, "first")
			_ = http.NewResponseController(w).Flush()
		}
		<-req.Context().Done()
	}
	rig.EachProtocol(t, h, func(t *testing.T, p rig.Peer) {
		rt := httpbreaker.New(&httpbreaker.Config{Base: p.Base, Breakers: rig.CountsOnly()})
		const n = 10
		for range n {
			client := &http.Client{Transport: rt, Timeout: 30 * time.Millisecond}
			_, err := client.Get(p.URL)
			var timeout interface{ Timeout() bool }
			require.ErrorAs(t, err, &timeout)
			assert.True(t, timeout.Timeout())

			res, err := client.Get(p.URL + "/body")
			if err != nil {
				continue // even the header was too late
			}
			_, err = io.ReadAll(res.Body)
			require.Error(t, err) // which one is the Client's own race
			_ = res.Body.Close()
		}
		assert.Equal(t, rig.Verdicts{Failure: 2 * n}, rig.VerdictsOf(rt))
	})
}

func TestContextThatIsDoneSpendsNoProbe(t *testing.T) {
	rt := rig.Opened(t, "http://a.test/", httpbreaker.Config{Base: rig.Respond(200, "")})
	b, _ := rt.Breakers().Lookup("a.test:80")
	b.Trip(time.Nanosecond, "so that a probe is next")
	ctx, cancel := context.WithTimeout(t.Context(), -time.Second)
	defer cancel()
	_, err := rt.RoundTrip(rig.NewRequest(t, "GET", "http://a.test/", nil).WithContext(ctx))
	require.ErrorIs(t, err, context.DeadlineExceeded)
	assert.False(t, errors.Is(err, httpbreaker.ErrOpen))
	assert.Equal(t, "open", b.State().String(), "nobody has made the transition")
}
