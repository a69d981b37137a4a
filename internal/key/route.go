package key

import (
	"cmp"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Routes are patterns of http.ServeMux and the keys made of them.
type Routes struct {
	mux    *http.ServeMux
	routes map[string]route // by pattern
	keys   memo             // by route.id and host key
}

// NewRoutes returns an error that names the pattern if one is malformed, has a host that
// no URL can have, or conflicts with an earlier one.
func NewRoutes(patterns []string) (*Routes, error) {
	if patternsOff() {
		return nil, errors.New("GODEBUG has httpmuxgo121=1, which switches the patterns of http.ServeMux off")
	}
	r := &Routes{mux: http.NewServeMux(), routes: make(map[string]route)}
	for i, pattern := range patterns {
		if err := r.add(pattern); err != nil {
			return nil, fmt.Errorf("patterns[%d] = %q: %w", i, pattern, err)
		}
	}
	// A ServeMux takes three times as long over a path that it does not find. This
	// fails where there is such a pattern already, and that serves as well.
	_ = register(r.mux, "/")
	return r, nil
}

type route struct {
	id      int
	pattern string
	host    string // canonical; empty if the pattern has none
}

// add registers a pattern in the form in which it stands in keys: one blank
// after the method, and a canonical host.
func (r *Routes) add(pattern string) error {
	if strings.ContainsFunc(pattern, func(c rune) bool { return c != '\t' && !unicode.IsPrint(c) || c == utf8.RuneError }) {
		return errors.New("want printable text")
	}
	method, rest := "", pattern
	if i := strings.IndexAny(pattern, " \t"); i >= 0 {
		method, rest = pattern[:i]+" ", strings.TrimLeft(pattern[i:], " \t")
	}
	host, path := rest, ""
	if i := strings.IndexByte(rest, '/'); i >= 0 {
		host, path = rest[:i], rest[i:]
	}
	if host != "" && path != "" {
		name, port, ok := splitHost(host, -1)
		if !ok || port >= 0 || strings.HasSuffix(host, ":") {
			return fmt.Errorf("host %q: want a host name, without a port", host)
		}
		host = name
	}
	pattern = method + host + path
	if err := register(r.mux, pattern); err != nil {
		return err
	}
	r.routes[pattern] = route{id: len(r.routes), pattern: pattern, host: host}
	return nil
}

// Key returns the pattern that req matches and the key of its host, or that of its host
// alone.
func (r *Routes) Key(req *http.Request) string {
	if req == nil {
		return noHost
	}
	host := OfHost(req.URL)
	if host == noHost || req.URL.Opaque != "" {
		return host
	}
	name := host
	if host[0] == '!' { // such as a Unix socket: no pattern can name it
		name = ""
	} else if i := strings.LastIndexByte(host, ':'); i > strings.LastIndexByte(host, ']') {
		name = host[:i]
	}
	// The pattern is what a ServeMux would go by in the end, also where it would
	// redirect first; only for CONNECT it can be some path, which is no route.
	_, pattern := r.mux.Handler(&http.Request{
		Method: cmp.Or(req.Method, http.MethodGet),
		Host:   name,
		URL:    &url.URL{Host: name, Path: cmp.Or(req.URL.Path, "/"), RawPath: req.URL.RawPath},
	})
	route, ok := r.routes[pattern]
	switch {
	case !ok:
		return host
	case route.host == host:
		return route.pattern
	}
	key, ok := r.keys.get(route.id, host)
	if !ok {
		key = route.pattern + " " + host
		r.keys.put(route.id, host, key)
	}
	return key
}

// register returns as an error what a ServeMux panics with, without the place where
// the pattern was registered: that was here.
func register(mux *http.ServeMux, pattern string) (err error) {
	defer func() {
		if cause := recover(); cause != nil {
			text := fmt.Sprint(cause)
			for {
				before, after, found := strings.Cut(text, " (registered at ")
				if !found {
					break
				}
				_, after, _ = strings.Cut(after, ")")
				text = before + after
			}
			err = errors.New(text)
		}
	}()
	mux.Handle(pattern, http.NotFoundHandler())
	return nil
}

// patternsOff reports whether a ServeMux takes patterns for plain paths.
func patternsOff() bool {
	mux := http.NewServeMux()
	mux.Handle("GET /{any}", http.NotFoundHandler())
	_, pattern := mux.Handler(&http.Request{Method: "GET", URL: &url.URL{Path: "/x"}})
	return pattern == ""
}
