package fault

import (
	"errors"
	"io"
	"net/http"
	"slices"
	"strings"
)

// Unsendable reports whether req is one that http.Transport refuses to send, or
// to finish, for what it holds.
func Unsendable(req *http.Request, err error) bool {
	if req == nil {
		return false
	}
	if req.URL == nil || req.Header == nil {
		return true
	}
	if req.URL.Scheme != "http" && req.URL.Scheme != "https" {
		// A protocol of the user's own may have been registered for it.
		return strings.HasPrefix(err.Error(), "unsupported protocol scheme")
	}
	if req.URL.Host == "" || req.Method != "" && !isToken(req.Method) ||
		!validFields(req.Header) || !validFields(req.Trailer) ||
		strings.ContainsFunc(req.URL.Opaque+req.URL.RawQuery, isControl) {
		return true
	}
	// Only the innermost text is net/http's own: what is around it may quote the
	// peer.
	for inner := errors.Unwrap(err); inner != nil; inner = errors.Unwrap(err) {
		err = inner
	}
	text := err.Error()
	return slices.ContainsFunc(refusals, func(start string) bool { return strings.HasPrefix(text, start) })
}

// refusals are how net/http, and quic-go's http3, begin to say what is wrong with a request, where
// that depends on the protocol spoken or shows only in sending. The lengths are
// of bodies that can be rewound, which are not tracked.
var refusals = []string{
	"http: ContentLength=",
	"http: Request.ContentLength=",
	"http: invalid Host header",
	"http2: request body larger than specified content length",
	"http3: invalid Host header",
	"http3: unsupported protocol scheme", // HTTP/3 has none but https
	"invalid Host header",
	"invalid Trailer key",
	"invalid Upgrade request header", // HTTP/2 has no such fields (RFC 9113 §8.2.2)
	"invalid Connection request header",
	"invalid Transfer-Encoding request header",
	"invalid request :path",
	"request header list larger than peer's advertised limit",
}

// Misdeclared reports whether a body that can be had again has another length than
// declared. net/http then closes the connection, and that is at times all that
// its error says.
func Misdeclared(req *http.Request) bool {
	if req == nil || req.GetBody == nil || req.ContentLength <= 0 {
		return false
	}
	body, err := req.GetBody()
	if err != nil {
		return true
	}
	defer body.Close()
	n, err := io.Copy(io.Discard, io.LimitReader(body, req.ContentLength+1))
	return err != nil || n != req.ContentLength
}

// validFields reports whether h holds nothing but what may stand in a header
// (RFC 9110 §5.1, §5.5).
func validFields(h http.Header) bool {
	for name, values := range h {
		if !isToken(name) {
			return false
		}
		for _, value := range values {
			if strings.ContainsFunc(value, func(c rune) bool { return isControl(c) && c != '\t' }) {
				return false
			}
		}
	}
	return true
}

func isControl(c rune) bool { return c < ' ' || c == 0x7f }

// isToken reports whether s is a token (RFC 9110 §5.6.2).
func isToken(s string) bool {
	for i := range len(s) {
		c := s[i]
		if !('a' <= c|0x20 && c|0x20 <= 'z' || '0' <= c && c <= '9' || strings.IndexByte("!#$%&'*+-.^_`|~", c) >= 0) {
			return false
		}
	}
	return s != ""
}
