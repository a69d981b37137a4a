package contract_test

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/textproto"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/require"

	"github.com/seed-0b728cf8/httpbreaker/breaker"
)

var http1Scenarios = []scenario{
	{name: "works", want: breaker.Success, setup: http1("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc", hold)},
	{name: "reset before header", want: breaker.Failure, setup: http1("", reset)},
	{name: "closed before header", want: breaker.Failure, setup: http1("", fin)},
	{name: "reset in header", want: breaker.Failure, setup: http1("HTTP/1.1 200 OK\r\nX-A: b", reset)},
	{name: "closed in header", want: breaker.Failure, setup: http1("HTTP/1.1 200 OK\r\nX-A: b", fin)},
	{name: "closed in status line", want: breaker.Failure, setup: http1("HTTP/1.1 20", fin)},
	{name: "no status line", want: breaker.Failure, setup: http1("ICY 200 OK\r\n\r\n", hold)},
	{name: "bad status code", want: breaker.Failure, setup: http1("HTTP/1.1 2xx OK\r\n\r\n", hold)},
	{name: "bad version", want: breaker.Failure, setup: http1("HTTP/1.a 200 OK\r\n\r\n", hold)},
	{name: "bad header line", want: breaker.Failure, setup: http1("HTTP/1.1 200 OK\r\nno colon here\r\n\r\n", hold)},
	{name: "bad content length", want: breaker.Failure, setup: http1("HTTP/1.1 200 OK\r\nContent-Length: abc\r\n\r\n", hold)},
	{name: "two content lengths", want: breaker.Failure, setup: http1("HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", hold)},
	{name: "bad transfer encoding", want: breaker.Failure, setup: http1("HTTP/1.1 200 OK\r\nTransfer-Encoding: foo\r\n\r\n", hold)},
	{name: "too large a header", want: breaker.Failure, setup: http1("HTTP/1.1 200 OK\r\nX-A: "+strings.Repeat("a", 8000)+"\r\n\r\n", hold,
		func(base *http.Transport) { base.MaxResponseHeaderBytes = 1000 })},
	{name: "http2 preface", want: breaker.Failure, setup: http1("\x00\x00\x12\x04\x00\x00\x00\x00\x00\n", hold)},
	{name: "header times out", want: breaker.Failure, setup: http1("", hold,
		func(base *http.Transport) { base.ResponseHeaderTimeout = short })},
	{name: "informational responses for ever", want: breaker.Failure, setup: http1(strings.Repeat("HTTP/1.1 103 Early Hints\r\nX-A: b\r\n\r\n", 1000), hold,
		func(base *http.Transport) { base.MaxResponseHeaderBytes = 5000 })},
	{name: "101 unasked for", want: breaker.Success, setup: http1("HTTP/1.1 101 Switching Protocols\r\n\r\n", fin)},
	{name: "reused connection closed, get is sent again", want: breaker.Success, setup: reused("GET", fin)},
	{name: "reused connection closed, post is not", want: breaker.Failure, setup: reused("POST", fin)},
	{name: "reused connection reset, post is not", want: breaker.Failure, setup: reused("POST", reset)},
	{name: "reused connection closed, idempotent post is sent again", want: breaker.Success, setup: func(t *testing.T) exchange {
		x := reused("POST", fin)(t)
		x.req.Header.Set("Idempotency-Key", "1")
		return x
	}},
	{name: "reset during upload", want: breaker.Failure, setup: post(bytes.NewReader(make([]byte, 8<<20)), "", reset)},
	{name: "answered during upload", want: breaker.Success, setup: post(bytes.NewReader(make([]byte, 8<<20)),
		"HTTP/1.1 413 Content Too Large\r\nConnection: close\r\nContent-Length: 0\r\n\r\n", hold)},
	{name: "trace hook refuses", want: breaker.Failure, setup: func(t *testing.T) exchange {
		x := http1("HTTP/1.1 103 Early Hints\r\n\r\n", hold)(t)
		x.req = x.req.WithContext(httptrace.WithClientTrace(x.req.Context(), &httptrace.ClientTrace{
			Got1xxResponse: func(int, textproto.MIMEHeader) error { return errors.New("hook says no") },
		}))
		return x
	}},
}

