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
	"github.com/seed-0b728cf8/httpbreaker/internal/rig"
)

func TestVerdictOfABody(t *testing.T) {
	readAll := func(body io.ReadCloser, _ context.CancelFunc) {
		_, _ = io.ReadAll(body)
	}
	for _, tc := range []struct {
		name   string
		status int
		body   *rig.SpyBody
		use    func(io.ReadCloser, context.CancelFunc)
		want   rig.Verdicts
	}{
		{"read to the end", 200, rig.NewSpyBody("x"), readAll, rig.Verdicts{Success: 1}},
		{"closed early", 200, rig.NewSpyBody("x"), func(b io.ReadCloser, _ context.CancelFunc) { _ = b.Close() }, rig.Verdicts{Success: 1}},
		{"read and closed", 200, rig.NewSpyBody("x"), func(b io.ReadCloser, c context.CancelFunc) {
			readAll(b, c)
			_ = b.Close()
			_ = b.Close()
		}, rig.Verdicts{Success: 1}},
		{"broken off", 200, rig.BrokenBody("x", rig.ErrReset), readAll, rig.Verdicts{Failure: 1}},
		{"broken off, read again and closed", 200, rig.BrokenBody("x", rig.ErrReset), func(b io.ReadCloser, c context.CancelFunc) {
			readAll(b, c)
			readAll(b, c)
			_ = b.Close()
		}, rig.Verdicts{Failure: 1}},
		{"canceled, then read", 200, rig.BrokenBody("", context.Canceled), func(b io.ReadCloser, cancel context.CancelFunc) {
			cancel()
			readAll(b, cancel)
		}, rig.Verdicts{Ignored: 1}},
		{"canceled, then closed", 200, rig.NewSpyBody("x"), func(b io.ReadCloser, cancel context.CancelFunc) {
			cancel()
			_ = b.Close()
		}, rig.Verdicts{Ignored: 1}},
		{"read when the deadline had passed", 200, rig.BrokenBody("", context.DeadlineExceeded), func(b io.ReadCloser, c context.CancelFunc) {
			time.Sleep(2 * time.Second)
			readAll(b, c)
		}, rig.Verdicts{Ignored: 1}},
		{"read, then canceled", 200, rig.NewSpyBody("x"), func(b io.ReadCloser, cancel context.CancelFunc) {
			readAll(b, cancel)
			cancel()
			_ = b.Close()
		}, rig.Verdicts{Success: 1}},
		{"never read nor closed", 200, rig.NewSpyBody("x"), func(io.ReadCloser, context.CancelFunc) {}, rig.Verdicts{}},
		{"failure never read nor closed", 500, rig.NewSpyBody("x"), func(io.ReadCloser, context.CancelFunc) {}, rig.Verdicts{Failure: 1}},
		{"failure read to the end", 500, rig.NewSpyBody("x"), readAll, rig.Verdicts{Failure: 1}},
		{"ignored status, broken off", 429, rig.BrokenBody("x", rig.ErrReset), readAll, rig.Verdicts{Ignored: 1}},
		{"alive, broken off", 404, rig.BrokenBody("x", rig.ErrReset), readAll, rig.Verdicts{Failure: 1}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithTimeout(t.Context(), time.Second)
				defer cancel()
				rt := httpbreaker.New(&httpbreaker.Config{Base: rig.BodyOf(tc.status, tc.body)})
				res, err := rt.RoundTrip(rig.NewRequest(t, "GET", "http://a.test/", nil).WithContext(ctx))
				require.NoError(t, err)
				assert.Zero(t, rig.InFlight(rt), "answered")
				tc.use(res.Body, cancel)
				assert.Equal(t, tc.want, rig.VerdictsOf(rt))
				assert.Zero(t, rig.InFlight(rt))
			})
		})
	}
}

