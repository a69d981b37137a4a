package lastgood_test

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seed-0b728cf8/httpbreaker"
	"github.com/seed-0b728cf8/httpbreaker/contrib/lastgood"
)

// A server that answers until it is broken, then with 503.
func newServer(t *testing.T, http2 bool, answer http.HandlerFunc) (client *http.Client, url string, fail func()) {
	var broken atomic.Bool
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if broken.Load() {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		answer(w, req)
	}))
	server.EnableHTTP2 = http2
	if http2 {
		server.StartTLS()
	} else {
		server.Start()
	}
	t.Cleanup(server.Close)
	c := lastgood.New(&lastgood.Options{MaxStale: time.Hour})
	client = &http.Client{Transport: httpbreaker.New(&httpbreaker.Config{
		Base: c.Transport(server.Client().Transport), Fallback: c.Fallback, FallbackOnFailure: true,
	})}
	t.Cleanup(client.CloseIdleConnections)
	return client, server.URL, func() { broken.Store(true) }
}

func readToTheEnd(t *testing.T, res *http.Response) {
	_, err := io.ReadAll(res.Body)
	assert.NoError(t, err)
}

func readUntilItBreaks(t *testing.T, res *http.Response) {
	_, err := io.ReadAll(res.Body)
	assert.Error(t, err)
}

func TestBodiesOfRealServers(t *testing.T) {
	const long = 100_000
	text := strings.Repeat("0123456789", long/10)
	chunked := func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprint(w, text[:10])
		w.(http.Flusher).Flush()
		fmt.Fprint(w, text[10:])
	}
	declared := func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", fmt.Sprint(long))
		fmt.Fprint(w, text)
	}
	raw := func(response string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			conn, _, err := w.(http.Hijacker).Hijack()
			if err == nil {
				fmt.Fprint(conn, response)
				conn.Close()
			}
		}
	}
	for _, test := range []struct {
		name   string
		http1  bool // only
		answer http.HandlerFunc
		read   func(*testing.T, *http.Response)
		want   string // what is kept
	}{
		{name: "of declared length", answer: declared, read: readToTheEnd, want: text},
		{name: "in chunks", answer: chunked, read: readToTheEnd, want: text},
		{name: "empty", answer: func(http.ResponseWriter, *http.Request) {}, read: readToTheEnd, want: ""},
		{name: "empty and only closed", answer: func(http.ResponseWriter, *http.Request) {}, read: func(*testing.T, *http.Response) {}, want: ""},
		{name: "compressed", answer: func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Encoding", "gzip")
			w.Header().Set("Vary", "Accept-Encoding")
			zip := gzip.NewWriter(w)
			fmt.Fprint(zip, text)
			zip.Close()
		}, read: readToTheEnd, want: text},
		{name: "of declared length, read to its last byte and no further", answer: declared, read: func(t *testing.T, res *http.Response) {
			_, err := io.CopyN(io.Discard, res.Body, long)
			assert.NoError(t, err)
		}, want: text},
		{name: "of declared length, decoded", answer: func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "4")
			fmt.Fprint(w, "true")
		}, read: func(t *testing.T, res *http.Response) {
			var v bool
			assert.NoError(t, json.NewDecoder(res.Body).Decode(&v))
		}, want: "true"},

		{name: "closed early", answer: declared, read: func(t *testing.T, res *http.Response) {
			_, err := io.CopyN(io.Discard, res.Body, long-1)
			assert.NoError(t, err)
		}, want: "none"},
		{name: "in chunks and closed before its end", answer: chunked, read: func(t *testing.T, res *http.Response) {
			_, err := io.CopyN(io.Discard, res.Body, 10)
			assert.NoError(t, err)
		}, want: "none"},
		{name: "not read", answer: declared, read: func(*testing.T, *http.Response) {}, want: "none"},
		{name: "shorter than declared", answer: func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", fmt.Sprint(long))
			fmt.Fprint(w, text[1:])
		}, read: readUntilItBreaks, want: "none"},
		{name: "broken off in chunks", answer: func(w http.ResponseWriter, _ *http.Request) {
			fmt.Fprint(w, text)
			w.(http.Flusher).Flush()
			panic(http.ErrAbortHandler)
		}, read: readUntilItBreaks, want: "none"},
		{name: "ended by the connection", http1: true, answer: raw("HTTP/1.1 200 OK\r\n\r\nhello"), read: readToTheEnd, want: "none"},
		{name: "of HTTP/1.0", http1: true, answer: raw("HTTP/1.0 200 OK\r\n\r\nhello"), read: readToTheEnd, want: "none"},
		{name: "of HTTP/1.0 and declared length", http1: true, answer: raw("HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\nhello"), read: readToTheEnd, want: "hello"},
		{name: "compressed and broken off", http1: true, answer: raw("HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\n" + zipped(text)[:100]), read: readUntilItBreaks, want: "none"},
		{name: "compressed and ended by the connection", http1: true, answer: raw("HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\n" + zipped("hello")), read: readToTheEnd, want: "hello"},
		{name: "with a trailer", answer: func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Trailer", "X-Error")
			fmt.Fprint(w, text)
			w.Header().Set("X-Error", "the last rows are missing")
		}, read: readToTheEnd, want: "none"},
		{name: "with a trailer that was not announced", answer: func(w http.ResponseWriter, _ *http.Request) {
			fmt.Fprint(w, text)
			w.(http.Flusher).Flush()
			w.Header().Set(http.TrailerPrefix+"X-Error", "the last rows are missing")
		}, read: readToTheEnd, want: "none"},
	} {
		for _, http2 := range []bool{false, true} {
			if http2 && test.http1 {
				continue
			}
			t.Run(fmt.Sprintf("%s, HTTP/2 %v", test.name, http2), func(t *testing.T) {
				client, url, fail := newServer(t, http2, test.answer)
				res, err := client.Get(url)
				require.NoError(t, err)
				require.False(t, httpbreaker.IsFallback(res))
				test.read(t, res)
				require.NoError(t, res.Body.Close())
				fail()
				res, err = client.Get(url)
				require.NoError(t, err)
				body := readAll(t, res)
				if test.want == "none" {
					assert.False(t, httpbreaker.IsFallback(res))
				} else if assert.True(t, httpbreaker.IsFallback(res)) {
					assert.Equal(t, test.want, body)
				}
			})
		}
	}
}