// http1 returns the set-up of a GET that is answered by text.
func http1(text string, end script, edits ...func(*http.Transport)) func(*testing.T) exchange {
	return func(t *testing.T) exchange { return get(t, "http://"+serveRaw(t, answer(text, end)), edits...) }
}

// post returns the set-up of a POST whose header alone is read before text is
// sent.
func post(body *bytes.Reader, text string, end script) func(*testing.T) exchange {
	return func(t *testing.T) exchange {
		copied := *body
		x := http1(text, end)(t)
		x.req = newRequestCtx(t, nil, "POST", x.req.URL.String(), &copied)
		return x
	}
}

// reused returns the set-up of a request on a connection that has served one
// before, and that ends when this one comes. New connections work.
func reused(method string, end script) func(*testing.T) exchange {
	return func(t *testing.T) exchange {
		var conns atomic.Int32
		addr := serveRaw(t, func(conn net.Conn) {
			first := conns.Add(1) == 1
			for r, i := bufio.NewReader(conn), 0; ; i++ {
				req, err := http.ReadRequest(r)
				if err != nil {
					return
				}
				io.Copy(io.Discard, req.Body)
				if first && i == 1 {
					end(conn)
					return
				}
				io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
			}
		})
		x := get(t, "http://"+addr)
		require.NoError(t, x.run(x.base))
		x.req = newRequestCtx(t, nil, method, "http://"+addr, strings.NewReader("body"))
		return x
	}
}

var errReader = errors.New("the caller's disk is gone")

// uploadScenarios have a request body that cannot be had again and is at fault,
// or could seem to be.
var uploadScenarios = []scenario{
	{name: "body fails, chunked", want: breaker.Ignored, upload: true, setup: upload(-1, func(*testing.T) io.Reader {
		return io.MultiReader(strings.NewReader("abc"), iotest.ErrReader(errReader))
	})},
	{name: "body fails, length known", want: breaker.Ignored, upload: true, setup: upload(10, func(*testing.T) io.Reader {
		return io.MultiReader(strings.NewReader("abc"), iotest.ErrReader(errReader))
	})},
	{name: "body fails like a connection", want: breaker.Ignored, upload: true, setup: upload(-1, func(*testing.T) io.Reader {
		return io.MultiReader(strings.NewReader("abc"), iotest.ErrReader(io.ErrUnexpectedEOF))
	})},
	{name: "body beyond its limit", want: breaker.Ignored, upload: true, setup: upload(-1, func(*testing.T) io.Reader {
		return http.MaxBytesReader(nil, io.NopCloser(strings.NewReader("abcdef")), 3)
	})},
	{name: "body shorter than declared", want: breaker.Ignored, upload: true, setup: upload(10, func(*testing.T) io.Reader {
		return io.MultiReader(strings.NewReader("abcde"))
	})},
	{name: "body longer than declared", want: breaker.Ignored, upload: true, setup: upload(10, func(*testing.T) io.Reader {
		return io.MultiReader(strings.NewReader("0123456789abcdef"))
	})},
	{name: "body in memory shorter than declared", want: breaker.Ignored, setup: upload(10, func(*testing.T) io.Reader {
		return strings.NewReader("abcde")
	})},
	{name: "body in memory longer than declared", want: breaker.Ignored, setup: upload(10, func(*testing.T) io.Reader {
		return strings.NewReader("0123456789abcdef")
	})},
	{name: "body declared and missing", want: breaker.Ignored, setup: upload(10, func(*testing.T) io.Reader { return nil })},
	{name: "body is a directory", want: breaker.Ignored, upload: true, setup: upload(-1, func(t *testing.T) io.Reader {
		dir, err := os.Open(t.TempDir())
		require.NoError(t, err)
		return dir
	})},
	{name: "reset while the body waits", want: breaker.Failure, setup: func(t *testing.T) exchange {
		r, w := io.Pipe()
		x := http1("", func(conn net.Conn) {
			reset(conn)
			conn.Close()
			w.Close() // RoundTrip returns no sooner
		})(t)
		x.req = newRequestCtx(t, nil, "POST", x.req.URL.String(), r)
		return x
	}},
	{name: "caller gives up while the body waits", want: breaker.Failure, setup: func(t *testing.T) exchange {
		r, w := io.Pipe()
		x := http1("", func(conn net.Conn) {
			hold(conn) // until the caller has gone
			w.Close()
		})(t)
		x.req = newRequestCtx(t, nil, "POST", x.req.URL.String(), r)
		return x.within()
	}},
}