func TestBodyPassesThroughUnchanged(t *testing.T) {
	body := rig.BrokenBody("hello", rig.ErrReset)
	rt := httpbreaker.New(&httpbreaker.Config{Base: rig.BodyOf(200, body)})
	res, err := rt.RoundTrip(rig.NewRequest(t, "GET", "http://a.test/", nil))
	require.NoError(t, err)
	got, err := io.ReadAll(res.Body)
	assert.Equal(t, "hello", string(got))
	assert.True(t, err == rig.ErrReset, "the very error") //nolint:errorlint // identity is the point
	require.NoError(t, res.Body.Close())
	assert.EqualValues(t, 1, body.Closes.Load())
}

// What is no body of the response is judged by its header and left alone.
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
	} {
		t.Run(tc.name, func(t *testing.T) {
			body := rig.NewSpyBody("x")
			tc.res.Body = body
			tc.cfg.Base = rig.BaseFunc(func(*http.Request) (*http.Response, error) { return &tc.res, nil })
			rt := httpbreaker.New(&tc.cfg)
			res, err := rt.RoundTrip(rig.NewRequest(t, tc.method, "http://a.test/", nil))
			require.NoError(t, err)
			assert.True(t, res.Body == io.ReadCloser(body), "the base's own body")
			assert.Equal(t, rig.Verdicts{Success: 1}, rig.VerdictsOf(rt))
		})
	}

	t.Run("no body at all", func(t *testing.T) {
		for _, body := range []io.ReadCloser{nil, http.NoBody} {
			rt := httpbreaker.New(&httpbreaker.Config{Base: rig.BodyOf(200, body)})
			res, err := rt.RoundTrip(rig.NewRequest(t, "GET", "http://a.test/", nil))
			require.NoError(t, err)
			assert.Equal(t, body, res.Body)
			assert.Equal(t, rig.Verdicts{Success: 1}, rig.VerdictsOf(rt))
		}
	})
}

func TestOtherMediaTypesAreWatchedToTheEnd(t *testing.T) {
	for _, mediaType := range []string{"", "text/event-streams", "text/plain", "text/event", "text/event-source", "text-event-stream", "application/grpcx"} {
		rt := httpbreaker.New(&httpbreaker.Config{Base: rig.BaseFunc(func(req *http.Request) (*http.Response, error) {
			res, err := rig.BodyOf(200, rig.NewSpyBody("x"))(req)
			res.Header.Set("Content-Type", mediaType)
			return res, err
		})})
		res, err := rt.RoundTrip(rig.NewRequest(t, "GET", "http://a.test/", nil))
		require.NoError(t, err)
		_, err = res.Body.Read(make([]byte, 1))
		require.NoError(t, err)
		assert.Zero(t, rig.VerdictsOf(rt), mediaType)
	}
}

