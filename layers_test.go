package httpbreaker_test

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seed-0b728cf8/httpbreaker"
	"github.com/seed-0b728cf8/httpbreaker/breaker"
)

func TestStopRetryWhenOpen(t *testing.T) {
	type retryPolicy = func(context.Context, *http.Response, error) (bool, error)
	nextSays := errors.New("what next says")
	var policy retryPolicy = httpbreaker.StopRetryWhenOpen(func(context.Context, *http.Response, error) (bool, error) {
		return true, nextSays
	})
	rt := opened(t, "http://a.test/", httpbreaker.Config{})
	_, rejected := (&http.Client{Transport: rt}).Get("http://a.test/")
	fallback, err := opened(t, "http://a.test/", httpbreaker.Config{Fallback: httpbreaker.Respond(503, nil, nil)}).
		RoundTrip(newRequest(t, "GET", "http://a.test/", nil))
	require.NoError(t, err)

	for _, tc := range []struct {
		name  string
		res   *http.Response
		err   error
		retry bool
	}{
		{"rejected", nil, rejected, false},
		{"fallback", fallback, nil, false},
		{"error", nil, errBase, true},
		{"response", &http.Response{StatusCode: 503}, nil, true},
	} {
		retry, err := policy(t.Context(), tc.res, tc.err)
		assert.Equal(t, tc.retry, retry, tc.name)
		if tc.retry {
			assert.Equal(t, nextSays, err, tc.name)
		} else {
			assert.NoError(t, err, "%s: the client keeps the error that it has", tc.name)
		}
	}
	assert.PanicsWithValue(t, "httpbreaker: StopRetryWhenOpen: next = nil; want a function", func() { httpbreaker.StopRetryWhenOpen(nil) })
}

// newProxy runs a ReverseProxy in front of target, whose ErrorHandler and Transport are
// ours.
func newProxy(t *testing.T, target string, rt http.RoundTripper) peer {
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
	return serve(t, 1, http.MaxBytesHandler(proxy, 1<<20))
}

func TestProxyErrorHandler(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ask := func(rt http.RoundTripper, next func(http.ResponseWriter, *http.Request, error)) *http.Response {
			proxy := &httputil.ReverseProxy{
				Rewrite:      func(r *httputil.ProxyRequest) { r.SetURL(&url.URL{Scheme: "http", Host: "a.test"}) },
				Transport:    rt,
				ErrorHandler: httpbreaker.ProxyErrorHandler(next),
			}
			rec := httptest.NewRecorder()
			proxy.ServeHTTP(rec, httptest.NewRequest("GET", "http://proxy.test/", nil))
			return rec.Result()
		}
		open := opened(t, "http://a.test/", httpbreaker.Config{})
		time.Sleep(59*time.Minute + 56*time.Second + 500*time.Millisecond)
		res := ask(open, nil)
		assert.Equal(t, http.StatusServiceUnavailable, res.StatusCode)
		assert.Equal(t, "4", res.Header.Get("Retry-After"), "3.5 s, rounded up")
		body, err := io.ReadAll(res.Body)
		require.NoError(t, err)
		assert.Equal(t, "Service Unavailable\n", string(body), "and nothing about the inside")

		broken := httpbreaker.New(&httpbreaker.Config{Base: baseFunc(failing)})
		assert.Equal(t, http.StatusBadGateway, ask(broken, nil).StatusCode)
		var got error
		res = ask(broken, func(w http.ResponseWriter, _ *http.Request, err error) {
			got = err
			w.WriteHeader(http.StatusTeapot)
		})
		assert.Equal(t, http.StatusTeapot, res.StatusCode)
		assert.Equal(t, errBase, got)
	})
}

func TestVisitorsOfAProxySee503(t *testing.T) {
	backend := over(t, 1, http.NotFoundHandler())
	rt := opened(t, backend.URL, httpbreaker.Config{Base: backend.base})
	front := newProxy(t, backend.URL, rt)
	res, err := front.Client().Get(front.URL)
	require.NoError(t, err)
	require.NoError(t, res.Body.Close())
	assert.Equal(t, http.StatusServiceUnavailable, res.StatusCode)
	assert.NotEmpty(t, res.Header.Get("Retry-After"))
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
	leave := func(front peer, request string, wait bool) error {
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
		visit func(peer) error
	}{
		{"abort an upload of known length", func(front peer) error {
			return leave(front, "POST /upload HTTP/1.1\r\nHost: p\r\nContent-Length: 100000\r\n\r\nfirst bytes", true)
		}},
		{"abort an upload of unknown length", func(front peer) error {
			return leave(front, "POST /upload HTTP/1.1\r\nHost: p\r\nTransfer-Encoding: chunked\r\n\r\n"+chunk+strings.Repeat("x", 0x400), true)
		}},
		{"send broken chunks", func(front peer) error {
			return leave(front, "POST /upload HTTP/1.1\r\nHost: p\r\nTransfer-Encoding: chunked\r\n\r\nno length\r\n", false)
		}},
		{"leave before the answer", func(front peer) error {
			return leave(front, "GET /slow HTTP/1.1\r\nHost: p\r\n\r\n", true)
		}},
		{"leave in the middle of the answer", func(front peer) error {
			return leave(front, "GET /endless HTTP/1.1\r\nHost: p\r\n\r\n", false)
		}},
		{"send too much", func(front peer) error {
			body := io.LimitReader(readerFunc(func(p []byte) (int, error) { return len(p), nil }), 2<<20)
			res, err := front.Client().Post(front.URL+"/upload", "text/plain", struct{ io.Reader }{body})
			if err != nil {
				return nil // the proxy hung up on us
			}
			return res.Body.Close()
		}},
		{"send what cannot be sent on", func(front peer) error {
			res, err := front.Client().Get(front.URL + "/?user=eve%0d%0aX-Admin:%201")
			if err != nil {
				return err
			}
			return res.Body.Close()
		}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			eachProtocol(t, h, func(t *testing.T, backend peer) {
				rt := httpbreaker.New(&httpbreaker.Config{Base: backend.base, Breakers: tripAfter(1)})
				front := newProxy(t, backend.URL, rt)
				for len(waiting) > 0 {
					<-waiting
				}
				require.NoError(t, tc.visit(front))
				assert.True(t, eventually(func() bool { return verdictsOf(rt) != verdicts{} }))
				assert.Zero(t, verdictsOf(rt).Failure)

				res, err := front.Client().Get(front.URL)
				require.NoError(t, err)
				require.NoError(t, res.Body.Close())
				assert.Equal(t, http.StatusOK, res.StatusCode, "the next visitor is served")
				assert.Equal(t, breaker.Closed, stateOf(t, rt, backend.URL))
			})
		})
	}
}
