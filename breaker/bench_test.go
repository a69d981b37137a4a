package breaker_test

import (
	"context"
	"math/rand/v2"
	"runtime"
	"strconv"
	"testing"
	"time"

	"github.com/seed-0b728cf8/httpbreaker/breaker"
)

func call(b *testing.B, br *breaker.Breaker) {
	p, err := br.Allow(context.Background())
	if err != nil {
		b.Fatal(err)
	}
	p.Done(breaker.Success)
}

// BenchmarkClosed is a successful call through a closed circuit, without and
// with SlowCall.
func BenchmarkClosed(b *testing.B) {
	for name, cfg := range map[string]breaker.Config{
		"default":  {},
		"slowcall": {SlowCall: time.Second},
	} {
		b.Run(name, func(b *testing.B) {
			br := breaker.New("bench", cfg)
			b.ReportAllocs()
			for b.Loop() {
				call(b, br)
			}
		})
		b.Run(name+"/parallel", func(b *testing.B) {
			br := breaker.New("bench", cfg)
			b.ReportAllocs()
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					call(b, br)
				}
			})
		})
	}
}

// BenchmarkRejection is a call that an open circuit rejects.
func BenchmarkRejection(b *testing.B) {
	br := breaker.New("bench", breaker.Config{})
	br.Trip(time.Hour, "bench")
	b.ReportAllocs()
	for b.Loop() {
		if _, err := br.Allow(context.Background()); err == nil {
			b.Fatal("let through")
		}
	}
}

func keys(n int) []string {
	keys := make([]string, n)
	for i := range keys {
		keys[i] = "host-" + strconv.Itoa(i) + ".example.com"
	}
	rand.Shuffle(n, func(i, j int) { keys[i], keys[j] = keys[j], keys[i] })
	return keys
}

// BenchmarkKeyed is a successful call through the breaker of one of so many keys
// in random order.
func BenchmarkKeyed(b *testing.B) {
	for _, n := range []int{1, 100, 100_000} {
		b.Run(strconv.Itoa(n), func(b *testing.B) {
			set := breaker.NewSet(breaker.Options{MaxKeys: -1})
			keys := keys(n)
			for _, key := range keys {
				call(b, set.Get(key))
			}
			b.ReportAllocs()
			i := 0
			for b.Loop() {
				call(b, set.Get(keys[i]))
				if i++; i == n {
					i = 0
				}
			}
		})
	}
}

// BenchmarkMemory reports the bytes that an idle key costs, its place in the
// map included.
func BenchmarkMemory(b *testing.B) {
	const n = 100_000
	keys := keys(n)
	for b.Loop() {
		var before, after runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&before)
		set := breaker.NewSet(breaker.Options{MaxKeys: -1})
		for _, key := range keys {
			call(b, set.Get(key))
		}
		runtime.GC()
		runtime.ReadMemStats(&after)
		b.ReportMetric(float64(after.HeapAlloc-before.HeapAlloc)/n, "B/key")
		runtime.KeepAlive(set)
	}
}

// BenchmarkNewKeyWhenFull is a key that is new to a full set, all of whose
// circuits are closed or open.
func BenchmarkNewKeyWhenFull(b *testing.B) {
	for _, state := range []breaker.State{breaker.Closed, breaker.Open} {
		b.Run(state.String(), func(b *testing.B) {
			set := breaker.NewSet(breaker.Options{})
			i := 0
			next := func() {
				br := set.Get("host-" + strconv.Itoa(i))
				if state == breaker.Open {
					br.Trip(time.Hour, "bench")
				}
				i++
			}
			for i < 200_000 {
				next()
			}
			b.ReportAllocs()
			for b.Loop() {
				next()
			}
		})
	}
}
