package contract_test

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/require"

	"github.com/seed-0b728cf8/httpbreaker/breaker"
)

// Frame types, flags and error codes of HTTP/2 (RFC 9113 §6, §7).
const (
	frameData, frameHeaders, frameReset, frameSettings, framePing, frameGoAway = 0, 1, 3, 4, 6, 7

	flagAck, flagEndStream, flagEndHeaders = 1, 1, 4

	codeNone, codeProtocol, codeInternal, codeRefused, codeCancel, codeCalm, codeHTTP11 = 0, 1, 2, 7, 8, 11, 13
)

func frame(kind, flags byte, stream uint32, payload ...byte) string {
	n := len(payload)
	head := []byte{byte(n >> 16), byte(n >> 8), byte(n), kind, flags}
	return string(append(binary.BigEndian.AppendUint32(head, stream), payload...))
}

func uint32s(values ...uint32) (b []byte) {
	for _, v := range values {
		b = binary.BigEndian.AppendUint32(b, v)
	}
	return b
}

func rst(code uint32) reply {
	return func(stream uint32) string { return frame(frameReset, 0, stream, uint32s(code)...) }
}

func goAway(lastStream, code uint32) reply {
	return func(uint32) string { return frame(frameGoAway, 0, 0, append(uint32s(lastStream, code), "calm"...)...) }
}

// status200 is the header of a response, in HPACK's static table (RFC 7541,
// appendix A), and more fields after it.
func status200(more string) reply {
	return func(stream uint32) string {
		return frame(frameHeaders, flagEndHeaders, stream, append([]byte{0x88}, more...)...)
	}
}

func data(flags byte, text string) reply {
	return func(stream uint32) string { return frame(frameData, flags, stream, []byte(text)...) }
}

// raw is a reply that does not depend on the stream.
func raw(text string) reply { return func(uint32) string { return text } }

// contentLength is a header field of one digit.
func contentLength(digit byte) string { return string([]byte{0x0f, 0x0d, 1, digit}) }

// A reply is frames in answer to a request on a stream.
type reply func(stream uint32) string

// serveHTTP2 speaks as much HTTP/2 without TLS as a script needs: it answers
// each request with replies and then ends, unless end is nil: then it goes on.
func serveHTTP2(t *testing.T, settings []byte, end script, replies ...reply) (addr string) {
	return serveRaw(t, func(conn net.Conn) {
		if _, err := io.ReadFull(conn, make([]byte, len("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"))); err != nil {
			return
		}
		io.WriteString(conn, frame(frameSettings, 0, 0, settings...))
		head := make([]byte, 9)
		for {
			if _, err := io.ReadFull(conn, head); err != nil {
				return
			}
			size := int64(head[0])<<16 | int64(head[1])<<8 | int64(head[2])
			kind, flags, stream := head[3], head[4], binary.BigEndian.Uint32(head[5:])
			if _, err := io.CopyN(io.Discard, conn, size); err != nil {
				return
			}
			switch {
			case kind == frameSettings && flags&flagAck == 0:
				io.WriteString(conn, frame(frameSettings, flagAck, 0))
			case kind == frameHeaders:
				for _, reply := range replies {
					io.WriteString(conn, reply(stream))
				}
				if end != nil {
					end(conn)
					return
				}
			}
		}
	})
}

// plainHTTP2 makes a transport speak HTTP/2 without TLS, and nothing else.
func plainHTTP2(base *http.Transport) {
	base.Protocols = new(http.Protocols)
	base.Protocols.SetUnencryptedHTTP2(true)
}

// http2 returns the set-up of a GET that is answered so.
func http2(end script, replies ...reply) func(*testing.T) exchange {
	return func(t *testing.T) exchange {
		return get(t, "http://"+serveHTTP2(t, nil, end, replies...), plainHTTP2)
	}
}

