package bench

import (
	"runtime"
	"sync"
	"testing"

	"github.com/seed-0b728cf8/httpbreaker/bench/speed/subjects"
)

// inParallel has b.N operations done by one goroutine for each core, which is
// told its number, and returns the sum of what they return. It reports the CPU
// time of an operation as well: that is the same on a busy machine.
func inParallel(b *testing.B, do func(worker, n int) int) (sum int) {
	workers := runtime.GOMAXPROCS(0)
	results := make([]int, workers)
	b.ReportAllocs()
	b.ResetTimer()
	before := cpuTime()
	if workers == 1 {
		results[0] = do(0, b.N)
	} else {
		var wg sync.WaitGroup
		for i := range workers {
			n := b.N / workers
			if i < b.N%workers {
				n++
			}
			wg.Go(func() { results[i] = do(i, n) })
		}
		wg.Wait()
	}
	b.StopTimer()
	b.ReportMetric(float64(cpuTime()-before)/float64(b.N), "cpu-ns/op")
	for _, r := range results {
		sum += r
	}
	return sum
}

// BenchmarkClosed is a call that succeeds through a closed circuit.
func BenchmarkClosed(b *testing.B) {
	for _, s := range subjects.Breakers {
		calls := sync.OnceValue(s.New)
		b.Run(s.Name, func(b *testing.B) {
			call := calls()
			if got := inParallel(b, func(_, n int) int { return call(n, true) }); got != b.N {
				b.Fatalf("%d of %d calls let through", got, b.N)
			}
		})
	}
}

// BenchmarkRejected is a call that an open circuit rejects.
func BenchmarkRejected(b *testing.B) {
	for _, s := range subjects.Breakers {
		if s.Name == "none" {
			continue
		}
		calls := sync.OnceValue(s.New)
		b.Run(s.Name, func(b *testing.B) {
			call := calls()
			open(b, call)
			got := inParallel(b, func(_, n int) int { return call(n, false) })
			if most := b.N/50 + 2; got > most {
				b.Fatalf("%d of %d calls let through", got, b.N)
			}
		})
	}
}
