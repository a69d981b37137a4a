package contract_test

import (
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seed-0b728cf8/httpbreaker"
	"github.com/seed-0b728cf8/httpbreaker/breaker"
	"github.com/seed-0b728cf8/httpbreaker/internal/rig"
)

// As Docker's client does it: the path of the socket is the URL's host.
func TestDeadDaemonOnASocketLeavesAHealthyOneAlone(t *testing.T) {
	rig.NoLeaks(t)
	dir := t.TempDir()
	healthy, dead := filepath.Join(dir, "healthy.sock"), filepath.Join(dir, "dead.sock")
	l, err := net.Listen("unix", healthy)
	require.NoError(t, err)
	daemon := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "OK") }))
	daemon.Listener.Close()
	daemon.Listener = l
	daemon.Start()
	defer daemon.Close()

	rt := httpbreaker.New(&httpbreaker.Config{
		Breakers: rig.TripAfter(3),
		Base: newBase(t, dialWith(func(ctx context.Context, _, addr string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "unix", strings.TrimSuffix(addr, ":80"))
		})),
	})
	ping := func(socket string) error {
		res, err := (&http.Client{Transport: rt}).Do(&http.Request{
			Method: "GET", URL: &url.URL{Scheme: "http", Host: socket, Path: "/_ping"}, Host: "daemon", Header: http.Header{},
		})
		if err == nil {
			_, _ = io.Copy(io.Discard, res.Body)
			res.Body.Close()
		}
		return err
	}
	for range 3 {
		err := ping(dead)
		require.Error(t, err)
		require.NotErrorIs(t, err, httpbreaker.ErrOpen)
	}
	require.ErrorIs(t, ping(dead), httpbreaker.ErrOpen)
	require.NoError(t, ping(healthy))

	for socket, want := range map[string]breaker.State{dead: breaker.Open, healthy: breaker.Closed} {
		b, ok := rt.Breakers().Lookup("!" + socket)
		require.True(t, ok)
		assert.Equal(t, want, b.State())
	}
}
