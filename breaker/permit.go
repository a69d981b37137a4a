package breaker

import (
	"context"
	"errors"
	"time"
)

// A Permit is the leave to make one call, given by [Breaker.Allow]. It must be
// ended by one of Done, Fail, Ignore and Trip; the first of them counts, later ones do
// nothing, so that a deferred Done(Ignored) covers panics and runtime.Goexit.
//
// A Permit is a value that costs no allocation. It is not safe for concurrent
// use, and of its copies only one may be used. The zero Permit does nothing.
type Permit struct { // four words, which the compiler keeps in registers
	b     *Breaker
	more  *more  // nil unless a hook is told of the call, or it is being sent
	start int64  // when the call began, if timed; how long it took once it is answered
	tag   uint64 // the generation that admitted it, as in the word, and flags
}

// more is what few permits need.
type more struct {
	ctx     context.Context // for Hooks.Done
	began   int64           // when the call began, if timed, whenever it was sent
	sending *Sending
}

const (
	permitTimed         = 1 << iota // start is known
	permitAnswered                  // Answered was called
	permitAnsweredInRun             // … during a run of failures; has its number
	permitIndependent               // … and began after the first of them had ended
	permitProbe                     // let through to test the peer; has a number
	permitPlace                     // has a place in the slow start
	permitBypass                    // rejected, but let through under Observe
	permitSlow                      // even its success needs the lock

	permitNumberShift = 16 // to 31
	permitStripeShift = 32 // to 39

	// With none of these, a success has only to be counted in the first word.
	permitPlainMask = permitTimed | permitAnswered | 0xFF<<permitStripeShift
)

// stripe returns the number of the word that admitted the call.
func (p *Permit) stripe() uint64 { return p.tag >> permitStripeShift & 0xFF }

func (p Permit) number() uint16 { return uint16(p.tag >> permitNumberShift) }

// Done ends the call with its outcome.
func (p *Permit) Done(o Outcome) {
	if b := p.b; b != nil && o == Success && p.tag&permitSlow == 0 {
		if p.tag&permitPlainMask == 0 && b.word.count(p.tag, &b.shared.clock, 0) == counted {
			p.b = nil
			return
		}
		if p.succeed() {
			return
		}
	}
	p.end(verdict{outcome: o})
}

// succeed books a success without the lock, if that is all there is to do.
func (p *Permit) succeed() bool {
	b, now := p.b, int64(0)
	if p.tag&permitTimed != 0 {
		now = b.shared.now()
		took := p.took(now)
		if r := b.rules.Load(); r.SlowCall > 0 && took >= int64(r.SlowCall) {
			return false
		}
		b.pace.took(took, now)
	}
	w := b.at(p.stripe())
	switch w.count(p.tag, &b.shared.clock, now) {
	case refused:
		return false
	case conflicted:
		b.conflict()
		return false // the lock counts it this time
	}
	if p.tag&permitAnswered != 0 {
		w.answers.Add(^uint64(0))
	}
	p.b = nil
	return true
}

// Fail ends the call as a Failure and keeps err for [OpenError.Last].
func (p *Permit) Fail(err error) {
	if p.nests(err) {
		p.Ignore(err)
		return
	}
	p.end(verdict{outcome: Failure, err: err})
}

// Ignore ends the call as Ignored because of err, which may be nil.
//
// If the circuit is half-open and err is its own rejection, of a call inside of this one,
// Fail does the same. Up to 4 calls inside of each other are let through from then on:
// else the inner ones would be rejected and the circuit would not close.
func (p *Permit) Ignore(err error) { p.end(verdict{outcome: Ignored, nests: p.nests(err)}) }

// nests reports whether a call was rejected inside of this one, which half-open has let through.
func (p *Permit) nests(err error) (yes bool) {
	if p.b == nil || p.tag&(permitProbe|permitPlace) == 0 {
		return false
	}
	defer func() { _ = recover() }() // err's own methods are asked
	var inner *OpenError
	return errors.As(err, &inner) && inner.Key == p.b.key
}

// Trip ends the call as a Failure, and opens the circuit for d: for a peer that
// said itself how long it wants to be left alone. If the failure makes the rules
// of Config other than Trip open the circuit for longer, that holds. A d that is
// not positive is the same as Fail. The reason is shown in OpenError and
// Snapshot.
func (p *Permit) Trip(d time.Duration, reason string) {
	p.end(verdict{outcome: Failure, trip: d, reason: reason, err: errors.New(reason)})
}

// Answered says that the peer has begun to answer: the clock of SlowCall stops and
// the call waits no longer. Its outcome is still to come; until then it counts as
// good in the failure rate and interrupts a run. Only the first call has an
// effect.
func (p *Permit) Answered() {
	b := p.b
	if b == nil || p.tag&permitAnswered != 0 {
		return
	}
	p.sent()
	began := p.began()
	if p.tag&permitTimed != 0 {
		took := b.shared.now() - p.start
		if p.tag&(permitPlace|permitProbe) != 0 {
			b.lock()
			b.expireProbes(b.shared.now())
			b.freePlace(p)
			b.unlock()
		}
		p.start = took
	}
	p.tag |= permitAnswered
	if p.tag&permitBypass != 0 {
		b.lock()
		b.history.bypass.inFlight--
		b.history.bypass.answered++
		b.unlock()
		return
	}
	w := b.at(p.stripe())
	w.answers.Add(answeredOne)
	if bits := w.bits.Load(); generationOf(bits^p.tag) == 0 && bits&countFast != 0 {
		return
	}
	b.lock()
	defer b.unlock()
	switch h := b.remember(); {
	case generationOf(b.generation()^p.tag) != 0:
		h.lateEnds++
		p.tag |= permitSlow
	case h.run.length > 0 && p.tag&permitProbe == 0:
		h.run.answered++
		p.tag |= permitAnsweredInRun | uint64(h.run.number)<<permitNumberShift
		if h.run.precedes(began) {
			p.tag |= permitIndependent
		}
	}
}

