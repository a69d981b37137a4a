package bench

import (
	"runtime"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/seed-0b728cf8/httpbreaker/bench/speed/subjects"
	"github.com/seed-0b728cf8/httpbreaker/breaker"
)

var keyCounts = []int{1, 100, 100_000}

func keyCountName(n int) string {
	return map[int]string{1: "one", 100: "hundred", 100_000: "100k"}[n]
}

// keysOf are the same keys for all benchmarks of a process.
var keysOf = func() map[int]func() subjects.Keys {
	m := map[int]func() subjects.Keys{}
	for _, n := range keyCounts {
		m[n] = sync.OnceValue(func() subjects.Keys { return subjects.NewKeys(n, "example.com") })
	}
	return m
}()

// BenchmarkKeyed is a call that succeeds through the closed circuit of one of so
// many keys, in random order.
func BenchmarkKeyed(b *testing.B) {
	for _, n := range keyCounts {
		for _, s := range subjects.Sets {
			if s.MaxKeys > 0 && n > s.MaxKeys {
				continue
			}
			calls := sync.OnceValue(func() subjects.KeyedCalls {
				calls := s.New()
				keys := keysOf[n]()
				touchAll(calls, keys)
				return calls
			})
			b.Run(keyCountName(n)+"/"+s.Name, func(b *testing.B) {
				call, keys := calls(), keysOf[n]()
				got := inParallel(b, func(worker, n int) int {
					mine := keys.From(worker * 12345)
					return call(n, &mine, true)
				})
				if got != b.N {
					b.Fatalf("%d of %d calls let through", got, b.N)
				}
			})
		}
	}
}

// touchAll makes one call to each key, in the order in which they were made.
func touchAll(calls subjects.KeyedCalls, keys subjects.Keys) {
	each := keys.InOrder()
	calls(len(keys.Names()), &each, true)
}

// BenchmarkMemory tells the bytes of heap and of goroutine stacks that a key
// costs which has made one call, its place in the map included. It measures
// once: what some libraries keep is global and stays.
func BenchmarkMemory(b *testing.B) {
	for _, s := range subjects.Sets {
		n := 100_000
		if testing.Short() {
			n = 10_000
		}
		if s.MaxKeys > 0 {
			n = min(n, s.MaxKeys)
		}
		perKey := sync.OnceValue(func() float64 {
			keys := subjects.NewKeys(n, "idle.example.com")
			before := memory()
			calls := s.New()
			touchAll(calls, keys)
			after := memory()
			runtime.KeepAlive(calls)
			runtime.KeepAlive(keys)
			return float64(after-before) / float64(n)
		})
		b.Run(s.Name, func(b *testing.B) {
			b.ReportMetric(perKey(), "B/key")
			b.ReportMetric(0, "ns/op")
		})
	}
}

// memory returns what is in use.
func memory() int64 {
	runtime.GC()
	runtime.GC() // what has a finalizer goes in the second round
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc + m.StackInuse)
}

// BenchmarkNewKey is a key that is new to a full set, in which all circuits are
// closed or all are open. The baseline has no bound: there it is a key more.
func BenchmarkNewKey(b *testing.B) {
	const size = 10_000 // the default
	for _, state := range []breaker.State{breaker.Closed, breaker.Open} {
		filled := sync.OnceValue(func() func() {
			set := breaker.NewSet(breaker.Options{MaxKeys: size})
			n := 0
			next := func() {
				br := set.Get("host-" + strconv.Itoa(n) + ".example.com")
				if state == breaker.Open {
					br.Trip(time.Hour, "open")
				}
				n++
			}
			for n < 100_000 { // what is kept of the open ones is full as well
				next()
			}
			stats := set.Stats()
			if stats.Keys != size || int(stats.Evicted+stats.Demoted) != n-size || (state == breaker.Open) != (stats.Demoted > 0) {
				b.Fatalf("not full: %+v", stats)
			}
			return next
		})
		b.Run("httpbreaker-"+state.String(), func(b *testing.B) {
			next := filled()
			inOne(b, func() {
				for range b.N {
					next()
				}
			})
		})
	}
	b.Run(subjects.BaselineSet, func(b *testing.B) {
		for _, s := range subjects.Sets {
			if s.Name == subjects.BaselineSet {
				calls, keys := s.New(), subjects.NewKeys(b.N, "example.com").InOrder()
				inOne(b, func() { calls(b.N, &keys, true) })
			}
		}
	})
}

// inOne has b.N operations done by this goroutine.
func inOne(b *testing.B, do func()) {
	b.ReportAllocs()
	b.ResetTimer()
	before := cpuTime()
	do()
	b.ReportMetric(float64(cpuTime()-before)/float64(b.N), "cpu-ns/op")
}
