package clients

import (
	"context"
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
)

// Each library meets each outage: its calls fail, the circuit opens, the host is left
// alone, and once it is well a call goes through. An open circuit is known as such from the
// error, whatever the outage was: some libraries search the text of an error for what went
// wrong last, and then hide the error or try again.
func TestOutages(t *testing.T) {
	for _, lib := range libraries {
		for name, fault := range faults {
			t.Run(lib.name+" "+name, func(t *testing.T) {
				t.Parallel()
				testOutage(t, lib, fault)
			})
		}
	}
}

func testOutage(t *testing.T, lib library, fault http.HandlerFunc) {
	h, circuits := newHost(t, lib.answer), opensAfter(2)
	call := lib.connect(t, setup{url: h.URL, config: h.config(t, circuits), told: true, wait: time.Millisecond})
	circuit := circuits.Get(h.name())
	require.NoError(t, call(t.Context()))

	if fault == nil {
		h.gone.Store(true)
		h.CloseClientConnections()
	} else {
		h.fault.Store(&fault)
	}
	for calls := 0; circuit.State() == breaker.Closed; calls++ {
		require.Less(t, calls, 2)
		require.Error(t, impatient(t, call))
	}
	asked, rejected := h.asked.Load(), circuit.Snapshot().Totals.Rejected
	require.ErrorIs(t, call(t.Context()), httpbreaker.ErrOpen)
	assert.Equal(t, rejected+1, circuit.Snapshot().Totals.Rejected)
	assert.Equal(t, asked, h.asked.Load())

	h.fault.Store(nil)
	h.gone.Store(false)
	circuit.Trip(time.Nanosecond, "the time of the outage is over")
	require.NoError(t, call(t.Context()))
	assert.Equal(t, breaker.Closed, circuit.State())
}

// impatient makes a call with a deadline.
func impatient(t *testing.T, call call) error {
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	return call(ctx)
}

// faults are what a host can have.
var faults = map[string]http.HandlerFunc{
	"503": func(w http.ResponseWriter, _ *http.Request) {
		http.Error(w, "out of order", http.StatusServiceUnavailable)
	},
	"hang": func(_ http.ResponseWriter, req *http.Request) { <-req.Context().Done() },
	"EOF":  func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) },
	"connection reset": func(w http.ResponseWriter, _ *http.Request) {
		conn, _, err := http.NewResponseController(w).Hijack()
		if err == nil {
			_ = conn.(*net.TCPConn).SetLinger(0)
			_ = conn.Close()
		}
	},
	"connection refused": nil,
}

// A host is a real server that does what it is told, and counts how often it was asked.
type host struct {
	*httptest.Server
	asked atomic.Int64
	fault atomic.Pointer[http.HandlerFunc] // nil: it is well
	gone  atomic.Bool                      // nobody listens
}

func newHost(t *testing.T, answer http.HandlerFunc) *host {
	h := new(host)
	h.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		h.asked.Add(1)
		_, _ = io.Copy(io.Discard, req.Body)
		if fault := h.fault.Load(); fault != nil {
			(*fault)(w, req)
			return
		}
		answer(w, req)
	}))
	t.Cleanup(h.Close)
	return h
}

func (h *host) name() string { return strings.TrimPrefix(h.URL, "http://") }

// opensAfter makes circuits that open after this many failures, for an hour.
func opensAfter(failures int) *breaker.Set {
	return breaker.NewSet(breaker.Options{Config: breaker.Config{
		SlowStart: -1, // what recovery looks like is another test's
		Failures:  failures, OpenFor: time.Hour, Jitter: -1,
	}})
}

// config is that of a transport which leaves no connections behind.
func (h *host) config(t *testing.T, circuits *breaker.Set) httpbreaker.Config {
	base := &http.Transport{DialContext: h.dial}
	t.Cleanup(base.CloseIdleConnections)
	return httpbreaker.Config{Base: base, Breakers: circuits}
}

// dial dials the host, or a port where nobody listens.
func (h *host) dial(ctx context.Context, network, address string) (net.Conn, error) {
	if h.gone.Load() {
		address = "127.0.0.1:1"
	}
	return new(net.Dialer).DialContext(ctx, network, address)
}
