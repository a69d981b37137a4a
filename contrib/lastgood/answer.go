package lastgood

import (
	"net/http"
	"slices"
	"strings"
	"time"
)

// An answer is a response that may be given again. It does not change once it is kept.
type answer struct {
	header http.Header // without what is about its connection
	body   []byte
	vary   []string // the fields of the request that it depends on
	fits   key      // what they must be

	asked    time.Time
	received time.Time
	age      time.Duration // when it was received
	lifetime time.Duration // how old it may be and is fresh
	onError  limit         // stale-if-error
	strict   bool          // may not be given once it is stale
}

// answers reports whether a is an answer to r.
func (a *answer) answers(r *request) bool { return r.selects(r.header, a.vary) == a.fits }

// size is about how many bytes of memory a takes.
func (a *answer) size() int64 {
	const own, field = 512, 64
	size := int64(own + len(a.body))
	for name, values := range a.header {
		size += field + int64(len(name))
		for _, value := range values {
			size += 16 + int64(len(value))
		}
	}
	for _, name := range a.vary {
		size += 16 + int64(len(name))
	}
	return size
}

func sizeOf(kept []*answer) (size int64) {
	for _, a := range kept {
		size += a.size()
	}
	return size
}

// answer returns res, without its body, as an answer to r that may be kept, or nil (RFC 9111
// section 3). sent is what was sent for r, as far as that is known; it may be the request that r was
// made of.
func (c *Cache) answer(r *request, sent *http.Request, res *http.Response, asked time.Time) *answer {
	received := time.Now()
	h := canonical(res.Header)
	said, ok := controlOf(h)
	shared := r.user == ""
	if res.StatusCode != http.StatusOK || !ok || said.noStore || said.noCache || shared && said.private ||
		len(h["Set-Cookie"]) > 0 || len(h["Content-Range"]) > 0 ||
		endless(res, h) || len(res.Trailer) > 0 {
		return nil
	}
	vary, ok := varyOf(h)
	if !ok {
		return nil
	}
	if len(h["Content-Encoding"]) > 0 && !slices.Contains(vary, "Accept-Encoding") {
		vary = append(vary, "Accept-Encoding") // a host may forget to say so
	}
	fits := r.selects(r.header, vary)
	// A layer inside has its own part in the request, and the cache will not see it again. It may
	// have put that on the very request that it was given, although a RoundTripper must not.
	inside := canonical(sent.Header)
	if shared && (hasCredentials(inside) || sent.URL != nil && sent.URL.User != nil) || r.selects(inside, vary) != fits {
		return nil
	}

	a := &answer{
		header: forAll(h), vary: vary, fits: fits,
		asked: asked, received: received,
		age:      initialAge(h, received, since(asked)),
		lifetime: lifetime(h, said, shared, received),
		onError:  said.staleIfError,
		strict:   said.mustRevalidate || shared && (said.proxyRevalidate || said.sMaxAge.set),
	}
	if _, ok := dateOf(a.header); !ok { // RFC 9110 section 6.6.1
		a.header["Date"] = []string{received.UTC().Format(http.TimeFormat)}
	}
	if a.size()+max(0, res.ContentLength) > c.opts.MaxAnswer || a.strict && a.lifetime <= a.age {
		return nil
	}
	return a
}

// endless reports whether it cannot be seen where the body of res ends: it is a stream of
// events, or ends where the connection does (RFC 9112 section 6.3), as it does when it breaks. Of
// one that was compressed its own end has been checked.
func endless(res *http.Response, h http.Header) bool {
	if strings.HasPrefix(strings.ToLower(h.Get("Content-Type")), "text/event-stream") {
		return true
	}
	return res.ContentLength < 0 && res.ProtoMajor == 1 && len(res.TransferEncoding) == 0 && !res.Uncompressed
}

// varyOf returns the names in Vary. It reports false where no request can be compared with
// the one that was answered (RFC 9111 section 4.1), or is to be for so many names.
func varyOf(h http.Header) (names []string, ok bool) {
	const most = 16
	for _, line := range h["Vary"] {
		for element := range strings.SplitSeq(line, ",") {
			name, rest := token(strings.Trim(element, " \t"))
			if name == "*" || rest != "" || len(names) == most {
				return nil, false
			}
			if name = http.CanonicalHeaderKey(name); name != "" && !slices.Contains(names, name) {
				names = append(names, name)
			}
		}
	}
	return names, true
}

// forAll returns a copy of h without the fields that are about one connection or exchange (RFC
// 9111 section 3.1), and those that are written anew for each response.
func forAll(h http.Header) http.Header {
	h = h.Clone()
	for _, line := range h["Connection"] {
		for name := range strings.SplitSeq(line, ",") {
			h.Del(strings.Trim(name, " \t"))
		}
	}
	for _, name := range []string{
		"Connection", "Keep-Alive", "Proxy-Connection", "Te", "Trailer", "Transfer-Encoding", "Upgrade",
		"Proxy-Authenticate", "Proxy-Authentication-Info", "Proxy-Authorization",
		"Alt-Svc", "Age", "Content-Length",
	} {
		h.Del(name)
	}
	return h
}

// mayAnswer reports whether a may be given for a request that says said, now that it is age old
// (RFC 9111 sections 4.2.4 and 5.2.1, RFC 5861 section 4). maxStale is Options.MaxStale.
func (a *answer) mayAnswer(said control, age, maxStale time.Duration) bool {
	if said.noCache || said.maxAge.set && age > said.maxAge.d {
		return false
	}
	if age < a.lifetime {
		return !said.minFresh.set || a.lifetime-age >= said.minFresh.d
	}
	if a.strict || said.minFresh.set {
		return false
	}
	allowed := said.staleIfError
	if said.maxStale.set {
		allowed.atLeast(said.maxStale.d)
	}
	if said.maxAge.set && !allowed.set {
		return false
	}
	if a.onError.set {
		allowed.atMost(a.onError.d)
	}
	if !allowed.set {
		allowed.d = maxStale
	}
	return age-a.lifetime <= allowed.d
}
