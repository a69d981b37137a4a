package bench

import (
	"net/http"
	"runtime"
	"sync"
	"testing"

	"github.com/seed-0b728cf8/httpbreaker/bench/speed/subjects"
)

// BenchmarkRoundTrip is a round trip to one host over a base that does nothing,
// with a closed circuit: for a response without a body, for one with a body that
// is read and closed, and for a URL whose port goes without saying.
func BenchmarkRoundTrip(b *testing.B) {
	for _, bm := range []struct{ name, scheme, kind string }{
		{"no-body", "https", subjects.NoBody},
		{"no-port", "http", subjects.NoBody},
		{"body", "https", subjects.WithBody},
	} {
		for _, s := range subjects.Transports {
			transport := sync.OnceValue(func() http.RoundTripper { return s.New(subjects.NoOp{}) })
			b.Run(bm.name+"/"+s.Name, func(b *testing.B) {
				roundTrips(b, transport(), bm.scheme, bm.kind, 1)
			})
		}
	}
}

// BenchmarkRoundTripKeyed is the same with 100,000 hosts in random order.
func BenchmarkRoundTripKeyed(b *testing.B) {
	for _, scheme := range []string{"https", "http"} {
		for _, s := range subjects.Transports {
			if s.Name != subjects.BaselineTransport && s.Name != "httpbreaker" && s.Name != "none" {
				continue
			}
			const hosts = 100_000
			transport := sync.OnceValue(func() http.RoundTripper {
				t := s.New(subjects.NoOp{})
				keys := keysOf[hosts]().InOrder()
				requests := subjects.NewRequests(subjects.NewExchange(subjects.NoBody), scheme, keys.Names())
				subjects.Exchanges(t, hosts, requests, &keys)
				return t
			})
			b.Run(scheme+"/"+s.Name, func(b *testing.B) {
				roundTrips(b, transport(), scheme, subjects.NoBody, hosts)
			})
		}
	}
}

func roundTrips(b *testing.B, transport http.RoundTripper, scheme, kind string, hosts int) {
	requests := make([][]*http.Request, runtime.GOMAXPROCS(0))
	for i := range requests {
		requests[i] = requestsOf(i, scheme, kind, hosts)
	}
	keys := keysOf[hosts]()
	got := inParallel(b, func(worker, n int) int {
		mine := keys.From(worker * 12345)
		return subjects.Exchanges(transport, n, requests[worker], &mine)
	})
	if got != b.N {
		b.Fatalf("%d of %d requests sent", got, b.N)
	}
}

type requestsKey struct {
	worker       int
	scheme, kind string
	hosts        int
}

var madeRequests = map[requestsKey][]*http.Request{}

// requestsOf returns the requests of one goroutine. Making them takes longer
// than sending them.
func requestsOf(worker int, scheme, kind string, hosts int) []*http.Request {
	key := requestsKey{worker, scheme, kind, hosts}
	if madeRequests[key] == nil {
		madeRequests[key] = subjects.NewRequests(subjects.NewExchange(kind), scheme, keysOf[hosts]().Names())
	}
	return madeRequests[key]
}

// BenchmarkRoundTripRejected is a round trip that an open circuit rejects.
func BenchmarkRoundTripRejected(b *testing.B) {
	transports := map[string]http.RoundTripper{}
	for _, s := range subjects.Transports {
		switch s.Name {
		case "none", "httpbreaker-headersonly", "httpbreaker-slowcall":
			continue // nothing is sent, so it is all the same
		}
		transports[s.Name] = s.New(subjects.NoOp{})
	}
	openAll := sync.OnceFunc(func() {
		var wg sync.WaitGroup
		for _, transport := range transports {
			e := subjects.NewExchange(subjects.NoBody)
			keys := keysOf[1]()
			wg.Go(func() { failTransport(transport, e, subjects.NewRequests(e, "https", keys.Names())) })
		}
		wg.Wait()
	})
	for _, s := range subjects.Transports {
		transport := transports[s.Name]
		if transport == nil {
			continue
		}
		b.Run(s.Name, func(b *testing.B) {
			openAll()
			keys := keysOf[1]()
			requests := make([][]*http.Request, runtime.GOMAXPROCS(0))
			for i := range requests {
				e := subjects.NewExchange(subjects.NoBody)
				requests[i] = subjects.NewRequests(e, "https", keys.Names())
				openTransport(b, transport, e, requests[i])
			}
			got := inParallel(b, func(worker, n int) int {
				mine := keys
				return subjects.Exchanges(transport, n, requests[worker], &mine)
			})
			if most := b.N/50 + 2; got > most {
				b.Fatalf("%d of %d requests sent", got, b.N)
			}
		})
	}
}
