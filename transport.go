// Package httpbreaker stops an [http.Client] from calling hosts that are failing:
//
//	client := &http.Client{Transport: httpbreaker.New(nil)}
//
// Nothing changes while a host answers. Once it fails too often its circuit opens:
// requests to that host, and to no other, are rejected at once and nothing is sent.
// Soon, and then ever more rarely, one request is let through as a probe. When a probe
// has succeeded the others follow as fast as the host takes them. Of a host that fails
// only a part of its requests, a part is rejected. The numbers are in
// [breaker.Config], and a [breaker.Set] shows and controls the circuits:
//
//	client := &http.Client{Transport: httpbreaker.New(&httpbreaker.Config{
//		Breakers: breaker.NewSet(breaker.Options{
//			Config: breaker.Config{FailureRate: 0.3, OpenFor: 10 * time.Second},
//		}),
//	})}
//
// # What is a failure
//
// A [Classifier] gives each round trip one of three outcomes. [DefaultClassifier]
// calls it a Failure when the host is at fault: an error that is not the caller's or
// this machine's, or a 5xx status other than 501, 505 and 511. What says nothing about
// the host is Ignored: a canceled request, a request body without GetBody that cannot be
// read, no free file descriptors, 429. Everything else is a Success. [Statuses],
// [Errors] and [DeadlinesOver] change single rules:
//
//	Classify: httpbreaker.Statuses(nil, breaker.Success, 500)
//
// A response with a body is judged when the body ends, so that a host which breaks off
// half-way has failed, and one that says so in its trailers, as gRPC does; a stream of
// server-sent events by its first bytes. Config.HeadersOnly turns that off. Requests
// should carry a deadline: without one a host that hangs never fails.
//
// # Which requests share a circuit
//
// Those with the same key. A [KeyFunc] gives it: [ByHost] unless configured otherwise,
// [ByRoute] for a circuit per endpoint, or any function. [WithKey] sets the key of one
// request. A request whose key is "" bypasses the breaker.
//
// # What the caller gets instead
//
// A rejected request returns an [*OpenError], which matches [ErrOpen] and says who, why
// and until when:
//
//	res, err := client.Get(url)
//	var open *httpbreaker.OpenError
//	if errors.As(err, &open) {
//		log.Printf("%v: trying again in %v", open, open.RetryAfter())
//	}
//
// With a [Fallback] it returns a response: a fixed one ([Respond]), that of another
// server ([Reroute]), or whatever a function makes of it. [IsFallback] tells such a
// response from a real one. A response from the host, whatever its status, is returned
// as it came, unless it is a Failure and Config.FallbackOnFailure is set.
//
// # With other layers
//
// A [Transport] keeps the contract of [http.RoundTripper] to the letter, so it works
// under and over any other layer. Put retries outside of it, so that each attempt is
// judged, with [StopRetryWhenOpen] to end them when the circuit is open. Put tracing
// and authentication inside of it, as its Base, so that rejected requests cost
// neither. In a [net/http/httputil.ReverseProxy], [ProxyErrorHandler] answers rejected
// requests with 503 and Retry-After.
package httpbreaker

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/go-cleanhttp"

	"github.com/seed-0b728cf8/httpbreaker/breaker"
	"github.com/seed-0b728cf8/httpbreaker/internal/field"
	"github.com/seed-0b728cf8/httpbreaker/internal/key"
)

// Config configures a [Transport]. The zero Config is good as it is.
type Config struct {
	// Base makes the round trips. If nil, the Transport makes itself a
	// [cleanhttp.DefaultPooledTransport].
	Base http.RoundTripper

	// Breakers holds the circuits, with the rules by which they open and close.
	// Transports given the same Set share circuits. If nil, the Transport makes
	// itself a Set with the default [breaker.Options].
	Breakers *breaker.Set

	// Key says which requests share a circuit. If nil, ByHost is used.
	Key KeyFunc

	// Classify says what a finished round trip means. If nil, DefaultClassifier is
	// used. If it panics the round trip is Ignored and the panic goes on.
	Classify Classifier

	// Fallback answers rejected requests. If nil, they return an *OpenError.
	Fallback Fallback

	// FallbackOnFailure asks Fallback also about the round trips that Classify calls
	// a Failure, errors and responses alike. The failure counts all the same.
	// A response whose body fails later is past help. Without a Fallback it does
	// nothing.
	FallbackOnFailure bool

	// RetryAfter, if positive, is the longest time for which a response can close its
	// host to us: a 429 or 503 with a Retry-After field (RFC 9110 section 10.2.3)
	// counts as a Failure, whatever Classify says, and opens the circuit for as long
	// as the field says, at most for RetryAfter. Zero ignores the field. New
	// panics if it is negative.
	RetryAfter time.Duration

	// HeadersOnly judges a response by its header alone. Bodies are then handed on as
	// they are, which saves one allocation a response, and a body that breaks off or
	// ends with trailers that tell of a failure, as in gRPC, goes unnoticed.
	HeadersOnly bool
}

