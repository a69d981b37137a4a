package httpbreaker_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seed-0b728cf8/httpbreaker"
	"github.com/seed-0b728cf8/httpbreaker/breaker"
	"github.com/seed-0b728cf8/httpbreaker/internal/rig"
)

func TestRespond(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		header := http.Header{
			"Content-Type": {"text/plain"}, "Connection": {"close"}, "Keep-Alive": {"1"}, "Set-Cookie": {"a=b"},
			"Transfer-Encoding": {"chunked"}, "Content-Length": {"99"}, "Te": {"trailers"}, "Trailer": {"X"}, "Upgrade": {"h2c"},
			"Proxy-Authenticate": {"Basic"}, "Proxy-Connection": {"close"},
		}
		body := []byte("later")
		fallback := httpbreaker.Respond(503, header, body)
		assert.Len(t, header, 11, "the caller's own")
		header["Content-Type"][0] = "changed afterwards"
		header["X-New"] = []string{"1"}
		body[0] = 'X'

		rt := rig.Opened(t, "http://a.test/", httpbreaker.Config{Fallback: fallback})
		req := rig.NewRequest(t, "GET", "http://a.test/", nil)
		var last *http.Response
		for range 2 { // the second is not touched by what is done to the first
			res, err := rt.RoundTrip(req)
			require.NoError(t, err)
			got, err := io.ReadAll(res.Body)
			require.NoError(t, err)
			require.NoError(t, res.Body.Close())
			assert.Equal(t, "later", string(got))
			assert.Equal(t, "503 Service Unavailable", res.Status)
			assert.Equal(t, "HTTP/1.1", res.Proto)
			assert.True(t, res.ProtoAtLeast(1, 1))
			assert.EqualValues(t, 5, res.ContentLength)
			assert.Equal(t, http.Header{
				"Content-Type":   {"text/plain"},
				"Content-Length": {"5"},
				"Date":           {"Sat, 01 Jan 2000 00:00:00 GMT"},
				"Retry-After":    {"3600"},
				"Proxy-Status":   {`httpbreaker; error=destination_unavailable; details="circuit open: tripped by the test"`},
			}, res.Header)
			assert.True(t, httpbreaker.IsFallback(res))
			assert.Equal(t, req.URL, res.Request.URL)
			assert.False(t, httpbreaker.IsFallback(&http.Response{Request: req}), "the caller's request is not marked")
			res.Header["Content-Type"][0] = "spoilt"
			res.Header.Del("Date")
			last = res
		}
		assert.NotNil(t, last)
		assert.Equal(t, rig.Verdicts{}, rig.VerdictsOf(rt), "never counted")
	})
}

// Those of a header that was read from JSON or YAML are as the file spells them.
func TestRespondTakesNamesInAnyCase(t *testing.T) {
	respond := httpbreaker.Respond(200, http.Header{
		"content-length": {"99"}, "set-cookie": {"a=b"}, "transfer-encoding": {"chunked"},
		"date": {"then"}, "X-A": {"1"}, "x-a": {"2"},
	}, []byte("hello"))
	res, err := respond(httpbreaker.Result{})
	require.NoError(t, err)
	assert.Equal(t, http.Header{"Content-Length": {"5"}, "Date": {"then"}, "X-A": {"1", "2"}}, res.Header)
}

