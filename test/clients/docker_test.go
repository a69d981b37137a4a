package clients

import (
	"context"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/docker/go-connections/sockets"
	"github.com/moby/moby/client"
	"github.com/stretchr/testify/require"

	"github.com/seed-0b728cf8/httpbreaker"
	"github.com/seed-0b728cf8/httpbreaker/breaker"
)

var docker = library{
	name:    "Docker",
	connect: connectDocker,
	answer:  answers(`{}`),
	plain:   effort{attempts: 3}, // two pings to learn the version of the API
	told:    once,
}

func connectDocker(t *testing.T, s setup) call {
	transport := httpbreaker.New(&s.config)
	options := []client.Opt{
		client.WithHost(strings.Replace(s.url, "http:", "tcp:", 1)),
		client.WithHTTPClient(&http.Client{Transport: transport}),
	}
	if s.told {
		options = append(options, client.WithAPIVersion(client.MaxAPIVersion))
	}
	daemon, err := client.New(options...)
	require.NoError(t, err)
	return func(ctx context.Context) error {
		_, err := daemon.ServerVersion(ctx, client.ServerVersionOptions{})
		return err
	}
}

// newDaemon makes a client of the Docker daemon at host, such as unix:///run/docker.sock.
func newDaemon(host string, circuits *breaker.Set) (*client.Client, error) {
	at, err := client.ParseHostURL(host)
	if err != nil {
		return nil, err
	}
	base := new(http.Transport)
	if err := sockets.ConfigureTransport(base, at.Scheme, at.Host); err != nil {
		return nil, err
	}
	transport := httpbreaker.New(&httpbreaker.Config{Base: base, Breakers: circuits})
	return client.New(client.WithHost(host), client.WithHTTPClient(&http.Client{Transport: transport}))
}

func TestDockerOnASocket(t *testing.T) {
	socket, circuits := newSocket(t), opensAfter(2)
	daemon, err := newDaemon(socket.host, circuits)
	require.NoError(t, err)
	ask := func() error {
		_, err := daemon.ServerVersion(t.Context(), client.ServerVersionOptions{})
		return err
	}
	require.NoError(t, ask())
	socket.Close()
	for range 2 {
		require.ErrorContains(t, ask(), "Cannot connect")
	}
	require.ErrorIs(t, ask(), httpbreaker.ErrOpen)
}

// The client makes the URL of a Transport that it does not know http.
func TestDockerOverTLSNeedsAScheme(t *testing.T) {
	server := httptest.NewUnstartedServer(docker.answer)
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.StartTLS()
	t.Cleanup(server.Close)
	transport := httpbreaker.New(&httpbreaker.Config{Base: server.Client().Transport})
	options := []client.Opt{
		client.WithHost("tcp://" + server.Listener.Addr().String()),
		client.WithHTTPClient(&http.Client{Transport: transport}),
	}
	daemon, err := client.New(options...)
	require.NoError(t, err)
	_, err = daemon.ServerVersion(t.Context(), client.ServerVersionOptions{})
	require.Error(t, err)
	daemon, err = client.New(append(options, client.WithScheme("https"))...)
	require.NoError(t, err)
	_, err = daemon.ServerVersion(t.Context(), client.ServerVersionOptions{})
	require.NoError(t, err)
}

// Attach and exec take a connection for themselves: the client dials it past its Transport.
func TestDockerAttachPassesTheCircuitBy(t *testing.T) {
	h := newHost(t, func(w http.ResponseWriter, _ *http.Request) {
		conn, _, err := http.NewResponseController(w).Hijack()
		if err == nil {
			_, _ = io.WriteString(conn, "HTTP/1.1 101 UPGRADED\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n")
			_ = conn.Close()
		}
	})
	transport := httpbreaker.New(&httpbreaker.Config{Breakers: allOpen()})
	daemon, err := client.New(
		client.WithHost("tcp://"+h.name()), client.WithHTTPClient(&http.Client{Transport: transport}),
		client.WithAPIVersion(client.MaxAPIVersion),
	)
	require.NoError(t, err)
	attached, err := daemon.ContainerAttach(t.Context(), "id", client.ContainerAttachOptions{})
	require.NoError(t, err)
	attached.Close()
	require.EqualValues(t, 1, h.asked.Load())
}

// A socket is a Docker daemon on a Unix socket.
type socket struct {
	*httptest.Server
	host string // unix:///path
}

func newSocket(t *testing.T) socket {
	dir, err := os.MkdirTemp("", "docker") // that of t may be too long for a socket
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, os.RemoveAll(dir)) })
	path := filepath.Join(dir, "sock")
	listener, err := net.Listen("unix", path)
	require.NoError(t, err)
	listener.(*net.UnixListener).SetUnlinkOnClose(false) // a daemon that dies leaves its socket behind
	server := &httptest.Server{Listener: listener, Config: &http.Server{Handler: docker.answer}}
	server.Start()
	t.Cleanup(server.Close)
	return socket{server, "unix://" + path}
}

// Daemons on different sockets are different hosts: one that is dead takes no other with it.
func TestDockerDaemonsHaveCircuitsOfTheirOwn(t *testing.T) {
	dead, well, circuits := newSocket(t), newSocket(t), opensAfter(2)
	dead.Close()
	one, err := newDaemon(dead.host, circuits)
	require.NoError(t, err)
	other, err := newDaemon(well.host, circuits)
	require.NoError(t, err)
	for range 3 {
		_, err = one.ServerVersion(t.Context(), client.ServerVersionOptions{})
		require.Error(t, err)
	}
	require.ErrorIs(t, err, httpbreaker.ErrOpen)
	_, err = other.ServerVersion(t.Context(), client.ServerVersionOptions{})
	require.NoError(t, err)
	require.Equal(t, 2, circuits.Len())
}
