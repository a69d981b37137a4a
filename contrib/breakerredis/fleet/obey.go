package fleet

import (
	"fmt"
	"time"

	"github.com/seed-0b728cf8/httpbreaker/breaker"
)

// foreign reports whether somebody else than rules and fleet has opened the
// circuit: an operator, or the host itself.
func foreign(s breaker.Snapshot) bool {
	return s.State == breaker.Open && (s.Origin == breaker.ByOperator || s.Origin == breaker.ByPeer)
}

// heed takes account of the verdict on a report.
func (f *Fleet) heed(now time.Time, c *circuit, v Verdict) {
	b, ok := f.set.Lookup(c.key)
	if !ok {
		return
	}
	was := c.verdict
	if v.Incident != 0 && !f.credible(v) {
		v = Verdict{}
	}
	s := b.Snapshot()
	if was.Incident != 0 && v.Incident != was.Incident {
		c.forget(s)
	}
	c.verdict, c.heard = v, now
	if v.Incident != was.Incident || v.Round != was.Round {
		c.moved = now
	}
	if c.checked && v.Incident == 0 {
		c.misled = now.Add(misledFor)
	}
	c.checked = false
	if c.lease.outcome != None || v.Incident == 0 || v.Round != c.lease.round {
		c.lease = lease{}
	}
	c.schedule(now, f)
	switch {
	case v.Incident == 0 && was.Incident != 0:
		release(b, s)
	case v.Lease > 0 && s.State == breaker.Open && !foreign(s):
		c.lease = lease{
			until: now.Add(min(v.Lease, LeaseFor)), round: v.Round, generation: s.Generation,
			successes: s.Totals.Successes, failures: s.Totals.Failures,
		}
		b.Retry(s.Generation, 0)
	default:
		f.obey(now, c, b, s)
	}
	if v.Suspected {
		f.live[c.key] = now
	} else {
		delete(f.live, c.key)
	}
}

// credible reports whether a verdict follows from the opinions that it names, by
// this node's own rules. Others may write to the same store.
func (f *Fleet) credible(v Verdict) bool {
	rules := Rules{MinNodes: f.opts.MinNodes, Quorum: f.opts.Quorum}
	return v.Bad >= 0 && v.Good >= 0 && v.Quiet >= 0 && rules.allow(v.Bad, v.Good)
}

// missed takes account of a report without an answer. What the fleet said last
// holds for no longer than the circuit is held for it.
func (c *circuit) missed(now time.Time, maxOpenFor time.Duration) {
	c.saying, c.next = None, now
	c.lease = lease{}
	if now.Sub(c.heard) > maxOpenFor {
		c.verdict = Verdict{}
	}
}

// obey holds the circuit if the fleet has found its host down.
func (f *Fleet) obey(now time.Time, c *circuit, b *breaker.Breaker, s breaker.Snapshot) {
	v := c.verdict
	hold := min(2*c.reconcile(f)+time.Second, f.opts.MaxOpenFor)
	switch {
	case v.Incident == 0 || now.Sub(c.heard) > hold: // nothing known
		return
	case c.leased(now) || c.lease.outcome != None: // it is this node that tries
		return
	case now.Sub(c.moved) > f.opts.MaxOpenFor: // nobody tries
		return
	case s.State == breaker.HalfOpen || foreign(s):
		return
	case s.State == breaker.Closed && s.Counts.ConsecutiveFailures == 0 && s.Totals.Successes > 0:
		return // it succeeds here; one failure, and it is held
	}
	hold -= now.Sub(c.heard)
	b.Hold(s.Generation, hold, fmt.Sprintf("%d of %d nodes of the fleet cannot reach it", v.Bad, v.Bad+v.Good))
}

// forget drops what belongs to an incident that is over: the failures before it say
// nothing of what comes after.
func (c *circuit) forget(s breaker.Snapshot) {
	if s.State == breaker.Open {
		c.pardoned = s.Generation
	}
	if c.opinion == Bad {
		c.opinion = None
	}
	c.saying = c.opinion // the store has forgotten all
	c.overdue = s.State == breaker.HalfOpen
}

// release makes the circuit due when the incident is over.
func release(b *breaker.Breaker, s breaker.Snapshot) {
	if s.State == breaker.Open && s.Fleet && !foreign(s) {
		b.Retry(s.Generation, 0)
	}
}

// forgive makes the circuit due that a probe from before the end of the incident
// has opened.
func (c *circuit) forgive(b *breaker.Breaker, s breaker.Snapshot) {
	if !c.overdue || s.State == breaker.HalfOpen {
		return
	}
	c.overdue = false
	if s.State == breaker.Open && s.Origin == breaker.ByProbe {
		c.pardoned, c.opinion = s.Generation, None
		b.Retry(s.Generation, 0)
	}
}
