package bench

import (
	"errors"
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/seed-0b728cf8/httpbreaker/bench/speed/subjects"
)

// probabilistic are the breakers that reject by chance.
var probabilistic = []string{"aegis", "go-zero"}

// open fails calls until the breaker rejects nearly all of them. Some breakers
// must have failed for a while before they open, so this takes a second.
func open(tb testing.TB, calls func(n int, ok bool) (admitted int)) {
	tb.Helper()
	if !fail(calls) {
		tb.Fatal("10 s of failures have not opened it")
	}
}

func fail(calls func(n int, ok bool) (admitted int)) (opened bool) {
	for deadline := time.Now().Add(10 * time.Second); calls(1000, false) > 5; {
		if time.Now().After(deadline) {
			return false
		}
	}
	return true
}

// TestBreakersWork shows that every subject does what it is measured at.
func TestBreakersWork(t *testing.T) {
	for _, s := range subjects.Breakers {
		t.Run(s.Name, func(t *testing.T) {
			t.Parallel()
			calls := s.New()
			if got := calls(100, true); got != 100 {
				t.Fatalf("closed: %d of 100 calls let through", got)
			}
			if s.Name == "none" {
				return
			}
			if !s.NoRate {
				for range 30 {
					if got := calls(1, false) + calls(2, true); got != 3 {
						t.Fatalf("a third of the calls failing: %d of 3 let through", got)
					}
				}
			}
			open(t, calls)
			most := 0
			if slices.Contains(probabilistic, s.Name) {
				most = 20
			}
			if s.Name == "handy" || s.Name == "rubyist" {
				most = 2 // probes: these open for a short time only
			}
			if got := calls(1000, false); got > most {
				t.Errorf("open: %d of 1000 calls let through", got)
			}
		})
	}
}

func TestSetsWork(t *testing.T) {
	for _, s := range subjects.Sets {
		t.Run(s.Name, func(t *testing.T) {
			t.Parallel()
			calls := s.New()
			many := subjects.NewKeys(100, "example.com")
			if got := calls(1000, &many, true); got != 1000 {
				t.Fatalf("closed: %d of 1000 calls let through", got)
			}
			one := subjects.NewKeys(1, "example.com") // the first of the many
			open(t, func(n int, ok bool) int { return calls(n, &one, ok) })
			if got := calls(1000, &many, true); got < 900 || got >= 1000 {
				t.Errorf("one of 100 keys open: %d of 1000 calls let through", got)
			}
		})
	}
}

func TestTransportsWork(t *testing.T) {
	for _, s := range subjects.Transports {
		for _, kind := range []string{subjects.NoBody, subjects.WithBody} {
			t.Run(s.Name+"/"+kind, func(t *testing.T) {
				t.Parallel()
				transport := s.New(subjects.NoOp{})
				e := subjects.NewExchange(kind)
				keys := subjects.NewKeys(1, "example.com")
				requests := subjects.NewRequests(e, "http", keys.Names())
				if got := subjects.Exchanges(transport, 100, requests, &keys); got != 100 {
					t.Fatalf("closed: %d of 100 requests sent", got)
				}
				if s.Name == "none" {
					return
				}
				openTransport(t, transport, e, requests)
				if got := subjects.Exchanges(transport, 1000, requests, &keys); got > 2 {
					t.Errorf("open: %d of 1000 requests sent", got)
				}
			})
		}
	}
}

// openTransport fails requests until they are not sent any more. Afterwards
// the exchange goes on failing. Some breakers count errors only, and others
// responses only, so they get both.
func openTransport(tb testing.TB, transport http.RoundTripper, e *subjects.Exchange, requests []*http.Request) {
	tb.Helper()
	if !failTransport(transport, e, requests) {
		tb.Fatal("10 s of failures have not opened it")
	}
}

func failTransport(transport http.RoundTripper, e *subjects.Exchange, requests []*http.Request) (opened bool) {
	keys := subjects.NewKeys(1, "example.com")
	e.Response.StatusCode = http.StatusServiceUnavailable
	return fail(func(n int, _ bool) (sent int) {
		for range n {
			if e.Failure = nil; e.Sent%2 == 0 {
				e.Failure = errors.New("connection refused")
			}
			sent += subjects.Exchanges(transport, 1, requests, &keys)
		}
		return sent
	})
}

// TestOurAllocations holds us to the number of allocations that we promise.
func TestOurAllocations(t *testing.T) {
	for _, s := range subjects.Breakers {
		if s.Module != subjects.Ours || slices.Contains([]string{"httpbreaker-scraped", "httpbreaker-recorded"}, s.Name) {
			continue
		}
		calls := s.New()
		if got := testing.AllocsPerRun(1000, func() { calls(1, true) }); got != 0 {
			t.Errorf("%s, closed: %v allocations", s.Name, got)
		}
		open(t, calls)
		if got := testing.AllocsPerRun(1000, func() { calls(1, false) }); got != 0 {
			t.Errorf("%s, open: %v allocations", s.Name, got)
		}
	}
	for _, s := range subjects.Transports {
		if s.Module != subjects.Ours {
			continue
		}
		for _, kind := range []string{subjects.NoBody, subjects.WithBody} {
			want := 0.
			if kind == subjects.WithBody && s.Name != "httpbreaker-headersonly" {
				want = 1
			}
			for _, scheme := range []string{"https", "http"} {
				transport := s.New(subjects.NoOp{})
				keys := subjects.NewKeys(1, "example.com")
				requests := subjects.NewRequests(subjects.NewExchange(kind), scheme, keys.Names())
				if got := testing.AllocsPerRun(1000, func() { subjects.Exchanges(transport, 1, requests, &keys) }); got != want {
					t.Errorf("%s, %s, %s without a port: %v allocations; want %v", s.Name, kind, scheme, got, want)
				}
			}
		}
	}
}