// A stream of events has no end to wait for. What its header does not say, its first bytes do.
func TestVerdictOfAnEventStream(t *testing.T) {
	read := func(body io.ReadCloser, _ context.CancelFunc) { _, _ = body.Read(make([]byte, 8)) }
	after := func(d time.Duration, err error) func() io.Reader {
		return func() io.Reader {
			return rig.ReaderFunc(func([]byte) (int, error) { time.Sleep(d); return 0, err })
		}
	}
	event := func() io.Reader { return strings.NewReader("data: x\n\n") }
	for _, tc := range []struct {
		name string
		body func() io.Reader
		use  func(io.ReadCloser, context.CancelFunc)
		want rig.Verdicts
	}{
		{"not read", event, func(io.ReadCloser, context.CancelFunc) {}, rig.Verdicts{}},
		{"no byte yet", after(0, nil), read, rig.Verdicts{}},
		{"an event", event, read, rig.Verdicts{Success: 1}},
		{"an event, and broken off", func() io.Reader { return rig.BrokenBody("data", rig.ErrReset) }, func(body io.ReadCloser, _ context.CancelFunc) {
			_, _ = io.ReadAll(body)
		}, rig.Verdicts{Success: 1}},
		{"broken off at once", after(0, rig.ErrReset), read, rig.Verdicts{Failure: 1}},
		{"broken off within a second", after(time.Second-1, rig.ErrReset), read, rig.Verdicts{Failure: 1}},
		{"broken off when idle", after(time.Second, rig.ErrReset), read, rig.Verdicts{Success: 1}},
		{"ended at once", after(0, io.EOF), read, rig.Verdicts{Success: 1}},
		{"closed", event, func(body io.ReadCloser, _ context.CancelFunc) { _ = body.Close() }, rig.Verdicts{Success: 1}},
		{"canceled", after(0, context.Canceled), func(body io.ReadCloser, cancel context.CancelFunc) {
			cancel()
			read(body, cancel)
		}, rig.Verdicts{Ignored: 1}},
	} {
		for _, contentType := range []string{"text/event-stream", "Text/Event-Stream ; charset=utf-8"} {
			for name, classify := range map[string]httpbreaker.Classifier{"default": nil, "own": httpbreaker.DeadlinesOver(nil, 0)} {
				t.Run(tc.name+", "+contentType+", "+name, func(t *testing.T) {
					synctest.Test(t, func(t *testing.T) {
						ctx, cancel := context.WithCancel(t.Context())
						defer cancel()
						rt := httpbreaker.New(&httpbreaker.Config{
							Classify: classify,
							Base: rig.BaseFunc(func(req *http.Request) (*http.Response, error) {
								time.Sleep(5 * time.Second) // the time to the header is not the stream's
								res, err := rig.BodyOf(200, io.NopCloser(tc.body()))(req)
								res.Header.Set("Content-Type", contentType)
								return res, err
							}),
						})
						res, err := rt.RoundTrip(rig.NewRequest(t, "GET", "http://a.test/", nil).WithContext(ctx))
						require.NoError(t, err)
						assert.Zero(t, rig.InFlight(rt), "answered")
						tc.use(res.Body, cancel)
						assert.Equal(t, tc.want, rig.VerdictsOf(rt))
					})
				})
			}
		}
	}
}

func TestProbeIsJudgedAtItsHeader(t *testing.T) {
	for _, tc := range []struct {
		contentType string
		trailer     http.Header
		cfg         httpbreaker.Config
	}{
		{"application/json", nil, httpbreaker.Config{}},
		{"text/event-stream", nil, httpbreaker.Config{}},
		{"application/json", nil, httpbreaker.Config{Classify: httpbreaker.DefaultClassifier}},
		{"application/json", http.Header{"X-Result": nil}, httpbreaker.Config{}},
		{"application/json", http.Header{"X-Result": nil}, httpbreaker.Config{RetryAfter: time.Minute, FallbackOnFailure: true}},
	} {
		synctest.Test(t, func(t *testing.T) {
			tc.cfg.Base = rig.BaseFunc(func(req *http.Request) (*http.Response, error) {
				res, err := rig.BodyOf(200, rig.BrokenBody("", rig.ErrReset))(req)
				res.Header.Set("Content-Type", tc.contentType)
				res.Trailer = tc.trailer
				return res, err
			})
			rt := rig.Opened(t, "http://a.test/", tc.cfg)
			time.Sleep(time.Hour)
			res, err := rt.RoundTrip(rig.NewRequest(t, "GET", "http://a.test/", nil))
			require.NoError(t, err)
			assert.Equal(t, breaker.Closed, rig.StateOf(t, rt, "http://a.test/"))
			_, err = io.ReadAll(res.Body)
			require.ErrorIs(t, err, rig.ErrReset)
			assert.Equal(t, rig.Verdicts{Success: 1}, rig.VerdictsOf(rt))
		})
	}
}

