// Package contract tests that a Transport keeps the contract of http.RoundTripper, by the
// exported API alone: what net/http asks of the request, of the response and of the end of
// a call; every way in which a request can end, on real connections, with the verdict that
// it must get; and what visitors of a proxy can do.
package contract
