package httpbreaker_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seed-0b728cf8/httpbreaker"
	"github.com/seed-0b728cf8/httpbreaker/breaker"
)

// bodyOf returns a base whose responses have this body, of unknown length.
func bodyOf(status int, body io.ReadCloser) baseFunc {
	return func(req *http.Request) (*http.Response, error) {
		return &http.Response{
			StatusCode: status, ProtoMajor: 1, ProtoMinor: 1, Header: make(http.Header),
			Body: body, ContentLength: -1, Request: req,
		}, nil
	}
}

var errReset = errors.New("connection reset")

// brokenBody gives its content and then an error.
func brokenBody(content string, err error) *spyBody {
	return &spyBody{Reader: io.MultiReader(strings.NewReader(content), readerFunc(func([]byte) (int, error) { return 0, err }))}
}

func TestVerdictOfABody(t *testing.T) {
	readAll := func(body io.ReadCloser, _ context.CancelFunc) {
		_, _ = io.ReadAll(body)
	}
	for _, tc := range []struct {
		name   string
		status int
		body   *spyBody
		use    func(io.ReadCloser, context.CancelFunc)
		want   verdicts
	}{
		{"read to the end", 200, newSpyBody("x"), readAll, verdicts{Success: 1}},
		{"closed early", 200, newSpyBody("x"), func(b io.ReadCloser, _ context.CancelFunc) { _ = b.Close() }, verdicts{Success: 1}},
		{"read and closed", 200, newSpyBody("x"), func(b io.ReadCloser, c context.CancelFunc) {
			readAll(b, c)
			_ = b.Close()
			_ = b.Close()
		}, verdicts{Success: 1}},
		{"broken off", 200, brokenBody("x", errReset), readAll, verdicts{Failure: 1}},
		{"broken off, read again and closed", 200, brokenBody("x", errReset), func(b io.ReadCloser, c context.CancelFunc) {
			readAll(b, c)
			readAll(b, c)
			_ = b.Close()
		}, verdicts{Failure: 1}},
		{"canceled, then read", 200, brokenBody("", context.Canceled), func(b io.ReadCloser, cancel context.CancelFunc) {
			cancel()
			readAll(b, cancel)
		}, verdicts{Ignored: 1}},
		{"canceled, then closed", 200, newSpyBody("x"), func(b io.ReadCloser, cancel context.CancelFunc) {
			cancel()
			_ = b.Close()
		}, verdicts{Ignored: 1}},
		{"read, then canceled", 200, newSpyBody("x"), func(b io.ReadCloser, cancel context.CancelFunc) {
			readAll(b, cancel)
			cancel()
			_ = b.Close()
		}, verdicts{Success: 1}},
		{"never read nor closed", 200, newSpyBody("x"), func(io.ReadCloser, context.CancelFunc) {}, verdicts{}},
		{"failure never read nor closed", 500, newSpyBody("x"), func(io.ReadCloser, context.CancelFunc) {}, verdicts{Failure: 1}},
		{"failure read to the end", 500, newSpyBody("x"), readAll, verdicts{Failure: 1}},
		{"ignored status, broken off", 429, brokenBody("x", errReset), readAll, verdicts{Ignored: 1}},
		{"alive, broken off", 404, brokenBody("x", errReset), readAll, verdicts{Failure: 1}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			rt := httpbreaker.New(&httpbreaker.Config{Base: bodyOf(tc.status, tc.body)})
			res, err := rt.RoundTrip(newRequest(t, "GET", "http://a.test/", nil).WithContext(ctx))
			require.NoError(t, err)
			assert.Zero(t, inFlight(rt), "answered")
			tc.use(res.Body, cancel)
			assert.Equal(t, tc.want, verdictsOf(rt))
			assert.Zero(t, inFlight(rt))
		})
	}
}

