package bench

import (
	"runtime"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/seed-0b728cf8/httpbreaker/bench/speed/subjects"
)

// A line has its cache line for itself, and the one that some processors fetch with it.
type line struct {
	n atomic.Uint64
	_ [120]byte
}

// BenchmarkScaling is what is drawn over the number of cores: an atomic Add by all
// of them to one cache line and to one line each, and calls through one circuit.
// What the first costs tells how far figures of another machine can be carried over.
func BenchmarkScaling(b *testing.B) {
	lines := make([]line, runtime.GOMAXPROCS(0)+256)
	add := func(b *testing.B, of func(worker int) *atomic.Uint64) {
		inParallel(b, func(worker, n int) int {
			to := of(worker)
			for range n {
				to.Add(1)
			}
			return n
		})
	}
	b.Run("line", func(b *testing.B) { add(b, func(int) *atomic.Uint64 { return &lines[0].n }) })
	b.Run("own-lines", func(b *testing.B) { add(b, func(worker int) *atomic.Uint64 { return &lines[worker].n }) })
	for _, s := range subjects.Breakers {
		switch s.Name {
		case subjects.Baseline, "httpbreaker", "httpbreaker-slowcall":
			calls := sync.OnceValue(s.New)
			b.Run(s.Name, func(b *testing.B) { inParallel(b, func(_, n int) int { return calls()(n, true) }) })
		}
	}
}