func TestRespondToHEADAndWithout(t *testing.T) {
	rt := rig.Opened(t, "http://a.test/", httpbreaker.Config{Fallback: httpbreaker.Respond(200, nil, []byte("hello"))})
	res, err := rt.RoundTrip(rig.NewRequest(t, "HEAD", "http://a.test/", nil))
	require.NoError(t, err)
	assert.Equal(t, http.NoBody, res.Body)
	assert.EqualValues(t, 5, res.ContentLength)
	assert.Equal(t, "5", res.Header.Get("Content-Length"))
	assert.Empty(t, res.Header.Get("Retry-After"), "only a 503 has it")

	rt = rig.Opened(t, "http://a.test/", httpbreaker.Config{Fallback: httpbreaker.Respond(204, nil, nil)})
	res, err = rt.RoundTrip(rig.NewRequest(t, "GET", "http://a.test/", nil))
	require.NoError(t, err)
	assert.Equal(t, http.NoBody, res.Body)
	assert.NotContains(t, res.Header, "Content-Length")

	rt = rig.Opened(t, "http://a.test/", httpbreaker.Config{Fallback: httpbreaker.Respond(599, nil, nil)})
	res, err = rt.RoundTrip(rig.NewRequest(t, "GET", "http://a.test/", nil))
	require.NoError(t, err)
	assert.Equal(t, "599", res.Status)
}

func TestRespondRefusesStatuses(t *testing.T) {
	for _, status := range []int{-1, 0, 100, 101, 199, 300, 302, 304, 399, 600, 1000} {
		assert.Panics(t, func() { httpbreaker.Respond(status, nil, nil) }, status)
	}
	for _, status := range []int{200, 204, 299, 400, 404, 503, 599} {
		assert.NotPanics(t, func() { httpbreaker.Respond(status, nil, nil) }, status)
	}
	assert.PanicsWithValue(t, "httpbreaker: Respond: status = 302; want 200 to 299 or 400 to 599", func() {
		httpbreaker.Respond(302, nil, nil)
	})
	assert.PanicsWithValue(t, "httpbreaker: Respond: body of 1 bytes; want none with status 204", func() {
		httpbreaker.Respond(204, nil, []byte("x"))
	})
}

// What net/http does with responses, it can do with ours.
func TestFallbackResponseIsComplete(t *testing.T) {
	for _, fallback := range []httpbreaker.Fallback{
		httpbreaker.Respond(503, nil, []byte("later")),
		httpbreaker.Respond(204, nil, nil),
		func(httpbreaker.Result) (*http.Response, error) { return &http.Response{StatusCode: 503}, nil },
		func(httpbreaker.Result) (*http.Response, error) {
			return &http.Response{StatusCode: 599, Body: io.NopCloser(strings.NewReader("by hand"))}, nil
		},
		func(r httpbreaker.Result) (*http.Response, error) {
			rec := httptest.NewRecorder()
			http.Error(rec, "recorded", http.StatusServiceUnavailable)
			return rec.Result(), nil
		},
	} {
		for _, method := range []string{"GET", "HEAD"} {
			client := &http.Client{Transport: rig.Opened(t, "http://a.test/", httpbreaker.Config{Fallback: fallback}), Timeout: time.Minute}
			res, err := client.Do(rig.NewRequest(t, method, "http://a.test/", nil))
			require.NoError(t, err)
			assert.True(t, httpbreaker.IsFallback(res), "also under Client.Timeout, which wraps the body")
			assert.NotEmpty(t, res.Header.Get("Proxy-Status"))
			assert.NotEmpty(t, res.Status)
			assert.Equal(t, res.StatusCode == 503, res.Header.Get("Retry-After") != "")
			_, err = httputil.DumpResponse(res, true)
			require.NoError(t, err)
			var wire bytes.Buffer
			require.NoError(t, res.Write(&wire))
			back, err := http.ReadResponse(bufio.NewReader(&wire), res.Request)
			require.NoError(t, err)
			assert.Equal(t, res.StatusCode, back.StatusCode)
			require.NoError(t, res.Body.Close())
		}
	}
}

// A template's header may be shared between calls: it is not ours to change.
func TestFallbackHeaderIsCopied(t *testing.T) {
	shared := http.Header{"X-A": {"1"}}
	rt := rig.Opened(t, "http://a.test/", httpbreaker.Config{Fallback: func(httpbreaker.Result) (*http.Response, error) {
		return &http.Response{StatusCode: 503, Header: shared}, nil
	}})
	for range 2 {
		res, err := rt.RoundTrip(rig.NewRequest(t, "GET", "http://a.test/", nil))
		require.NoError(t, err)
		assert.Len(t, res.Header["Proxy-Status"], 1)
	}
	assert.Equal(t, http.Header{"X-A": {"1"}}, shared)
}

