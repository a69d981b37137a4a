package lastgood

import (
	"bytes"
	"io"
	"net/http"
	"strconv"
	"time"

	"github.com/seed-0b728cf8/httpbreaker"
)

// Fallback is an [httpbreaker.Fallback]: it answers r.Request, a GET or HEAD, with the last good
// answer to it, if there is one that may be given. Otherwise it returns nil, nil, and the caller
// gets the error or response that r holds.
//
// The response has the header and body of the host's own and an Age field (RFC 9111 section 5.1)
// that says how old it is, in seconds. [httpbreaker.IsFallback] is true for what the caller gets.
//
// A response that r holds is only replaced if it is a 500, 502, 503 or 504, which are the errors
// of RFC 5861 section 4, or of a status above that nobody has registered, which stands for a 500
// (RFC 9110 section 15). Everything else is the host's own answer, whatever a Classifier says.
//
// To go on to another fallback where there is no answer, call Fallback from it.
func (c *Cache) Fallback(r httpbreaker.Result) (*http.Response, error) {
	if r.Request == nil || r.Request.URL == nil || r.Response != nil && !isError(r.Response.StatusCode) {
		return nil, nil
	}
	asks := c.request(r.Request, c.user(r.Request))
	if asks == nil || isConditional(asks.header) {
		return nil, nil
	}
	a := c.find(asks)
	if a == nil {
		return nil, nil
	}
	age := clamp(a.age + since(a.received))
	if !a.mayAnswer(asks.control, age, c.opts.MaxStale) {
		return nil, nil
	}
	return a.response(age), nil
}

// response makes a response of a, which is age old.
func (a *answer) response(age time.Duration) *http.Response {
	h := a.header.Clone()
	h["Age"] = []string{strconv.FormatInt(int64(age/time.Second), 10)}
	h["Content-Length"] = []string{strconv.Itoa(len(a.body))}
	res := &http.Response{StatusCode: http.StatusOK, Header: h, Body: http.NoBody, ContentLength: int64(len(a.body))}
	if len(a.body) > 0 {
		res.Body = io.NopCloser(bytes.NewReader(a.body))
	}
	return res
}

func isError(status int) bool {
	switch status {
	case http.StatusInternalServerError, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return true
	}
	return status >= 500 && http.StatusText(status) == ""
}

// isConditional reports whether a request is about a part of an answer, or about an answer that
// the client has already: a whole one is not what it waits for.
func isConditional(h http.Header) bool {
	for _, name := range []string{"Range", "If-Match", "If-Modified-Since", "If-None-Match", "If-Range", "If-Unmodified-Since"} {
		if len(h[name]) > 0 {
			return true
		}
	}
	return false
}
