package breaker

import "fmt"

// shedding is the state HalfOpen in which a share of the calls is rejected, because a
// share of them fails or hangs. The counts go on as in the closed circuit.
type shedding struct {
	err    *OpenError
	byRate float64 // share let through because of failures
	byHang float64 // share let through because of calls that hang
	credit float64 // of the next call: admitted at 1
}

func (*shedding) state() State { return HalfOpen }
func (*shedding) free(Permit)  {}

// share is all for a rate that is of too few calls by now.
func (s *shedding) share(b *Breaker, now int64) float64 {
	if c, _ := b.count(now); s.byHang == 1 && c.Calls < max(1, b.rules.Load().MinCalls) {
		return 1
	}
	return min(s.byRate, s.byHang)
}

func (s *shedding) admit(b *Breaker, now int64) (uint64, *OpenError) {
	c, _ := b.count(now)
	if c.Calls == 0 && s.byHang == 1 { // nobody has called for a while
		b.stopShedding(now)
		return 0, nil
	}
	if s.credit += s.share(b, now); s.credit >= 1 {
		s.credit--
		return 0, nil
	}
	return 0, s.err
}

func (s *shedding) settle(b *Breaker, p Permit, c Call, v verdict, now int64) {
	b.settleCounted(p, c, v, now)
}

// shedByRate begins to shed, or says how much to let through from now on.
func (b *Breaker) shedByRate(now int64, share float64, reason string) {
	b.shed(now, reason, func(s *shedding) { s.byRate = share })
}

func (b *Breaker) shedByHang(now int64, share float64, reason string) {
	b.shed(now, reason, func(s *shedding) { s.byHang = share })
}

func (b *Breaker) shed(now int64, reason string, set func(*shedding)) {
	h := b.remember()
	s, ok := h.phase.(*shedding)
	if !ok {
		s = &shedding{byRate: 1, byHang: 1, credit: 1}
		set(s)
		b.move(s, now, ByRules, "a share of the calls is rejected: "+reason, false)
	} else {
		set(s)
	}
	reason = fmt.Sprintf("a share of the calls is rejected, %.0f %% are let through: %s", 100*s.share(b, now), reason)
	h.reason = reason
	if s.err == nil || s.err.Reason != reason {
		s.err = b.rejection(HalfOpen, b.since, reason)
	}
}

// stopShedding closes the circuit. The counts go on.
func (b *Breaker) stopShedding(now int64) {
	b.move(nil, now, ByRules, "calls succeed again", false)
	b.settleDown()
}