func TestFallbackThatDoesNotAnswer(t *testing.T) {
	spied := rig.NewSpyBody("x")
	for name, fallback := range map[string]httpbreaker.Fallback{
		"declines":   func(httpbreaker.Result) (*http.Response, error) { return nil, nil },
		"fails":      func(httpbreaker.Result) (*http.Response, error) { return nil, errors.New("no cache") },
		"panics":     func(httpbreaker.Result) (*http.Response, error) { panic("no cache") },
		"panics nil": func(httpbreaker.Result) (*http.Response, error) { panic(nil) }, //nolint:govet // on purpose
		"has both": func(httpbreaker.Result) (*http.Response, error) {
			return &http.Response{StatusCode: 200, Body: spied}, errors.New("and yet")
		},
		"has nothing":   func(httpbreaker.Result) (*http.Response, error) { return &http.Response{}, nil },
		"has no status": func(httpbreaker.Result) (*http.Response, error) { return &http.Response{Body: spied}, nil },
		"asks again":    nil,
	} {
		t.Run(name, func(t *testing.T) {
			rt := httpbreaker.New(&httpbreaker.Config{Base: rig.BodyOf(500, rig.NewSpyBody("broken")), FallbackOnFailure: true,
				Fallback: func(r httpbreaker.Result) (*http.Response, error) {
					if fallback == nil {
						return r.Response, r.Err
					}
					return fallback(r)
				}})
			res, err := rt.RoundTrip(rig.NewRequest(t, "GET", "http://a.test/", nil))
			require.NoError(t, err)
			assert.False(t, httpbreaker.IsFallback(res))
			got, err := io.ReadAll(res.Body)
			require.NoError(t, err)
			assert.Equal(t, "broken", string(got), "the original, unread")

			rig.Trip(t, rt, "http://a.test/")
			res, err = rt.RoundTrip(rig.NewRequest(t, "GET", "http://a.test/", nil))
			assert.Nil(t, res)
			require.IsType(t, &httpbreaker.OpenError{}, err)
		})
	}
	assert.EqualValues(t, 4, spied.Closes.Load(), "what is thrown away is closed")
}

func TestGoexitInAFallbackGoesOn(t *testing.T) {
	body := rig.NewSpyBody("broken")
	rt := httpbreaker.New(&httpbreaker.Config{Base: rig.BodyOf(500, body), FallbackOnFailure: true, Fallback: func(httpbreaker.Result) (*http.Response, error) {
		runtime.Goexit()
		return nil, nil
	}})
	returned, done := false, make(chan struct{})
	go func() {
		defer close(done)
		_, _ = rt.RoundTrip(rig.NewRequest(t, "GET", "http://a.test/", nil))
		returned = true
	}()
	<-done
	assert.False(t, returned)
	assert.EqualValues(t, 1, body.Closes.Load(), "nobody else will close it")
}

func TestFallbackIsAFinalResponse(t *testing.T) {
	for _, tc := range []struct {
		status  int
		upgrade string
		want    bool
	}{
		{199, "", false}, {200, "", true}, {999, "", true}, {1000, "", false},
		{101, "", false}, {101, "websocket", true}, {100, "websocket", false},
	} {
		rt := rig.Opened(t, "http://a.test/", httpbreaker.Config{Fallback: func(httpbreaker.Result) (*http.Response, error) {
			return &http.Response{StatusCode: tc.status}, nil
		}})
		req := rig.NewRequest(t, "GET", "http://a.test/", nil)
		req.Header.Set("Upgrade", tc.upgrade)
		res, _ := rt.RoundTrip(req)
		assert.Equal(t, tc.want, res != nil, "%+v", tc)
	}
}

