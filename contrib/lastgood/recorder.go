package lastgood

import (
	"net/http"
	"net/url"
	"time"

	"github.com/seed-0b728cf8/httpbreaker"
)

// A recorder is the RoundTripper of [Cache.Transport].
type recorder struct {
	cache *Cache
	base  http.RoundTripper
}

func (t *recorder) RoundTrip(req *http.Request) (*http.Response, error) {
	if req.URL == nil {
		return t.base.RoundTrip(req) // which refuses it
	}
	ours := true
	defer func() {
		if ours && req.Body != nil { // a panic in Options.User
			req.Body.Close()
		}
	}()
	c := t.cache
	user := c.user(req)
	r := c.request(req, user)
	if r != nil {
		r.changes = c.changes(r.key)
	}
	asked := time.Now()
	ours = false

	res, err := t.base.RoundTrip(req)
	if err != nil || res == nil || httpbreaker.IsFallback(res) {
		return res, err
	}
	switch {
	case !isSafe(req.Method):
		if isGood(res.StatusCode) {
			c.written(req, res, user)
		}
	case r == nil || req.Method == http.MethodHead:
	case res.StatusCode == http.StatusOK:
		c.receive(r, req, res, asked)
	case isOutdated(res.StatusCode):
		c.drop(r)
	}
	return res, nil
}

// receive keeps the answer to r as it is read, if it may be kept. If it may not, neither may
// what was kept before: that is not the host's answer any more.
func (c *Cache) receive(r *request, req *http.Request, res *http.Response, asked time.Time) {
	sent := res.Request
	if sent == nil {
		sent = req
	}
	switch a := c.answer(r, sent, res, asked); {
	case a == nil:
		c.drop(r)
	case res.Body == nil || res.Body == http.NoBody:
		c.keep(r, a)
	default:
		res.Body = &body{
			ReadCloser: res.Body, cache: c, request: r, res: res,
			length: res.ContentLength, room: c.opts.MaxAnswer - a.size(), answer: a,
		}
	}
}

// isSafe reports whether a method changes nothing (RFC 9110 section 9.2.1). Of an unknown one
// that is not known.
func isSafe(method string) bool {
	switch method {
	case "", http.MethodGet, http.MethodHead, http.MethodOptions, http.MethodTrace:
		return true
	}
	return false
}

// isOutdated reports whether a response with this status says that the answer before it does not
// hold any more: there is another one now, elsewhere, or none, or not for everybody. Errors of
// the request or of the host do not say so.
func isOutdated(status int) bool {
	switch status {
	case http.StatusPartialContent, http.StatusNotModified:
		return false
	case http.StatusUnauthorized, http.StatusForbidden, http.StatusNotFound, http.StatusGone,
		http.StatusUnavailableForLegalReasons:
		return true
	}
	return isGood(status)
}

// isGood reports whether a status is no error (RFC 9110 section 15).
func isGood(status int) bool { return status >= 200 && status <= 399 }

// written forgets what a write has changed: what is kept of its URL and of those that its response
// names on the same origin, for its user and for nobody in particular (RFC 9111 section 4.4).
func (c *Cache) written(req *http.Request, res *http.Response, user string) {
	forget := func(u *url.URL) {
		c.invalidate(keyOf(user, req.Host, u))
		if user != "" {
			c.invalidate(keyOf("", req.Host, u))
		}
	}
	forget(req.URL)
	for _, name := range []string{"Location", "Content-Location"} {
		value := res.Header.Get(name)
		if value == "" {
			continue
		}
		if u, err := req.URL.Parse(value); err == nil && origin(u) == origin(req.URL) {
			forget(u)
		}
	}
}

// CloseIdleConnections is what [http.Client.CloseIdleConnections] looks for.
func (t *recorder) CloseIdleConnections() {
	if c, ok := t.base.(interface{ CloseIdleConnections() }); ok {
		c.CloseIdleConnections()
	}
}

// Unwrap returns the RoundTripper inside.
func (t *recorder) Unwrap() http.RoundTripper { return t.base }
