package httpbreaker

import (
	"context"
	"net/http"
	"sync/atomic"

	"github.com/seed-0b728cf8/httpbreaker/internal/key"
)

// KeyFunc names the circuit that a request belongs to: requests with the same
// key share one. The empty key is no circuit: the request goes straight to the
// base. A KeyFunc may be given any request, also one that the base will refuse,
// must not change it, and must be safe for concurrent use.
//
// Keys show up in errors, metrics and on the status page: keep them printable,
// and of few kinds. A raw path makes one circuit for each user that it names,
// none of which ever sees enough calls; use [ByRoute].
type KeyFunc func(*http.Request) string

// WithKey returns a context that gives its requests this key, before the
// transport's KeyFunc is asked. It is taken as it is. The empty key bypasses the
// circuits: what is sent with it is neither rejected nor counted.
func WithKey(ctx context.Context, key string) context.Context {
	if !keysGiven.Load() {
		keysGiven.Store(true)
	}
	return context.WithValue(ctx, keyContextKey{}, key)
}

type keyContextKey struct{}

// keysGiven is set by the first WithKey: before it no context needs to be searched, which
// takes some nanoseconds for each of its layers.
var keysGiven atomic.Bool

// keyFromContext returns the key given by WithKey; ok is false without one.
func keyFromContext(req *http.Request) (key string, ok bool) {
	if !keysGiven.Load() {
		return "", false
	}
	key, ok = req.Context().Value(keyContextKey{}).(string)
	return key, ok
}

// ByHost is the default [KeyFunc]: one circuit for each host and port that a
// URL can name, whatever the spelling.
//
//	https://api.example.com/x       api.example.com
//	https://API.Example.com.:443    api.example.com
//	http://api.example.com          api.example.com:80
//	https://[::1]:8443              [::1]:8443
//	http://[::ffff:127.0.0.1]:9     127.0.0.1:9
//	http://bücher.example           b%c3%bccher.example:80
//	URL.Host = "/run/docker.sock"   !/run/docker.sock
//	no host at all                  !no-host
//
// That is the name alone for https on port 443, else name:port; a scheme
// without a port of its own has 0. It goes by the URL, which is what is dialled,
// not by the Host header. Names are not resolved, and an internationalized name
// is not turned into Punycode: the two forms are two circuits.
//
// A URL.Host that is no name and no address, such as the path of a Unix socket
// that Docker's client puts there, has a circuit of its own, too: its key is an
// exclamation mark and the host as it stands, with what is not printable written
// as \xHH and everything up to an @ left out, for it may be a password. What is
// longer than 253 bytes is cut and ends in a hash. Behind a DialContext that sends one
// and the same host to several peers, use [WithKey].
//
// A key is always printable ASCII without blanks, and shorter than 800 bytes.
//
// It makes no allocation for a host it has lately met, nor for one in canonical
// form with a port that is either written out or 443.
func ByHost(req *http.Request) string {
	if req == nil {
		return key.OfHost(nil)
	}
	return key.OfHost(req.URL)
}

// ByRoute returns a [KeyFunc] with a circuit for each route of each host, so that
// one bad endpoint leaves the others alone. The patterns are those of
// [http.ServeMux], and so is the choice between them. What matches none of them
// goes by host.
//
//	httpbreaker.ByRoute("GET /users/{id}", "/search/", "POST pay.example.com/charges")
//
//	GET  https://api.example.com/users/7       GET /users/{id} api.example.com
//	GET  http://api.example.com/users/7        GET /users/{id} api.example.com:80
//	HEAD https://api.example.com/users/7       GET /users/{id} api.example.com
//	GET  https://api.example.com/search        /search/ api.example.com
//	POST https://pay.example.com/charges       POST pay.example.com/charges
//	PUT  https://api.example.com/users/7       api.example.com
//
// The key is the pattern and what [ByHost] says, which is left out where the
// pattern names the host and the port is that of https. A pattern's host is
// compared with the URL's, not with the Host header. As in a ServeMux, GET
// matches HEAD too, a path is cleaned before it is matched, and "/search" belongs
// to the pattern "/search/" unless another one matches it exactly. An empty
// method is GET. A URL in opaque form goes by host.
//
// ByRoute panics, naming the pattern, if one is malformed, has a host that no URL
// can have, or conflicts with an earlier one; and if the setting httpmuxgo121 of
// GODEBUG has switched patterns off.
func ByRoute(patterns ...string) KeyFunc {
	routes, err := key.NewRoutes(patterns)
	if err != nil {
		panic("httpbreaker: ByRoute: " + err.Error())
	}
	return routes.Key
}