func TestFallbackMadeByHandIsCompleted(t *testing.T) {
	for _, tc := range []struct {
		method string
		body   io.ReadCloser
		length int64
	}{
		{"GET", nil, 0}, {"GET", http.NoBody, 0}, {"GET", rig.NewSpyBody("x"), -1}, {"HEAD", rig.NewSpyBody("x"), 0},
	} {
		rt := rig.Opened(t, "http://a.test/", httpbreaker.Config{Fallback: func(httpbreaker.Result) (*http.Response, error) {
			return &http.Response{StatusCode: 200, Body: tc.body}, nil
		}})
		res, err := rt.RoundTrip(rig.NewRequest(t, tc.method, "http://a.test/", nil))
		require.NoError(t, err)
		assert.Equal(t, tc.length, res.ContentLength)
		assert.Equal(t, tc.length == 0, res.Body == http.NoBody)
		if spied, ok := tc.body.(*rig.SpyBody); ok {
			assert.Equal(t, tc.method == "HEAD", spied.Closes.Load() == 1)
		}
	}
}

// Proto says nothing about the length, which may be left out all the same. What a server has
// declared stays.
func TestFallbackWithProtoIsCompleted(t *testing.T) {
	for _, tc := range []struct {
		status   int
		declared string
		want     int64
	}{
		{200, "", -1}, {200, "0", 0}, {101, "", 0},
	} {
		rt := rig.Opened(t, "http://a.test/", httpbreaker.Config{Fallback: func(httpbreaker.Result) (*http.Response, error) {
			return &http.Response{
				StatusCode: tc.status, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
				Header: http.Header{"Content-Length": {tc.declared}}, Body: rig.NewSpyBody("x"),
			}, nil
		}})
		req := rig.NewRequest(t, "GET", "http://a.test/", nil)
		req.Header.Set("Upgrade", "websocket")
		res, err := rt.RoundTrip(req)
		require.NoError(t, err)
		assert.Equal(t, tc.want, res.ContentLength, "%+v", tc)
	}
}

func TestFallbackOnFailure(t *testing.T) {
	var asked []httpbreaker.Result
	fallback := func(r httpbreaker.Result) (*http.Response, error) {
		asked = append(asked, r)
		return httpbreaker.Respond(200, nil, []byte("cached"))(r)
	}
	for _, tc := range []struct {
		name   string
		base   http.RoundTripper
		cfg    httpbreaker.Config
		status string // Proxy-Status; empty: not asked
		counts rig.Verdicts
	}{
		{"failing response", rig.Respond(502, ""), httpbreaker.Config{FallbackOnFailure: true},
			"httpbreaker; received-status=502", rig.Verdicts{Failure: 1}},
		{"error", rig.BaseFunc(rig.Failing), httpbreaker.Config{FallbackOnFailure: true},
			`httpbreaker; error=destination_unavailable; details="request failed"`, rig.Verdicts{Failure: 1}},
		{"without a body", rig.BodyOf(502, nil), httpbreaker.Config{FallbackOnFailure: true},
			"httpbreaker; received-status=502", rig.Verdicts{Failure: 1}},
		{"neither", rig.BaseFunc(func(*http.Request) (*http.Response, error) { return nil, nil }), httpbreaker.Config{FallbackOnFailure: true},
			`httpbreaker; error=destination_unavailable; details="request failed"`, rig.Verdicts{Failure: 1}},
		{"not asked to", rig.Respond(502, ""), httpbreaker.Config{}, "", rig.Verdicts{Failure: 1}},
		{"no failure", rig.Respond(404, ""), httpbreaker.Config{FallbackOnFailure: true}, "", rig.Verdicts{Success: 1}},
		{"nothing against the host", rig.Respond(429, ""), httpbreaker.Config{FallbackOnFailure: true}, "", rig.Verdicts{Ignored: 1}},
		{"by the classifier", rig.Respond(404, ""), httpbreaker.Config{FallbackOnFailure: true,
			Classify: httpbreaker.Statuses(nil, breaker.Failure, 404)}, "httpbreaker; received-status=404", rig.Verdicts{Failure: 1}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			asked = nil
			tc.cfg.Base, tc.cfg.Fallback = tc.base, fallback
			rt := httpbreaker.New(&tc.cfg)
			req := rig.NewRequest(t, "GET", "http://a.test/", nil)
			res, _ := rt.RoundTrip(req)
			assert.Equal(t, tc.counts, rig.VerdictsOf(rt), "as without the fallback")
			assert.Equal(t, tc.status != "", httpbreaker.IsFallback(res))
			if tc.status == "" {
				assert.Empty(t, asked)
				return
			}
			assert.Equal(t, tc.status, res.Header.Get("Proxy-Status"))
			require.Len(t, asked, 1)
			assert.Equal(t, req, asked[0].Request.WithContext(req.Context()), "and a mark in its context")
			assert.Equal(t, tc.name == "error", asked[0].Err == rig.ErrBase)
		})
	}
}

