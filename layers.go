package httpbreaker

import (
	"context"
	"errors"
	"net/http"
)

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
// 9110 section 10.2.3) of at least one second. Other errors are left to next; if that is
// nil they are answered with 502 Bad Gateway, as ReverseProxy does itself, but are not
// logged.
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
		w.Header().Set("Retry-After", retryAfterSeconds(open))
		http.Error(w, http.StatusText(http.StatusServiceUnavailable), http.StatusServiceUnavailable)
	}
}
