package bench

import (
	"runtime"
	"runtime/debug"
	"sync"
	"testing"
	"time"

	"github.com/seed-0b728cf8/httpbreaker/bench/speed/subjects"
	"github.com/seed-0b728cf8/httpbreaker/breaker"
)

// BenchmarkMillion is a full set of 1,000,000 keys: a call to one of them at random,
// a key that is new to it, and the slowest of many such, which is more than any of
// them holds the set's lock. It measures once; with -short, 20,000 keys.
func BenchmarkMillion(b *testing.B) {
	measured := sync.OnceValue(measureMillion)
	for i, name := range []string{"call", "new-key", "longest-get"} {
		b.Run(name, func(b *testing.B) {
			b.ReportMetric(measured()[i], "cpu-ns/op")
			b.ReportMetric(0, "ns/op")
		})
	}
}

func measureMillion() (ns [3]float64) {
	size := 1_000_000
	if testing.Short() {
		size = 20_000
	}
	// With half as many new keys again as there are old ones, the set's table has
	// to move at least once while each Get is timed.
	flood := size * 3 / 2
	keys := subjects.NewKeys(size, "example.com")
	others := subjects.NewKeys(size/2+flood, "example.org").Names()
	set := breaker.NewSet(breaker.Options{MaxKeys: size})
	calls := subjects.CallSet(set)
	each := keys.InOrder()
	calls(size, &each, true)
	runtime.GC()

	per := func(n int, do func()) float64 {
		before := cpuTime()
		do()
		return float64(cpuTime()-before) / float64(n)
	}
	ns[0] = per(size, func() { calls(size, &keys, true) })
	ns[1] = per(size/2, func() {
		for _, key := range others[:size/2] {
			set.Get(key)
		}
	})
	// The time of the thread, as one that waits for a core holds no lock for us; and no
	// collection of garbage and no new memory meanwhile, which fall on whoever allocates.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	defer debug.SetGCPercent(debug.SetGCPercent(-1))
	reserve(flood * 400)
	var longest time.Duration
	for _, key := range others[size/2:] {
		before := threadTime()
		set.Get(key)
		longest = max(longest, threadTime()-before)
	}
	ns[2] = float64(longest)
	runtime.KeepAlive(set)
	return ns
}

// reserve makes the runtime hold so many bytes of memory that the kernel has given
// already, for what is allocated next.
func reserve(bytes int) {
	blocks := make([][]byte, bytes>>20)
	for i := range blocks {
		blocks[i] = make([]byte, 1<<20)
		for at := 0; at < 1<<20; at += 4096 {
			blocks[i][at] = 1
		}
	}
	runtime.KeepAlive(blocks)
	blocks = nil
	runtime.GC()
}
