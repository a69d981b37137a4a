package subjects

import (
	"context"
	"errors"
	"io"
	"net/http"
	"sync"
	"time"

	"github.com/failsafe-go/failsafe-go/failsafehttp"
	rubyist "github.com/rubyist/circuitbreaker"
	"github.com/sony/gobreaker/v2"
	handy "github.com/streadway/handy/breaker"
	"resty.dev/v3"

	"github.com/seed-0b728cf8/httpbreaker"
	"github.com/seed-0b728cf8/httpbreaker/breaker"
)

// A Transport guards an http.RoundTripper.
type Transport struct {
	Name     string
	Title    string
	Module   string
	Settings string
	New      func(base http.RoundTripper) http.RoundTripper
}

// BaselineTransport is the name of the transport that ratios are taken to.
const BaselineTransport = "gobreaker-perhost"

// Transports are all transports.
var Transports = []Transport{
	{
		Name: "none", Title: "no breaker", Settings: "the base alone",
		New: func(base http.RoundTripper) http.RoundTripper { return base },
	},
	{
		Name: BaselineTransport, Title: "a dozen lines over gobreaker, per host", Module: "github.com/sony/gobreaker/v2",
		Settings: rolling + "; one breaker for each URL.Host in a sync.Map; 5xx fail; bodies are not watched",
		New:      func(base http.RoundTripper) http.RoundTripper { return &perHost{base: base} },
	},
	{
		Name: "httpbreaker", Title: "httpbreaker", Module: Ours,
		Settings: "defaults: " + rolling + " or 5 failures in a row over 1 s, per host; bodies are watched",
		New: func(base http.RoundTripper) http.RoundTripper {
			return newOurTransport(base, httpbreaker.Config{}, ourConfig)
		},
	},
	{
		Name: "httpbreaker-headersonly", Title: "httpbreaker, HeadersOnly", Module: Ours,
		Settings: "defaults, but bodies are not watched",
		New: func(base http.RoundTripper) http.RoundTripper {
			return newOurTransport(base, httpbreaker.Config{HeadersOnly: true}, ourConfig)
		},
	},
	{
		Name: "httpbreaker-slowcall", Title: "httpbreaker, SlowCall on", Module: Ours,
		Settings: "defaults, and half of the calls slower than 1 s",
		New: func(base http.RoundTripper) http.RoundTripper {
			cfg := ourConfig
			cfg.SlowCall = time.Second
			return newOurTransport(base, httpbreaker.Config{}, cfg)
		},
	},
	{
		Name: "gobreaker-one", Title: "the same dozen lines, one breaker for all hosts", Module: "github.com/sony/gobreaker/v2",
		Settings: rolling + "; 5xx fail; bodies are not watched",
		New: func(base http.RoundTripper) http.RoundTripper {
			return &oneForAll{base, gobreaker.NewCircuitBreaker[*http.Response](gobreakerSettings())}
		},
	},
	{
		Name: "failsafehttp", Title: "failsafehttp", Module: "github.com/failsafe-go/failsafe-go",
		Settings: rolling + ", one breaker for all hosts; errors and 5xx fail",
		New: func(base http.RoundTripper) http.RoundTripper {
			b := newFailsafe[*http.Response]().HandleIf(func(res *http.Response, err error) bool {
				return err != nil || res != nil && res.StatusCode >= 500
			})
			return failsafehttp.NewRoundTripper(base, b.Build())
		},
	},
	{
		Name: "handy", Title: "streadway/handy", Module: "github.com/streadway/handy",
		Settings: "more than 50 % of > 10 calls in 5 s, open for 1 s, one breaker for all hosts; errors and 5xx fail",
		New: func(base http.RoundTripper) http.RoundTripper {
			return handy.Transport(handy.NewBreaker(rate), func(res *http.Response) bool { return res.StatusCode < 500 }, base)
		},
	},
	{
		Name: "rubyist", Title: "rubyist/circuitbreaker, host client", Module: "github.com/rubyist/circuitbreaker",
		Settings: "20 failures in 10 s, per host; errors fail; the http.Client around it included",
		New: func(base http.RoundTripper) http.RoundTripper {
			client := rubyist.NewHostBasedHTTPClient(0, minCalls, &http.Client{Transport: base})
			return roundTripperFunc(client.Do)
		},
	},
	{
		Name: "resty", Title: "resty, the whole client", Module: "resty.dev/v3",
		Settings: "50 % of ≥ 20 responses in a rolling minute, one breaker for all hosts; 5xx fail; its client included",
		New: func(base http.RoundTripper) http.RoundTripper {
			client := resty.New().SetTransport(base).
				SetCircuitBreaker(resty.NewCircuitBreakerRatio(rate, minCalls, openFor)).
				SetResponseDoNotParse(true)
			return roundTripperFunc(func(req *http.Request) (*http.Response, error) {
				res, err := client.R().SetContext(req.Context()).Execute(req.Method, req.URL.String())
				if err != nil {
					return nil, err
				}
				return res.RawResponse, nil
			})
		},
	},
}

// EmptyWrapper does nothing except to hand requests on.
var EmptyWrapper = Transport{
	Name: "wrapper", Title: "an empty wrapper", Settings: "a RoundTripper that calls the base",
	New: func(base http.RoundTripper) http.RoundTripper { return &wrapper{base} },
}

