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
	state   atomic.Uint32 // whether it is busy or in a rush, and above that conflicts
}

const (
	// A circuit is busy if lookEvery calls come in less than busySpan; else each call
	// is timed, so that slow peers are known as slow. If they come in less than
	// rushSpan, one in rushEvery is timed.
	busySpan = int64(500 * time.Millisecond)
	rushSpan = int64(8 * time.Millisecond)
	minRush  = 1000 // calls, ever

	busyBit      = 1
	rushBit      = 2
	conflictUnit = 4

	periodBits = 36 // a period is 69 s
	unitBits   = 20 // a unit is 1.05 ms
	slowBits   = 24 // for each of the two answers, in units: 4.9 h
	slowMask   = 1<<slowBits - 1
)

func (p *pace) busy() bool { return p.state.Load()&busyBit != 0 }

func (p *pace) rush() bool { return p.state.Load()&rushBit != 0 }

// mark is called for each call that is due to be timed, with its number. It reports
// whether the pace has changed.
func (p *pace) mark(now int64, n uint64) (changed bool) {
	span, was := now-p.marked.Swap(now), p.state.Load()
	if was&rushBit != 0 {
		span /= rushEvery / lookEvery
	}
	var is uint32
	if span < busySpan {
		is |= busyBit
	}
	if span < rushSpan && n >= minRush {
		is |= rushBit
	}
	return p.become(was, is)
}

func (p *pace) become(was, is uint32) (changed bool) {
	const bits = busyBit | rushBit
	if was&bits == is {
		return false
	}
	p.state.And(^uint32(bits))
	p.state.Or(is)
	return true
}

// rest takes note that calls have become rare.
func (p *pace) rest(now int64) {
	if was := p.state.Load(); was&busyBit != 0 && now-p.marked.Load() > busySpan {
		p.become(was, 0)
	}
}

// conflict counts writes of two cores that met, and reports whether there were many.
func (p *pace) conflict() (many bool) {
	return p.state.Add(conflictUnit)/conflictUnit >= manyConflicts
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
