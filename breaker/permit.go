package breaker

import (
	"errors"
	"time"
)

// A Permit is the leave to make one call, given by [Breaker.Allow]. It must be
// ended by one of Done, Fail and Trip; the first of them counts, later ones do
// nothing, so that a deferred Done(Ignored) covers panics and runtime.Goexit.
//
// A Permit is a value that costs no allocation. It is not safe for concurrent
// use, and of its copies only one may be used. The zero Permit does nothing.
type Permit struct { // four words, which the compiler keeps in registers
	b     *Breaker
	timed *timed // nil unless the call is in flight or observed
	start int64  // when the call began; how long it took once it is answered
	tag   uint64 // the generation that admitted it, as in Breaker.word, and flags
}

const (
	permitTimed    = 1 << iota // start is known
	permitAnswered             // Answered was called
	permitProbe                // admitted by a half-open circuit; has a number
	permitBypass               // rejected, but let through under Observe
	permitObserved             // a hook wants to hear of its end
	permitCareful              // even its success cannot be booked without the lock

	permitNumberShift = 16
)

func (p *Permit) number() uint16 { return uint16(p.tag >> permitNumberShift) }

// Done ends the call with its outcome.
func (p *Permit) Done(o Outcome) {
	if o == Success && p.tag&permitCareful == 0 {
		if b := p.b; b != nil {
			now := b.env.now()
			if p.timed != nil {
				if f := p.timed.inflight; now-p.start >= f.slow || !f.leave(p.start) {
					p.end(verdict{outcome: o})
					return
				}
				p.timed = nil
			}
			if b.countSuccess(p.tag, now) {
				if p.tag&permitAnswered != 0 {
					b.answered.Add(-1)
				}
				p.b = nil
				return
			}
		}
	}
	p.end(verdict{outcome: o})
}

// Fail ends the call as a Failure and keeps err for [OpenError.Last].
func (p *Permit) Fail(err error) { p.end(verdict{outcome: Failure, err: err}) }

// Trip ends the call as a Failure, and opens the circuit for d: for a peer that
// said itself how long it wants to be left alone. If the failure makes the rules
// of Config other than Trip open the circuit for longer, that holds. A d that is
// not positive is the same as Fail. The reason is shown in OpenError and
// Snapshot.
func (p *Permit) Trip(d time.Duration, reason string) {
	p.end(verdict{outcome: Failure, trip: d, reason: reason, err: errors.New(reason)})
}

// Answered says that the peer has begun to answer: the clock of SlowCall stops
// and the call is in flight no longer. Its outcome is still to come. Only the
// first call has an effect.
func (p *Permit) Answered() {
	if p.b == nil || p.tag&permitAnswered != 0 {
		return
	}
	if p.tag&permitTimed != 0 {
		took := p.b.env.now() - p.start
		if f := p.timed.of(); f != nil && took >= f.slow {
			p.tag |= permitCareful
		}
		p.leave(p.b)
		p.start = took
	}
	p.tag |= permitAnswered
	p.b.answered.Add(1)
}

// Elapsed returns the time since Allow, up to Answered if that was called. It
// is zero where no rule and no hook needed the clock, and once the call has
// ended.
func (p *Permit) Elapsed() time.Duration {
	if p.b == nil || p.tag&permitTimed == 0 {
		return 0
	}
	return time.Duration(p.took(p.b.env.now()))
}

// Probe reports whether the call was let through to test a half-open circuit.
func (p *Permit) Probe() bool { return p.tag&permitProbe != 0 }

func (p *Permit) took(now int64) int64 {
	switch {
	case p.tag&permitTimed == 0:
		return 0
	case p.tag&permitAnswered != 0:
		return p.start
	default:
		return now - p.start
	}
}

// leave ends the call's time in flight.
func (p *Permit) leave(b *Breaker) {
	if f := p.timed.of(); f != nil {
		if !f.leave(p.start) {
			b.lock()
			f.leaveOld()
			b.unlock()
		}
		if p.tag&permitObserved == 0 {
			p.timed = nil
		} else {
			p.timed.inflight = nil
		}
	}
}

// verdict is how a call has ended.
type verdict struct {
	outcome Outcome
	err     error
	trip    time.Duration // if positive, open the circuit for so long
	reason  string        // of trip
}

func (p *Permit) end(v verdict) {
	b := p.b
	if b == nil {
		return
	}
	p.b = nil
	if v.outcome > Failure {
		v.outcome = Ignored // there is no such outcome
	}
	took := p.took(b.env.now())
	p.leave(b)
	if p.tag&permitAnswered != 0 {
		b.answered.Add(-1)
	}
	b.lock()
	call, askTrip := b.settle(p, v, took, b.env.now())
	b.unlock()
	if askTrip {
		b.askTrip(p.tag)
	}
	if p.tag&permitObserved != 0 {
		b.env.done(p.timed.ctx, call)
	}
}

// countSuccess books a success without the lock. It fails when there is more to
// do, or when the generation that admitted the call has passed.
func (b *Breaker) countSuccess(tag uint64, now int64) bool {
	for {
		word := b.word.Load()
		if tagOf(word^tag) != 0 || word&(countFast|countFull) != countFast || now >= b.bucketEnd.Load() {
			return false
		}
		if b.word.CompareAndSwap(word, word+1) {
			return true
		}
	}
}

// settle books the end of a call. It reports whether the Trip rule is to be
// asked.
func (b *Breaker) settle(p *Permit, v verdict, took, now int64) (c Call, suspect bool) {
	b.expireProbes(now)
	r := b.rules.Load()
	c = Call{
		Key:      b.key,
		Outcome:  v.outcome,
		Duration: time.Duration(took),
		Slow:     r.SlowCall > 0 && took >= int64(r.SlowCall) && p.tag&permitTimed != 0,
		Probe:    p.Probe(),
		Late:     tagOf(p.tag^b.word.Load()) != 0,
	}
	if c.Late {
		b.totals.Late++
		return c, false
	}
	if c.Slow {
		b.totals.Slow++
	}
	counts := p.tag&permitBypass == 0 && b.mode != Disabled && b.mode != ForceOpen
	switch v.outcome {
	case Success:
		b.totals.Successes++
	case Failure:
		b.totals.Failures++
		if counts {
			b.lastErr = v.err
		}
	default:
		b.totals.Ignored++
	}
	switch {
	case !counts:
	case c.Probe:
		b.settleProbe(p, c, v, now)
	case v.outcome != Ignored:
		suspect = b.settleClosed(c, v, now)
	}
	return c, suspect
}
