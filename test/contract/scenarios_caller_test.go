package contract_test

import (
	"bufio"
	"context"
	"errors"
	"net"
	"net/http"
	"net/url"
	"testing"

	"github.com/seed-0b728cf8/httpbreaker/breaker"
	"github.com/seed-0b728cf8/httpbreaker/internal/rig"
)

// requestScenarios are requests that net/http refuses to send, and some that one
// might think it does.
var requestScenarios = []scenario{
	{name: "no url", want: breaker.Ignored, setup: edited(func(r *http.Request) { r.URL = nil })},
	{name: "no header", want: breaker.Ignored, setup: edited(func(r *http.Request) { r.Header = nil })},
	{name: "unknown scheme", want: breaker.Ignored, setup: edited(func(r *http.Request) { r.URL.Scheme = "ftp" })},
	{name: "no scheme", want: breaker.Ignored, setup: edited(func(r *http.Request) { r.URL.Scheme = "" })},
	{name: "scheme in upper case", want: breaker.Ignored, setup: edited(func(r *http.Request) { r.URL.Scheme = "HTTP" })},
	{name: "no host", want: breaker.Ignored, setup: edited(func(r *http.Request) { r.URL.Host, r.Host = "", "" })},
	{name: "no host but in the header", want: breaker.Ignored, setup: edited(func(r *http.Request) { r.URL.Host, r.Host = "", "example.com" })},
	{name: "bad method", want: breaker.Ignored, setup: edited(func(r *http.Request) { r.Method = "G ET" })},
	{name: "no method", want: breaker.Success, setup: edited(func(r *http.Request) { r.Method = "" })},
	{name: "bad header name", want: breaker.Ignored, setup: edited(func(r *http.Request) { r.Header["Bad Name"] = []string{"x"} })},
	{name: "empty header name", want: breaker.Ignored, setup: edited(func(r *http.Request) { r.Header[""] = []string{"x"} })},
	{name: "bad header value", want: breaker.Ignored, setup: edited(func(r *http.Request) { r.Header.Set("X-A", "a\nb") })},
	{name: "odd header value", want: breaker.Success, setup: edited(func(r *http.Request) { r.Header.Set("X-A", "a\tb\xff") })},
	{name: "bad trailer", want: breaker.Ignored, setup: edited(func(r *http.Request) { r.Trailer = http.Header{"X-A": {"a\x00b"}} })},
	{name: "forbidden trailer", want: breaker.Ignored, setup: edited(func(r *http.Request) {
		r.Method, r.Body, r.Trailer = "POST", rig.NewSpyBody("body"), http.Header{"Content-Length": nil}
	})},
	{name: "control character in the query", want: breaker.Ignored, setup: edited(func(r *http.Request) { r.URL.RawQuery = "a\x01b" })},
	{name: "control character in an opaque url", want: breaker.Ignored, setup: edited(func(r *http.Request) { r.URL.Opaque = "//h/a\x7fb" })},
	{name: "bad host header", want: breaker.Success, setup: edited(func(r *http.Request) { r.Host = "a b" })},
	{name: "request uri set", want: breaker.Success, setup: edited(func(r *http.Request) { r.RequestURI = "/x" })},
	{name: "http2 pseudo header", want: breaker.Ignored, setup: edited(func(r *http.Request) { r.Header[":protocol"] = []string{"websocket"} })},
	{name: "name that cannot be", want: breaker.Failure, setup: func(t *testing.T) exchange {
		x := resolve("example.test", dnsCode(3))(t)
		x.req.URL.Host = "exa mple.test"
		return x
	}},
	{name: "failing protocol of one's own", want: breaker.Failure, setup: edited(func(r *http.Request) {
		r.URL = &url.URL{Scheme: "fail", Opaque: "x"}
	})},
	{name: "skipped protocol of one's own", want: breaker.Success, setup: func(t *testing.T) exchange {
		x := edited(nil)(t)
		x.base.(*http.Transport).RegisterProtocol("http", rig.BaseFunc(func(*http.Request) (*http.Response, error) {
			return nil, http.ErrSkipAltProtocol
		}))
		return x
	}},
	{name: "another round tripper asked for", want: breaker.Ignored, setup: func(t *testing.T) exchange {
		x := edited(nil)(t)
		x.base = rig.BaseFunc(func(*http.Request) (*http.Response, error) { return nil, http.ErrSkipAltProtocol })
		return x
	}},
}

// edited returns the set-up of a request to a peer that works.
func edited(edit func(*http.Request)) func(*testing.T) exchange {
	return func(t *testing.T) exchange {
		x := http1("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", hold, func(base *http.Transport) {
			base.RegisterProtocol("fail", rig.BaseFunc(rig.Failing))
		})(t)
		if edit != nil {
			edit(x.req)
		}
		return x
	}
}

// cancelScenarios are about a caller who no longer waits for the header.
var cancelScenarios = []scenario{
	{name: "cancelled before", want: breaker.Ignored, setup: cancelledBefore(nil)},
	{name: "cancelled before, with a cause", want: breaker.Ignored, setup: cancelledBefore(errors.New("the user pressed stop"))},
	{name: "cancelled", want: breaker.Ignored, setup: cancelled(nil)},
	{name: "cancelled, with a cause", want: breaker.Ignored, setup: cancelled(errors.New("the user pressed stop"))},
	{name: "cancelled, with a cause that looks like a fault", want: breaker.Ignored, setup: cancelled(context.DeadlineExceeded)},
	{name: "deadline", want: breaker.Failure, setup: func(t *testing.T) exchange {
		return http1("", hold)(t).within()
	}},
	{name: "deadline, with a cause", want: breaker.Failure, setup: func(t *testing.T) exchange {
		x := http1("", hold)(t).within()
		x.cause = context.Canceled
		return x
	}},
	{name: "cancel channel", want: breaker.Ignored, setup: func(t *testing.T) exchange {
		cancel := make(chan struct{})
		x := http1("", func(conn net.Conn) { close(cancel); hold(conn) })(t)
		x.req.Cancel = cancel //lint:ignore SA1019 people still use it
		return x
	}},
	{name: "cancel channel while dialling", want: breaker.Ignored, setup: func(t *testing.T) exchange {
		cancel := make(chan struct{})
		x := get(t, "http://"+refusing(t), dialWith(func(ctx context.Context, _, _ string) (net.Conn, error) {
			close(cancel)
			<-ctx.Done()
			return nil, ctx.Err()
		}))
		x.req.Cancel = cancel //lint:ignore SA1019 people still use it
		return x
	}},
}

func cancelledBefore(cause error) func(*testing.T) exchange {
	return func(t *testing.T) exchange {
		ctx, cancel := context.WithCancelCause(context.Background())
		cancel(cause)
		x := edited(nil)(t)
		x.req = x.req.WithContext(ctx)
		return x
	}
}

// cancelled returns the set-up of a request that is cancelled when the peer has
// it.
func cancelled(cause error) func(*testing.T) exchange {
	return func(t *testing.T) exchange {
		ctx, cancel := context.WithCancelCause(context.Background())
		t.Cleanup(func() { cancel(nil) })
		x := get(t, "http://"+serveRaw(t, func(conn net.Conn) {
			if _, err := http.ReadRequest(bufio.NewReader(conn)); err == nil {
				cancel(cause)
			}
			hold(conn)
		}))
		x.req = x.req.WithContext(ctx)
		return x
	}
}
