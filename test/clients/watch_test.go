package clients

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/watch"

	"github.com/seed-0b728cf8/httpbreaker"
	"github.com/seed-0b728cf8/httpbreaker/breaker"
)

// A watch is an answer that never ends. A host that answers 19 of 20 requests with one, and
// keeps them all supplied, is well, although none of its answers is over yet.
func TestWatchesThatNeverEndKeepTheCircuitClosed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const asked, events = 400, 2
		conns := newPipes()
		server := &http.Server{Handler: everyTwentiethFails()}
		go func() { _ = server.Serve(conns) }()
		defer server.Close()
		circuits := new(breaker.Set)
		pods := podsOf(t, setup{url: "http://api", config: httpbreaker.Config{
			Base: &http.Transport{DialContext: conns.dial}, Breakers: circuits,
		}})
		circuit := circuits.Get("api:80")

		var watches []watch.Interface
		for i := range asked {
			w, err := pods.Watch(t.Context(), metav1.ListOptions{})
			require.NotErrorIs(t, err, httpbreaker.ErrOpen, "request %d", i)
			if err == nil {
				watches = append(watches, w)
				defer w.Stop()
			}
			time.Sleep(50 * time.Millisecond) // of the bubble
		}
		require.Len(t, watches, asked*19/20)
		for _, w := range watches {
			for range events {
				assert.Equal(t, watch.Added, (<-w.ResultChan()).Type)
			}
		}
		snapshot := circuit.Snapshot()
		assert.Equal(t, breaker.Closed, snapshot.State)
		assert.Zero(t, snapshot.Totals.Opened)
		assert.EqualValues(t, asked/20, snapshot.Totals.Failures)
		assert.Equal(t, len(watches), snapshot.Answered)
	})
}

// everyTwentiethFails answers a watch with an event each second, and each twentieth
// request with 503.
func everyTwentiethFails() http.HandlerFunc {
	var requests atomic.Int64
	return func(w http.ResponseWriter, req *http.Request) {
		if requests.Add(1)%20 == 0 {
			faults["503"](w, req)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		for req.Context().Err() == nil {
			fmt.Fprintln(w, `{"type": "ADDED", "object": {"kind": "Pod", "apiVersion": "v1", "metadata": {"name": "pod"}}}`)
			_ = http.NewResponseController(w).Flush()
			select {
			case <-req.Context().Done():
			case <-time.After(time.Second):
			}
		}
	}
}

// pipes are a listener, and who dials it: connections in memory, as virtual time needs them.
type pipes struct {
	dialed, closed chan net.Conn
}

func newPipes() pipes { return pipes{make(chan net.Conn), make(chan net.Conn)} }

func (p pipes) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	ours, theirs := net.Pipe()
	select {
	case p.dialed <- theirs:
		return ours, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (p pipes) Accept() (net.Conn, error) {
	select {
	case conn := <-p.dialed:
		return conn, nil
	case <-p.closed:
		return nil, net.ErrClosed
	}
}

func (p pipes) Close() error {
	close(p.closed)
	return nil
}

func (p pipes) Addr() net.Addr { return &net.UnixAddr{} }
