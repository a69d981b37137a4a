package httpbreaker

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/seed-0b728cf8/httpbreaker/breaker"
	"github.com/seed-0b728cf8/httpbreaker/internal/field"
)

// A Fallback answers a request in the place of a host that is failing. It is given the
// request and, in Result.Err, the *OpenError of a rejected one; with
// Config.FallbackOnFailure also the response or error of a failed one. It must return
// a new response on every call. If it returns nil, nil or the Result's own response it
// declines: the caller gets the original result, and also if it returns an error or
// panics.
//
// Its response is completed where it leaves something out (Status, Proto, Header, Body,
// ContentLength), is marked so that [IsFallback] knows it, and gets a Proxy-Status field
// (RFC 9209) that says why it is there. A 503 without Retry-After gets that field as
// well: the time until the next try of an open circuit, unless it is forced open, or
// what the failed response had there. What becomes of it never counts for or against
// the host. The response that it replaces is closed, so it must not use that
// response's body. It must not be an informational response (1xx), except a 101 to a
// request for an upgrade.
//
// It is called on the goroutine of the request, concurrently for different requests
// and under no lock. The request's body has been closed, or is in the hands of Base:
// only Request.GetBody can give it again. The request must not be modified. Its context
// may be done, when it was a deadline that failed.
//
// A request that is sent with that context is not answered by the same Transport's
// Fallback again: two servers may stand in for each other, and when both are down the
// caller gets the error.
type Fallback func(Result) (*http.Response, error)

// Respond returns a Fallback that gives every request the same response. It copies
// header and body, either of which may be nil; names in header may be in any case.
// Fields about the connection (hop-by-hop fields, RFC 9110 section 7.6.1) and
// Set-Cookie are left out, since they would be the same for everybody; Content-Length
// and, unless given, Date are set. A HEAD request gets no body.
//
// Respond panics unless status is in 200 to 299 or 400 to 599: a fallback that
// redirects sends clients in circles. It panics if a 204 is to have a body.
func Respond(status int, header http.Header, body []byte) Fallback {
	if status < 200 || status > 299 && status < 400 || status > 599 {
		panic(fmt.Sprintf("httpbreaker: Respond: status = %d; want 200 to 299 or 400 to 599", status))
	}
	if status == http.StatusNoContent && len(body) > 0 {
		panic(fmt.Sprintf("httpbreaker: Respond: body of %d bytes; want none with status 204", len(body)))
	}
	header = canonical(header)
	for _, name := range []string{
		"Connection", "Keep-Alive", "Proxy-Authenticate", "Proxy-Connection", "Te",
		"Trailer", "Transfer-Encoding", "Upgrade", "Set-Cookie",
	} {
		header.Del(name)
	}
	if status != http.StatusNoContent {
		header.Set("Content-Length", strconv.Itoa(len(body)))
	}
	body = bytes.Clone(body)

	return func(Result) (*http.Response, error) {
		res := &http.Response{
			StatusCode:    status,
			Header:        header.Clone(),
			Body:          http.NoBody,
			ContentLength: int64(len(body)),
		}
		if res.Header.Get("Date") == "" {
			res.Header.Set("Date", time.Now().UTC().Format(http.TimeFormat))
		}
		if len(body) > 0 {
			res.Body = io.NopCloser(bytes.NewReader(body))
		}
		return res, nil
	}
}

// canonical returns a copy of h, never nil, whose names are as net/http spells them: those
// read from JSON or YAML may not be.
func canonical(h http.Header) http.Header {
	c := make(http.Header, len(h))
	for _, name := range slices.Sorted(maps.Keys(h)) {
		form := http.CanonicalHeaderKey(name)
		c[form] = append(c[form], h[name]...)
	}
	return c
}

var errNoGetBody = errors.New("httpbreaker: Reroute: the request's body is gone and it has no GetBody")

