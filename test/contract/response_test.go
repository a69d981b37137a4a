package contract_test

import (
	"bufio"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"net/http/httputil"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seed-0b728cf8/httpbreaker"
	"github.com/seed-0b728cf8/httpbreaker/breaker"
	"github.com/seed-0b728cf8/httpbreaker/internal/rig"
)

// What net/http asks of a RoundTripper about the response, the error and itself.

func TestFailingResponseIsReturnedAsItCame(t *testing.T) {
	h := func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("X-Why", "maintenance")
		w.WriteHeader(http.StatusServiceUnavailable)
		_, _ = io.WriteString(w, "back soon")
	}
	rig.EachProtocol(t, h, func(t *testing.T, p rig.Peer) {
		var inner *http.Response
		rt := httpbreaker.New(&httpbreaker.Config{
			Breakers: rig.TripAfter(1),
			Base: rig.BaseFunc(func(req *http.Request) (*http.Response, error) {
				res, err := p.Base.RoundTrip(req)
				inner = res
				return res, err
			}),
		})
		res, err := rt.RoundTrip(rig.NewRequest(t, "GET", p.URL, nil)) // the one that trips
		require.NoError(t, err)
		assert.Same(t, inner, res)
		assert.Equal(t, "maintenance", res.Header.Get("X-Why"))
		got, err := io.ReadAll(res.Body)
		require.NoError(t, err)
		require.NoError(t, res.Body.Close())
		assert.Equal(t, "back soon", string(got))

		_, err = rt.RoundTrip(rig.NewRequest(t, "GET", p.URL, nil))
		var open *httpbreaker.OpenError
		require.ErrorAs(t, err, &open)
		assert.EqualError(t, open.Last, "503 Service Unavailable")
	})
}

func TestResponseAndErrorBecomeOne(t *testing.T) {
	body := rig.NewSpyBody("x")
	rt := httpbreaker.New(&httpbreaker.Config{Base: rig.BaseFunc(func(req *http.Request) (*http.Response, error) {
		return &http.Response{StatusCode: 200, Body: body, Request: req}, rig.ErrBase
	})})
	res, err := rt.RoundTrip(rig.NewRequest(t, "GET", "http://a.test/", nil))
	assert.Nil(t, res)
	assert.Equal(t, rig.ErrBase, err)
	assert.EqualValues(t, 1, body.Closes.Load(), "nobody else will close it")
}

func TestNeitherResponseNorErrorIsAFailure(t *testing.T) {
	asked := false
	rt := httpbreaker.New(&httpbreaker.Config{
		Base: rig.BaseFunc(func(*http.Request) (*http.Response, error) { return nil, nil }),
		Classify: func(r httpbreaker.Result) breaker.Outcome {
			asked = true
			return httpbreaker.DefaultClassifier(r)
		},
	})
	res, err := rt.RoundTrip(rig.NewRequest(t, "GET", "http://a.test/", nil))
	assert.Nil(t, res)
	assert.NoError(t, err)
	assert.False(t, asked, "a classifier expects one of the two")
	assert.Equal(t, rig.Verdicts{Failure: 1}, rig.VerdictsOf(rt))
}

func TestErrorIsTheBasesOwn(t *testing.T) {
	rt := httpbreaker.New(&httpbreaker.Config{Base: rig.BaseFunc(rig.Failing)})
	_, err := rt.RoundTrip(rig.NewRequest(t, "GET", "http://a.test/", nil))
	assert.True(t, err == rig.ErrBase, "the very error") //nolint:errorlint // identity is the point
}

func TestCloseIdleConnectionsReachesTheBase(t *testing.T) {
	rig.EachProtocol(t, func(http.ResponseWriter, *http.Request) {}, func(t *testing.T, p rig.Peer) {
		client := &http.Client{Transport: httpbreaker.New(&httpbreaker.Config{Base: p.Base})}
		reused := func() (reused bool) {
			ctx := httptrace.WithClientTrace(t.Context(), &httptrace.ClientTrace{
				GotConn: func(c httptrace.GotConnInfo) { reused = c.Reused },
			})
			res, err := client.Do(rig.NewRequest(t, "GET", p.URL, nil).WithContext(ctx))
			require.NoError(t, err)
			require.NoError(t, res.Body.Close())
			return reused
		}
		assert.False(t, reused())
		assert.True(t, reused())
		client.CloseIdleConnections()
		assert.False(t, reused())
	})
	httpbreaker.New(&httpbreaker.Config{Base: rig.BaseFunc(rig.Failing)}).CloseIdleConnections() // has none
	new(httpbreaker.Transport).CloseIdleConnections()
}

// http.Client would call a CancelRequest, which is deprecated, if there were one.
func TestThereIsNoCancelRequest(t *testing.T) {
	_, ok := any(new(httpbreaker.Transport)).(interface{ CancelRequest(*http.Request) })
	assert.False(t, ok)
}

