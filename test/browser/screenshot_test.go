package browser

import (
	"context"
	"crypto/tls"
	"flag"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/seed-0b728cf8/httpbreaker"
	"github.com/seed-0b728cf8/httpbreaker/breaker"
	"github.com/seed-0b728cf8/httpbreaker/statuspage"
)

var update = flag.Bool("update", false, "take the screenshots anew")

// service is a part of the upstream: how often it fails is up to the script.
type service struct {
	url, key string
	rate     float64 // calls a second
	failing  atomic.Int64
}

// pass lets time pass: the pictures show minutes of it.
func pass(ctx context.Context, d time.Duration) {
	select {
	case <-time.After(d):
	case <-ctx.Done():
	}
}

// TestScreenshot takes statuspage.png and statuspage-dark.png: real
// calls over loopback to services of which one goes down, one fails most calls, one
// has recovered, and two are in the hands of operators.
func TestScreenshot(t *testing.T) {
	if !*update {
		t.Skip("takes some minutes; run with -update")
	}
	services := []*service{
		{url: "https://api.payments.example.com/charge", rate: 42},
		{url: "https://auth.example.com/token", rate: 18},
		{url: "https://geo.example.com/lookup", rate: 25},
		{url: "http://search.internal:8080/q", rate: 60},
		{url: "http://ledger.internal:9000/entries", rate: 12},
		{url: "https://catalog.example.com/v1/items/7", key: "GET catalog.example.com/v1/items/{id}", rate: 75},
		{url: "https://catalog.example.com/v1/prices", key: "POST catalog.example.com/v1/prices", rate: 9},
		{url: "http://mail.internal:2525/send", rate: 2},
	}
	payments, geo, search, ledger := services[0], services[2], services[3], services[4]
	byPath := make(map[string]*service)
	for _, s := range services {
		byPath[s.url[strings.LastIndex(s.url, "/"):]] = s
	}
	upstream := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		pass(r.Context(), time.Duration(15+rand.ExpFloat64()*30)*time.Millisecond)
		if s := byPath[r.URL.Path[strings.LastIndex(r.URL.Path, "/"):]]; rand.Int64N(100) < s.failing.Load() {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
	})
	plain, secure := httptest.NewServer(upstream), httptest.NewTLSServer(upstream)
	t.Cleanup(plain.Close)
	t.Cleanup(secure.Close)

	// Every name leads to the upstream.
	dial := func(ctx context.Context, network, addr string) (net.Conn, error) {
		to := plain.Listener.Addr().String()
		if strings.HasSuffix(addr, ":443") {
			to = secure.Listener.Addr().String()
		}
		return new(net.Dialer).DialContext(ctx, network, to)
	}
	set := breaker.NewSet(breaker.Options{})
	client := &http.Client{Timeout: 5 * time.Second, Transport: httpbreaker.New(&httpbreaker.Config{
		Base:     &http.Transport{DialContext: dial, TLSClientConfig: &tls.Config{InsecureSkipVerify: true}},
		Breakers: set,
	})}
	call := func(s *service) {
		ctx := t.Context()
		if s.key != "" {
			ctx = httpbreaker.WithKey(ctx, s.key)
		}
		r, err := http.NewRequestWithContext(ctx, "GET", s.url, nil)
		if err != nil {
			return
		}
		if res, err := client.Do(r); err == nil {
			_, _ = io.Copy(io.Discard, res.Body)
			res.Body.Close()
		}
	}
	for _, s := range services {
		go func() {
			for t.Context().Err() == nil {
				go call(s)
				pass(t.Context(), time.Duration(rand.ExpFloat64()/s.rate*float64(time.Second)))
			}
		}()
	}

	page := open(t, servePage(t, set, &statuspage.Options{Control: func(*http.Request) bool { return true }}))
	geo.failing.Store(3)
	search.failing.Store(11)
	mode := func(key string, m breaker.Mode, reason string) {
		page.until("circuits.has('" + key + "')")
		set.Get(key).SetMode(m, reason)
	}
	mode("POST catalog.example.com/v1/prices", breaker.Observe, "on trial until Monday, rejects nothing, by bob")
	for _, step := range []struct {
		after time.Duration
		do    func()
	}{
		{40 * time.Second, func() { ledger.failing.Store(100) }},
		{25 * time.Second, func() { ledger.failing.Store(0); geo.failing.Store(21) }},
		{30 * time.Second, func() { mode("auth.example.com", breaker.ForceOpen, "moving the user store, back at 05:00, by alice") }},
		{45 * time.Second, func() { geo.failing.Store(66); search.failing.Store(6) }},
		{35 * time.Second, func() { payments.failing.Store(100) }},
		{24 * time.Second, func() {}},
	} {
		pass(t.Context(), step.after)
		step.do()
	}
	page.until(`document.querySelector('#rows .countdown:not([hidden])') !== null`)

	for scheme, file := range map[string]string{"light": "statuspage.png", "dark": "statuspage-dark.png"} {
		page.picture(file, scheme, 1360, 850)
	}
}
