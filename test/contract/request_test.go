package contract_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptrace"
	"net/textproto"
	"reflect"
	"runtime"
	"strings"
	"sync"
	"testing"
	"weak"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seed-0b728cf8/httpbreaker"
	"github.com/seed-0b728cf8/httpbreaker/breaker"
	"github.com/seed-0b728cf8/httpbreaker/internal/rig"
)

// What net/http asks of a RoundTripper, or quietly relies on, about the request.

func TestRequestBodyIsClosedWhenRejected(t *testing.T) {
	base := rig.BaseFunc(func(*http.Request) (*http.Response, error) {
		t.Error("the base was asked")
		return nil, rig.ErrBase
	})
	for _, fallback := range []httpbreaker.Fallback{nil, httpbreaker.Respond(503, nil, nil)} {
		rt := rig.Opened(t, "http://a.test/", httpbreaker.Config{Base: base, Fallback: fallback})
		body := rig.NewSpyBody("secret")
		res, err := rt.RoundTrip(rig.NewRequest(t, "POST", "http://a.test/", body))
		assert.True(t, (res == nil) != (err == nil), "exactly one of response and error")
		assert.EqualValues(t, 0, body.Reads.Load(), "reads")
		assert.EqualValues(t, 1, body.Closes.Load(), "closes")
	}
}

func TestRequestBodyIsClosedBeforeTheFallbackIsAsked(t *testing.T) {
	body := rig.NewSpyBody("")
	closedBefore := false
	rt := rig.Opened(t, "http://a.test/", httpbreaker.Config{
		Fallback: func(httpbreaker.Result) (*http.Response, error) {
			closedBefore = body.Closes.Load() == 1
			return nil, nil
		},
	})
	_, err := rt.RoundTrip(rig.NewRequest(t, "POST", "http://a.test/", body))
	require.ErrorIs(t, err, httpbreaker.ErrOpen)
	assert.True(t, closedBefore)
}

func TestRequestBodyIsClosedWhenTheContextIsDone(t *testing.T) {
	cause := errors.New("the user pressed stop")
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(cause)
	rt := httpbreaker.New(&httpbreaker.Config{Base: rig.Respond(200, "")})
	body := rig.NewSpyBody("")
	_, err := rt.RoundTrip(rig.NewRequest(t, "POST", "http://a.test/", body).WithContext(ctx))
	assert.Equal(t, cause, err, "the cause itself")
	assert.EqualValues(t, 1, body.Closes.Load())
	assert.Zero(t, rig.VerdictsOf(rt))
	assert.Zero(t, rig.InFlight(rt))
}

func TestRequestBodyIsClosedWhenTheUsersFunctionsPanic(t *testing.T) {
	for name, cfg := range map[string]httpbreaker.Config{
		"Key":      {Key: func(*http.Request) string { panic("no key") }},
		"Override": {Breakers: breaker.NewSet(breaker.Options{Override: func(string, *breaker.Config) { panic("no key") }})},
	} {
		body := rig.NewSpyBody("")
		assert.PanicsWithValue(t, "no key", func() {
			_, _ = httpbreaker.New(&cfg).RoundTrip(rig.NewRequest(t, "POST", "http://a.test/", body))
		}, name)
		assert.EqualValues(t, 1, body.Closes.Load(), name)
	}
}

// A server may answer before it has read all. The base then closes the body on its own
// goroutine, after RoundTrip has returned.
func TestRequestBodyMayBeClosedAfterTheResponse(t *testing.T) {
	h := func(w http.ResponseWriter, _ *http.Request) {
		_ = http.NewResponseController(w).EnableFullDuplex() // HTTP/1 would read all before it answers
		w.WriteHeader(http.StatusOK)
	}
	rig.EachProtocol(t, h, func(t *testing.T, p rig.Peer) {
		rt := httpbreaker.New(&httpbreaker.Config{Base: p.Base})
		release := make(chan struct{})
		body := rig.NewSpyBody("")
		body.Reader = rig.ReaderFunc(func(buf []byte) (int, error) {
			<-release
			return 0, errors.New("read after close")
		})
		res, err := rt.RoundTrip(rig.NewRequest(t, "POST", p.URL, body))
		require.NoError(t, err)
		require.NoError(t, res.Body.Close())
		close(release)
		assert.True(t, rig.Eventually(func() bool { return body.Closes.Load() > 0 }), "body closed")
		assert.Equal(t, rig.Verdicts{Success: 1}, rig.VerdictsOf(rt))
	})
}

func TestRequestIsNotModified(t *testing.T) {
	for _, tc := range []struct {
		name string
		body io.Reader
	}{
		{"no body", nil}, {"NoBody", http.NoBody}, {"rewindable", strings.NewReader("x")}, {"stream", rig.NewSpyBody("x")},
	} {
		t.Run(tc.name, func(t *testing.T) {
			req := rig.NewRequest(t, "POST", "http://a.test/p?q", tc.body)
			req.Header.Set("X-A", "1")
			req.Trailer = http.Header{"X-T": nil}
			before, header := *req, req.Header.Clone()
			var sent *http.Request
			rt := httpbreaker.New(&httpbreaker.Config{Base: rig.BaseFunc(func(req *http.Request) (*http.Response, error) {
				sent = req
				return rig.Respond(200, "ok")(req)
			})})
			res, err := rt.RoundTrip(req)
			require.NoError(t, err)
			require.NoError(t, res.Body.Close())

			assertSameFields(t, &before, req)
			assert.Equal(t, header, req.Header)
			if tc.name == "stream" {
				assertSameFields(t, &before, sent, "Body")
			} else {
				assert.Same(t, req, sent, "the base gets the caller's request itself")
			}
		})
	}
}