// A Close makes a Read that waits fail, and that is nobody's failure.
func TestCloseWhileReading(t *testing.T) {
	reading := make(chan struct{})
	pr, pw := io.Pipe()
	defer pw.Close()
	body := struct {
		io.Reader
		io.Closer
	}{rig.ReaderFunc(func(p []byte) (int, error) { close(reading); return pr.Read(p) }), pr}
	rt := httpbreaker.New(&httpbreaker.Config{Base: rig.BodyOf(200, body)})
	res, err := rt.RoundTrip(rig.NewRequest(t, "GET", "http://a.test/", nil))
	require.NoError(t, err)
	var wg sync.WaitGroup
	wg.Go(func() {
		_, err := res.Body.Read(make([]byte, 1))
		assert.ErrorIs(t, err, io.ErrClosedPipe)
	})
	<-reading
	require.NoError(t, res.Body.Close())
	wg.Wait()
	assert.Equal(t, rig.Verdicts{Success: 1}, rig.VerdictsOf(rt))
}

// Whoever comes first, there is one verdict.
func TestReadAndCloseRace(t *testing.T) {
	rt := httpbreaker.New(&httpbreaker.Config{
		Base: rig.BaseFunc(func(req *http.Request) (*http.Response, error) {
			return rig.BodyOf(200, rig.BrokenBody("", rig.ErrReset))(req)
		}),
		Breakers: rig.CountsOnly(),
	})
	const n = 200
	for range n {
		res, err := rt.RoundTrip(rig.NewRequest(t, "GET", "http://a.test/", nil))
		require.NoError(t, err)
		var wg sync.WaitGroup
		wg.Go(func() { _, _ = res.Body.Read(make([]byte, 1)) })
		wg.Go(func() { _ = res.Body.Close() })
		wg.Wait()
	}
	got := rig.VerdictsOf(rt)
	assert.EqualValues(t, n, got.Success+got.Failure)
	assert.Zero(t, got.Ignored)
	assert.Zero(t, rig.InFlight(rt))
}

func TestClassifierSeesResponseAndErrorOfABrokenBody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var results []httpbreaker.Result
		rt := httpbreaker.New(&httpbreaker.Config{
			Base: rig.BaseFunc(func(req *http.Request) (*http.Response, error) {
				time.Sleep(3 * time.Second)
				return rig.BodyOf(200, rig.BrokenBody("x", rig.ErrReset))(req)
			}),
			Classify: func(r httpbreaker.Result) breaker.Outcome {
				results = append(results, r)
				return httpbreaker.DefaultClassifier(r)
			},
		})
		req := rig.NewRequest(t, "GET", "http://a.test/", nil)
		res, err := rt.RoundTrip(req)
		require.NoError(t, err)
		time.Sleep(time.Second)
		_, _ = io.ReadAll(res.Body)
		_, _ = res.Body.Read(make([]byte, 1))
		require.Len(t, results, 2)
		assert.Same(t, req, results[1].Request)
		assert.Same(t, res, results[1].Response)
		assert.NoError(t, results[0].Err)
		assert.Equal(t, rig.ErrReset, results[1].Err)
		assert.Equal(t, 3*time.Second, results[0].Duration)
		assert.Equal(t, 3*time.Second, results[1].Duration, "to the header")
	})
}

// A host that answers soon and then hangs has had all the time until the deadline.
func TestDeadlineInABodyCountsAllTheTimeItHad(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rt := httpbreaker.New(&httpbreaker.Config{
			Base: rig.BaseFunc(func(req *http.Request) (*http.Response, error) {
				return rig.BodyOf(200, &rig.SpyBody{Reader: rig.ReaderFunc(func([]byte) (int, error) {
					<-req.Context().Done()
					return 0, req.Context().Err()
				})})(req)
			}),
			Classify: httpbreaker.DeadlinesOver(nil, time.Second),
		})
		for _, patience := range []time.Duration{2 * time.Second, time.Second / 2} {
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			res, err := rt.RoundTrip(rig.NewRequest(t, "GET", "http://a.test/", nil).WithContext(ctx))
			require.NoError(t, err)
			_, err = io.ReadAll(res.Body)
			require.ErrorIs(t, err, context.DeadlineExceeded)
			cancel()
		}
		assert.Equal(t, rig.Verdicts{Ignored: 1, Failure: 1}, rig.VerdictsOf(rt))
	})
}