// Transport is an [http.RoundTripper] that asks a circuit breaker before it makes a
// round trip and tells it afterwards how that went.
//
// The zero Transport works and equals New(nil). A Transport is safe for concurrent
// use and must not be copied after first use.
type Transport struct {
	init      sync.Once // fills in what cfg leaves open
	cfg       Config
	byDefault bool                      // Classify is DefaultClassifier
	timed     bool                      // somebody reads Result.Duration
	first     atomic.Pointer[knownHost] // where ByHost gives the keys
}

var _ http.RoundTripper = (*Transport)(nil)

// ErrOpen is what the error of every rejected request matches with [errors.Is], also
// through [http.Client].
var ErrOpen = breaker.ErrOpen

// OpenError is the error of a rejected request: it says which circuit, why it is open
// and until when. Nothing was sent.
type OpenError = breaker.OpenError

// New returns a Transport configured by a copy of cfg; nil means all defaults. It
// panics if cfg is invalid, naming the field, its value and the rule.
func New(cfg *Config) *Transport {
	t := new(Transport)
	if cfg != nil {
		if cfg.RetryAfter < 0 {
			panic(fmt.Sprintf("httpbreaker: Config.RetryAfter = %v; want >= 0", cfg.RetryAfter))
		}
		t.cfg = *cfg
	}
	return t
}

func (t *Transport) setDefaults() {
	t.byDefault = t.cfg.Classify == nil
	t.timed = !t.byDefault || t.cfg.FallbackOnFailure
	if t.cfg.Base == nil {
		t.cfg.Base = cleanhttp.DefaultPooledTransport()
	}
	if t.cfg.Breakers == nil {
		t.cfg.Breakers = breaker.NewSet(breaker.Options{})
	}
	if t.cfg.Classify == nil {
		t.cfg.Classify = DefaultClassifier
	}
}

// RoundTrip implements [http.RoundTripper]: it returns what Base returns, unchanged,
// or, if the circuit is open, an *OpenError or the answer of Config.Fallback. With
// Config.FallbackOnFailure that answer may take the place of a failure as well.
//
// A request whose context is done is not sent and returns [context.Cause] of it; one
// whose Cancel channel is closed returns [context.Canceled]. One whose URL or Header is
// nil goes straight to Base, which refuses it.
func (t *Transport) RoundTrip(req *http.Request) (*http.Response, error) {
	t.init.Do(t.setDefaults)
	if req.Body == nil {
		return t.roundTrip(req, new(bool))
	}
	handedOn := false
	defer func() {
		if !handedOn { // also at a panic in Key or in the Set's Override, or a hook that ends the goroutine
			req.Body.Close()
		}
	}()
	return t.roundTrip(req, &handedOn)
}

// roundTrip sets handedOn when the request's body is no longer ours to close.
func (t *Transport) roundTrip(req *http.Request, handedOn *bool) (*http.Response, error) {
	b := t.breaker(req)
	if b == nil {
		*handedOn = true
		return t.cfg.Base.RoundTrip(req)
	}
	if err := givenUp(req); err != nil {
		return nil, err
	}
	permit, err := b.Allow(req.Context())
	*handedOn = true
	if err != nil {
		closeBody(req)
		return t.fallback(Result{Request: req, Err: err})
	}
	return t.send(req, permit)
}

// givenUp returns why nobody waits for a response to req, or nil. The Cancel channel is
// deprecated, and http.Client.Timeout still works by it.
func givenUp(req *http.Request) error {
	if ctx := req.Context(); ctx.Err() != nil {
		return context.Cause(ctx)
	}
	//lint:ignore SA1019 others still set it
	cancel := req.Cancel
	if cancel == nil {
		return nil
	}
	select {
	case <-cancel:
		return context.Canceled
	default:
		return nil
	}
}

// breaker returns the breaker that req has to ask; nil means none.
func (t *Transport) breaker(req *http.Request) *breaker.Breaker {
	if req.URL == nil || req.Header == nil {
		return nil
	}
	name, ok := keyFromContext(req)
	if !ok {
		if t.cfg.Key == nil {
			return t.hostBreaker(req.URL)
		}
		name = t.cfg.Key(req)
	}
	if name == "" {
		return nil
	}
	return t.cfg.Breakers.Get(name)
}

// A knownHost is a URL's scheme and host, which make the key that ByHost gives, and the
// breaker of that key.
type knownHost struct {
	scheme, host string
	breaker      *breaker.Breaker
}

// hostBreaker returns the breaker of the key that ByHost gives. For the first host that the
// Transport has met, which often is the only one, it works out no key and looks nothing up:
// that key depends on scheme and host alone, and Touch knows whether the breaker still is
// the Set's.
func (t *Transport) hostBreaker(u *url.URL) *breaker.Breaker {
	first := t.first.Load()
	if first != nil {
		if first.host != u.Host || first.scheme != u.Scheme {
			return t.cfg.Breakers.Get(key.OfHost(u))
		}
		if t.cfg.Breakers.Touch(first.breaker) {
			return first.breaker
		}
	}
	b := t.cfg.Breakers.Get(key.OfHost(u))
	t.first.Store(&knownHost{strings.Clone(u.Scheme), strings.Clone(u.Host), b})
	return b
}