func TestBodyPassesThroughUnchanged(t *testing.T) {
	body := brokenBody("hello", errReset)
	rt := httpbreaker.New(&httpbreaker.Config{Base: bodyOf(200, body)})
	res, err := rt.RoundTrip(newRequest(t, "GET", "http://a.test/", nil))
	require.NoError(t, err)
	got, err := io.ReadAll(res.Body)
	assert.Equal(t, "hello", string(got))
	assert.True(t, err == errReset, "the very error") //nolint:errorlint // identity is the point
	require.NoError(t, res.Body.Close())
	assert.EqualValues(t, 1, body.closes.Load())
}

// What is no body of the response, or has no end, is judged by its header and left alone.
func TestBodiesThatAreNotWatched(t *testing.T) {
	for _, tc := range []struct {
		name   string
		method string
		res    http.Response
		cfg    httpbreaker.Config
	}{
		{"headers only", "GET", http.Response{StatusCode: 200, ContentLength: -1}, httpbreaker.Config{HeadersOnly: true}},
		{"HEAD", "HEAD", http.Response{StatusCode: 200, ContentLength: 5}, httpbreaker.Config{}},
		{"CONNECT", "CONNECT", http.Response{StatusCode: 200, ContentLength: -1}, httpbreaker.Config{}},
		{"101", "GET", http.Response{StatusCode: 101, ContentLength: -1}, httpbreaker.Config{}},
		{"204", "GET", http.Response{StatusCode: 204, ContentLength: -1}, httpbreaker.Config{}},
		{"304", "GET", http.Response{StatusCode: 304, ContentLength: 5}, httpbreaker.Config{}},
		{"length 0", "GET", http.Response{StatusCode: 200}, httpbreaker.Config{}},
		{"events", "GET", http.Response{
			StatusCode: 200, ContentLength: -1, Header: http.Header{"Content-Type": {"text/event-stream"}},
		}, httpbreaker.Config{}},
		{"events with a parameter", "GET", http.Response{
			StatusCode: 200, ContentLength: -1, Header: http.Header{"Content-Type": {"Text/Event-Stream ; charset=utf-8"}},
		}, httpbreaker.Config{}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			body := newSpyBody("x")
			tc.res.Body = body
			tc.cfg.Base = baseFunc(func(*http.Request) (*http.Response, error) { return &tc.res, nil })
			rt := httpbreaker.New(&tc.cfg)
			res, err := rt.RoundTrip(newRequest(t, tc.method, "http://a.test/", nil))
			require.NoError(t, err)
			assert.True(t, res.Body == io.ReadCloser(body), "the base's own body")
			assert.Equal(t, verdicts{Success: 1}, verdictsOf(rt))
		})
	}

	t.Run("no body at all", func(t *testing.T) {
		for _, body := range []io.ReadCloser{nil, http.NoBody} {
			rt := httpbreaker.New(&httpbreaker.Config{Base: bodyOf(200, body)})
			res, err := rt.RoundTrip(newRequest(t, "GET", "http://a.test/", nil))
			require.NoError(t, err)
			assert.Equal(t, body, res.Body)
			assert.Equal(t, verdicts{Success: 1}, verdictsOf(rt))
		}
	})
}

func TestOtherMediaTypesAreWatched(t *testing.T) {
	for _, mediaType := range []string{"", "text/event-streams", "text/plain", "text/event"} {
		rt := httpbreaker.New(&httpbreaker.Config{Base: baseFunc(func(req *http.Request) (*http.Response, error) {
			res, err := bodyOf(200, newSpyBody("x"))(req)
			res.Header.Set("Content-Type", mediaType)
			return res, err
		})})
		_, err := rt.RoundTrip(newRequest(t, "GET", "http://a.test/", nil))
		require.NoError(t, err)
		assert.Zero(t, verdictsOf(rt), mediaType)
	}
}

func TestProbeIsJudgedAtItsHeader(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rt := opened(t, "http://a.test/", httpbreaker.Config{Base: bodyOf(200, brokenBody("x", errReset))})
		time.Sleep(time.Hour)
		res, err := rt.RoundTrip(newRequest(t, "GET", "http://a.test/", nil))
		require.NoError(t, err)
		assert.Equal(t, breaker.Closed, stateOf(t, rt, "http://a.test/"))
		_, err = io.ReadAll(res.Body)
		require.ErrorIs(t, err, errReset)
		assert.Equal(t, verdicts{Success: 1}, verdictsOf(rt))
	})
}