// Reroute returns a Fallback that sends the request by rt, which would be one that
// goes to another server: it gets the request with the URL that it had. A request with
// a body is sent again only if it has a GetBody, which those made by [http.NewRequest]
// from a buffer, a [bytes.Reader] or a [strings.Reader] have. Reroute panics if rt is
// nil. Of a Result without a Request the Fallback declines.
//
// If rt is a [Transport], give it a Set of its own, or keys of its own by Config.Key:
// with the same Set and key it asks the circuit that is open, rejects each request, and
// the caller gets the first rejection.
func Reroute(rt http.RoundTripper) Fallback {
	if rt == nil {
		panic("httpbreaker: Reroute: rt = nil; want a RoundTripper")
	}
	return func(r Result) (*http.Response, error) {
		req := r.Request
		if req == nil {
			return nil, nil
		}
		if req.Body != nil && req.Body != http.NoBody {
			if req.GetBody == nil {
				return nil, errNoGetBody
			}
			body, err := req.GetBody()
			if err != nil {
				return nil, err
			}
			again := *req
			again.Body = body
			req = &again
		}
		return rt.RoundTrip(req)
	}
}

type fallbackKey struct{}

// A standIn is what a request's context holds of the response that was given in the place of the
// host's, and of why.
type standIn struct {
	res *http.Response
	err error // of the host, or the rejection; nil if the host's response was a failure
}

// An askedKey marks the context of a request about which a Transport's Fallback is asked.
type askedKey struct{ *Transport }

// IsFallback reports whether res was given by a [Fallback] and not by the host that
// was asked. It also works on what [http.Client] returns. It is false for nil, and for
// the response to another request that was made with res.Request's context.
func IsFallback(res *http.Response) bool {
	return res != nil && res.Request != nil && standInOf(res).res == res
}

func standInOf(res *http.Response) standIn {
	s, _ := res.Request.Context().Value(fallbackKey{}).(standIn)
	return s
}

// isFallbackOf is IsFallback for what a base returned for req, at no cost where it left
// the request alone.
func isFallbackOf(req *http.Request, res *http.Response) bool {
	return res.Request != req && IsFallback(res)
}

// fallback returns what the caller gets for a request that was rejected or has failed.
func (t *Transport) fallback(r Result) (*http.Response, error) {
	if t.cfg.Fallback == nil {
		return r.Response, r.Err
	}
	ctx := r.Request.Context()
	if ctx.Value(askedKey{t}) != nil { // two that ask each other would overflow the stack
		return r.Response, r.Err
	}
	returned := false
	defer func() {
		if !returned { // runtime.Goexit in Fallback
			closeResponse(r.Response)
		}
	}()
	given := r
	given.Request = r.Request.WithContext(context.WithValue(ctx, askedKey{t}, true))
	res := ask(t.cfg.Fallback, given)
	returned = true
	if res == nil {
		return r.Response, r.Err
	}
	complete(res, r)
	discard(r.Response)
	return res, nil
}

// ask returns nil if f declines, fails, panics or returns what is no final response. A
// Goexit goes on.
func ask(f Fallback, r Result) (res *http.Response) {
	defer func() { _ = recover() }()
	res, err := f(r)
	if res == nil || res == r.Response {
		return nil
	}
	final := res.StatusCode >= 200 && res.StatusCode <= 999 ||
		res.StatusCode == http.StatusSwitchingProtocols && r.Request.Header.Get("Upgrade") != ""
	if err != nil || !final {
		closeResponse(res)
		return nil
	}
	return res
}

