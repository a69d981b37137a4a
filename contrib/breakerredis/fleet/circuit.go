package fleet

import (
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/seed-0b728cf8/httpbreaker/breaker"
)

const (
	// runSuspicious is the run of failures that makes a node suspect a host. Two
	// come too often by chance in a large fleet.
	runSuspicious = 3
	// goodFor is how long a success speaks for a host.
	goodFor = 5 * time.Second
	// watchFor is how long a node watches a circuit after it was last asked.
	watchFor = 2 * AskAgain
	// firstBad is how many of the first bad nodes see to it that there is a
	// verdict as soon as there can be.
	firstBad = 4
	// misledFor is how long a hint that proved wrong lets others wait.
	misledFor = time.Second

	// recoverWithin spreads the nodes' own probes after an incident.
	recoverWithin = 1500 * time.Millisecond

	watchClosely, watchLoosely = 50 * time.Millisecond, 250 * time.Millisecond
	votedEvery, votedRarely    = 2500 * time.Millisecond, 10 * time.Second
	reconcileOften, seldom     = 500 * time.Millisecond, 5 * time.Second
	// reconcileEach lets all nodes together reconcile 200 times a second.
	reconcileEach = 5 * time.Millisecond
	// busyHosts is the number of hosts in trouble from which on nodes reconcile
	// less often.
	busyHosts = 10
)

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
	run := s.Counts.ConsecutiveFailures
	switch {
	case s.Mode >= breaker.ForceOpen:
		c.opinion = None
	case fresh && run == 0 && s.State != breaker.Open:
		c.opinion, c.goodAt = Good, now
	case s.State == breaker.Closed && run >= runSuspicious:
		c.opinion = Bad
	case s.State == breaker.Closed && c.opinion == Bad:
		c.opinion = None
	case s.State == breaker.Open && s.Generation != c.pardoned && (s.Origin == breaker.ByRules || s.Origin == breaker.ByProbe):
		c.opinion = Bad
	}
	if s.Generation != c.pardoned {
		c.pardoned = 0
	}
	if c.opinion == Good && (run > 0 || now.Sub(c.goodAt) > goodFor) {
		c.opinion = None
	}
	c.lease.look(now, s)
}

func (c *circuit) leased(now time.Time) bool {
	return now.Before(c.lease.until) && c.lease.outcome == None
}

// over reports whether there is nothing to follow any more.
func (c *circuit) over(now time.Time) bool {
	return c.verdict.Incident == 0 && c.opinion != Bad && !c.overdue && c.pardoned == 0 && c.next.IsZero() && now.Sub(c.first) > watchFor && now.Sub(c.asked) > watchFor
}

// due reports whether the fleet should hear from this node now.
func (c *circuit) due(now time.Time) bool {
	switch {
	case c.lease.outcome != None:
		return true
	case c.opinion == Bad && c.saying != Bad:
		return true
	case c.opinion == Good && c.saying != Good && (c.saying == Bad || !c.asked.IsZero() || c.verdict.Incident != 0):
		return true
	case c.opinion == None && c.saying == Bad:
		return true
	case c.opinion == None && c.saying == Good && now.Sub(c.first) < time.Second:
		return true // it was a call that had begun before the fault
	}
	if c.next.IsZero() || now.Before(c.next) {
		return false
	}
	if c.opinion == Good && c.verdict.Incident == 0 && !c.checked && !c.goodAt.After(c.sent) {
		return false // nothing new to say; wait for the next success
	}
	return true
}

// wake sets when the circuit has to be looked at again, and returns it.
func (c *circuit) wake(now, retry time.Time) time.Time {
	c.at = c.nextLook(now, retry)
	return c.at
}

func (c *circuit) nextLook(now, retry time.Time) time.Time {
	soonest := now.Add(watchFor)
	if c.next.After(now) {
		soonest = c.next
	}
	if c.opinion == Bad && c.saying != Bad || c.lease.outcome != None {
		soonest = now
	}
	if soonest.Before(retry) {
		soonest = retry
	}
	watch := watchLoosely
	switch {
	case c.leased(now), now.Sub(c.asked) < time.Second:
		watch = watchClosely
	case c.opinion == Bad:
		return soonest // hooks tell the rest
	}
	if w := now.Add(watch); w.Before(soonest) {
		return w
	}
	return soonest
}

// report says what the node knows, and takes it for said.
func (c *circuit) report(now time.Time, s breaker.Snapshot, f *Fleet) Report {
	r := Report{
		Key: c.key, Node: f.node, Opinion: c.opinion, TTL: c.ttl(f),
		Rejected: int(min(s.Totals.Rejected-min(c.rejected, s.Totals.Rejected), 1_000_000)),
		Probe:    c.lease.outcome, Round: c.lease.round,
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

// reconcile is how often a node asks while there is an incident.
func (c *circuit) reconcile(f *Fleet) time.Duration {
	load := max(1, (len(f.troubles)+busyHosts-1)/busyHosts)
	every := reconcileEach * time.Duration(min(c.verdict.nodes(), 100_000)*load)
	return min(max(every, reconcileOften), seldom*time.Duration(min(load, 4)))
}

// renew is how often an opinion is repeated while there is none.
func (c *circuit) renew() time.Duration {
	return min(max(reconcileEach*time.Duration(min(c.verdict.nodes(), 100_000)), votedEvery), votedRarely)
}

func (c *circuit) ttl(f *Fleet) time.Duration {
	if c.verdict.Incident != 0 {
		return max(goodFor, 2*c.reconcile(f)+time.Second)
	}
	return 2 * c.renew()
}

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
	c.next = f.nextReport(now, c)
	s := b.Snapshot()
	switch {
	case v.Incident == 0 && was.Incident != 0:
		f.release(c, b, s)
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

// nextReport is when the node has to say more, if nothing happens meanwhile.
func (f *Fleet) nextReport(now time.Time, c *circuit) time.Time {
	v := c.verdict
	switch {
	case v.Incident != 0:
		c.checks = 0
		return now.Add(spread(c.reconcile(f)))
	case c.opinion == Bad && c.checks < firstBad && (c.checks > 0 || v.Bad <= firstBad):
		wait := Doubt << c.checks
		c.checks++
		return now.Add(min(max(wait-v.Age, flushEvery), votedEvery))
	case c.opinion == Bad || c.opinion == Good && v.Suspected:
		return now.Add(spread(c.renew()))
	}
	return time.Time{}
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

// release makes the circuit due when the incident is over.
func (f *Fleet) release(c *circuit, b *breaker.Breaker, s breaker.Snapshot) {
	if s.State == breaker.Open {
		c.pardoned = s.Generation
	}
	if c.opinion == Bad {
		c.opinion = None
	}
	c.saying = c.opinion // the store has forgotten all
	c.next = time.Time{}
	c.overdue = s.State == breaker.HalfOpen
	if s.State == breaker.Open && s.Fleet && !foreign(s) {
		b.Retry(s.Generation, 0)
	}
}

// forgive makes the circuit due that a probe from before the end of the incident
// has opened.
func (f *Fleet) forgive(c *circuit, b *breaker.Breaker, s breaker.Snapshot) {
	if !c.overdue || s.State == breaker.HalfOpen {
		return
	}
	c.overdue = false
	if s.State == breaker.Open && s.Origin == breaker.ByProbe {
		c.pardoned, c.opinion = s.Generation, None
		b.Retry(s.Generation, 0)
	}
}