// A Close makes a Read that waits fail, and that is nobody's failure.
func TestCloseWhileReading(t *testing.T) {
	reading := make(chan struct{})
	pr, pw := io.Pipe()
	defer pw.Close()
	body := struct {
		io.Reader
		io.Closer
	}{readerFunc(func(p []byte) (int, error) { close(reading); return pr.Read(p) }), pr}
	rt := httpbreaker.New(&httpbreaker.Config{Base: bodyOf(200, body)})
	res, err := rt.RoundTrip(newRequest(t, "GET", "http://a.test/", nil))
	require.NoError(t, err)
	var wg sync.WaitGroup
	wg.Go(func() {
		_, err := res.Body.Read(make([]byte, 1))
		assert.ErrorIs(t, err, io.ErrClosedPipe)
	})
	<-reading
	require.NoError(t, res.Body.Close())
	wg.Wait()
	assert.Equal(t, verdicts{Success: 1}, verdictsOf(rt))
}

// Whoever comes first, there is one verdict.
func TestReadAndCloseRace(t *testing.T) {
	rt := httpbreaker.New(&httpbreaker.Config{
		Base:     baseFunc(func(req *http.Request) (*http.Response, error) { return bodyOf(200, brokenBody("", errReset))(req) }),
		Breakers: countsOnly(),
	})
	const n = 200
	for range n {
		res, err := rt.RoundTrip(newRequest(t, "GET", "http://a.test/", nil))
		require.NoError(t, err)
		var wg sync.WaitGroup
		wg.Go(func() { _, _ = res.Body.Read(make([]byte, 1)) })
		wg.Go(func() { _ = res.Body.Close() })
		wg.Wait()
	}
	got := verdictsOf(rt)
	assert.EqualValues(t, n, got.Success+got.Failure)
	assert.Zero(t, got.Ignored)
	assert.Zero(t, inFlight(rt))
}

func TestClassifierSeesResponseAndErrorOfABrokenBody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var results []httpbreaker.Result
		rt := httpbreaker.New(&httpbreaker.Config{
			Base: baseFunc(func(req *http.Request) (*http.Response, error) {
				time.Sleep(3 * time.Second)
				return bodyOf(200, brokenBody("x", errReset))(req)
			}),
			Classify: func(r httpbreaker.Result) breaker.Outcome {
				results = append(results, r)
				return httpbreaker.DefaultClassifier(r)
			},
		})
		req := newRequest(t, "GET", "http://a.test/", nil)
		res, err := rt.RoundTrip(req)
		require.NoError(t, err)
		time.Sleep(time.Second)
		_, _ = io.ReadAll(res.Body)
		require.Len(t, results, 2)
		assert.Same(t, req, results[1].Request)
		assert.Same(t, res, results[1].Response)
		assert.NoError(t, results[0].Err)
		assert.Equal(t, errReset, results[1].Err)
		assert.Equal(t, 3*time.Second, results[0].Duration)
		assert.Equal(t, 3*time.Second, results[1].Duration, "to the header")
	})
}

// A host that answers soon and then hangs has had all the time until the deadline.
func TestDeadlineInABodyCountsAllTheTimeItHad(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rt := httpbreaker.New(&httpbreaker.Config{
			Base: baseFunc(func(req *http.Request) (*http.Response, error) {
				return bodyOf(200, &spyBody{Reader: readerFunc(func([]byte) (int, error) {
					<-req.Context().Done()
					return 0, req.Context().Err()
				})})(req)
			}),
			Classify: httpbreaker.DeadlinesOver(nil, time.Second),
		})
		for _, patience := range []time.Duration{time.Second / 2, 2 * time.Second} {
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			res, err := rt.RoundTrip(newRequest(t, "GET", "http://a.test/", nil).WithContext(ctx))
			require.NoError(t, err)
			_, err = io.ReadAll(res.Body)
			require.ErrorIs(t, err, context.DeadlineExceeded)
			cancel()
		}
		assert.Equal(t, verdicts{Ignored: 1, Failure: 1}, verdictsOf(rt))
	})
}

