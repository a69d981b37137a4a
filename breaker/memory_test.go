package breaker_test

import (
	"runtime"
	"strconv"
	"testing"
	"testing/synctest"

	"github.com/seed-0b728cf8/httpbreaker/breaker"
)

// What a key costs: what Options.MaxKeys says, its place in the set included.
func TestBytesOfAKey(t *testing.T) {
	if breaker.RaceDetector || breaker.AlwaysStriped {
		t.Skip("there is more of it")
	}
	for _, test := range []struct {
		name string
		most uint64
		do   func(*testing.T, *breaker.Breaker)
	}{
		{"idle and well", 280, func(t *testing.T, b *breaker.Breaker) { end(t, b, breaker.Success) }},
		{"has failed once", 700, func(t *testing.T, b *breaker.Breaker) { end(t, b, breaker.Failure) }},
		{"open", 1000, func(t *testing.T, b *breaker.Breaker) { openByFailures(t, b) }},
		{"open, with calls that wait", 2300, func(t *testing.T, b *breaker.Breaker) {
			for range 5 {
				if _, err := b.Allow(t.Context()); err != nil {
					t.Fatal(err)
				}
			}
			openByFailures(t, b)
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				const n = 20_000
				keys := make([]string, n)
				for i := range keys {
					keys[i] = "host-" + strconv.Itoa(i) + ".example.com"
				}
				before := heap()
				set := breaker.NewSet(breaker.Options{MaxKeys: -1, Config: breaker.Config{ConsecutiveSpan: -1}})
				for _, key := range keys {
					test.do(t, set.Get(key))
				}
				got := (heap() - before) / n
				runtime.KeepAlive(set)
				t.Logf("%d bytes", got)
				if got > test.most {
					t.Errorf("%d bytes a key, want at most %d", got, test.most)
				}
			})
		})
	}
}

func openByFailures(t *testing.T, b *breaker.Breaker) {
	for range 5 {
		end(t, b, breaker.Failure)
	}
	if b.State() != breaker.Open {
		t.Fatal(b.Snapshot())
	}
}

func heap() uint64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

func end(t *testing.T, b *breaker.Breaker, o breaker.Outcome) {
	p, err := b.Allow(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	p.Done(o)
}