func zipped(s string) string {
	var b bytes.Buffer
	zip := gzip.NewWriter(&b)
	fmt.Fprint(zip, s)
	zip.Close()
	return b.String()
}

// A base may say another length than it gives.
func TestLengthThatIsNotTrue(t *testing.T) {
	for declared, want := range map[int64]string{4: "good", -1: "good", 3: "", 5: "", 0: ""} {
		r := newRig(t, &lastgood.Options{MaxStale: time.Hour})
		r.fill(func(req *http.Request) (*http.Response, error) {
			res, err := ok("good")(req)
			res.ContentLength, res.TransferEncoding = declared, nil
			if declared < 0 {
				res.TransferEncoding = []string{"chunked"}
			}
			return res, err
		}, request(t, "GET", page))
		r.assertKept(want, request(t, "GET", page), declared)
	}
}

// An answer that is too large is handed on as it comes and not kept, and the one before it
// does not hold any more.
func TestLargeAnswerIsNotKept(t *testing.T) {
	for _, declared := range []bool{true, false} {
		r := newRig(t, &lastgood.Options{MaxStale: time.Hour, MaxBytes: 64 << 10, MaxAnswer: 10_000})
		answer := func(size int) roundTripper {
			return func(req *http.Request) (*http.Response, error) {
				res, err := ok(strings.Repeat("x", size))(req)
				if !declared {
					res.ContentLength, res.TransferEncoding = -1, []string{"chunked"}
				}
				return res, err
			}
		}
		r.fill(answer(9_000), request(t, "GET", page))
		r.assertKept(strings.Repeat("x", 9_000), request(t, "GET", page))
		r.fill(answer(10_000), request(t, "GET", page))
		r.assertKept("", request(t, "GET", page))
	}
	r := newRig(t, &lastgood.Options{MaxStale: time.Hour, MaxBytes: 64 << 10, MaxAnswer: 10_000})
	r.fill(ok("good", "X-Long: "+strings.Repeat("x", 10_000)), request(t, "GET", page))
	r.assertKept("", request(t, "GET", page), "the header counts")
}