// A handler calls one service, reads its answer without looking for the end, and then
// waits for another one until its own deadline. Closing the first answer on the way out
// must not convict the first service.
func TestCloseAfterADeadlineConvictsNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rt := httpbreaker.New(&httpbreaker.Config{Base: bodyOf(200, newSpyBody("{}"))})
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		res, err := rt.RoundTrip(newRequest(t, "GET", "http://a.test/", nil).WithContext(ctx))
		require.NoError(t, err)
		_, err = io.ReadFull(res.Body, make([]byte, 2))
		require.NoError(t, err)
		<-ctx.Done() // the other service
		require.NoError(t, res.Body.Close())
		assert.Equal(t, verdicts{Ignored: 1}, verdictsOf(rt))
	})
}

func TestClassifierThatPanicsAtABody(t *testing.T) {
	rt := httpbreaker.New(&httpbreaker.Config{
		Base: bodyOf(200, brokenBody("", errReset)),
		Classify: func(r httpbreaker.Result) breaker.Outcome {
			if r.Err != nil {
				panic("what now?")
			}
			return breaker.Success
		},
	})
	res, err := rt.RoundTrip(newRequest(t, "GET", "http://a.test/", nil))
	require.NoError(t, err)
	assert.PanicsWithValue(t, "what now?", func() { _, _ = res.Body.Read(make([]byte, 1)) })
	assert.Equal(t, verdicts{Ignored: 1}, verdictsOf(rt))
	assert.Zero(t, inFlight(rt))
}

func TestRequestBodyFaults(t *testing.T) {
	errDisk := errors.New("disk read failed")
	upload := func(req *http.Request) error { // as http.Transport does
		defer req.Body.Close()
		_, err := io.Copy(io.Discard, req.Body)
		return err
	}
	for _, tc := range []struct {
		name   string
		body   io.Reader
		length int64
		base   func(*http.Request) error
		want   verdicts
	}{
		{"read in full", newSpyBody("12345"), 5, upload, verdicts{Failure: 1}},
		{"of unknown length", newSpyBody("12345"), -1, upload, verdicts{Failure: 1}},
		{"reader fails", brokenBody("12", errDisk), -1, upload, verdicts{Ignored: 1}},
		{"reader fails with a known length", brokenBody("12", errDisk), 5, upload, verdicts{Ignored: 1}},
		{"cut off as by a visitor", brokenBody("12", io.ErrUnexpectedEOF), -1, upload, verdicts{Ignored: 1}},
		{"too large", brokenBody("12", &http.MaxBytesError{Limit: 2}), -1, upload, verdicts{Ignored: 1}},
		{"too short", newSpyBody("12"), 5, upload, verdicts{Ignored: 1}},
		{"too long", newSpyBody("1234567"), 5, upload, verdicts{Ignored: 1}},
		{"left unread", newSpyBody("12345"), 5, func(req *http.Request) error { return req.Body.Close() }, verdicts{Failure: 1}},
		{"fails once the base has closed it", brokenBody("", errDisk), -1, func(req *http.Request) error {
			_ = req.Body.Close()
			_, err := io.Copy(io.Discard, req.Body)
			return err
		}, verdicts{Failure: 1}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			rt := httpbreaker.New(&httpbreaker.Config{Base: baseFunc(func(req *http.Request) (*http.Response, error) {
				_ = tc.base(req)
				return nil, errReset
			})})
			req := newRequest(t, "POST", "http://a.test/", tc.body)
			req.ContentLength = tc.length
			_, err := rt.RoundTrip(req)
			require.ErrorIs(t, err, errReset)
			assert.Equal(t, tc.want, verdictsOf(rt))
		})
	}
}