func TestResponseRequestIsTheCallers(t *testing.T) {
	p := rig.Over(t, 1, http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	rt := httpbreaker.New(&httpbreaker.Config{Base: p.Base})
	for _, body := range []io.Reader{nil, strings.NewReader("x"), rig.NewSpyBody("x")} {
		req := rig.NewRequest(t, "POST", p.URL, body)
		res, err := rt.RoundTrip(req)
		require.NoError(t, err)
		require.NoError(t, res.Body.Close())
		assert.Same(t, req, res.Request)
	}
}

// On a connection that is in use HTTP/2 gives a copy of its own, as do layers that add
// a header. That is theirs to decide.
func TestResponseRequestOfTheBaseIsKept(t *testing.T) {
	var own *http.Request
	rt := httpbreaker.New(&httpbreaker.Config{Base: rig.BaseFunc(func(req *http.Request) (*http.Response, error) {
		own = req.Clone(req.Context())
		return rig.Respond(200, "")(own)
	})})
	res, err := rt.RoundTrip(rig.NewRequest(t, "POST", "http://a.test/", rig.NewSpyBody("x")))
	require.NoError(t, err)
	assert.Same(t, own, res.Request)
}

// ReverseProxy panics at a response without a body.
func TestFallbackAlwaysHasABody(t *testing.T) {
	backend := httptest.NewServer(http.NotFoundHandler())
	defer backend.Close()
	target, err := url.Parse(backend.URL)
	require.NoError(t, err)
	rt := rig.Opened(t, backend.URL, httpbreaker.Config{Fallback: func(httpbreaker.Result) (*http.Response, error) {
		return &http.Response{StatusCode: 418}, nil
	}})
	proxy := &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(target) }, Transport: rt}
	rec := httptest.NewRecorder()
	proxy.ServeHTTP(rec, httptest.NewRequest("GET", "http://proxy.test/", nil))
	assert.Equal(t, 418, rec.Code)
}

func TestSwitchedProtocolKeepsItsConnection(t *testing.T) {
	p := rig.Over(t, 1, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		conn, rw, err := http.NewResponseController(w).Hijack()
		if !assert.NoError(t, err) {
			return
		}
		defer conn.Close()
		_, _ = io.WriteString(conn, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n")
		line, _ := rw.ReadString('\n')
		_, _ = io.WriteString(conn, line)
	}))
	rt := httpbreaker.New(&httpbreaker.Config{Base: p.Base})
	target, err := url.Parse(p.URL)
	require.NoError(t, err)
	// Through a proxy, which needs the body to be a writer.
	proxy := rig.Serve(t, 1, &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(target) }, Transport: rt})
	outer := httpbreaker.New(&httpbreaker.Config{Base: proxy.Base})

	req := rig.NewRequest(t, "GET", proxy.URL, nil)
	req.Header.Set("Connection", "Upgrade")
	req.Header.Set("Upgrade", "echo")
	res, err := outer.RoundTrip(req)
	require.NoError(t, err)
	require.Equal(t, http.StatusSwitchingProtocols, res.StatusCode)
	assert.Equal(t, rig.Verdicts{Success: 1}, rig.VerdictsOf(rt), "settled at the header")
	assert.Equal(t, rig.Verdicts{Success: 1}, rig.VerdictsOf(outer))
	conn, ok := res.Body.(io.ReadWriteCloser)
	require.True(t, ok, "%T", res.Body)
	_, err = io.WriteString(conn, "hello\n")
	require.NoError(t, err)
	line, err := bufio.NewReader(conn).ReadString('\n')
	require.NoError(t, err)
	assert.Equal(t, "hello\n", line)
	require.NoError(t, conn.Close())
}

func TestConnectIsSettledAtTheHeader(t *testing.T) {
	p := rig.Over(t, 2, http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		w.WriteHeader(http.StatusOK)
		_ = http.NewResponseController(w).Flush()
		_, _ = io.Copy(flushing{w}, req.Body)
	}))
	rt := httpbreaker.New(&httpbreaker.Config{Base: p.Base})
	tunnel, out := io.Pipe()
	req := rig.NewRequest(t, "CONNECT", p.URL, tunnel)
	res, err := rt.RoundTrip(req)
	require.NoError(t, err)
	assert.Equal(t, rig.Verdicts{Success: 1}, rig.VerdictsOf(rt))
	_, err = io.WriteString(out, "hello\n")
	require.NoError(t, err)
	line, err := bufio.NewReader(res.Body).ReadString('\n')
	require.NoError(t, err)
	assert.Equal(t, "hello\n", line)
	require.NoError(t, out.Close())
	require.NoError(t, res.Body.Close())
}

type flushing struct{ http.ResponseWriter }

func (f flushing) Write(p []byte) (int, error) {
	n, err := f.ResponseWriter.Write(p)
	_ = http.NewResponseController(f.ResponseWriter).Flush()
	return n, err
}

