package lastgood_test

import (
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seed-0b728cf8/httpbreaker"
	"github.com/seed-0b728cf8/httpbreaker/breaker"
	"github.com/seed-0b728cf8/httpbreaker/contrib/lastgood"
)

const page = "http://host.example/page"

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(req *http.Request) (*http.Response, error) { return f(req) }

var errDown = errors.New("the host is down")

// A rig is a client over a breaker with a Cache, and a host that answers until it is down.
type rig struct {
	t       *testing.T
	cache   *lastgood.Cache
	breaker *httpbreaker.Transport
	answer  roundTripper // the host; nil is down
	opened  int          // bodies that the host has sent
	closed  int
}

func newRig(t *testing.T, opts *lastgood.Options) *rig {
	r := &rig{t: t, cache: lastgood.New(opts)}
	r.breaker = httpbreaker.New(&httpbreaker.Config{
		Base: r.cache.Transport(roundTripper(func(req *http.Request) (*http.Response, error) {
			if r.answer == nil {
				return nil, errDown
			}
			res, err := r.answer(req)
			if res != nil && res.Body != nil {
				r.opened++
				res.Body = &countedBody{res.Body, &r.closed}
			}
			return res, err
		})),
		Fallback: r.cache.Fallback, FallbackOnFailure: true,
		Breakers: breaker.NewSet(breaker.Options{Config: breaker.Config{FailureRate: -1, ShedRate: -1, ConsecutiveFailures: 1 << 30, IndependentFailures: -1, HangAfter: -1}}),
	})
	t.Cleanup(func() {
		assert.Equal(t, r.opened, r.closed, "the bodies that the host has sent and those that were closed")
	})
	return r
}

type countedBody struct {
	io.ReadCloser
	closed *int
}

func (b *countedBody) Close() error {
	*b.closed++
	return b.ReadCloser.Close()
}

// ok is an answer of a host: a 200 that was made now, with a body of known length.
func ok(body string, fields ...string) roundTripper { return status(http.StatusOK, body, fields...) }

func status(code int, body string, fields ...string) roundTripper {
	return func(req *http.Request) (*http.Response, error) {
		h := header(fields...)
		if _, ok := h["Date"]; !ok {
			h.Set("Date", now())
		}
		if h.Get("Date") == "absent" {
			h.Del("Date")
		}
		return &http.Response{
			StatusCode: code, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Header: h, Request: req,
			Body: io.NopCloser(strings.NewReader(body)), ContentLength: int64(len(body)),
		}, nil
	}
}

func now() string { return time.Now().UTC().Format(http.TimeFormat) }

// header makes a header of lines such as "Age: 3", or "". Names are kept as they are written, and
// can be there more than once.
func header(lines ...string) http.Header {
	h := make(http.Header)
	for _, line := range lines {
		if name, value, ok := strings.Cut(line, ": "); ok {
			h[name] = append(h[name], value)
		}
	}
	return h
}

func request(t testing.TB, method, url string, fields ...string) *http.Request {
	req, err := http.NewRequest(method, url, nil)
	require.NoError(t, err)
	req.Header = header(fields...)
	return req
}

// got is what a client gets and where from.
type got struct {
	from string // "host", "kept", or "" for an error
	body string
	res  *http.Response
}

func (r *rig) do(req *http.Request) got {
	r.t.Helper()
	res, err := r.breaker.RoundTrip(req)
	if err != nil {
		return got{}
	}
	body, err := io.ReadAll(res.Body)
	assert.NoError(r.t, err)
	assert.NoError(r.t, res.Body.Close())
	from := "host"
	if httpbreaker.IsFallback(res) {
		from = "kept"
	}
	return got{from, string(body), res}
}

func (r *rig) get(url string, fields ...string) got {
	r.t.Helper()
	return r.do(request(r.t, "GET", url, fields...))
}

// fill has the host answer one request, and then be down.
func (r *rig) fill(answer roundTripper, req *http.Request) {
	r.t.Helper()
	r.answer = answer
	require.Equal(r.t, "host", r.do(req).from)
	r.answer = nil
}

// assertKept asks what a client gets for req from the cache; "" is nothing.
func (r *rig) assertKept(want string, req *http.Request, msg ...any) {
	r.t.Helper()
	before := r.answer
	r.answer = nil
	got := r.do(req)
	r.answer = before
	if want == "" {
		assert.Equal(r.t, "", got.from, msg...)
	} else if assert.Equal(r.t, "kept", got.from, msg...) {
		assert.Equal(r.t, want, got.body, msg...)
	}
}

func readAll(t testing.TB, res *http.Response) string {
	t.Helper()
	body, err := io.ReadAll(res.Body)
	assert.NoError(t, err)
	assert.NoError(t, res.Body.Close())
	return string(body)
}
