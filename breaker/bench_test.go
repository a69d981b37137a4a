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
	shuffle(keys)
	return keys
}

func shuffle(keys []string) {
	rand.Shuffle(len(keys), func(i, j int) { keys[i], keys[j] = keys[j], keys[i] })
}

// BenchmarkKeyed is a successful call through the breaker of one of so many keys
// in random order, which is not that in which they were made and lie in memory.
func BenchmarkKeyed(b *testing.B) {
	for _, n := range []int{1, 100, 100_000} {
		b.Run(strconv.Itoa(n), func(b *testing.B) {
			set := breaker.NewSet(breaker.Options{MaxKeys: -1})
			keys := keys(n)
			for _, key := range keys {
				call(b, set.Get(key))
			}
			shuffle(keys)
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
// circuits are closed or open. With open ones, an operation includes the opening
// of the new one; what Get alone takes is reported as ns/get, and includes a
// reading of the clock.
func BenchmarkNewKeyWhenFull(b *testing.B) {
	for _, state := range []breaker.State{breaker.Closed, breaker.Open} {
		b.Run(state.String(), func(b *testing.B) {
			set := breaker.NewSet(breaker.Options{})
			i := 0
			var inGet time.Duration
			next := func() {
				key := "host-" + strconv.Itoa(i)
				i++
				if state == breaker.Closed {
					set.Get(key)
					return
				}
				begun := time.Now()
				br := set.Get(key)
				inGet += time.Since(begun)
				br.Trip(time.Hour, "bench")
			}
			for i < 200_000 {
				next()
			}
			inGet = 0
			b.ReportAllocs()
			for b.Loop() {
				next()
			}
			if state == breaker.Open {
				b.ReportMetric(float64(inGet)/float64(b.N), "ns/get")
			}
		})
	}
}
