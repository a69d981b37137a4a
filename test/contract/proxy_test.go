package contract_test

import (
	"io"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/seed-0b728cf8/httpbreaker"
	"github.com/seed-0b728cf8/httpbreaker/breaker"
	"github.com/seed-0b728cf8/httpbreaker/internal/rig"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// newProxy runs a ReverseProxy in front of target, whose ErrorHandler and Transport are
// ours.
func newProxy(t *testing.T, target string, rt http.RoundTripper) rig.Peer {
	t.Helper()
	u, err := url.Parse(target)
	require.NoError(t, err)
	proxy := &httputil.ReverseProxy{
		Transport:    rt,
		ErrorHandler: httpbreaker.ProxyErrorHandler(nil),
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(u)
			if user := r.In.URL.Query().Get("user"); user != "" {
				r.Out.Header.Set("X-User", user) // unchecked
			}
		},
	}
	return rig.Serve(t, 1, http.MaxBytesHandler(proxy, 1<<20))
}

func TestVisitorsOfAProxySee503(t *testing.T) {
	backend := rig.Over(t, 1, http.NotFoundHandler())
	rt := rig.Opened(t, backend.URL, httpbreaker.Config{Base: backend.Base})
	front := newProxy(t, backend.URL, rt)
	res, err := front.Client().Get(front.URL)
	require.NoError(t, err)
	require.NoError(t, res.Body.Close())
	assert.Equal(t, http.StatusServiceUnavailable, res.StatusCode)
	assert.NotEmpty(t, res.Header.Get("Retry-After"))
}

// They say how long they wait, and the backend is the first to say that this has passed.
func TestVisitorsOfAProxyOfGRPC(t *testing.T) {
	rig.EachProtocol(t, func(w http.ResponseWriter, req *http.Request) {
		w.Header().Set("Content-Type", "application/grpc")
		if req.Header.Get("Grpc-Timeout") == "1n" {
			w.Header().Set("Grpc-Status", "4")
		}
	}, func(t *testing.T, backend rig.Peer) {
		rt := httpbreaker.New(&httpbreaker.Config{
			Base: backend.Base, Breakers: rig.TripAfter(1),
			Classify: httpbreaker.DeadlinesOver(nil, time.Minute),
		})
		front := newProxy(t, backend.URL, rt)
		req := rig.NewRequest(t, "POST", front.URL+"/package.Service/Method", nil)
		req.Header.Set("Grpc-Timeout", "1n")
		res, err := front.Client().Do(req)
		require.NoError(t, err)
		require.NoError(t, res.Body.Close())
		assert.Equal(t, "4", res.Header.Get("Grpc-Status"))
		assert.True(t, rig.Eventually(func() bool { return rig.VerdictsOf(rt) != rig.Verdicts{} }))
		assert.Equal(t, rig.Verdicts{Ignored: 1}, rig.VerdictsOf(rt))
	})
}

// Whatever visitors of a proxy do, it is not the backend that has failed. Its circuit here
// would open at the first failure.
func TestVisitorsOfAProxyCannotOpenTheCircuit(t *testing.T) {
	waiting := make(chan struct{}, 1)
	h := func(w http.ResponseWriter, req *http.Request) {
		switch req.URL.Path {
		case "/upload":
			select {
			case waiting <- struct{}{}:
			default:
			}
			_, _ = io.Copy(io.Discard, req.Body)
		case "/slow":
			waiting <- struct{}{}
			<-req.Context().Done()
		case "/endless":
			chunk := make([]byte, 64<<10)
			for req.Context().Err() == nil {
				if _, err := w.Write(chunk); err != nil {
					return
				}
			}
		}
	}
	// leave sends what it is given over a connection of its own, and hangs up once the
	// backend has it or, without waiting, once the proxy has begun to answer.
	leave := func(front rig.Peer, request string, wait bool) error {
		conn, err := net.Dial("tcp", front.Listener.Addr().String())
		if err != nil {
			return err
		}
		defer conn.Close()
		if _, err := io.WriteString(conn, request); err != nil {
			return err
		}
		if wait {
			<-waiting
			return nil
		}
		_, err = conn.Read(make([]byte, 1024))
		return err
	}
	const chunk = "400\r\n"
	for _, tc := range []struct {
		name  string
		visit func(rig.Peer) error
	}{
		{"abort an upload of known length", func(front rig.Peer) error {
			return leave(front, "POST /upload HTTP/1.1\r\nHost: p\r\nContent-Length: 100000\r\n\r\nfirst bytes", true)
		}},
		{"abort an upload of unknown length", func(front rig.Peer) error {
			return leave(front, "POST /upload HTTP/1.1\r\nHost: p\r\nTransfer-Encoding: chunked\r\n\r\n"+chunk+strings.Repeat("x", 0x400), true)
		}},
		{"send broken chunks", func(front rig.Peer) error {
			return leave(front, "POST /upload HTTP/1.1\r\nHost: p\r\nTransfer-Encoding: chunked\r\n\r\nno length\r\n", false)
		}},
		{"leave before the answer", func(front rig.Peer) error {
			return leave(front, "GET /slow HTTP/1.1\r\nHost: p\r\n\r\n", true)
		}},
		{"leave in the middle of the answer", func(front rig.Peer) error {
			return leave(front, "GET /endless HTTP/1.1\r\nHost: p\r\n\r\n", false)
		}},
		{"send too much", func(front rig.Peer) error {
			body := io.LimitReader(rig.ReaderFunc(func(p []byte) (int, error) { return len(p), nil }), 2<<20)
			res, err := front.Client().Post(front.URL+"/upload", "text/plain", struct{ io.Reader }{body})
			if err != nil {
				return nil // the proxy hung up on us
			}
			return res.Body.Close()
		}},
		{"send what cannot be sent on", func(front rig.Peer) error {
			res, err := front.Client().Get(front.URL + "/?user=eve%0d%0aX-Admin:%201")
			if err != nil {
				return err
			}
			return res.Body.Close()
		}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			rig.EachProtocol(t, h, func(t *testing.T, backend rig.Peer) {
				rt := httpbreaker.New(&httpbreaker.Config{Base: backend.Base, Breakers: rig.TripAfter(1)})
				front := newProxy(t, backend.URL, rt)
				for len(waiting) > 0 {
					<-waiting
				}
				require.NoError(t, tc.visit(front))
				assert.True(t, rig.Eventually(func() bool { return rig.VerdictsOf(rt) != rig.Verdicts{} }))
				assert.Zero(t, rig.VerdictsOf(rt).Failure)

				res, err := front.Client().Get(front.URL)
				require.NoError(t, err)
				require.NoError(t, res.Body.Close())
				assert.Equal(t, http.StatusOK, res.StatusCode, "the next visitor is served")
				assert.Equal(t, breaker.Closed, rig.StateOf(t, rt, backend.URL))
			})
		})
	}
}