// The connection of a response that was replaced is used again.
func TestReplacedResponseIsDrainedAndClosed(t *testing.T) {
	body := rig.NewSpyBody(strings.Repeat("x", 10_000))
	rt := httpbreaker.New(&httpbreaker.Config{Base: rig.BodyOf(500, body), FallbackOnFailure: true, Fallback: httpbreaker.Respond(200, nil, nil)})
	res, err := rt.RoundTrip(rig.NewRequest(t, "GET", "http://a.test/", nil))
	require.NoError(t, err)
	assert.True(t, httpbreaker.IsFallback(res))
	n, err := body.Reader.Read(make([]byte, 1))
	assert.Zero(t, n)
	assert.Equal(t, io.EOF, err, "read to the end")
	assert.EqualValues(t, 1, body.Closes.Load())

	endless := &rig.SpyBody{Reader: rig.ReaderFunc(func(p []byte) (int, error) { return len(p), nil })}
	rt = httpbreaker.New(&httpbreaker.Config{Base: rig.BodyOf(500, endless), FallbackOnFailure: true, Fallback: httpbreaker.Respond(200, nil, nil)})
	_, err = rt.RoundTrip(rig.NewRequest(t, "GET", "http://a.test/", nil))
	require.NoError(t, err)
	assert.EqualValues(t, 1, endless.Closes.Load(), "but not for ever")

	for _, tc := range []struct {
		status      int
		length      int64
		contentType string
		read        bool
	}{
		{500, 64 << 10, "", true},
		{500, 64<<10 + 1, "", false},
		{500, -1, "text/event-stream", false},
		{101, -1, "", false},
	} {
		body := rig.NewSpyBody("x")
		rt := httpbreaker.New(&httpbreaker.Config{
			Base: rig.BaseFunc(func(req *http.Request) (*http.Response, error) {
				res, err := rig.BodyOf(tc.status, body)(req)
				res.ContentLength = tc.length
				res.Header.Set("Content-Type", tc.contentType)
				return res, err
			}),
			Classify:          httpbreaker.Statuses(nil, breaker.Failure, 101),
			FallbackOnFailure: true, Fallback: httpbreaker.Respond(200, nil, nil),
		})
		_, err := rt.RoundTrip(rig.NewRequest(t, "GET", "http://a.test/", nil))
		require.NoError(t, err)
		assert.Equal(t, tc.read, body.Reads.Load() > 0, "%+v", tc)
		assert.EqualValues(t, 1, body.Closes.Load())
	}
}

