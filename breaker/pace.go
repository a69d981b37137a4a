package breaker

import (
	"sync/atomic"
	"time"
)

// pace is what must be known of healthy calls: whether they are rare, and how long the
// slowest of late took. It is kept for every breaker, so it is small. It needs no lock.
type pace struct {
	marked  atomic.Int64  // when the number of admitted calls was a multiple of lookEvery last
	slowest atomic.Uint64 // the period, the slowest good answer of the period before, and of this one
	state   atomic.Uint32 // whether it is busy, and above that conflicts
}

const (
	// A circuit is busy if lookEvery calls come in less than this. Else each call is
	// timed, so that slow peers are known as slow.
	busySpan = int64(500 * time.Millisecond)
	busyBit  = 1

	periodBits = 36 // a period is 69 s
	unitBits   = 20 // a unit is 1.05 ms
	slowBits   = 24 // for each of the two answers, in units: 4.9 h
	slowMask   = 1<<slowBits - 1
)

func (p *pace) busy() bool { return p.state.Load()&busyBit != 0 }

// mark is called for each call in lookEvery. It reports whether busy has changed.
func (p *pace) mark(now int64) (changed bool) {
	return p.setBusy(now-p.marked.Swap(now) < busySpan)
}

func (p *pace) setBusy(busy bool) (changed bool) {
	if p.busy() == busy {
		return false
	}
	if busy {
		p.state.Or(busyBit)
	} else {
		p.state.And(^uint32(busyBit))
	}
	return true
}

// rest takes note that calls have become rare.
func (p *pace) rest(now int64) {
	if p.busy() && now-p.marked.Load() > busySpan {
		p.setBusy(false)
	}
}

// conflict counts writes of two cores that met, and reports whether there were many.
func (p *pace) conflict() (many bool) {
	return p.state.Add(busyBit<<1)>>1 >= manyConflicts
}

// took notes how long a good answer took.
func (p *pace) took(d, now int64) {
	units := uint64(min(max(d, 0)>>unitBits+1, slowMask))
	for {
		s := p.slowest.Load()
		next := turned(s, now)
		if units > next&slowMask {
			next = next&^slowMask | units
		}
		if next == s || p.slowest.CompareAndSwap(s, next) {
			return
		}
	}
}

// turned is what pace.slowest is at a time, if no answer comes until then.
func turned(s uint64, now int64) uint64 {
	const periods = 1<<(64-2*slowBits) - 1
	period := uint64(now>>periodBits) & periods
	switch was := s >> (2 * slowBits); was {
	case period:
		return s
	case (period - 1) & periods:
		return period<<(2*slowBits) | s&slowMask<<slowBits
	}
	return period << (2 * slowBits)
}

// slowestAnswer is how long the slowest good answer of the last one to two minutes
// took, rounded up to a unit, or 0 if none was timed.
func (p *pace) slowestAnswer(now int64) time.Duration {
	s := turned(p.slowest.Load(), now)
	return time.Duration(max(s&slowMask, s>>slowBits&slowMask) << unitBits)
}