// freePlace gives the place of a slow start back, if the call has one there.
func (b *Breaker) freePlace(p *Permit) {
	if h := b.history; h != nil && h.phase != nil && generationOf(p.tag^b.generation()) == 0 {
		h.phase.free(*p)
		p.tag &^= permitPlace
	}
}

// Elapsed returns the time since Allow, or since Sent, up to Answered if that was
// called. It is zero while the call is being sent, where no rule and no hook needed
// the clock, and once the call has ended.
func (p *Permit) Elapsed() time.Duration {
	if p.b == nil {
		return 0
	}
	now := p.b.shared.now()
	if p.more != nil && p.more.sending != nil {
		if at := p.more.sending.state.Load(); at > 0 {
			return time.Duration(now - at)
		}
		return 0
	}
	return time.Duration(p.took(now))
}

// Probe reports whether the call was let through to test a half-open circuit.
func (p *Permit) Probe() bool { return p.tag&permitProbe != 0 }

// began is when a call that is not answered began, if it was timed then: before it was sent.
func (p Permit) began() int64 {
	if p.more != nil {
		return p.more.began
	}
	return p.start
}

func (p Permit) took(now int64) int64 {
	switch {
	case p.tag&permitTimed == 0:
		return 0
	case p.tag&permitAnswered != 0:
		return p.start
	default:
		return now - p.start
	}
}

// verdict is how a call has ended.
type verdict struct {
	outcome Outcome
	err     error
	trip    time.Duration // if positive, open the circuit for so long
	reason  string        // of trip
	nests   bool          // the call had another one inside of it, which was rejected
}

func (p *Permit) end(v verdict) {
	b := p.b
	if b == nil {
		return
	}
	p.sent()
	p.b = nil
	if v.outcome > Failure {
		v.outcome = Ignored // there is no such outcome
	}
	b.lock()
	now := b.shared.now()
	call, askTrip := b.settle(p, v, now)
	b.unlock()
	if askTrip {
		b.askTrip(p.tag)
	}
	if o := b.shared.observing(); o != nil && o.failed && call.Outcome == Failure {
		b.shared.tellFailed(call)
	}
	if p.more != nil && p.more.ctx != nil {
		call.Began = b.shared.time(p.more.began)
		b.shared.tellDone(p.more.ctx, call)
	}
}

// settle books the end of a call. It reports whether the Trip rule is to be asked.
func (b *Breaker) settle(p *Permit, v verdict, now int64) (c Call, askTrip bool) {
	b.expireProbes(now)
	r := b.rules.Load()
	took := p.took(now)
	c = Call{
		Key:      b.key,
		Outcome:  v.outcome,
		Err:      v.err,
		Duration: time.Duration(took),
		Slow:     r.SlowCall > 0 && took >= int64(r.SlowCall),
		Probe:    p.Probe(),
		Late:     generationOf(p.tag^b.generation()) != 0,
	}
	answered := p.tag&permitAnswered != 0
	if p.tag&permitBypass != 0 {
		b.history.bypass.end(c, answered)
		return c, false
	}
	b.pace.rest(now)
	b.freePlace(p)
	b.ended.Add(1)
	if answered {
		b.at(p.stripe()).answers.Add(^uint64(0))
	}
	if c.Late {
		h := b.remember()
		h.totals.Late++
		if !answered {
			h.lateEnds++
		}
		if v.outcome == Success {
			b.lateSuccess(*p, now)
		}
		return c, false
	}
	counts := b.mode != Disabled
	if c.Slow || c.Outcome != Success {
		h := b.remember()
		h.totals.add(c)
		if c.Outcome == Failure && counts {
			h.lastErr = v.err
		}
	}
	if !counts {
		return c, false
	}
	if c.Outcome == Success && p.tag&permitTimed != 0 {
		b.pace.took(took, now)
	}
	phase := b.past().phase
	switch {
	case v.outcome == Ignored:
		b.history.run.left(*p)
		switch s := phase.(type) {
		case *probing:
			s.end(p.number())
			if v.nests {
				s.nested = min(s.nested+1, mostNested)
			}
		case *starting:
			if v.nests {
				s.limit = max(s.limit, 1+mostNested)
			}
		}
	case phase != nil:
		phase.settle(b, *p, c, v, now)
	default:
		b.settleCounted(*p, c, v, now)
	}
	if b.lookDue(now) {
		b.look(now)
	}
	_, isShedding := phase.(*shedding)
	asks := v.outcome != Ignored && (v.outcome == Failure || c.Slow) && (phase == nil || isShedding)
	return c, asks && r.Trip != nil
}

// add counts the end of a call. Successes are reckoned, see succeeded.
func (t *Totals) add(c Call) {
	if c.Slow {
		t.Slow++
	}
	switch c.Outcome {
	case Failure:
		t.Failures++
	case Ignored:
		t.Ignored++
	}
}

// end counts the end of a call that bypassed.
func (y *bypassing) end(c Call, answered bool) {
	if answered {
		y.answered--
	} else {
		y.inFlight--
	}
	switch {
	case c.Late:
		y.totals.Late++
		return
	case c.Outcome == Success:
		y.totals.Successes++
	}
	y.totals.add(c)
}