var http2Scenarios = []scenario{
	{name: "http2 works", want: breaker.Success, setup: http2(hold, status200(""), data(flagEndStream, "abc"))},
	{name: "http2 stream reset, internal error", want: breaker.Failure, setup: http2(hold, rst(codeInternal))},
	{name: "http2 stream reset, cancel", want: breaker.Failure, setup: http2(hold, rst(codeCancel))},
	{name: "http2 stream reset, calm", want: breaker.Failure, setup: http2(hold, rst(codeCalm))},
	{name: "http2 stream reset, use http/1.1", want: breaker.Failure, setup: http2(hold, rst(codeHTTP11))},
	{name: "http2 stream reset, no error", want: breaker.Failure, setup: http2(hold, rst(codeNone))},
	{name: "http2 streams refused until the deadline", want: breaker.Failure, setup: http2Within(http2(nil, rst(codeRefused)))},
	{name: "http2 streams reset until the deadline", want: breaker.Failure, setup: http2Within(http2(nil, rst(codeProtocol)))},
	{name: "http2 stream refused, body cannot be sent again", want: breaker.Failure, setup: func(t *testing.T) exchange {
		x := http2(nil, rst(codeRefused))(t)
		x.req = newRequestCtx(t, nil, "POST", x.req.URL.String(), io.MultiReader(strings.NewReader("abc")))
		return x
	}},
	{name: "http2 go away at once", want: breaker.Failure, setup: http2(hold, goAway(0, codeCalm))},
	{name: "http2 go away and close", want: breaker.Failure, setup: http2(fin, goAway(1, codeCalm))},
	{name: "http2 go away in peace, sent again", want: breaker.Success, setup: func(t *testing.T) exchange {
		var requests atomic.Int32
		return get(t, "http://"+serveHTTP2(t, nil, nil, func(stream uint32) string {
			if requests.Add(1) == 1 {
				return goAway(0, codeNone)(stream)
			}
			return status200("")(stream) + data(flagEndStream, "abc")(stream)
		}), plainHTTP2)
	}},
	{name: "http2 connection closed", want: breaker.Failure, setup: http2(fin)},
	{name: "http2 connection reset", want: breaker.Failure, setup: http2(reset)},
	{name: "http2 connection closed at once", want: breaker.Failure, setup: func(t *testing.T) exchange {
		return get(t, "http://"+serveRaw(t, fin), plainHTTP2)
	}},
	{name: "http2 too large a header", want: breaker.Failure, setup: func(t *testing.T) exchange {
		field := "\x00\x01a\x7f\xd1\x0e" + strings.Repeat("b", 2000)
		return get(t, "http://"+serveHTTP2(t, nil, hold, status200(field)), plainHTTP2,
			func(base *http.Transport) { base.MaxResponseHeaderBytes = 1000 })
	}},
	{name: "http2 no status", want: breaker.Failure, setup: http2(hold, func(stream uint32) string {
		return frame(frameHeaders, flagEndHeaders, stream, 0, 1, 'a', 1, 'b')
	})},
	{name: "http2 too large a frame", want: breaker.Failure, setup: http2(hold, raw("\x7f\xff\xff\x00\x00\x00\x00\x00\x01"))},
	{name: "http2 protocol error", want: breaker.Failure, setup: http2(hold, raw(frame(frameData, 0, 0, 'a')))},
	{name: "http2 compression error", want: breaker.Failure, setup: http2(hold, func(stream uint32) string {
		return frame(frameHeaders, flagEndHeaders, stream, 0x80)
	})},
	{name: "http2 body reset, internal error", want: breaker.Failure, setup: http2(hold, status200(""), data(0, "abc"), rst(codeInternal))},
	{name: "http2 body reset, no error", want: breaker.Failure, setup: http2(hold, status200(""), data(0, "abc"), rst(codeNone))},
	{name: "http2 body, go away and close", want: breaker.Failure, setup: http2(fin, status200(""), data(0, "abc"), goAway(1, codeNone))},
	{name: "http2 body, connection closed", want: breaker.Failure, setup: http2(fin, status200(""), data(0, "abc"))},
	{name: "http2 body too short", want: breaker.Failure, setup: http2(hold, status200(contentLength('5')), data(flagEndStream, "abc"))},
	{name: "http2 body too long", want: breaker.Failure, setup: http2(hold, status200(contentLength('2')), data(flagEndStream, "abc"))},
	{name: "http2 pings unanswered", want: breaker.Failure, setup: func(t *testing.T) exchange {
		return get(t, "http://"+serveHTTP2(t, nil, nil), plainHTTP2, func(base *http.Transport) {
			base.HTTP2 = &http.HTTP2Config{SendPingTimeout: short, PingTimeout: short}
		})
	}},
	{name: "http2 header times out", want: breaker.Failure, setup: func(t *testing.T) exchange {
		return get(t, "http://"+serveHTTP2(t, nil, hold), plainHTTP2, func(base *http.Transport) { base.ResponseHeaderTimeout = short })
	}},
	{name: "http2 spoken to http/1", want: breaker.Failure, setup: func(t *testing.T) exchange {
		return get(t, "http://"+serveRaw(t, func(conn net.Conn) {
			io.WriteString(conn, "HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n")
			hold(conn)
		}), plainHTTP2)
	}},

	{name: "http2 deadline", want: breaker.Failure, setup: http2Within(http2(hold))},
	{name: "http2 deadline in the body", want: breaker.Failure, setup: http2Within(http2(hold, status200(""), data(0, "abc")))},
	{name: "http2 cancelled, with a cause", want: breaker.Ignored, setup: func(t *testing.T) exchange {
		ctx, cancel := context.WithCancelCause(context.Background())
		x := http2(func(conn net.Conn) { cancel(errors.New("the user pressed stop")); hold(conn) })(t)
		x.req = x.req.WithContext(ctx)
		return x
	}},
	{name: "http2 cancel channel", want: breaker.Ignored, setup: func(t *testing.T) exchange {
		cancel := make(chan struct{})
		x := http2(func(conn net.Conn) { close(cancel); hold(conn) })(t)
		x.req.Cancel = cancel //lint:ignore SA1019 people still use it
		return x
	}},
	{name: "http2 cancelled in the body, with a cause", want: breaker.Ignored, setup: func(t *testing.T) exchange {
		ctx, cancel := context.WithCancelCause(context.Background())
		x := http2(hold, status200(""), data(0, "abc"))(t)
		x.req = x.req.WithContext(ctx)
		x.header = func() { cancel(errors.New("the user pressed stop")) }
		return x
	}},

	{name: "http2 request body fails", want: breaker.Ignored, upload: true, setup: http2Upload(-1, func() io.Reader {
		return io.MultiReader(strings.NewReader("abc"), iotest.ErrReader(errReader))
	})},
	{name: "http2 request body shorter than declared", want: breaker.Ignored, upload: true, setup: http2Within(http2Upload(10, func() io.Reader {
		return io.MultiReader(strings.NewReader("abc"))
	}))},
	{name: "http2 request body longer than declared", want: breaker.Ignored, upload: true, setup: http2Upload(2, func() io.Reader {
		return io.MultiReader(strings.NewReader("abcdef"))
	})},
	{name: "http2 request body in memory longer than declared", want: breaker.Ignored, setup: http2Upload(2, func() io.Reader {
		return strings.NewReader("abcdef")
	})},
	{name: "http2 upgrade asked for", want: breaker.Ignored, setup: http2Header("Upgrade", "websocket")},
	{name: "http2 connection field", want: breaker.Ignored, setup: http2Header("Connection", "weird")},
	{name: "http2 transfer encoding field", want: breaker.Ignored, setup: http2Header("Transfer-Encoding", "foo")},
	{name: "http2 bad path", want: breaker.Ignored, setup: func(t *testing.T) exchange {
		x := http2(hold, status200(""), data(flagEndStream, "abc"))(t)
		x.req.URL.Opaque = "no-path"
		return x
	}},
	{name: "http2 request header larger than the peer takes", want: breaker.Ignored, setup: func(t *testing.T) exchange {
		const maxHeaderListSize = 6
		settings := append([]byte{0, maxHeaderListSize}, uint32s(1000)...)
		x := get(t, "http://"+serveHTTP2(t, settings, nil, status200(""), data(flagEndStream, "abc")), plainHTTP2)
		require.NoError(t, x.run(x.base)) // so that the settings are known
		x.req.Header.Set("X-A", strings.Repeat("a", 2000))
		return x
	}},
}

func http2Within(setup func(*testing.T) exchange) func(*testing.T) exchange {
	return func(t *testing.T) exchange { return setup(t).within() }
}

func http2Header(name, value string) func(*testing.T) exchange {
	return func(t *testing.T) exchange {
		x := http2(hold, status200(""), data(flagEndStream, "abc"))(t)
		x.req.Header.Set(name, value)
		return x
	}
}

// http2Upload returns the set-up of a POST to a peer that says nothing.
func http2Upload(length int64, body func() io.Reader) func(*testing.T) exchange {
	return func(t *testing.T) exchange {
		x := http2(hold)(t)
		x.req = newRequestCtx(t, nil, "POST", x.req.URL.String(), body())
		x.req.ContentLength = length
		return x
	}
}