// assertSameFields compares pointers, maps and functions by identity: a deep copy of a
// Trailer, say, would not do.
func assertSameFields(t *testing.T, want, got *http.Request, except ...string) {
	t.Helper()
	w, g := reflect.ValueOf(want).Elem(), reflect.ValueOf(got).Elem()
	for i := range w.NumField() {
		name := w.Type().Field(i).Name
		if len(except) > 0 && name == except[0] {
			continue
		}
		switch w.Field(i).Kind() {
		case reflect.Map, reflect.Pointer, reflect.Func, reflect.Chan:
			assert.Equal(t, w.Field(i).Pointer(), g.Field(i).Pointer(), name)
		case reflect.Slice:
			assert.Equal(t, w.Field(i).UnsafePointer(), g.Field(i).UnsafePointer(), name)
		case reflect.Interface: // Body and the context, both of them pointers
			assert.Equal(t, w.Field(i).Elem().String(), g.Field(i).Elem().String(), name)
			if e := w.Field(i).Elem(); e.Kind() == reflect.Pointer {
				assert.Equal(t, e.Pointer(), g.Field(i).Elem().Pointer(), name)
			}
		default:
			assert.True(t, w.Field(i).Equal(g.Field(i)), name)
		}
	}
}

func TestRequestIsNotRetained(t *testing.T) {
	rt := httpbreaker.New(&httpbreaker.Config{Base: rig.Respond(200, "ok"), Breakers: rig.TripAfter(1)})
	do := func() weak.Pointer[http.Request] {
		req := rig.NewRequest(t, "POST", "http://a.test/", rig.NewSpyBody("x"))
		res, err := rt.RoundTrip(req)
		if err == nil {
			_, _ = io.Copy(io.Discard, res.Body)
			_ = res.Body.Close()
		}
		return weak.Make(req)
	}
	check := func(what string, request weak.Pointer[http.Request]) {
		assert.True(t, rig.Eventually(func() bool { runtime.GC(); return request.Value() == nil }), what)
	}
	check("answered", do())
	rig.Trip(t, rt, "http://a.test/")
	check("rejected", do())
	runtime.KeepAlive(rt)
}

func TestConcurrentUse(t *testing.T) {
	rig.EachProtocol(t, func(w http.ResponseWriter, req *http.Request) { _, _ = io.Copy(w, req.Body) }, func(t *testing.T, p rig.Peer) {
		rt := httpbreaker.New(&httpbreaker.Config{Base: p.Base})
		client := &http.Client{Transport: rt}
		var wg sync.WaitGroup
		for range 30 {
			wg.Go(func() {
				res, err := client.Post(p.URL, "text/plain", rig.NewSpyBody("hello"))
				if assert.NoError(t, err) {
					got, err := io.ReadAll(res.Body)
					assert.NoError(t, err)
					assert.Equal(t, "hello", string(got))
					assert.NoError(t, res.Body.Close())
				}
			})
		}
		wg.Wait()
		assert.Equal(t, rig.Verdicts{Success: 30}, rig.VerdictsOf(rt))
		assert.Zero(t, rig.InFlight(rt))
	})
}

func TestExpectContinueBodyIsNotReadWhenRejected(t *testing.T) {
	rig.EachProtocol(t, func(w http.ResponseWriter, req *http.Request) { _, _ = io.Copy(w, req.Body) }, func(t *testing.T, p rig.Peer) {
		rt := httpbreaker.New(&httpbreaker.Config{Base: p.Base})
		send := func() (*rig.SpyBody, *http.Response, error) {
			body := rig.NewSpyBody("hello")
			req := rig.NewRequest(t, "PUT", p.URL, body)
			req.Header.Set("Expect", "100-continue")
			res, err := rt.RoundTrip(req)
			return body, res, err
		}
		_, res, err := send()
		require.NoError(t, err)
		got, err := io.ReadAll(res.Body)
		require.NoError(t, err)
		require.NoError(t, res.Body.Close())
		assert.Equal(t, "hello", string(got))

		rig.Trip(t, rt, p.URL)
		body, _, err := send()
		require.ErrorIs(t, err, httpbreaker.ErrOpen)
		assert.EqualValues(t, 0, body.Reads.Load())
		assert.EqualValues(t, 1, body.Closes.Load())
	})
}

