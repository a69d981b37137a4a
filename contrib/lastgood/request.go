package lastgood

import (
	"crypto/sha256"
	"encoding/binary"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// A key is whose answer to which URL, by a digest that holds neither in plain text.
type key [sha256.Size]byte

// A digest collects strings so that no two lists of them look the same.
type digest []byte

func (d *digest) add(s string) {
	*d = append(binary.AppendUvarint(*d, uint64(len(s))), s...)
}

func (d digest) sum() key { return sha256.Sum256(d) }

// keyOf is the key of what is kept of u for user. host is the request's Host field, which may
// name another host than the one that is called.
func keyOf(user, host string, u *url.URL) key {
	d := make(digest, 0, 512)
	d.add(user)
	d.add(origin(u))
	if host = strings.ToLower(host); host == strings.ToLower(u.Host) {
		host = ""
	}
	d.add(host)
	d.add(u.RequestURI())
	return d.sum()
}

// origin is the scheme, host and port of u (RFC 9110 section 4.3.1).
func origin(u *url.URL) string {
	scheme, host := strings.ToLower(u.Scheme), strings.ToLower(u.Host)
	switch scheme {
	case "http":
		host = strings.TrimSuffix(host, ":80")
	case "https":
		host = strings.TrimSuffix(host, ":443")
	}
	return scheme + "://" + host
}

// A request is what the cache knows of one that it may keep the answer to, or answer.
type request struct {
	key     key
	user    string
	byName  bool // Options.User tells users apart, and not their header
	header  http.Header
	control control
	changes uint64 // of its stripe, before it was sent
}

// request returns nil for a request that has no part in the cache: one with another method than
// GET or HEAD, with content, with a no-store, or with credentials and of no user.
func (c *Cache) request(req *http.Request, user string) *request {
	if req.Method != "" && req.Method != http.MethodGet && req.Method != http.MethodHead ||
		req.Body != nil && req.Body != http.NoBody || req.ContentLength != 0 {
		return nil
	}
	r := &request{user: user, byName: c.opts.User != nil, header: canonical(req.Header)}
	if user == "" && (req.URL.User != nil || hasCredentials(r.header)) {
		return nil
	}
	var ok bool
	if r.control, ok = controlOf(r.header); !ok || r.control.noStore {
		return nil
	}
	r.key = keyOf(user, req.Host, req.URL)
	return r
}

// user is whom req is made for.
func (c *Cache) user(req *http.Request) string {
	if c.opts.User == nil {
		return ""
	}
	return c.opts.User(req)
}

func hasCredentials(h http.Header) bool {
	return len(h["Authorization"]) > 0 || len(h["Cookie"]) > 0 || len(h["Proxy-Authorization"]) > 0
}

// selects is the digest of what in h decides whether an answer whose Vary names vary fits (RFC
// 9111 section 4.1). Values are compared as they are, except for white space around them.
func (r *request) selects(h http.Header, vary []string) key {
	var d digest
	add := func(name string) {
		d.add(name)
		values := h[name]
		d = binary.AppendUvarint(d, uint64(len(values)))
		for _, value := range values {
			d.add(strings.Trim(value, " \t"))
		}
	}
	for _, name := range vary {
		add(name)
	}
	if !r.byName {
		d.add("")
		for _, name := range slices.Sorted(maps.Keys(h)) {
			if !impersonal[name] && !(name == "Baggage" && onlySentry(h[name])) {
				add(name)
			}
		}
	}
	return d.sum()
}

// impersonal are the fields that do not tell users apart: what a client can do and would like,
// which the host names in Vary where it minds them; how it may be answered; and which request of
// many this one is.
var impersonal = fieldSet(
	"Accept", "Accept-Charset", "Accept-Encoding", "Accept-Language", "User-Agent",
	"Dnt", "Priority", "Referer", "Sec-Ch-Ua", "Sec-Ch-Ua-Mobile", "Sec-Ch-Ua-Platform", "Sec-Fetch-Dest", "Sec-Fetch-Mode", "Sec-Fetch-Site",
	"Sec-Fetch-User", "Sec-Gpc", "Upgrade-Insecure-Requests",
	"Cache-Control", "Connection", "If-Match", "If-Modified-Since", "If-None-Match", "If-Range",
	"If-Unmodified-Since", "Pragma", "Range", "Te",
	"X-Correlation-Id", "X-Request-Id",

	// Tracing: W3C, B3, and those of Amazon, Azure, Datadog, Dynatrace, Elastic, Google, Instana,
	// Jaeger, New Relic, OpenTracing, Sentry, SkyWalking.
	"Traceparent", "Tracestate",
	"B3", "X-B3-Flags", "X-B3-Parentspanid", "X-B3-Sampled", "X-B3-Spanid", "X-B3-Traceid",
	"X-Amzn-Trace-Id", "Request-Id", "Request-Context",
	"X-Datadog-Origin", "X-Datadog-Parent-Id", "X-Datadog-Sampling-Priority", "X-Datadog-Tags", "X-Datadog-Trace-Id",
	"X-Dynatrace", "Elastic-Apm-Traceparent", "X-Cloud-Trace-Context", "Grpc-Trace-Bin",
	"X-Instana-L", "X-Instana-S", "X-Instana-T", "Uber-Trace-Id",
	"Newrelic", "X-Newrelic-Id", "X-Newrelic-Transaction",
	"Ot-Tracer-Sampled", "Ot-Tracer-Spanid", "Ot-Tracer-Traceid", "X-Ot-Span-Context", "Sentry-Trace", "Sw8",
)

// onlySentry reports whether a Baggage field has Sentry's members alone, which are about the trace.
// An application's own, such as a tenant, may tell users apart.
func onlySentry(baggage []string) bool {
	for _, line := range baggage {
		for member := range strings.SplitSeq(line, ",") {
			if !strings.HasPrefix(strings.TrimLeft(member, " \t"), "sentry-") {
				return false
			}
		}
	}
	return true
}

func fieldSet(names ...string) map[string]bool {
	set := make(map[string]bool, len(names))
	for _, name := range names {
		set[name] = true
	}
	return set
}

// canonical returns h with its names in the form in which they are looked up. A header that
// comes from net/http has them so, and is returned as it is.
func canonical(h http.Header) http.Header {
	for name := range h {
		if name != http.CanonicalHeaderKey(name) {
			c := make(http.Header, len(h))
			for _, name := range slices.Sorted(maps.Keys(h)) {
				form := http.CanonicalHeaderKey(name)
				c[form] = append(c[form], h[name]...)
			}
			return c
		}
	}
	return h
}
