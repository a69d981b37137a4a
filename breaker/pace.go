package breaker

import (
	"math"
	"sync/atomic"
	"time"
)

// pace is what must be known of healthy calls: whether they are rare, and how long the
// slowest of late took. It is kept for every breaker, so it is small.
type pace struct {
	busy    atomic.Bool   // false: each call is timed, so that slow peers are known as slow
	before  uint32        // like the low half of slowest, one period before; guarded by Breaker.mu
	marked  atomic.Int64  // when the number of admitted calls was a multiple of lookEvery last
	slowest atomic.Uint64 // high half: the period; low half: its slowest good answer, in units
}

const (
	// A circuit is busy if lookEvery calls come in less than this.
	busySpan = int64(500 * time.Millisecond)

	periodBits = 36 // a period is 69 s
	unitBits   = 20 // a unit is 1.05 ms
)

// mark is called for each call in lookEvery. It reports whether busy has changed.
func (p *pace) mark(now int64) (changed bool) {
	busy := now-p.marked.Swap(now) < busySpan
	return p.busy.Swap(busy) != busy
}

// rest takes note that calls have become rare. The lock is held.
func (p *pace) rest(now int64) {
	if p.busy.Load() && now-p.marked.Load() > busySpan {
		p.busy.Store(false)
	}
}

// took notes how long a good answer took. It fails where a new period has begun,
// which is the lock's to note.
func (p *pace) took(d, now int64) bool {
	units := uint64(min(max(d, 0)>>unitBits+1, math.MaxUint32))
	for {
		s := p.slowest.Load()
		if uint32(s>>32) != uint32(now>>periodBits) {
			return false
		}
		if units <= s&math.MaxUint32 || p.slowest.CompareAndSwap(s, s&^math.MaxUint32|units) {
			return true
		}
	}
}

// turn begins a new period if it is time. The lock is held.
func (p *pace) turn(now int64) {
	period := uint32(now >> periodBits)
	s := p.slowest.Load()
	if uint32(s>>32) == period {
		return
	}
	p.before = 0
	if uint32(s>>32)+1 == period {
		p.before = uint32(s)
	}
	p.slowest.Store(uint64(period) << 32)
}

// slowestAnswer is how long the slowest good answer of the last one to two minutes
// took, rounded up to a unit, or 0 if none was timed. The lock is held.
func (p *pace) slowestAnswer(now int64) time.Duration {
	p.turn(now)
	return time.Duration(max(uint64(p.before), p.slowest.Load()&math.MaxUint32) << unitBits)
}