func TestReroute(t *testing.T) {
	standby := rig.Over(t, 1, http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		w.WriteHeader(http.StatusServiceUnavailable) // even if that has its own troubles
		_, _ = io.WriteString(w, req.Method+" "+req.URL.Path+" ")
		_, _ = io.Copy(w, req.Body)
	}))
	toStandby := rig.BaseFunc(func(req *http.Request) (*http.Response, error) {
		req = req.Clone(req.Context())
		req.URL.Host = standby.Listener.Addr().String()
		return standby.Base.RoundTrip(req)
	})
	rt := rig.Opened(t, "http://a.test/", httpbreaker.Config{Fallback: httpbreaker.Reroute(toStandby)})
	send := func(method string, body io.Reader) (string, error) {
		req := rig.NewRequest(t, method, "http://a.test/p", body)
		if req.GetBody != nil {
			req.Body = rig.NewSpyBody("spent")
		}
		res, err := rt.RoundTrip(req)
		if err != nil {
			return "", err
		}
		defer res.Body.Close()
		assert.True(t, httpbreaker.IsFallback(res))
		assert.Equal(t, "a.test", res.Request.URL.Host, "as if the host had answered")
		got, err := io.ReadAll(res.Body)
		return string(got), err
	}
	got, err := send("GET", nil)
	require.NoError(t, err)
	assert.Equal(t, "GET /p ", got)
	got, err = send("POST", strings.NewReader("hello"))
	require.NoError(t, err)
	assert.Equal(t, "POST /p hello", got)
	got, err = send("POST", http.NoBody)
	require.NoError(t, err)
	assert.Equal(t, "POST /p ", got)
	_, err = send("POST", rig.NewSpyBody("only once"))
	require.ErrorIs(t, err, httpbreaker.ErrOpen, "its body is closed")
	assert.Zero(t, rig.VerdictsOf(rt), "the standby's failures are not the host's")
	assert.PanicsWithValue(t, "httpbreaker: Reroute: rt = nil; want a RoundTripper", func() { httpbreaker.Reroute(nil) })
}

// A Result may lack anything.
func TestFallbacksTakeAnyResult(t *testing.T) {
	for name, fallback := range map[string]httpbreaker.Fallback{
		"Respond": httpbreaker.Respond(503, nil, []byte("x")),
		"Reroute": httpbreaker.Reroute(rig.Respond(200, "")),
	} {
		for _, req := range []*http.Request{nil, {}} {
			require.NotPanics(t, func() { _, _ = fallback(httpbreaker.Result{Request: req}) }, name)
		}
	}
}

// Otherwise the process would die of a stack overflow, which nothing recovers from.
func TestTransportsThatStandInForEachOtherAreAskedOnce(t *testing.T) {
	asked := 0
	var east, west *httpbreaker.Transport
	to := func(rt **httpbreaker.Transport) httpbreaker.Fallback {
		return func(r httpbreaker.Result) (*http.Response, error) {
			if asked++; asked > 10 {
				return nil, nil
			}
			return httpbreaker.Reroute(*rt)(r)
		}
	}
	for name, cfg := range map[string]httpbreaker.Config{
		"rejected": {},
		"failed":   {Base: rig.BaseFunc(rig.Failing), FallbackOnFailure: true, Breakers: rig.CountsOnly()},
	} {
		cfg.Fallback = to(&west)
		east = httpbreaker.New(&cfg)
		cfg.Fallback, cfg.Breakers = to(&east), nil
		west = httpbreaker.New(&cfg)
		want := rig.ErrBase
		if name == "rejected" {
			rig.Trip(t, east, "http://a.test/")
			rig.Trip(t, west, "http://a.test/")
			want = httpbreaker.ErrOpen
		}
		asked = 0
		_, err := east.RoundTrip(rig.NewRequest(t, "GET", "http://a.test/", nil))
		require.ErrorIs(t, err, want, name)
		assert.Equal(t, 2, asked, "%s: each once", name)
	}

	asked = 0
	rt := rig.Opened(t, "http://a.test/", httpbreaker.Config{Fallback: func(httpbreaker.Result) (*http.Response, error) {
		asked++
		return &http.Response{StatusCode: 200}, nil
	}})
	res, err := rt.RoundTrip(rig.NewRequest(t, "GET", "http://a.test/", nil))
	require.NoError(t, err)
	_, err = rt.RoundTrip(rig.NewRequest(t, "GET", "http://a.test/", nil).WithContext(res.Request.Context()))
	require.NoError(t, err, "one after the other is not one inside of the other")
	assert.Equal(t, 2, asked)
}