// complete makes res, which may have been put together by hand, the response to
// r.Request that a client can rely on.
func complete(res *http.Response, r Result) {
	if res.Body == nil {
		res.Body = http.NoBody
	}
	if r.Request.Method == http.MethodHead {
		res.Body.Close()
		res.Body = http.NoBody
	}
	if res.Status == "" {
		res.Status = statusLine(res.StatusCode)
	}
	if res.ProtoMajor == 0 {
		res.Proto, res.ProtoMajor, res.ProtoMinor = "HTTP/1.1", 1, 1
	}
	if res.ContentLength == 0 && res.Body != http.NoBody && res.StatusCode >= 200 && res.Header.Get("Content-Length") != "0" {
		res.ContentLength = -1 // clients take 0 for no body
	}
	if res.Header = res.Header.Clone(); res.Header == nil {
		res.Header = make(http.Header)
	}
	res.Header.Add("Proxy-Status", proxyStatus(r))
	if res.StatusCode == http.StatusServiceUnavailable && res.Header.Get("Retry-After") == "" {
		var open *OpenError
		if errors.As(r.Err, &open) {
			setRetryAfter(res.Header, open)
		} else if r.Response != nil && field.RetryAfter(r.Response) > 0 {
			res.Header.Set("Retry-After", r.Response.Header.Get("Retry-After"))
		}
	}
	res.Request = r.Request.WithContext(context.WithValue(r.Request.Context(), fallbackKey{}, standIn{res, r.Err}))
}

// setRetryAfter sets the Retry-After field for requests that open has rejected: at
// least 1, for a 0 would invite clients to come back in a loop. There is none while
// somebody has forced the circuit open, since nobody knows for how long.
func setRetryAfter(h http.Header, open *OpenError) {
	if open.Mode == breaker.ForceOpen && open.Until.IsZero() {
		return
	}
	seconds := (open.RetryAfter() + time.Second - 1) / time.Second
	h.Set("Retry-After", strconv.FormatInt(int64(max(1, seconds)), 10))
}

// proxyStatus is our member of the Proxy-Status field (RFC 9209): why the response is
// not the host's own. It names neither host nor error, for a proxy may hand it on.
func proxyStatus(r Result) string {
	var open *OpenError
	switch {
	case r.Response != nil:
		return "httpbreaker; received-status=" + strconv.Itoa(r.Response.StatusCode)
	case errors.As(r.Err, &open):
		return "httpbreaker; error=destination_unavailable; details=" + field.Quote("circuit "+open.State.String()+": "+open.Reason)
	default:
		return "httpbreaker; error=destination_unavailable; details=" + field.Quote("request failed")
	}
}

// StopRetryWhenOpen wraps the function by which a retrying client decides whether to
// try again, so that it gives up at once when the circuit is open: there is no answer
// to be had before OpenError.RetryAfter. Responses of a [Fallback] end the retries as
// well. Everything else is left to next; StopRetryWhenOpen panics if that is nil.
//
// It fits CheckRetry of github.com/hashicorp/go-retryablehttp:
//
//	client.CheckRetry = httpbreaker.StopRetryWhenOpen(retryablehttp.DefaultRetryPolicy)
func StopRetryWhenOpen(next func(context.Context, *http.Response, error) (bool, error)) func(context.Context, *http.Response, error) (bool, error) {
	if next == nil {
		panic("httpbreaker: StopRetryWhenOpen: next = nil; want a function")
	}
	return func(ctx context.Context, res *http.Response, err error) (bool, error) {
		if errors.Is(err, ErrOpen) || IsFallback(res) {
			return false, nil // the client keeps err
		}
		return next(ctx, res, err)
	}
}

// ProxyErrorHandler returns an ErrorHandler for [net/http/httputil.ReverseProxy] that
// answers a rejected request with 503 Service Unavailable and a Retry-After field (RFC
// 9110 section 10.2.3) of at least one second; without that field while the circuit is
// forced open, which has no end that is known. Other errors are left to next; if that is
// nil they are answered with 502 Bad Gateway, as ReverseProxy does itself, without a line
// in its log.
func ProxyErrorHandler(next func(http.ResponseWriter, *http.Request, error)) func(http.ResponseWriter, *http.Request, error) {
	if next == nil {
		next = func(w http.ResponseWriter, _ *http.Request, _ error) { w.WriteHeader(http.StatusBadGateway) }
	}
	return func(w http.ResponseWriter, req *http.Request, err error) {
		var open *OpenError
		if !errors.As(err, &open) {
			next(w, req, err)
			return
		}
		setRetryAfter(w.Header(), open)
		http.Error(w, http.StatusText(http.StatusServiceUnavailable), http.StatusServiceUnavailable)
	}
}