// The base fills trailers in after the body, through a pointer to the very response.
func TestResponseTrailersArrive(t *testing.T) {
	h := func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Trailer", "X-Announced")
		_, _ = io.WriteString(w, "body")
		_ = http.NewResponseController(w).Flush()
		w.Header().Set("X-Announced", "1")
		w.Header().Set(http.TrailerPrefix+"Grpc-Status", "0")
	}
	rig.EachProtocol(t, h, func(t *testing.T, p rig.Peer) {
		rt := httpbreaker.New(&httpbreaker.Config{Base: p.Base})
		res, err := rt.RoundTrip(rig.NewRequest(t, "GET", p.URL, nil))
		require.NoError(t, err)
		_, err = io.ReadAll(res.Body)
		require.NoError(t, err)
		require.NoError(t, res.Body.Close())
		assert.Equal(t, "1", res.Trailer.Get("X-Announced"))
		assert.Equal(t, "0", res.Trailer.Get("Grpc-Status"))
	})
}

func TestRedirectsAreJudgedHopByHop(t *testing.T) {
	second := rig.Over(t, 1, http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	h := func(w http.ResponseWriter, req *http.Request) {
		http.Redirect(w, req, second.URL+"/there", http.StatusFound)
	}
	rig.EachProtocol(t, h, func(t *testing.T, p rig.Peer) {
		rt := httpbreaker.New(&httpbreaker.Config{Base: p.Base})
		client := &http.Client{Transport: rt}
		res, err := client.Get(p.URL)
		require.NoError(t, err)
		require.NoError(t, res.Body.Close())
		assert.Equal(t, rig.Verdicts{Success: 2}, rig.VerdictsOf(rt), "one for each host")
		assert.Equal(t, 2, rt.Breakers().Len())

		rig.Trip(t, rt, second.URL)
		_, err = client.Get(p.URL)
		require.ErrorIs(t, err, httpbreaker.ErrOpen)
		var open *httpbreaker.OpenError
		require.ErrorAs(t, err, &open)
		var urlErr *url.Error
		require.ErrorAs(t, err, &urlErr)
		assert.Equal(t, second.URL+"/there", urlErr.URL, "the hop that was rejected")
	})
}

// net/http compares this error with ==, so it must not be wrapped. It says nothing about
// any host.
func TestErrSkipAltProtocolPasses(t *testing.T) {
	rig.EachProtocol(t, func(http.ResponseWriter, *http.Request) {}, func(t *testing.T, p rig.Peer) {
		rt := httpbreaker.New(&httpbreaker.Config{Base: rig.BaseFunc(func(*http.Request) (*http.Response, error) {
			return nil, http.ErrSkipAltProtocol
		})})
		scheme, _, _ := strings.Cut(p.URL, ":")
		outer := p.Base
		if p.Major == 2 { // taken by HTTP/2 itself
			outer, scheme = &http.Transport{}, "http"
			p = rig.Serve(t, 1, http.NotFoundHandler())
			defer outer.CloseIdleConnections()
		}
		outer.RegisterProtocol(scheme, rt)
		res, err := outer.RoundTrip(rig.NewRequest(t, "GET", p.URL, nil))
		require.NoError(t, err)
		require.NoError(t, res.Body.Close())
		assert.Equal(t, rig.Verdicts{Ignored: 1}, rig.VerdictsOf(rt))
	})
}

// http.Client looks at the error's type to give this hint.
func TestHTTPSToAPlainServerKeepsItsHint(t *testing.T) {
	p := rig.Over(t, 1, http.NotFoundHandler())
	client := &http.Client{Transport: httpbreaker.New(&httpbreaker.Config{Base: p.Base})}
	_, err := client.Get(strings.Replace(p.URL, "http:", "https:", 1))
	require.ErrorIs(t, err, http.ErrSchemeMismatch)
	require.ErrorContains(t, err, "server gave HTTP response to HTTPS client")
}

// A ServeMux pattern is a good label, and gets lost with a fresh request.
func TestPatternReachesTheBase(t *testing.T) {
	var pattern string
	mux := http.NewServeMux()
	mux.Handle("GET /users/{id}", &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) { r.Out.URL.Host = "backend.test"; r.Out.URL.Scheme = "http" },
		Transport: httpbreaker.New(&httpbreaker.Config{
			Key: func(req *http.Request) string { return req.Pattern },
			Base: rig.BaseFunc(func(req *http.Request) (*http.Response, error) {
				pattern = req.Pattern
				return rig.Respond(200, "ok")(req)
			}),
		}),
	})
	rec := httptest.NewRecorder()
	mux.ServeHTTP(rec, httptest.NewRequest("GET", "/users/42", nil))
	require.Equal(t, 200, rec.Code)
	assert.Equal(t, "GET /users/{id}", pattern)
}

func TestRequestsThatTheBaseRefusesGoStraightToIt(t *testing.T) {
	rig.NoLeaks(t)
	rt := httpbreaker.New(&httpbreaker.Config{
		Key: func(*http.Request) string { t.Error("asked for a key"); return "" },
	})
	for _, req := range []*http.Request{
		{Method: "POST", Header: http.Header{}},
		{Method: "POST", URL: &url.URL{Scheme: "http", Host: "a.test"}},
	} {
		body := rig.NewSpyBody("")
		req.Body = body
		_, err := rt.RoundTrip(req)
		require.Error(t, err)
		assert.EqualValues(t, 1, body.Closes.Load())
	}
	assert.Zero(t, rt.Breakers().Len())
}
