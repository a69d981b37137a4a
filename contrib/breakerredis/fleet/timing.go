package fleet

import (
	"time"
)

const (
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

// schedule sets when the node has to say more, if nothing happens meanwhile.
func (c *circuit) schedule(now time.Time, f *Fleet) {
	v := c.verdict
	switch {
	case v.Incident != 0:
		c.checks = 0
		c.next = now.Add(spread(c.reconcile(f)))
	case c.opinion == Bad && c.checks < firstBad && (c.checks > 0 || v.Bad <= firstBad):
		wait := Doubt << c.checks
		c.checks++
		c.next = now.Add(min(max(wait-v.Age, flushEvery), votedEvery))
	case c.opinion == Bad || c.opinion == Good && v.Suspected:
		c.next = now.Add(spread(c.renew()))
	default:
		c.next = time.Time{}
	}
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
