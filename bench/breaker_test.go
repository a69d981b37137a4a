package bench

import (
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/seed-0b728cf8/httpbreaker/bench/speed/subjects"
)

// inParallel has b.N operations done by one goroutine for each core, which is
// told its number, and returns the sum of what they return. It reports the CPU
// time of an operation as well, and on how many cores the process ran: who had
// fewer than it wanted was disturbed, and with two cores they must have met.
func inParallel(b *testing.B, do func(worker, n int) int) (sum int) {
	workers := runtime.GOMAXPROCS(0)
	results := make([]int, workers)
	b.ReportAllocs()
	b.ResetTimer()
	before, begun := cpuTime(), time.Now()
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
	took, wall := cpuTime()-before, time.Since(begun)
	b.ReportMetric(float64(took)/float64(b.N), "cpu-ns/op")
	b.ReportMetric(float64(took)/float64(wall), "busy-cores")
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
			got := inParallel(b, func(_, n int) int { return call(n, true) })
			if hystrix := s.Name == "hystrix"; got != b.N && !(hystrix && got > b.N/2) { // it gives its places back late
				b.Fatalf("%d of %d calls let through", got, b.N)
			}
		})
	}
}

// opened are all breakers, open. Opening takes some of them a second, so all are
// opened at once.
var opened = sync.OnceValue(func() map[string]subjects.Calls {
	all := map[string]subjects.Calls{}
	var wg sync.WaitGroup
	for _, s := range subjects.Breakers {
		if s.Name == "none" {
			continue
		}
		calls := s.New()
		all[s.Name] = calls
		wg.Go(func() { fail(calls) })
	}
	wg.Wait()
	return all
})

// BenchmarkRejected is a call that an open circuit rejects.
func BenchmarkRejected(b *testing.B) {
	for _, s := range subjects.Breakers {
		if s.Name == "none" {
			continue
		}
		b.Run(s.Name, func(b *testing.B) {
			call := opened()[s.Name]
			open(b, call) // some are half-open again
			rejections(b, call)
		})
	}
}

func rejections(b *testing.B, call subjects.Calls) {
	got := inParallel(b, func(_, n int) int { return call(n, false) })
	if most := b.N/50 + 2; got > most {
		b.Fatalf("%d of %d calls let through", got, b.N)
	}
}