// send makes the round trip for which permit was given and judges it. The permit ends
// here, or goes on to the response's body and ends with that.
func (t *Transport) send(req *http.Request, permit breaker.Permit) (*http.Response, error) {
	var res *http.Response
	settled := false
	defer func() {
		if !settled { // a panic or runtime.Goexit, in Base or in Classify
			permit.Done(breaker.Ignored)
			closeResponse(res)
		}
	}()

	start := t.clock()
	sent, upload := trackUpload(req, &permit)
	res, err := t.cfg.Base.RoundTrip(sent)
	if sent != req && res != nil && res.Request == sent {
		res.Request = req
	}
	if err != nil { // one or the other: http.Client would leak it
		closeResponse(res)
		res = nil
	}

	took := t.clock() - start
	kind := plainContent
	if res != nil && (res.ContentLength != 0 || req.Method == http.MethodPost) { // as gRPC always is
		kind = contentOf(res.Header)
	}
	outcome, openFor := breaker.Ignored, time.Duration(0)
	if t.byDefault && t.cfg.RetryAfter == 0 && res != nil && res.Request == req && kind != grpcContent {
		outcome = judgeStatus(res.StatusCode)
	} else {
		outcome, openFor = t.judge(Result{Request: req, Response: res, Err: err, Duration: took, body: upload})
	}
	switch {
	case openFor > 0:
		permit.Trip(openFor, fmt.Sprintf("%v, Retry-After %v", statusError(res.StatusCode), openFor))
	case outcome == breaker.Failure:
		permit.Fail(cause(res, err))
	case outcome == breaker.Success && t.watches(req, res, kind, permit.Probe()):
		permit.Answered()
		body := t.newBody(kind, bodyDetails{t: t, upload: upload, start: start, headerAfter: took})
		body.ReadCloser, body.permit, body.req, body.res = res.Body, permit, req, res
		body.atFirstByte = kind == eventStream || kind == grpcContent && permit.Probe()
		res.Body = body
	case outcome == breaker.Ignored:
		why := err
		if res != nil && isFallbackOf(req, res) {
			why = standInOf(res).err
		}
		permit.Ignore(why)
	default:
		permit.Done(outcome)
	}
	settled = true

	if outcome == breaker.Failure && t.cfg.FallbackOnFailure {
		return t.fallback(Result{Request: req, Response: res, Err: err, Duration: took, body: upload})
	}
	return res, err
}

// watches reports whether a response whose header is a Success is judged by its end. A
// probe is not, since others wait for it, except where the header cannot tell: gRPC sends
// it before it knows, and trailers may mean something to a classifier of the user's.
func (t *Transport) watches(req *http.Request, res *http.Response, kind content, probe bool) bool {
	if t.cfg.HeadersOnly || probe && kind != grpcContent && (t.byDefault || len(res.Trailer) == 0) {
		return false
	}
	return canBeWatched(req, res, kind)
}

// clock is the time since this process began, or zero if nobody wants to know
// how long anything took.
func (t *Transport) clock() time.Duration {
	if !t.timed {
		return 0
	}
	return sinceStart()
}

var processStart = time.Now()

func sinceStart() time.Duration { return time.Since(processStart) }

// judge says what a round trip means and, if it asks us to keep away by Retry-After,
// for how long.
func (t *Transport) judge(r Result) (breaker.Outcome, time.Duration) {
	if r.Response == nil && r.Err == nil {
		return breaker.Failure, 0 // Base broke its contract; spare Classify this case
	}
	if t.cfg.RetryAfter > 0 && r.Response != nil && !isFallbackOf(r.Request, r.Response) {
		if d := min(field.RetryAfter(r.Response), t.cfg.RetryAfter); d > 0 {
			return breaker.Failure, d
		}
	}
	return t.cfg.Classify(r), 0
}

// cause is the error that stands for a failed round trip in OpenError.Last.
func cause(res *http.Response, err error) error {
	if err != nil || res == nil {
		return err
	}
	if code, _ := field.GRPCStatus(res); code != field.OK {
		return code
	}
	return statusError(res.StatusCode)
}

// statusError says that a response's status was the failure. Nothing is formatted
// until somebody prints it.
type statusError int

func (s statusError) Error() string { return statusLine(int(s)) }

// statusLine is "503 Service Unavailable", and "599" for a code without a name.
func statusLine(code int) string {
	if text := http.StatusText(code); text != "" {
		return strconv.Itoa(code) + " " + text
	}
	return strconv.Itoa(code)
}

// CloseIdleConnections closes the idle connections of Base, if Base can do that.
func (t *Transport) CloseIdleConnections() {
	if c, ok := t.Unwrap().(interface{ CloseIdleConnections() }); ok {
		c.CloseIdleConnections()
	}
}

// Unwrap returns Base.
func (t *Transport) Unwrap() http.RoundTripper {
	t.init.Do(t.setDefaults)
	return t.cfg.Base
}

// Breakers returns the Set that holds the circuits.
func (t *Transport) Breakers() *breaker.Set {
	t.init.Do(t.setDefaults)
	return t.cfg.Breakers
}