type wrapper struct{ base http.RoundTripper }

func (w *wrapper) RoundTrip(req *http.Request) (*http.Response, error) { return w.base.RoundTrip(req) }

type roundTripperFunc func(*http.Request) (*http.Response, error)

func (f roundTripperFunc) RoundTrip(req *http.Request) (*http.Response, error) { return f(req) }

func newOurTransport(base http.RoundTripper, cfg httpbreaker.Config, rules breaker.Config) http.RoundTripper {
	cfg.Base = base
	cfg.Breakers = breaker.NewSet(breaker.Options{Config: rules, MaxKeys: -1})
	return httpbreaker.New(&cfg)
}

// errStatus makes a 5xx a failure for a breaker that knows errors only.
var errStatus = errors.New("5xx")

// perHost is what people write when they need one breaker for each host.
type perHost struct {
	base     http.RoundTripper
	breakers sync.Map // host → *gobreaker.CircuitBreaker[*http.Response]
}

func (t *perHost) RoundTrip(req *http.Request) (*http.Response, error) {
	b, ok := t.breakers.Load(req.URL.Host)
	if !ok {
		b, _ = t.breakers.LoadOrStore(req.URL.Host, gobreaker.NewCircuitBreaker[*http.Response](gobreakerSettings()))
	}
	return execute(b.(*gobreaker.CircuitBreaker[*http.Response]), t.base, req)
}

// oneForAll is the same without hosts.
type oneForAll struct {
	base    http.RoundTripper
	breaker *gobreaker.CircuitBreaker[*http.Response]
}

func (t *oneForAll) RoundTrip(req *http.Request) (*http.Response, error) {
	return execute(t.breaker, t.base, req)
}

func execute(b *gobreaker.CircuitBreaker[*http.Response], base http.RoundTripper, req *http.Request) (*http.Response, error) {
	res, err := b.Execute(func() (*http.Response, error) {
		res, err := base.RoundTrip(req)
		if err == nil && res.StatusCode >= 500 {
			err = errStatus
		}
		return res, err
	})
	if err == errStatus {
		err = nil
	}
	return res, err
}

// An Exchange is the context of a request that NoOp answers, with the answer in
// it. It lets the base work without allocating and without anything that two
// goroutines share. Each goroutine has its own.
type Exchange struct {
	context.Context
	Response http.Response
	Failure  error // instead of Response
	Sent     int   // how often the base was reached
	body     io.ReadCloser
	buf      [16]byte
}

type exchangeKey struct{}

// Value implements [context.Context].
func (e *Exchange) Value(key any) any {
	if key == (exchangeKey{}) {
		return e
	}
	return e.Context.Value(key)
}

// The kinds of answers.
const (
	NoBody   = "no-body"
	WithBody = "body"
)

// NewExchange returns an exchange that is answered with 204 without a body, or
// with 200 and a body of one byte.
func NewExchange(kind string) *Exchange {
	e := &Exchange{Context: context.Background()}
	e.Response = http.Response{StatusCode: http.StatusNoContent, Header: http.Header{"Server": {"bench"}}}
	e.body = http.NoBody
	if kind == WithBody {
		e.Response.StatusCode = http.StatusOK
		e.Response.ContentLength = 1
		e.body = &oneByte{}
		e.Response.Header.Set("Content-Type", "application/json")
	}
	return e
}

// NoOp is a base that costs next to nothing: it answers with the Exchange in
// the request's context.
type NoOp struct{}

// RoundTrip implements [http.RoundTripper].
func (NoOp) RoundTrip(req *http.Request) (*http.Response, error) {
	e := req.Context().Value(exchangeKey{}).(*Exchange)
	e.Sent++
	if e.Failure != nil {
		return nil, e.Failure
	}
	e.Response.Request = req
	e.Response.Body = e.body // a transport may have put another one there
	return &e.Response, nil
}

// oneByte is a body that always ends after one more byte.
type oneByte struct{}

func (*oneByte) Read(p []byte) (int, error) { p[0] = '1'; return 1, io.EOF }
func (*oneByte) Close() error               { return nil }

// Exchanges makes n round trips with requests one after the other in the order
// of keys, and returns how many of them reached the base. Bodies are read to
// their end and closed.
func Exchanges(t http.RoundTripper, n int, requests []*http.Request, keys *Keys) (sent int) {
	e := requests[0].Context().Value(exchangeKey{}).(*Exchange)
	before := e.Sent
	for range n {
		res, err := t.RoundTrip(requests[keys.NextIndex()])
		if err == nil {
			if res.Body != http.NoBody {
				_, _ = res.Body.Read(e.buf[:])
			}
			_ = res.Body.Close()
		}
	}
	return e.Sent - before
}

// NewRequests returns a GET for each key, all of them with that exchange.
func NewRequests(e *Exchange, scheme string, keys []string) []*http.Request {
	requests := make([]*http.Request, len(keys))
	for i, key := range keys {
		req, err := http.NewRequestWithContext(e, http.MethodGet, scheme+"://"+key+"/v1/things", nil)
		if err != nil {
			panic(err)
		}
		requests[i] = req
	}
	return requests
}
