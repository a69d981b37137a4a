package breaker

import (
	"cmp"
	"fmt"
	"slices"
	"time"
)

// probing is the state HalfOpen after Open: a few calls are let through as probes, and
// all others are rejected.
type probing struct {
	err    *OpenError
	last   *opening // the opening before it
	out    []leasedProbe
	number uint16 // of the last probe let through
	good   int    // probes that succeeded
	nested int    // probes that were rejected by their own circuit
	lease  time.Duration
}

// mostNested is how many calls inside of one, one in the other, a half-open circuit lets through.
const mostNested = 3

// leasedProbe is a probe whose outcome is awaited until a time.
type leasedProbe struct {
	number   uint16
	until    int64
	answered bool
	sending  int64 // since when, or 0
}

// probe lets the first probes through.
func (b *Breaker) probe(last *opening, at int64) *probing {
	r, h := b.rules.Load(), b.history
	p := &probing{last: last, lease: r.ProbeTimeout}
	if h.outage.hung {
		p.lease = min(p.lease, h.outage.hangFor)
	}
	reason := "being probed after: " + h.cause()
	b.move(p, at, ByProbe, reason, true)
	p.err = b.rejection(HalfOpen, b.since, reason)
	return p
}

func (*probing) state() State                  { return HalfOpen }
func (*probing) share(*Breaker, int64) float64 { return 0 }

// free notes that a probe is answered: it is no failure if it goes on for longer than its
// lease.
func (p *probing) free(permit Permit) {
	for i := range p.out {
		if p.out[i].number == permit.number() {
			p.out[i].answered = true
		}
	}
}

// send notes that the caller sends a probe since then, or not any more if that is 0.
func (p *probing) send(number uint16, since, now int64) {
	for i := range p.out {
		if l := &p.out[i]; l.number == number {
			if l.sending = since; since == 0 {
				l.until = after(now, p.lease)
			}
		}
	}
}

// longSending is how long a probe may take to be sent before it makes way for another one.
const longSending = int64(time.Second)

// taken is how many probes are awaited.
func (p *probing) taken(now int64) (n int) {
	for _, l := range p.out {
		if l.sending == 0 || now-l.sending < longSending {
			n++
		}
	}
	return n
}

func (p *probing) admit(b *Breaker, now int64) (uint64, *OpenError) {
	if p.taken(now) >= b.rules.Load().Probes+p.nested {
		return 0, p.err
	}
	p.number++
	p.out = append(p.out, leasedProbe{number: p.number, until: after(now, p.lease)})
	return permitProbe | uint64(p.number)<<permitNumberShift, nil
}

// end takes back the lease of a probe, if it has one still.
func (p *probing) end(number uint16) (had bool) {
	before := len(p.out)
	p.out = slices.DeleteFunc(p.out, func(l leasedProbe) bool { return l.number == number })
	return len(p.out) < before
}

func (p *probing) settle(b *Breaker, permit Permit, c Call, v verdict, now int64) {
	leased := p.end(permit.number())
	switch {
	case c.Outcome == Failure:
		b.history.outage.expired = false // it answers otherwise by now
		b.openAsked(now, ByProbe, "a probe failed, after: "+b.history.cause(), v)
	case c.Slow:
		b.reopen(now, fmt.Sprintf("a probe took %s, which is slow", roundDuration(c.Duration)))
	case leased: // else its answer has succeeded before
		p.succeed(b, now)
	}
}

func (p *probing) succeed(b *Breaker, now int64) {
	p.good++
	if p.good >= b.rules.Load().ProbeSuccesses {
		b.start(now, plural(p.good, "probe")+" succeeded")
	}
}

// reopen opens a half-open circuit again.
func (b *Breaker) reopen(at int64, why string) {
	b.open(at, ByProbe, why+", after: "+b.history.cause())
}

// expireProbes reopens a circuit one of whose probes is out for too long, as of the
// moment when its time was over.
func (b *Breaker) expireProbes(now int64) {
	p, ok := b.past().phase.(*probing)
	if !ok {
		return
	}
	for len(p.out) > 0 {
		first := slices.MinFunc(p.out, func(a, b leasedProbe) int { return cmp.Compare(a.until, b.until) })
		switch {
		case first.until > now:
			return
		case first.sending != 0: // which says nothing about the peer
			p.end(first.number)
			continue
		case !first.answered:
			if o := b.history.outage; !o.expired {
				o.expired, o.expiredIn, o.lateGood = true, b.generation(), 0
			}
			b.reopen(first.until, "a probe had no outcome in time")
			return
		}
		p.end(first.number)
		p.succeed(b, first.until) // its answer goes on
		if b.past().phase != phase(p) {
			return
		}
	}
}

// succeedLate takes a probe for good whose success comes after its time: the peer answers,
// and takes longer for it than a probe may.
func (b *Breaker) succeedLate(p Permit, now int64) {
	o := b.history.outage
	if !o.expired || int64(generationOf(p.tag)-o.expiredIn) < 0 {
		return
	}
	b.pace.took(p.took(now), now)
	if o.lateGood++; o.lateGood >= b.rules.Load().ProbeSuccesses {
		o.expired = false
		b.start(now, "a probe succeeded after its time")
	}
}
