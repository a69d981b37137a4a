package breaker

import (
	"cmp"
	"math"
	"math/rand/v2"
	"time"
)

// opening is the state Open: every call is rejected until a time that is fixed when it
// begins. The first call after that is a probe. It is immutable, since calls are
// rejected by it without the lock.
type opening struct {
	err    *OpenError
	began  int64
	until  int64
	before uint64 // calls rejected before it
}

func (*opening) state() State                                  { return Open }
func (*opening) share(*Breaker, int64) float64                 { return 0 }
func (*opening) free(Permit)                                   {}
func (*opening) settle(*Breaker, Permit, Call, verdict, int64) {} // admits nothing
func (o *opening) rejects(b *Breaker) bool                     { return o.until == never || b.shared.now() < o.until }
func (o *opening) admit(b *Breaker, now int64) (uint64, *OpenError) {
	if now < o.until {
		return 0, o.err
	}
	return b.probe(o, now).admit(b, now)
}

// open opens the circuit for as long as the rules say.
func (b *Breaker) open(at int64, origin Origin, reason string) {
	b.openAsked(at, origin, reason, verdict{})
}

// openAsked is open, for longer if the peer has asked for that.
func (b *Breaker) openAsked(at int64, origin Origin, reason string, v verdict) {
	h := b.remember()
	wait, demand := b.wait(at)
	spread := max(0, b.rules.Load().Jitter) * (2*rand.Float64() - 1)
	if h.level < math.MaxUint8 {
		h.level++
	}
	until := after(at, jittered(wait, spread))
	if asked := after(at, v.trip); asked > until {
		until, origin, reason = asked, ByPeer, v.reason
	}
	b.openUntil(at, until, origin, reason)
	h.outage.demand = demand
}

// The first probe may come after firstShare of the calls that ProbeShare asks for, and
// after firstWait; both grow with each probe that fails.
const (
	firstShare = 0.2
	firstWait  = 100 * time.Millisecond
	fullWait   = 2 * time.Second
	growth     = 1.4
	ageShare   = 200 // of the outage's age
)

// wait is how long to wait for the next probe: until as many calls were rejected as
// ProbeShare asks for, which is reckoned from the rate of calls by now, but no longer
// than OpenFor allows. The rate is not taken to have fallen by more than half since the
// circuit opened last: callers may pause, and this process.
func (b *Breaker) wait(now int64) (wait time.Duration, demand float64) {
	r, h := b.rules.Load(), b.history
	longest := backoff(r.OpenFor, r.MaxOpenFor, h.level)
	demand = b.demand(now)
	if h.outage != nil {
		demand = max(demand, h.outage.demand/2)
	}
	if r.ProbeShare < 0 {
		return longest, demand
	}
	grown := math.Pow(growth, float64(h.level))
	shortest := min(grown*float64(firstWait), float64(fullWait))
	if h.outage != nil {
		shortest = max(shortest, float64(now-h.outage.began)/ageShare)
	}
	calls := min(firstShare*grown, 1) / r.ProbeShare
	due := max(shortest, calls/demand*float64(time.Second))
	if due >= float64(longest) { // also if demand is 0
		return longest, demand
	}
	return time.Duration(due), demand
}

// demand is how many calls came in a second of late: by the counts of the closed
// circuit, or by what was rejected since it opened last.
func (b *Breaker) demand(now int64) float64 {
	var last *opening
	switch p := b.history.phase.(type) {
	case *opening:
		last = p
	case *probing:
		last = p.last
	default:
		b.fold() // or its bucket seems to be empty
		c, _ := b.count(now)
		return b.callRate(c, now)
	}
	span := max(time.Duration(now-last.began), firstWait)
	return float64(b.rejections()-last.before) / span.Seconds()
}

// backoff doubles d once for each level, up to limit.
func backoff(d, limit time.Duration, level uint8) time.Duration {
	for ; level > 0; level-- {
		if d > limit/2 {
			return limit
		}
		d *= 2
	}
	return d
}

// jittered returns d, longer by that share of it, which may be negative.
func jittered(d time.Duration, spread float64) time.Duration {
	more := spread * float64(d)
	if more >= float64(math.MaxInt64-d) {
		return math.MaxInt64
	}
	return d + time.Duration(more)
}

// openUntil opens the circuit, or gives an open one another end.
func (b *Breaker) openUntil(at, until int64, origin Origin, reason string) {
	h := b.remember()
	reason = cmp.Or(reason, "tripped without a reason")
	o := &opening{began: at, until: until, before: b.rejections()}
	if was, open := h.phase.(*opening); open {
		o.began, o.before = was.began, was.before
		h.phase, h.origin, h.reason = o, origin, reason
	} else {
		b.move(o, at, origin, reason, true)
	}
	o.err = b.rejection(Open, b.since, reason)
	if until != never {
		o.err.Until = b.shared.time(until)
	}
}
