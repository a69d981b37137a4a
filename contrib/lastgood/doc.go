// Package lastgood is a fallback for package httpbreaker that gives the last good answer of a
// host that cannot answer now:
//
//	cache := lastgood.New(&lastgood.Options{MaxStale: time.Hour})
//	client := &http.Client{Transport: httpbreaker.New(&httpbreaker.Config{
//		Base:              cache.Transport(nil), // keeps answers
//		Fallback:          cache.Fallback,       // gives them
//		FallbackOnFailure: true,                 // also before the circuit is open
//	})}
//
// While the host answers, every request goes to it: this is no cache that saves requests. When
// the circuit is open, or with FallbackOnFailure when a request has failed, a GET or HEAD that was
// answered before gets that answer again, with an Age field that says how old it is.
// [httpbreaker.IsFallback] tells it from an answer of the host. Without such an answer the caller
// gets the error as before.
//
// It keeps and gives by the rules of HTTP for a shared cache, RFC 9111 and RFC 5861, and where they
// leave a choice it takes the careful one. Three rules surprise at first: an answer to a request
// with Cookie or Authorization is not kept unless Options.User is set; its body has to be read to
// the end; and without MaxStale the host has to allow that a stale answer is given.
//
// # What is kept
//
// An answer with status 200 to a GET, when its body has been read to its end, except if
//
//   - a Cache-Control field, of the request or the answer, says no-store, or that of the answer
//     no-cache or private, or one of them cannot be understood (RFC 9111 sections 3, 5.2);
//   - the request has content, an Authorization, Proxy-Authorization or Cookie field, or a user in
//     its URL (RFC 9111 section 3.5, which would allow some of it);
//   - the answer has a Set-Cookie, a trailer, Vary: * or more than 16 names in Vary;
//   - it broke off, is not as long as its Content-Length, or nothing shows that it is whole: an
//     event stream, or a body of unknown length that ends with its connection (RFC 9111 section
//     3.3);
//   - it is larger than Options.MaxAnswer. It is handed on as it comes all the same.
//
// Not every reader reads to the end: an [encoding/json.Decoder] stops where the value ends. That is
// enough if the answer has a Content-Length. If it has none, read what is left before closing it.
//
// An answer to the same request takes the place of the one before. One that may not be kept
// ends it, as do a 401, 403, 404, 410, 451 and everything else from 200 to 399 except 206 and 304. A
// request with another method than GET, HEAD, OPTIONS and TRACE that succeeds ends all that is
// kept of its URL, and of the URLs in the Location and Content-Location of its response (RFC 9111
// section 4.4), so that no caller is given what was there before the caller's own write. A HEAD or a
// 304 renews nothing.
//
// # What is given
//
// To a GET or HEAD of the same URL whose fields named in Vary are the same (RFC 9111 section 4.1)
// and that is neither conditional nor for a range, the newest answer, as long as it is fresh by
// s-maxage, max-age or Expires (section 4.2). Once it is stale it is given
//
//   - not at all if it says must-revalidate, proxy-revalidate or s-maxage (section 5.2.2);
//   - for stale-if-error seconds, if the answer or the request says so (RFC 5861 section 4), or for
//     max-stale seconds, if the request does; for the shorter time, if both do;
//   - else for Options.MaxStale.
//
// A request that says no-cache or no-store is not answered, and max-age and min-fresh in a request
// hold (section 5.2.1). The age is that of section 4.2.3: a time that the answer spent in
// caches before counts, and so does that for which this machine slept.
//
// Fields about the connection and Alt-Svc are left out, and a missing Date is added.
//
// # Users
//
// An answer to one user is never given to another. Without Options.User nobody knows who the users
// are. So requests with credentials have no part in the cache, and others share an answer only if
// all their fields are equal, except those that say nothing about the user: Accept and its kin and
// User-Agent, which a host names in Vary where it minds them, and the usual fields for tracing,
// conditions and browsers. That keeps apart users who are known by X-Api-Key, and also those
// behind a proxy that adds X-Forwarded-For. So does Baggage, unless all of it is Sentry's. At most
// 16 such answers are kept for a URL.
//
// With Options.User, answers are kept for each user apart, by the rules for a private cache: then
// Authorization and Cookie are no obstacle, nor is private, and s-maxage and proxy-revalidate do not
// apply. A client that always acts for the same account is one user:
//
//	User: func(*http.Request) string { return "billing" }
//
// A gateway whose users are all alike as long as they send no cookie can say so, and X-Forwarded-For
// does not matter any more:
//
//	User: func(*http.Request) string { return "" }
//
// With User, other fields that change the answer count only if the host names them in Vary. A gateway
// should remove them from its visitors' requests, or make them a part of the name.
//
// The cache sees a request as it passes its Transport, and again as the breaker was given it. An
// answer is not kept if a layer inside of the Transport has added credentials, or other fields that
// tell users apart, and the user has no name. It is not found if a layer between the breaker and
// the Transport has added fields that matter. So make the Transport the breaker's Base itself.
//
// # Memory
//
// Options.MaxBytes bounds it, whatever hosts send: bodies are copied while the caller reads them, up to
// MaxAnswer bytes, and there is a bound for all that are being copied. When it is full, answers
// that are asked for less often give way. Nothing is compressed or written to disk, nothing runs in the
// background, and a new process begins with nothing.
package lastgood