// 100 MB pass through, byte by byte as they come, and none stays in memory.
func TestLargeAnswerStreams(t *testing.T) {
	const size = 100 << 20
	received := make(chan struct{})
	client, url, _ := newServer(t, false, func(w http.ResponseWriter, req *http.Request) {
		block := make([]byte, 1<<20)
		for i := range size >> 20 {
			_, err := w.Write(block)
			if err != nil {
				t.Error(err)
				return
			}
			if i == 0 {
				w.(http.Flusher).Flush()
				<-received // the client has the first block before the second is sent
			}
		}
	})
	res, err := client.Get(url)
	require.NoError(t, err)
	defer res.Body.Close()
	_, err = io.CopyN(io.Discard, res.Body, 1<<20)
	require.NoError(t, err)
	close(received)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	n, err := io.Copy(io.Discard, res.Body)
	require.NoError(t, err)
	runtime.ReadMemStats(&after)
	assert.EqualValues(t, size-1<<20, n)
	assert.Less(t, after.TotalAlloc-before.TotalAlloc, uint64(8<<20), "bytes allocated while 99 MB were read")
}

// Close ends a Read that waits, from another goroutine.
func TestCloseWhileReading(t *testing.T) {
	reader, writer := net.Pipe()
	c := lastgood.New(nil)
	rt := c.Transport(roundTripper(func(req *http.Request) (*http.Response, error) {
		res, err := ok("")(req)
		res.Body, res.ContentLength, res.TransferEncoding = reader, -1, []string{"chunked"}
		return res, err
	}))
	res, err := rt.RoundTrip(request(t, "GET", page))
	require.NoError(t, err)
	done := make(chan struct{})
	go func() {
		defer close(done)
		readUntilItBreaks(t, res)
	}()
	_, err = writer.Write([]byte("some"))
	require.NoError(t, err)
	require.NoError(t, res.Body.Close())
	<-done
}

type idleCloser struct {
	roundTripper
	closed bool
}

func (c *idleCloser) CloseIdleConnections() { c.closed = true }

func TestTransportIsTransparent(t *testing.T) {
	c := lastgood.New(nil)
	base := &idleCloser{roundTripper: func(req *http.Request) (*http.Response, error) { return nil, errDown }}
	rt := c.Transport(base)
	_, err := rt.RoundTrip(request(t, "GET", page))
	assert.Same(t, errDown, err)
	_, err = rt.RoundTrip(&http.Request{}) // without a URL
	assert.Same(t, errDown, err)
	(&http.Client{Transport: rt}).CloseIdleConnections()
	assert.True(t, base.closed)
	assert.Same(t, base, rt.(interface{ Unwrap() http.RoundTripper }).Unwrap())
	assert.NotPanics(t, func() {
		(&http.Client{Transport: c.Transport(roundTripper(nil))}).CloseIdleConnections()
	})
	assert.IsType(t, &http.Transport{}, c.Transport(nil).(interface{ Unwrap() http.RoundTripper }).Unwrap())

	for _, res := range []*http.Response{
		nil,
		{StatusCode: 200, Header: http.Header{}}, // without a body
		{StatusCode: 101, Header: http.Header{}, Body: http.NoBody},
		{StatusCode: 404, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(""))},
	} {
		body := io.ReadCloser(nil)
		if res != nil {
			body = res.Body
		}
		got, err := c.Transport(roundTripper(func(*http.Request) (*http.Response, error) { return res, nil })).RoundTrip(request(t, "GET", page))
		assert.NoError(t, err)
		assert.Same(t, res, got)
		if res != nil {
			assert.Equal(t, body, got.Body, "a response that is not kept is left alone")
		}
	}
}