// A handler calls one service, reads its answer without looking for the end, and then
// waits for another one until its own deadline. Closing the first answer on the way out
// must not convict the first service.
func TestCloseAfterADeadlineConvictsNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rt := httpbreaker.New(&httpbreaker.Config{Base: rig.BodyOf(200, rig.NewSpyBody("{}"))})
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		res, err := rt.RoundTrip(rig.NewRequest(t, "GET", "http://a.test/", nil).WithContext(ctx))
		require.NoError(t, err)
		_, err = io.ReadFull(res.Body, make([]byte, 2))
		require.NoError(t, err)
		<-ctx.Done() // the other service
		require.NoError(t, res.Body.Close())
		assert.Equal(t, rig.Verdicts{Ignored: 1}, rig.VerdictsOf(rt))
	})
}

func TestClassifierThatPanicsAtABody(t *testing.T) {
	rt := httpbreaker.New(&httpbreaker.Config{
		Base: rig.BodyOf(200, rig.BrokenBody("", rig.ErrReset)),
		Classify: func(r httpbreaker.Result) breaker.Outcome {
			if r.Err != nil {
				panic("what now?")
			}
			return breaker.Success
		},
	})
	res, err := rt.RoundTrip(rig.NewRequest(t, "GET", "http://a.test/", nil))
	require.NoError(t, err)
	assert.PanicsWithValue(t, "what now?", func() { _, _ = res.Body.Read(make([]byte, 1)) })
	assert.Equal(t, rig.Verdicts{Ignored: 1}, rig.VerdictsOf(rt))
	assert.Zero(t, rig.InFlight(rt))
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
		want   rig.Verdicts
	}{
		{"read in full", rig.NewSpyBody("12345"), 5, upload, rig.Verdicts{Failure: 1}},
		{"in two pieces", io.MultiReader(strings.NewReader("12"), strings.NewReader("345")), 5, upload, rig.Verdicts{Failure: 1}},
		{"of unknown length", rig.NewSpyBody("12345"), -1, upload, rig.Verdicts{Failure: 1}},
		{"of no declared length", rig.NewSpyBody("12345"), 0, upload, rig.Verdicts{Failure: 1}},
		{"reader fails", rig.BrokenBody("12", errDisk), -1, upload, rig.Verdicts{Ignored: 1}},
		{"reader fails with a known length", rig.BrokenBody("12", errDisk), 5, upload, rig.Verdicts{Ignored: 1}},
		{"cut off as by a visitor", rig.BrokenBody("12", io.ErrUnexpectedEOF), -1, upload, rig.Verdicts{Ignored: 1}},
		{"too large", rig.BrokenBody("12", &http.MaxBytesError{Limit: 2}), -1, upload, rig.Verdicts{Ignored: 1}},
		{"too short", rig.NewSpyBody("12"), 5, upload, rig.Verdicts{Ignored: 1}},
		{"too long", rig.NewSpyBody("1234567"), 5, upload, rig.Verdicts{Ignored: 1}},
		{"left unread", rig.NewSpyBody("12345"), 5, func(req *http.Request) error { return req.Body.Close() }, rig.Verdicts{Failure: 1}},
		{"fails once the base has closed it", rig.BrokenBody("", errDisk), -1, func(req *http.Request) error {
			_ = req.Body.Close()
			_, err := io.Copy(io.Discard, req.Body)
			return err
		}, rig.Verdicts{Failure: 1}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			rt := httpbreaker.New(&httpbreaker.Config{Base: rig.BaseFunc(func(req *http.Request) (*http.Response, error) {
				_ = tc.base(req)
				return nil, rig.ErrReset
			})})
			req := rig.NewRequest(t, "POST", "http://a.test/", tc.body)
			req.ContentLength = tc.length
			_, err := rt.RoundTrip(req)
			require.ErrorIs(t, err, rig.ErrReset)
			assert.Equal(t, tc.want, rig.VerdictsOf(rt))
		})
	}
	t.Run("fails, and then the response breaks off", func(t *testing.T) {
		rt := httpbreaker.New(&httpbreaker.Config{Base: rig.BaseFunc(func(req *http.Request) (*http.Response, error) {
			_ = upload(req)
			return rig.BodyOf(200, rig.BrokenBody("", rig.ErrReset))(req)
		})})
		res, err := rt.RoundTrip(rig.NewRequest(t, "POST", "http://a.test/", rig.BrokenBody("12", errDisk)))
		require.NoError(t, err)
		_, _ = io.ReadAll(res.Body)
		assert.Equal(t, rig.Verdicts{Ignored: 1}, rig.VerdictsOf(rt))
	})
}