// A wrapped NoBody would turn an empty POST into a chunked one.
func TestNoBodyStaysNoBody(t *testing.T) {
	var framing []string
	h := func(_ http.ResponseWriter, req *http.Request) { framing = append(framing, req.TransferEncoding...) }
	rig.EachProtocol(t, h, func(t *testing.T, p rig.Peer) {
		rt := httpbreaker.New(&httpbreaker.Config{Base: p.Base})
		for _, body := range []io.Reader{nil, http.NoBody} {
			res, err := rt.RoundTrip(rig.NewRequest(t, "POST", p.URL, body))
			require.NoError(t, err)
			require.NoError(t, res.Body.Close())
		}
		assert.Empty(t, framing)
	})
}

// The base recognises bodies in memory by their type, and sends them in one write.
func TestBodiesInMemoryAreNotWrapped(t *testing.T) {
	req := rig.NewRequest(t, "POST", "http://a.test/", strings.NewReader("x"))
	rt := httpbreaker.New(&httpbreaker.Config{Base: rig.BaseFunc(func(sent *http.Request) (*http.Response, error) {
		assert.Same(t, req, sent)
		assert.Equal(t, reflect.TypeOf(io.NopCloser(strings.NewReader(""))), reflect.TypeOf(sent.Body))
		return rig.Respond(200, "")(sent)
	})})
	_, err := rt.RoundTrip(req)
	require.NoError(t, err)
}

func TestGetBodyIsKept(t *testing.T) {
	h := func(w http.ResponseWriter, req *http.Request) {
		if req.URL.Path == "/" {
			http.Redirect(w, req, "/next", http.StatusTemporaryRedirect)
			return
		}
		_, _ = io.Copy(w, req.Body)
	}
	rig.EachProtocol(t, h, func(t *testing.T, p rig.Peer) {
		client := &http.Client{Transport: httpbreaker.New(&httpbreaker.Config{Base: p.Base})}
		res, err := client.Post(p.URL, "text/plain", strings.NewReader("again"))
		require.NoError(t, err)
		got, err := io.ReadAll(res.Body)
		require.NoError(t, err)
		require.NoError(t, res.Body.Close())
		assert.Equal(t, "again", string(got))
	})
}

func TestRequestTrailersAreSent(t *testing.T) {
	h := func(w http.ResponseWriter, req *http.Request) {
		_, _ = io.Copy(io.Discard, req.Body)
		w.Header().Set("X-Got", req.Trailer.Get("X-Sum"))
	}
	rig.EachProtocol(t, h, func(t *testing.T, p rig.Peer) {
		rt := httpbreaker.New(&httpbreaker.Config{Base: p.Base})
		trailer := http.Header{"X-Sum": nil}
		body := rig.NewSpyBody("")
		content := strings.NewReader("hello")
		body.Reader = rig.ReaderFunc(func(buf []byte) (int, error) {
			n, err := content.Read(buf)
			if err == io.EOF {
				trailer.Set("X-Sum", "abc") // as late as it may be
			}
			return n, err
		})
		req := rig.NewRequest(t, "POST", p.URL, body)
		req.Trailer = trailer
		res, err := rt.RoundTrip(req)
		require.NoError(t, err)
		require.NoError(t, res.Body.Close())
		assert.Equal(t, "abc", res.Header.Get("X-Got"))
	})
}

// A base binds the response's body to the request's context: one that is derived from it
// and ends with RoundTrip would cut the body off.
func TestContextIsTheCallersOwn(t *testing.T) {
	const size = 4 << 20
	h := func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(make([]byte, size)) }
	rig.EachProtocol(t, h, func(t *testing.T, p rig.Peer) {
		type contextKey struct{}
		ctx := context.WithValue(t.Context(), contextKey{}, "value")
		rt := httpbreaker.New(&httpbreaker.Config{Base: rig.BaseFunc(func(req *http.Request) (*http.Response, error) {
			assert.Equal(t, ctx, req.Context())
			return p.Base.RoundTrip(req)
		})})
		res, err := rt.RoundTrip(rig.NewRequest(t, "POST", p.URL, rig.NewSpyBody("x")).WithContext(ctx))
		require.NoError(t, err)
		n, err := io.Copy(io.Discard, res.Body)
		require.NoError(t, err)
		require.NoError(t, res.Body.Close())
		assert.EqualValues(t, size, n)
	})
}

func TestInformationalResponsesReachTheirHook(t *testing.T) {
	h := func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Link", "</style.css>; rel=preload")
		w.WriteHeader(http.StatusEarlyHints)
		w.WriteHeader(http.StatusOK)
	}
	rig.EachProtocol(t, h, func(t *testing.T, p rig.Peer) {
		var hints []int
		ctx := httptrace.WithClientTrace(t.Context(), &httptrace.ClientTrace{
			Got1xxResponse: func(code int, _ textproto.MIMEHeader) error { hints = append(hints, code); return nil },
		})
		rt := httpbreaker.New(&httpbreaker.Config{Base: p.Base})
		res, err := rt.RoundTrip(rig.NewRequest(t, "GET", p.URL, nil).WithContext(ctx))
		require.NoError(t, err)
		require.NoError(t, res.Body.Close())
		assert.Equal(t, []int{http.StatusEarlyHints}, hints)
		assert.Equal(t, rig.Verdicts{Success: 1}, rig.VerdictsOf(rt))
	})
}
