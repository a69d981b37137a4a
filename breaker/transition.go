package breaker

import (
	"cmp"
	"fmt"
	"math"
	"math/rand/v2"
	"time"
)

// effective is the state that callers meet.
func (b *Breaker) effective() State {
	switch b.mode {
	case ForceOpen:
		return Open
	case Disabled:
		return Closed
	}
	return b.state
}

// open opens the circuit for as long as the rules say.
func (b *Breaker) open(at int64, reason string) {
	r := b.rules.Load()
	spread := max(0, r.Jitter) * (2*rand.Float64() - 1)
	g := gate{until: after(at, jittered(backoff(r.OpenFor, r.MaxOpenFor, b.level), spread))}
	g.early = g.until
	if r.BusyCalls > 0 {
		g.early, g.busy = after(at, jittered(r.OpenFor, spread)), b.rejected.Load()+uint64(r.BusyCalls)
	}
	if b.level < math.MaxUint8 {
		b.level++
	}
	b.openUntil(at, g, reason)
}

// backoff doubles d once for each level, up to limit.
func backoff(d, limit time.Duration, level uint8) time.Duration {
	for ; level > 0 && d < limit; level-- {
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

// after returns t + d, or never if that cannot be told.
func after(t int64, d time.Duration) int64 {
	if int64(d) > never-t {
		return never
	}
	return t + int64(d)
}

// openFor opens the circuit for d, or lets an open one be open for so long.
func (b *Breaker) openFor(at int64, d time.Duration, reason string) {
	until := after(at, d)
	b.openUntil(at, gate{until: until, early: until}, reason)
}

// openAtLeast does the same, but for no less than it is open already.
func (b *Breaker) openAtLeast(at int64, d time.Duration, reason string) {
	g := gate{until: after(at, d), early: after(at, d)}
	if b.state == Open {
		was := b.phase.gate
		if g.early <= was.early {
			return
		}
		g.until, g.busy = max(g.until, was.until), was.busy
	}
	b.openUntil(at, g, reason)
}

func (b *Breaker) openUntil(at int64, g gate, reason string) {
	reason = cmp.Or(reason, "tripped without a reason")
	g.err = &OpenError{Key: b.key, State: Open, Mode: b.mode, Reason: reason, Since: b.env.time(at), Last: b.lastErr}
	if b.state == Open {
		g.err.Since = b.phase.err.Since
	}
	if g.until != never {
		g.err.Until = b.env.time(g.until)
	}
	b.phase = &phase{gate: g, cause: reason}
	if b.state == Open {
		b.reason = reason
		b.setGate()
		return
	}
	b.enter(Open, at, reason)
}

// halfOpen lets the first probes through.
func (b *Breaker) halfOpen(at int64) {
	cause := b.phase.cause
	reason := "being probed after: " + cause
	b.phase = &phase{cause: cause, gate: gate{err: &OpenError{
		Key: b.key, State: HalfOpen, Mode: b.mode, Reason: reason, Since: b.env.time(at), Last: b.lastErr,
	}}}
	b.enter(HalfOpen, at, reason)
}

// reopen opens a half-open circuit again.
func (b *Breaker) reopen(at int64, why string) {
	cause := b.phase.cause
	b.open(at, why+", after: "+cause)
	b.phase.cause = cause
}

// settleProbe judges a half-open circuit by the end of one of its probes.
func (b *Breaker) settleProbe(p *Permit, c Call, v verdict, now int64) {
	b.phase.endProbe(p.number())
	r := b.rules.Load()
	switch {
	case c.Outcome == Failure:
		b.reopen(now, "a probe failed")
		if v.trip > 0 {
			b.openAtLeast(now, v.trip, v.reason)
		}
	case c.Outcome == Success && c.Slow:
		b.reopen(now, fmt.Sprintf("a probe took %s, which is slow", roundDuration(c.Duration)))
	case c.Outcome == Success:
		b.phase.good++
		if b.phase.good >= r.ProbeSuccesses {
			b.close(now, plural(b.phase.good, "probe")+" succeeded")
		}
	}
}

func (p *phase) endProbe(number uint16) {
	for i := range p.probes {
		if p.probes[i].number == number {
			p.probes = append(p.probes[:i], p.probes[i+1:]...)
			return
		}
	}
}

// expireProbes reopens a half-open circuit one of whose probes is out for too
// long, as of the moment when its time was over.
func (b *Breaker) expireProbes(now int64) {
	if b.state != HalfOpen {
		return
	}
	first := int64(never)
	for _, p := range b.phase.probes {
		first = min(first, p.until)
	}
	if first <= now {
		b.reopen(first, "a probe had no outcome in time")
	}
}

// close closes the circuit, with a ramp if there is to be one.
func (b *Breaker) close(at int64, reason string) {
	b.phase = nil
	if ramp := b.rules.Load().Ramp; ramp > 0 {
		b.phase = &phase{gate: gate{until: after(at, ramp)}, began: at, credit: 1 - rampStart}
	}
	b.forget(at, reason)
}

// forget closes the circuit and forgets counts, run and backoff.
func (b *Breaker) forget(at int64, reason string) {
	b.run, b.level, b.lastErr = 0, 0, nil
	b.enter(Closed, at, reason)
	b.window.buckets = [windowBuckets]bucket{}
	if b.calls != nil {
		b.calls = newCallWindow(len(b.calls.calls))
	}
}

const rampStart = 0.1

// rampReject returns the error for a call that a ramp does not admit, or nil.
func (b *Breaker) rampReject(now int64) *OpenError {
	p := b.phase
	if p == nil {
		return nil
	}
	if now >= p.until {
		b.phase = nil
		b.publish(false)
		return nil
	}
	share := rampStart + (1-rampStart)*float64(now-p.began)/float64(p.until-p.began)
	if p.credit += share; p.credit >= 1 {
		p.credit--
		return nil
	}
	reason := fmt.Sprintf("ramping up, %d %% admitted", int(share*100))
	if p.err == nil || p.err.Reason != reason || p.err.Mode != b.mode {
		p.err = &OpenError{
			Key: b.key, State: Closed, Mode: b.mode, Reason: reason,
			Since: b.env.time(p.began), Until: b.env.time(p.until),
		}
	}
	return p.err
}

// enter begins a generation in the state to. The phase must be set already.
func (b *Breaker) enter(to State, at int64, reason string) {
	before, counts := b.effective(), b.count(at).Counts
	b.state, b.reason = to, reason
	b.met(before, at, reason, counts)
	b.setGate()
	b.publish(true)
}

// met does what is due when callers meet another state than before.
func (b *Breaker) met(before State, at int64, reason string, counts Counts) {
	now := b.effective()
	if now == before {
		return
	}
	if before == Open {
		b.totals.OpenTime += time.Duration(at - b.since)
	}
	if now == Open {
		b.totals.Opened++
	}
	rejected := b.rejected.Load()
	if b.env.observing().wantTransitions() {
		b.queue = b.queue.add(Transition{
			Key: b.key, From: before, To: now, At: b.env.time(at), Until: b.until(),
			Reason: reason, Counts: counts, Rejected: rejected - b.totals.Rejected,
		})
	}
	b.since, b.totals.Rejected = at, rejected
}

// until is when an open circuit is probed, or zero.
func (b *Breaker) until() (t time.Time) {
	if b.effective() == Open && b.mode != ForceOpen {
		t = b.phase.err.Until
	}
	return t
}

// setGate lets calls be rejected without the lock while that is all there is to
// do.
func (b *Breaker) setGate() {
	switch {
	case b.mode == ForceOpen:
		b.gate.Store(&gate{until: never, early: never, err: &OpenError{
			Key: b.key, State: Open, Mode: ForceOpen, Reason: b.modeReason(),
			Since: b.env.time(b.since), Last: b.lastErr,
		}})
	case b.mode == Enforce && b.state == Open:
		b.gate.Store(&b.phase.gate)
	default:
		b.gate.Store(nil)
	}
}

// publish lets Breaker.word say what calls have to look at, in the next
// generation if so wanted.
func (b *Breaker) publish(next bool) {
	var flags uint64
	observed := b.env.observing().wantCalls()
	if !observed && (b.mode == Disabled || b.mode != ForceOpen && b.state == Closed && b.phase == nil) {
		flags = admitPlain
		if b.timesCalls() {
			flags = admitTimed
		}
	}
	if !observed && b.mode <= Observe && b.state == Closed && b.run == 0 && b.calls == nil {
		flags |= countFast
	}
	if next {
		b.inflight.Store(nil)
	}
	for {
		word := b.word.Load()
		gen := word >> generationShift
		if next {
			gen++
		}
		if b.word.CompareAndSwap(word, gen<<generationShift|flags) {
			b.addSuccesses(word & countMask)
			return
		}
	}
}

// queue holds the transitions that observers have not been told of yet.
type queue struct {
	list    []Transition
	telling bool // some goroutine is at it
}

func (q *queue) add(t Transition) *queue {
	if q == nil {
		q = new(queue)
	}
	q.list = append(q.list, t)
	return q
}

// claim reports whether the caller has to tell.
func (q *queue) claim() bool {
	if q == nil || q.telling || len(q.list) == 0 {
		return false
	}
	q.telling = true
	return true
}

// tell tells the observers of transitions until there are no more. Only one
// goroutine does so at a time, which keeps them in order.
func (b *Breaker) tell() {
	finished := false
	defer func() {
		if !finished { // a hook has ended this goroutine: tell the rest on its way out
			b.tell()
		}
	}()
	for {
		b.mu.Lock()
		if len(b.queue.list) == 0 {
			b.queue = nil
			b.mu.Unlock()
			finished = true
			return
		}
		t := b.queue.list[0]
		b.queue.list = b.queue.list[1:]
		b.mu.Unlock()
		b.env.stateChanged(t)
	}
}
