package breaker

import "sync/atomic"

// Sending is a call that its caller has not sent whole, such as a streamed upload. It is
// safe for use by another goroutine than its Permit's.
type Sending struct {
	b     *Breaker
	tag   uint64
	state atomic.Int64 // 0: sending; when it was sent; or sendingEnded
}

const sendingEnded = -1

// Sending says that it is the caller's turn: until Sent is called the call is neither
// timed nor waiting, so that a slow caller convicts nobody, and has no place in a slow
// start. A probe that is not sent within a second makes way for another one. It is not in
// Snapshot.InFlight meanwhile. A call that ends or is answered before was not slow.
// It allocates.
func (p *Permit) Sending() *Sending {
	s := &Sending{b: p.b, tag: p.tag}
	if p.b == nil || p.tag&permitAnswered != 0 || p.more != nil && p.more.sending != nil {
		s.state.Store(sendingEnded)
		return s
	}
	if p.more == nil {
		p.more = &more{began: p.start}
	}
	p.more.sending = s
	p.tag |= permitSlow
	s.wait(-1, p.start)
	return s
}

// wait adds the call to those that were admitted, as of at, or takes it out for a while that
// began at its start. Where its generation has passed, those of the present one stay as
// they are.
func (s *Sending) wait(n, at int64) {
	b := s.b
	b.lock()
	defer b.unlock()
	if s.tag&permitBypass != 0 {
		b.history.bypass.inFlight += int(n)
		return
	}
	now := b.shared.now()
	b.expireProbes(now)
	if n > 0 && b.lookDue(now) {
		b.look(now) // which takes calls for admitted before it
	}
	b.admitted.Add(uint64(n))
	if generationOf(b.generation()^s.tag) != 0 {
		b.remember().lateEnds -= uint64(n)
		return
	}
	switch phase := b.past().phase.(type) {
	case *probing:
		since := now
		if n > 0 {
			since = 0
		}
		phase.send(Permit{tag: s.tag}.number(), since, at)
	case *starting:
		switch {
		case s.tag&permitPlace == 0:
		case n < 0:
			phase.places.free(at)
		default:
			phase.places.expire(at)
			phase.places.take(at)
		}
	}
}

// Sent says that the call is sent, and begins its time. Only the first call has an
// effect, and none after the Permit was answered or has ended.
func (s *Sending) Sent() {
	if s.b == nil {
		return
	}
	if now := s.b.shared.now(); s.state.CompareAndSwap(0, now) {
		s.wait(1, now)
	}
}

// sent ends the time of sending.
func (p *Permit) sent() {
	if p.more == nil || p.more.sending == nil {
		return
	}
	s := p.more.sending
	p.more.sending = nil
	at := s.state.Swap(sendingEnded)
	if at == 0 {
		at = p.b.shared.now()
		s.wait(1, at)
	}
	p.start = at
	p.tag |= permitTimed
}