func TestIsFallback(t *testing.T) {
	assert.False(t, httpbreaker.IsFallback(nil))
	assert.False(t, httpbreaker.IsFallback(&http.Response{}))
	assert.False(t, httpbreaker.IsFallback(&http.Response{Request: rig.NewRequest(t, "GET", "http://a.test/", nil)}))
}

func TestProxyStatusIsWellFormed(t *testing.T) {
	rt := httpbreaker.New(&httpbreaker.Config{Fallback: httpbreaker.Respond(503, nil, nil)})
	rt.Breakers().Get("a.test:80").Trip(0, "say \"no\" \\ in ünicode\r\nX-Evil: 1")
	res, err := rt.RoundTrip(rig.NewRequest(t, "GET", "http://a.test/", nil))
	require.NoError(t, err)
	assert.Equal(t, `httpbreaker; error=destination_unavailable; details="circuit open: say \"no\" \\ in ?nicode??X-Evil: 1"`,
		res.Header.Get("Proxy-Status"))
}

// A circuit that knows no time, as while a probe is out, still says not to come back at once.
func TestRetryAfterIsAtLeastASecond(t *testing.T) {
	rejected := httptest.NewRecorder()
	httpbreaker.ProxyErrorHandler(nil)(rejected, nil, &httpbreaker.OpenError{State: breaker.HalfOpen})
	assert.Equal(t, "1", rejected.Header().Get("Retry-After"))

	synctest.Test(t, func(t *testing.T) {
		var rt *httpbreaker.Transport
		var meanwhile *http.Response
		rt = rig.Opened(t, "http://a.test/", httpbreaker.Config{Fallback: httpbreaker.Respond(503, nil, nil),
			Base: rig.BaseFunc(func(req *http.Request) (*http.Response, error) {
				meanwhile, _ = rt.RoundTrip(req.Clone(req.Context()))
				return rig.Respond(200, "")(req)
			})})
		time.Sleep(time.Hour)
		_, err := rt.RoundTrip(rig.NewRequest(t, "GET", "http://a.test/", nil))
		require.NoError(t, err)
		require.True(t, httpbreaker.IsFallback(meanwhile))
		assert.Equal(t, "1", meanwhile.Header.Get("Retry-After"))
	})
}

// Nobody knows for how long: clients that come back after a second would come in vain.
func TestNoRetryAfterWhileForcedOpen(t *testing.T) {
	for name, fallback := range map[string]httpbreaker.Fallback{"error": nil, "fallback": httpbreaker.Respond(503, nil, nil)} {
		rt := httpbreaker.New(&httpbreaker.Config{Fallback: fallback})
		rt.Breakers().SetMode(breaker.ForceOpen, "maintenance")
		res, err := rt.RoundTrip(rig.NewRequest(t, "GET", "http://a.test/", nil))
		if err != nil {
			rec := httptest.NewRecorder()
			httpbreaker.ProxyErrorHandler(nil)(rec, nil, err)
			res = rec.Result()
		}
		assert.Equal(t, http.StatusServiceUnavailable, res.StatusCode, name)
		assert.NotContains(t, res.Header, "Retry-After", name)
	}
}

