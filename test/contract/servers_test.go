package contract_test

import (
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seed-0b728cf8/httpbreaker"
	"github.com/seed-0b728cf8/httpbreaker/breaker"
	"github.com/seed-0b728cf8/httpbreaker/internal/rig"
)

// The servers of this file are real. Each fails in its own way.

func TestDeadServer(t *testing.T) {
	rig.NoLeaks(t)
	s := httptest.NewServer(http.NotFoundHandler())
	s.Close() // its port refuses connections now
	rt := httpbreaker.New(&httpbreaker.Config{Breakers: rig.TripAfter(3)})
	defer rt.CloseIdleConnections()
	client := &http.Client{Transport: rt}
	for range 3 {
		_, err := client.Get(s.URL)
		require.Error(t, err)
		require.NotErrorIs(t, err, httpbreaker.ErrOpen)
	}
	_, err := client.Get(s.URL)
	require.ErrorIs(t, err, httpbreaker.ErrOpen)
	assert.Equal(t, rig.Verdicts{Failure: 3}, rig.VerdictsOf(rt))
}

func TestRefusingServer(t *testing.T) {
	rig.NoLeaks(t)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	var accepted atomic.Int32
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			accepted.Add(1)
			_ = conn.Close() // takes connections and hangs up
		}
	}()
	rt := httpbreaker.New(&httpbreaker.Config{Breakers: rig.TripAfter(3)})
	defer rt.CloseIdleConnections()
	client := &http.Client{Transport: rt}
	for range 3 {
		_, err := client.Post("http://"+l.Addr().String(), "text/plain", strings.NewReader("x"))
		require.Error(t, err)
	}
	before := accepted.Load()
	_, err = client.Get("http://" + l.Addr().String())
	require.ErrorIs(t, err, httpbreaker.ErrOpen)
	assert.Equal(t, before, accepted.Load(), "nothing was dialled")
}

func TestFailingServerRecovers(t *testing.T) {
	var broken atomic.Bool
	broken.Store(true)
	h := func(w http.ResponseWriter, _ *http.Request) {
		if broken.Load() {
			w.WriteHeader(http.StatusBadGateway)
		}
		_, _ = io.WriteString(w, "body")
	}
	rig.EachProtocol(t, h, func(t *testing.T, p rig.Peer) {
		broken.Store(true)
		rt := httpbreaker.New(&httpbreaker.Config{Base: p.Base, Breakers: rig.TripAfter(3)})
		client := &http.Client{Transport: rt}
		get := func() (int, error) {
			res, err := client.Get(p.URL)
			if err != nil {
				return 0, err
			}
			defer res.Body.Close()
			_, err = io.Copy(io.Discard, res.Body)
			return res.StatusCode, err
		}
		for range 3 {
			status, err := get()
			require.NoError(t, err)
			assert.Equal(t, http.StatusBadGateway, status)
		}
		_, err := get()
		require.ErrorIs(t, err, httpbreaker.ErrOpen)

		broken.Store(false)
		b, _ := rt.Breakers().Lookup(httpbreaker.ByHost(rig.NewRequest(t, "GET", p.URL, nil)))
		b.Trip(time.Nanosecond, "so that nobody has to wait")
		assert.True(t, rig.Eventually(func() bool {
			status, err := get()
			return err == nil && status == http.StatusOK
		}))
		assert.True(t, rig.Eventually(func() bool {
			_, err := get()
			return err == nil && rig.StateOf(t, rt, p.URL) == breaker.Closed
		}), "after some more successes")
	})
}

// A server that always breaks off in the middle of its answer is cut off, too.
func TestTruncatingServer(t *testing.T) {
	h := func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, "first half")
		_ = http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler)
	}
	rig.EachProtocol(t, h, func(t *testing.T, p rig.Peer) {
		rt := httpbreaker.New(&httpbreaker.Config{Base: p.Base, Breakers: rig.TripAfter(3)})
		client := &http.Client{Transport: rt}
		for range 3 {
			res, err := client.Get(p.URL)
			require.NoError(t, err)
			_, err = io.ReadAll(res.Body)
			require.Error(t, err)
			require.NoError(t, res.Body.Close())
		}
		_, err := client.Get(p.URL)
		require.ErrorIs(t, err, httpbreaker.ErrOpen)
	})
}

// A stream of events that is always broken off before its first event is no success, and one
// that ends, or is cut later, is no failure.
func TestServerThatDropsItsEventStreams(t *testing.T) {
	for _, tc := range []struct {
		name  string
		serve http.HandlerFunc
		want  rig.Verdicts
	}{
		{"at once", func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, rig.Verdicts{Failure: 3}},
		{"by ending them", func(http.ResponseWriter, *http.Request) {}, rig.Verdicts{Success: 3}},
		{"after an event", func(w http.ResponseWriter, _ *http.Request) {
			_, _ = io.WriteString(w, "data: x\n\n")
			_ = http.NewResponseController(w).Flush()
			panic(http.ErrAbortHandler)
		}, rig.Verdicts{Success: 3}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			h := func(w http.ResponseWriter, req *http.Request) {
				w.Header().Set("Content-Type", "text/event-stream")
				_ = http.NewResponseController(w).Flush()
				tc.serve(w, req)
			}
			rig.EachProtocol(t, h, func(t *testing.T, p rig.Peer) {
				rt := httpbreaker.New(&httpbreaker.Config{Base: p.Base, Breakers: rig.TripAfter(3)})
				for range 3 {
					res, err := rt.RoundTrip(rig.NewRequest(t, "GET", p.URL, nil))
					require.NoError(t, err)
					_, _ = io.Copy(io.Discard, res.Body)
					require.NoError(t, res.Body.Close())
				}
				assert.Equal(t, tc.want, rig.VerdictsOf(rt))
				res, err := rt.RoundTrip(rig.NewRequest(t, "GET", p.URL, nil))
				assert.Equal(t, tc.want.Failure > 0, errors.Is(err, httpbreaker.ErrOpen))
				if err == nil {
					require.NoError(t, res.Body.Close())
				}
			})
		})
	}
}