// trailing returns a base whose responses have this header and, at the end of a body of
// unknown length, these trailers.
func trailing(header, trailer http.Header, body string) rig.BaseFunc {
	return func(req *http.Request) (*http.Response, error) {
		res, err := rig.BodyOf(200, nil)(req)
		res.Header = header.Clone()
		res.Body = &rig.SpyBody{Reader: io.MultiReader(strings.NewReader(body), rig.ReaderFunc(func([]byte) (int, error) {
			res.Trailer = trailer
			return 0, io.EOF
		}))}
		return res, err
	}
}

func grpc(status string) (header, trailer http.Header) {
	header = http.Header{"Content-Type": {"application/grpc"}}
	if status != "" {
		trailer = http.Header{"Grpc-Status": {status}}
	}
	return header, trailer
}

func TestVerdictOfTrailers(t *testing.T) {
	for _, tc := range []struct {
		name, method, status string
		want                 rig.Verdicts
	}{
		{"ok", "POST", "0", rig.Verdicts{Success: 1}},
		{"unavailable", "POST", "14", rig.Verdicts{Failure: 1}},
		{"no such thing", "POST", "5", rig.Verdicts{Success: 1}},
		{"cancelled", "POST", "1", rig.Verdicts{Ignored: 1}},
		{"no status", "POST", "", rig.Verdicts{Success: 1}},
		{"of another method", "GET", "14", rig.Verdicts{Failure: 1}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			header, trailer := grpc(tc.status)
			for _, classify := range []httpbreaker.Classifier{nil, httpbreaker.DefaultClassifier} {
				rt := httpbreaker.New(&httpbreaker.Config{Base: trailing(header, trailer, "message"), Classify: classify})
				res, err := rt.RoundTrip(rig.NewRequest(t, tc.method, "http://a.test/", nil))
				require.NoError(t, err)
				assert.Zero(t, rig.VerdictsOf(rt), "not yet")
				_, err = io.ReadAll(res.Body)
				require.NoError(t, err)
				require.NoError(t, res.Body.Close())
				assert.Equal(t, tc.want, rig.VerdictsOf(rt))
				assert.Zero(t, rig.InFlight(rt))
			}
		})
	}
	t.Run("headers only", func(t *testing.T) {
		rt := httpbreaker.New(&httpbreaker.Config{Base: trailing(http.Header{"Content-Type": {"application/grpc"}},
			http.Header{"Grpc-Status": {"14"}}, "message"), HeadersOnly: true})
		res, err := rt.RoundTrip(rig.NewRequest(t, "POST", "http://a.test/", nil))
		require.NoError(t, err)
		_, _ = io.ReadAll(res.Body)
		assert.Equal(t, rig.Verdicts{Success: 1}, rig.VerdictsOf(rt))
	})
	t.Run("status in the header", func(t *testing.T) {
		rt := httpbreaker.New(&httpbreaker.Config{Base: rig.BaseFunc(func(req *http.Request) (*http.Response, error) {
			res, err := rig.Respond(200, "")(req)
			res.Header = http.Header{"Content-Type": {"application/grpc"}, "Grpc-Status": {"14"}}
			return res, err
		})})
		_, err := rt.RoundTrip(rig.NewRequest(t, "POST", "http://a.test/", nil))
		require.NoError(t, err)
		assert.Equal(t, rig.Verdicts{Failure: 1}, rig.VerdictsOf(rt))
	})
	t.Run("a length of zero and trailers all the same", func(t *testing.T) {
		header, trailer := grpc("14")
		rt := httpbreaker.New(&httpbreaker.Config{Base: rig.BaseFunc(func(req *http.Request) (*http.Response, error) {
			res, err := trailing(header, trailer, "")(req)
			res.ContentLength = 0
			return res, err
		})})
		res, err := rt.RoundTrip(rig.NewRequest(t, "POST", "http://a.test/", nil))
		require.NoError(t, err)
		_, _ = io.ReadAll(res.Body)
		assert.Equal(t, rig.Verdicts{Failure: 1}, rig.VerdictsOf(rt))
	})
}

