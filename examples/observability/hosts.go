package main

import (
	"cmp"
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"slices"
	"sync"
	"time"
)

// What a host can be made to do.
const (
	up      = "up"      // answers, but for one request in a hundred
	failing = "failing" // answers 503
	hanging = "hanging" // never answers
	down    = "down"    // refuses connections
)

var hostStates = []string{up, failing, hanging, down}

// host is a server on loopback whose health can be set.
type host struct {
	name string
	addr string

	mu     sync.Mutex
	now    string
	server *http.Server // nil while down
}

func (h *host) state() string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.now
}

// set changes the health. Requests that hang are cut off.
func (h *host) set(to string) error {
	if !slices.Contains(hostStates, to) {
		return fmt.Errorf("%s cannot be %q; want one of %q", h.name, to, hostStates)
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.server != nil && (to == down || h.now == hanging) {
		h.server.Close()
		h.server = nil
	}
	if h.server == nil && to != down {
		listener, err := net.Listen("tcp", cmp.Or(h.addr, "127.0.0.1:0"))
		if err != nil {
			return fmt.Errorf("%s cannot come back: %w", h.name, err)
		}
		h.addr = listener.Addr().String()
		h.server = &http.Server{Handler: h, ReadHeaderTimeout: 10 * time.Second}
		go h.server.Serve(listener)
	}
	h.now = to
	return nil
}

func (h *host) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch state := h.state(); {
	case state == hanging:
		<-r.Context().Done()
	case state == failing, rand.IntN(100) == 0:
		http.Error(w, "unwell", http.StatusServiceUnavailable)
	default:
		fmt.Fprintln(w, "hello from", h.name)
	}
}

// hosts are all hosts of this little world.
type hosts struct {
	names  []string
	byName map[string]*host
}

func startHosts(names ...string) (*hosts, error) {
	all := &hosts{names: names, byName: make(map[string]*host)}
	for _, name := range names {
		h := &host{name: name}
		if err := h.set(up); err != nil {
			all.close()
			return nil, err
		}
		all.byName[name] = h
	}
	return all, nil
}

func (all *hosts) close() {
	for _, h := range all.byName {
		_ = h.set(down)
	}
}

// transport reaches the hosts by their names.
func (all *hosts) transport() http.RoundTripper {
	var dialer net.Dialer
	return &http.Transport{
		DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
			name, _, err := net.SplitHostPort(addr)
			if err != nil {
				return nil, err
			}
			h, ok := all.byName[name]
			if !ok {
				return nil, &net.DNSError{Err: "no such host", Name: name, IsNotFound: true}
			}
			return dialer.DialContext(ctx, network, h.address())
		},
	}
}

func (h *host) address() string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.addr
}