// upload returns the set-up of a POST of body, declared to be so long, to a peer
// that waits for the end.
func upload(length int64, body func(*testing.T) io.Reader) func(*testing.T) exchange {
	return func(t *testing.T) exchange {
		addr := serveRaw(t, func(conn net.Conn) {
			req, err := http.ReadRequest(bufio.NewReader(conn))
			if err != nil {
				return
			}
			io.Copy(io.Discard, req.Body)
			hold(conn) // an answer could come before the end of a body that is too long is seen
		})
		x := exchange{base: newBase(t), req: newRequestCtx(t, nil, "POST", "http://"+addr, body(t))}
		x.req.ContentLength = length
		return x
	}
}

// bodyScenarios are about the response's body.
var bodyScenarios = []scenario{
	{name: "body cut off", want: breaker.Failure, setup: http1("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc", fin)},
	{name: "body reset", want: breaker.Failure, setup: http1("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc", reset)},
	{name: "body cut off in a chunk", want: breaker.Failure, setup: http1(chunked+"a\r\nabc", fin)},
	{name: "body cut off between chunks", want: breaker.Failure, setup: http1(chunked+"3\r\nabc\r\n", fin)},
	{name: "body cut off in the trailer", want: breaker.Failure, setup: http1(chunked+"3\r\nabc\r\n0\r\n", fin)},
	{name: "body with a bad chunk", want: breaker.Failure, setup: http1(chunked+"xyz\r\nabc\r\n", hold)},
	{name: "body without a length cut off, which cannot be seen", want: breaker.Success, setup: http1("HTTP/1.0 200 OK\r\n\r\nabc", fin)},
	{name: "body without a length reset", want: breaker.Failure, setup: func(t *testing.T) exchange {
		read := make(chan struct{})
		x := http1("HTTP/1.0 200 OK\r\n\r\nabc", func(conn net.Conn) { <-read; reset(conn) })(t)
		x.header = func() { close(read) }
		return x
	}},
	{name: "body is not gzip", want: breaker.Failure, setup: http1("HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 10\r\n\r\n0123456789", hold)},
	{name: "body of gzip cut off", want: breaker.Failure, setup: http1("HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 15\r\n\r\n"+gzipped("abc")[:15], hold)},
	{name: "caller cancels in the body", want: breaker.Ignored, setup: cancelInBody(nil)},
	{name: "caller cancels in the body, with a cause", want: breaker.Ignored, setup: cancelInBody(errors.New("the user pressed stop"))},
	{name: "caller gives up in the body", want: breaker.Failure, setup: func(t *testing.T) exchange {
		return http1("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc", hold)(t).within()
	}},
}

const chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"

func gzipped(s string) string {
	var b strings.Builder
	w := gzip.NewWriter(&b)
	io.WriteString(w, s)
	w.Close()
	return b.String()
}

func cancelInBody(cause error) func(*testing.T) exchange {
	return func(t *testing.T) exchange {
		ctx, cancel := context.WithCancelCause(context.Background())
		x := http1("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc", hold)(t)
		x.req = x.req.WithContext(ctx)
		x.header = func() { cancel(cause) }
		return x
	}
}