func TestLastFailureSaysWhatFailed(t *testing.T) {
	header, trailer := grpc("14")
	for want, base := range map[string]rig.BaseFunc{
		"gRPC status 14 UNAVAILABLE": trailing(header, trailer, "message"),
		"connection reset":           rig.BodyOf(200, rig.BrokenBody("x", rig.ErrReset)),
		"503 Service Unavailable": func(req *http.Request) (*http.Response, error) { // whatever else it says
			res, err := rig.Respond(503, "")(req)
			res.Header, _ = grpc("")
			res.Header.Set("Grpc-Status", "0")
			return res, err
		},
	} {
		rt := httpbreaker.New(&httpbreaker.Config{Base: base, Breakers: rig.TripAfter(1)})
		res, err := rt.RoundTrip(rig.NewRequest(t, "POST", "http://a.test/", nil))
		require.NoError(t, err)
		_, _ = io.ReadAll(res.Body)
		_, err = rt.RoundTrip(rig.NewRequest(t, "POST", "http://a.test/", nil))
		var open *httpbreaker.OpenError
		require.ErrorAs(t, err, &open)
		assert.EqualError(t, open.Last, want)
	}
}

func TestClassifierSeesTrailers(t *testing.T) {
	var seen []string
	rt := httpbreaker.New(&httpbreaker.Config{
		Base: rig.BaseFunc(func(req *http.Request) (*http.Response, error) {
			res, err := trailing(nil, http.Header{"X-Result": {"failed"}}, "")(req)
			res.ContentLength, res.Trailer = 0, http.Header{"X-Result": nil} // a length of zero hides no trailers
			return res, err
		}),
		Classify: func(r httpbreaker.Result) breaker.Outcome {
			seen = append(seen, r.Response.Trailer.Get("X-Result"))
			if r.Response.Trailer.Get("X-Result") == "failed" {
				return breaker.Failure
			}
			return httpbreaker.DefaultClassifier(r)
		},
	})
	res, err := rt.RoundTrip(rig.NewRequest(t, "GET", "http://a.test/", nil))
	require.NoError(t, err)
	_, err = io.ReadAll(res.Body)
	require.NoError(t, err)
	assert.Equal(t, []string{"", "failed"}, seen)
	assert.Equal(t, rig.Verdicts{Failure: 1}, rig.VerdictsOf(rt))
}

// A header of gRPC says nothing, so a probe waits for the first message or the status.
func TestProbeOfGRPCIsJudgedByItsFirstMessageOrItsStatus(t *testing.T) {
	for _, tc := range []struct {
		status, message string
		want            breaker.State
	}{
		{"14", "", breaker.Open},
		{"0", "", breaker.Closed},
		{"14", "message", breaker.Closed}, // a stream that broke off later
	} {
		synctest.Test(t, func(t *testing.T) {
			header, trailer := grpc(tc.status)
			rt := rig.Opened(t, "http://a.test/", httpbreaker.Config{Base: trailing(header, trailer, tc.message)})
			time.Sleep(time.Hour)
			res, err := rt.RoundTrip(rig.NewRequest(t, "POST", "http://a.test/", nil))
			require.NoError(t, err)
			assert.Equal(t, breaker.HalfOpen, rig.StateOf(t, rt, "http://a.test/"))
			_, err = io.ReadAll(res.Body)
			require.NoError(t, err)
			assert.Equal(t, tc.want, rig.StateOf(t, rt, "http://a.test/"), "status %s, message %q", tc.status, tc.message)
		})
	}
}

