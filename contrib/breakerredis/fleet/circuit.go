package fleet

import (
	"math/rand/v2"
	"time"

	"github.com/seed-0b728cf8/httpbreaker/breaker"
)

// runSuspicious is the run of failures that makes a node suspect a host. Two come
// too often by chance in a large fleet.
const runSuspicious = 3

// circuit is a circuit in trouble as one node sees it: of its own calls, or
// because the fleet asks.
type circuit struct {
	key string
	at  time.Time // when it is looked at again, if nothing happens to it

	opinion   Opinion
	goodAt    time.Time // of Good: when the last success was seen
	successes uint64    // seen so far
	pardoned  uint64    // the generation that is open because of an incident that is over, or zero
	first     time.Time // when it came into trouble
	asked     time.Time // when the fleet last asked, or zero

	verdict Verdict
	heard   time.Time // when
	moved   time.Time // when the incident or its round last changed

	sent    time.Time // when the last report was made
	saying  Opinion   // what it said
	next    time.Time // when the next one is due; zero if none is
	checks  int       // how often the verdict was asked for early
	checked bool      // a hint was the reason of the last report
	misled  time.Time // until when hints have to wait

	rejected uint64     // at the last report
	calls    [2]counted // for the rate of calls

	lease lease
	// overdue says that a probe was out when the incident ended: its failure
	// would tell of the past.
	overdue bool
}

// lease is the leave to probe for the fleet.
type lease struct {
	until               time.Time // zero if there is none
	round               int64
	generation          uint64
	successes, failures uint64
	outcome             Opinion // None until it is known
}

// look notices what came of the probe, in time or later.
func (l *lease) look(now time.Time, s breaker.Snapshot) {
	switch {
	case l.until.IsZero() || l.outcome != None:
	case s.Totals.Failures > l.failures, s.State == breaker.Open && s.Origin == breaker.ByProbe && s.Generation != l.generation:
		l.outcome = Bad // the second: it had no outcome in time
	case s.Totals.Successes > l.successes:
		l.outcome = Good
	case now.After(l.until) && s.State != breaker.HalfOpen:
		*l = lease{} // there was no call
	}
}

// counted is a number of calls at one moment.
type counted struct {
	at time.Time
	n  uint64
}

func newCircuit(key string, now time.Time, s breaker.Snapshot) *circuit {
	c := &circuit{key: key, first: now, successes: s.Totals.Successes, rejected: s.Totals.Rejected}
	c.calls[0] = counted{now, callsOf(s.Totals)}
	c.calls[1] = c.calls[0]
	return c
}

func callsOf(t breaker.Totals) uint64 {
	return t.Successes + t.Failures + t.Ignored + t.Late + t.Rejected
}

// hint takes account of what was heard of the circuit.
func (c *circuit) hint(now time.Time, n notes) {
	if n&(noteSuspected|noteOpened) != 0 {
		if c.opinion == Good && !c.verdict.Suspected && now.Sub(c.asked) > misledFor {
			c.opinion, c.saying = None, None // only what comes after the question is an answer
		}
		c.asked = now
	}
	switch {
	case n&noteClosed != 0 && c.verdict.Incident != 0:
		c.next = now.Add(time.Duration(rand.Float64() * float64(recoverWithin)))
	case n&noteOpened != 0 && c.verdict.Incident == 0:
		c.next, c.checked = now, true
		if c.misled.After(now) {
			c.next = c.misled
		}
	}
}

// look forms the node's own opinion, and notices what came of a probe.
func (c *circuit) look(now time.Time, s breaker.Snapshot) {
	fresh := s.Totals.Successes > c.successes
	c.successes = s.Totals.Successes
	run := 0 // while a circuit is open, being probed or in a slow start, its counts stand still
	counts := s.State == breaker.Closed || shedding(s)
	if counts {
		run = s.Counts.ConsecutiveFailures
	}
	switch {
	case s.Mode >= breaker.ForceOpen:
		c.opinion = None
	case fresh && run == 0 && s.State != breaker.Open:
		c.opinion, c.goodAt = Good, now
	case run >= runSuspicious:
		c.opinion = Bad
	case counts && c.opinion == Bad:
		c.opinion = None
	case s.State == breaker.Open && s.Generation != c.pardoned && (s.Origin == breaker.ByRules || s.Origin == breaker.ByProbe):
		c.opinion = Bad
	}
	if c.opinion == Good && (run > 0 || now.Sub(c.goodAt) > goodFor) {
		c.opinion = None
	}
	if s.Generation != c.pardoned {
		c.pardoned = 0
	}
	c.lease.look(now, s)
}

// shedding reports whether a share of the calls is rejected because a share fails.
func shedding(s breaker.Snapshot) bool {
	return s.State == breaker.HalfOpen && s.Origin == breaker.ByRules
}

func (c *circuit) leased(now time.Time) bool {
	return now.Before(c.lease.until) && c.lease.outcome == None
}

// report says what the node knows, and takes it for said.
func (c *circuit) report(now time.Time, s breaker.Snapshot, f *Fleet) Report {
	r := Report{
		Key: c.key, Node: f.node, Opinion: c.opinion, TTL: c.ttl(f),
		Rejected: int(min(s.Totals.Rejected-min(c.rejected, s.Totals.Rejected), 1_000_000)),
		Incident: c.verdict.Incident, Probe: c.lease.outcome, Round: c.lease.round,
		Rules: Rules{MinNodes: f.opts.MinNodes, Quorum: f.opts.Quorum, MaxOpenFor: f.opts.MaxOpenFor},
	}
	if s.State == breaker.Open && !c.leased(now) && s.Mode < breaker.ForceOpen && !foreign(s) {
		r.Rate = c.rate(now, callsOf(s.Totals))
	}
	c.rejected = s.Totals.Rejected
	c.sent, c.saying = now, c.opinion
	return r
}

// rate is how many calls there have been in a second, over the last 10s to 20s
// or since the trouble began.
func (c *circuit) rate(now time.Time, n uint64) float64 {
	if now.Sub(c.calls[1].at) > 10*time.Second || n < c.calls[0].n {
		c.calls[0], c.calls[1] = c.calls[1], counted{now, n}
		if n < c.calls[0].n {
			c.calls[0] = c.calls[1]
		}
	}
	passed := now.Sub(c.calls[0].at).Seconds()
	if passed <= 0 {
		return 0
	}
	return float64(n-c.calls[0].n) / passed
}