func TestRetryAfterOfOthersStays(t *testing.T) {
	own := http.Header{"Retry-After": {"7"}}
	rt := rig.Opened(t, "http://a.test/", httpbreaker.Config{Fallback: httpbreaker.Respond(503, own, nil)})
	res, err := rt.RoundTrip(rig.NewRequest(t, "GET", "http://a.test/", nil))
	require.NoError(t, err)
	assert.Equal(t, []string{"7"}, res.Header["Retry-After"])

	for theirs, ours := range map[string]string{"7": "7", "0": "", "soon": "", "none": ""} { // the host's word is handed on
		rt = httpbreaker.New(&httpbreaker.Config{FallbackOnFailure: true, Fallback: httpbreaker.Respond(503, nil, nil),
			Base: rig.BaseFunc(func(req *http.Request) (*http.Response, error) {
				if theirs == "none" {
					return nil, rig.ErrBase
				}
				res, err := rig.Respond(503, "")(req)
				res.Header.Set("Retry-After", theirs)
				return res, err
			}),
		})
		res, err = rt.RoundTrip(rig.NewRequest(t, "GET", "http://a.test/", nil))
		require.NoError(t, err)
		assert.Equal(t, ours, res.Header.Get("Retry-After"))
	}
}

// A deadline that failed is where a fallback is wanted most.
func TestFallbackAfterADeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rt := httpbreaker.New(&httpbreaker.Config{
			Base: rig.BaseFunc(func(req *http.Request) (*http.Response, error) {
				<-req.Context().Done()
				return nil, req.Context().Err()
			}),
			Fallback: func(r httpbreaker.Result) (*http.Response, error) {
				assert.Equal(t, time.Second, r.Duration)
				return httpbreaker.Respond(200, nil, []byte("cached"))(r)
			},
			FallbackOnFailure: true,
		})
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		res, err := rt.RoundTrip(rig.NewRequest(t, "GET", "http://a.test/", nil).WithContext(ctx))
		require.NoError(t, err)
		got, err := io.ReadAll(res.Body)
		require.NoError(t, err)
		assert.Equal(t, "cached", string(got))
		assert.Equal(t, rig.Verdicts{Failure: 1}, rig.VerdictsOf(rt))
	})
}

func TestStopRetryWhenOpen(t *testing.T) {
	type retryPolicy = func(context.Context, *http.Response, error) (bool, error)
	nextSays := errors.New("what next says")
	policy := retryPolicy(httpbreaker.StopRetryWhenOpen(func(context.Context, *http.Response, error) (bool, error) {
		return true, nextSays
	}))
	rt := rig.Opened(t, "http://a.test/", httpbreaker.Config{})
	_, rejected := (&http.Client{Transport: rt}).Get("http://a.test/")
	fallback, err := rig.Opened(t, "http://a.test/", httpbreaker.Config{Fallback: httpbreaker.Respond(503, nil, nil)}).
		RoundTrip(rig.NewRequest(t, "GET", "http://a.test/", nil))
	require.NoError(t, err)

	for _, tc := range []struct {
		name  string
		res   *http.Response
		err   error
		retry bool
	}{
		{"rejected", nil, rejected, false},
		{"fallback", fallback, nil, false},
		{"error", nil, rig.ErrBase, true},
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
		open := rig.Opened(t, "http://a.test/", httpbreaker.Config{})
		time.Sleep(59*time.Minute + 56*time.Second + 500*time.Millisecond)
		res := ask(open, nil)
		assert.Equal(t, http.StatusServiceUnavailable, res.StatusCode)
		assert.Equal(t, "4", res.Header.Get("Retry-After"), "3.5 s, rounded up")
		body, err := io.ReadAll(res.Body)
		require.NoError(t, err)
		assert.Equal(t, "Service Unavailable\n", string(body), "and nothing about the inside")

		broken := httpbreaker.New(&httpbreaker.Config{Base: rig.BaseFunc(rig.Failing)})
		assert.Equal(t, http.StatusBadGateway, ask(broken, nil).StatusCode)
		var got error
		res = ask(broken, func(w http.ResponseWriter, _ *http.Request, err error) {
			got = err
			w.WriteHeader(http.StatusTeapot)
		})
		assert.Equal(t, http.StatusTeapot, res.StatusCode)
		assert.Equal(t, rig.ErrBase, got)
	})
}