func TestProbeWithTrailersIsJudgedByTheUsersClassifier(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rt := rig.Opened(t, "http://a.test/", httpbreaker.Config{
			Base: rig.BaseFunc(func(req *http.Request) (*http.Response, error) {
				res, err := trailing(nil, http.Header{"X-Result": {"failed"}}, "body")(req)
				res.Trailer = http.Header{"X-Result": nil}
				return res, err
			}),
			Classify: func(r httpbreaker.Result) breaker.Outcome {
				if r.Response.Trailer.Get("X-Result") == "failed" {
					return breaker.Failure
				}
				return breaker.Success
			},
		})
		time.Sleep(time.Hour)
		res, err := rt.RoundTrip(rig.NewRequest(t, "GET", "http://a.test/", nil))
		require.NoError(t, err)
		assert.Equal(t, breaker.HalfOpen, rig.StateOf(t, rt, "http://a.test/"))
		_, err = io.ReadAll(res.Body)
		require.NoError(t, err)
		assert.Equal(t, breaker.Open, rig.StateOf(t, rt, "http://a.test/"))
	})
}

// A body that breaks off is the host's fault, unless the caller's deadline ends it while it
// flows, or the caller has left it alone for longer than the host then took to fail.
func TestWhoseFaultABrokenBodyIs(t *testing.T) {
	const ms = time.Millisecond
	for _, tc := range []struct {
		name     string
		each     time.Duration // between the host's pieces
		stalls   time.Duration // before it fails
		idle     time.Duration // of the caller, after two pieces
		deadline time.Duration
		want     rig.Verdicts
	}{
		{"flows until the deadline", 20 * ms, 0, 0, 300 * ms, rig.Verdicts{Ignored: 1}},
		{"drips until the deadline", 140 * ms, 0, 0, 300 * ms, rig.Verdicts{Ignored: 1}},
		{"stalls until the deadline", 20 * ms, time.Hour, 0, 300 * ms, rig.Verdicts{Failure: 1}},
		{"never begins", time.Hour, 0, 0, 300 * ms, rig.Verdicts{Failure: 1}},
		{"fails while it flows", 20 * ms, 1, 0, time.Hour, rig.Verdicts{Failure: 1}},
		{"fails after a caller who was slow", 20 * ms, 1, 2 * time.Second, time.Hour, rig.Verdicts{Ignored: 1}},
		{"fails after a caller who was hardly slow", 20 * ms, 1, 900 * ms, time.Hour, rig.Verdicts{Failure: 1}},
		{"fails longer after a caller who was slow", 20 * ms, 3 * time.Second, 2 * time.Second, time.Hour, rig.Verdicts{Failure: 1}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithTimeout(t.Context(), tc.deadline)
				defer cancel()
				pieces := 0
				wait := func(d time.Duration) error {
					select {
					case <-ctx.Done():
						return ctx.Err()
					case <-time.After(d):
						return nil
					}
				}
				body := io.NopCloser(rig.ReaderFunc(func(p []byte) (int, error) {
					if pieces++; pieces > 3 && tc.stalls > 0 {
						if err := wait(tc.stalls); err != nil {
							return 0, err
						}
						return 0, rig.ErrReset
					}
					return 1, wait(tc.each)
				}))
				rt := httpbreaker.New(&httpbreaker.Config{Base: rig.BodyOf(200, body)})
				res, err := rt.RoundTrip(rig.NewRequest(t, "GET", "http://a.test/", nil).WithContext(ctx))
				require.NoError(t, err)
				for n := 0; n < 2 && err == nil; n++ {
					_, err = res.Body.Read(make([]byte, 1))
				}
				time.Sleep(tc.idle)
				for err == nil {
					_, err = res.Body.Read(make([]byte, 1))
				}
				assert.Equal(t, tc.want, rig.VerdictsOf(rt))
			})
		})
	}
}
