package breaker_test

import (
	"time"

	"github.com/seed-0b728cf8/httpbreaker/breaker"
)

// What callers and operators do to a model, and how its states change.

// answers is Permit.Answered.
func (m *model) answers(call *modelCall) {
	if !call.answered.IsZero() {
		return
	}
	if call.probe || call.placed {
		m.expireProbes()
	}
	call.wasAnswered = true
	if len(m.run.failed) > 0 && call.generation == m.generation && !call.bypasses {
		call.answeredIn = m.run.number
		call.follows = m.run.precedes(call)
	}
	m.answer(call)
}

// answer stops a call's clock: it is no longer in flight.
func (m *model) answer(call *modelCall) {
	if !call.answered.IsZero() {
		return
	}
	m.send(call)
	call.answered = time.Now()
	call.place = false
}

// sends is Permit.Sending.
func (m *model) sends(call *modelCall) {
	if !call.answered.IsZero() {
		return
	}
	if !call.bypasses {
		m.expireProbes()
	}
	call.sending, call.place, call.sendingSince = true, false, time.Now()
}

// send ends the time of sending.
func (m *model) send(call *modelCall) {
	if !call.sending {
		return
	}
	if !call.bypasses {
		m.expireProbes()
	}
	now := time.Now()
	call.sending, call.sent = false, now
	call.place = call.placed && m.phase == slowlyStarted
	if m.phase == probed {
		call.lease = now.Add(m.lease)
	}
}

// trip is Breaker.Trip.
func (m *model) trip(d time.Duration) {
	m.expireProbes()
	if d <= 0 {
		d = m.cfg.OpenFor
	}
	m.openUntil(time.Now(), time.Now().Add(d), breaker.ByOperator)
}

// hold is Breaker.Hold.
func (m *model) hold(generation uint64, d time.Duration) bool {
	m.expireProbes()
	if m.mode >= breaker.ForceOpen || generation != m.generation || d <= 0 || m.phase.state() == breaker.HalfOpen {
		return false
	}
	origin, until := m.origin, time.Now().Add(d)
	if m.phase == closed {
		origin = breaker.ByFleet
	} else {
		until = later(until, m.opening.until)
	}
	m.fleet = true
	m.openUntil(time.Now(), until, origin)
	return true
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// retry is Breaker.Retry.
func (m *model) retry(generation uint64, d time.Duration) bool {
	if m.mode >= breaker.ForceOpen || generation != m.generation || m.phase != open ||
		m.origin == breaker.ByOperator || m.origin == breaker.ByPeer {
		return false
	}
	m.opening.until = time.Now().Add(max(0, d))
	return true
}

// setMode is Breaker.SetMode with a reason.
func (m *model) setMode(mode breaker.Mode) {
	m.expireProbes()
	from, counts := m.effective(), m.counts()
	if mode != m.mode && (mode >= breaker.ForceOpen || m.mode >= breaker.ForceOpen) {
		m.beginGeneration()
		m.run.end()
	}
	if mode != m.mode {
		m.modeSince = time.Now()
	}
	m.mode, m.modeGiven = mode, true
	m.met(from, time.Now(), breaker.ByOperator, counts)
}

// open opens the circuit for as long as the rules say.
func (m *model) open(at time.Time, origin breaker.Origin) {
	until, demand := at.Add(m.wait(at)), m.demandNow(at)
	m.level++
	m.openUntil(at, until, origin)
	m.lastDemand = demand
}

func (m *model) openUntil(at, until time.Time, origin breaker.Origin) {
	m.opening.until, m.opening.lastErr = until, m.lastErr
	if m.phase == open {
		m.origin = origin
		if n := len(m.transitions); n > 0 && origin == breaker.ByPeer { // the same call has opened it
			m.transitions[n-1].Until, m.transitions[n-1].Origin = m.until(), origin
		}
		return
	}
	m.opening.began, m.opening.rejected = at, m.totals.Rejected
	m.move(open, at, origin, true)
}

// close closes the circuit and forgets what was counted.
func (m *model) close(at time.Time, origin breaker.Origin) {
	m.move(closed, at, origin, true)
	m.clearCounts()
	m.level, m.lastErr = 0, ""
}

// settleDown closes a circuit that has let calls through. Its counts go on.
func (m *model) settleDown(at time.Time, origin breaker.Origin) {
	m.move(closed, at, origin, false)
	m.level, m.lastErr = 0, ""
}

func (m *model) move(to phase, at time.Time, origin breaker.Origin, anew bool) {
	from, counts := m.effective(), m.countsAt(at)
	if m.phase == closed && to != closed {
		m.outage, m.fleet, m.before = at, origin == breaker.ByFleet, m.totals
		m.slowStarts, m.lastDemand, m.expired = 0, 0, 0
		n, failed := m.seen.Calls-counts.Calls, m.seen.Failures-counts.Failures
		if n < 10 {
			inRun := min(len(m.run.failed), counts.Failures)
			n, failed = counts.Calls-inRun, counts.Failures-inRun
		}
		m.usualRate = 0
		if n >= 10 {
			m.usualRate = max(0, float64(failed)/float64(n))
		}
	}
	if m.phase == slowlyStarted {
		m.slowStarts += at.Sub(m.slowStart.began)
	}
	m.phase, m.origin, m.streak = to, origin, 0
	if anew {
		m.beginGeneration()
	}
	m.met(from, at, origin, counts)
	if to == closed {
		m.outage, m.fleet = time.Time{}, false
	}
}

// beginGeneration makes all calls in flight late.
func (m *model) beginGeneration() {
	m.generation++
	m.run.number++
	m.run.marked = time.Time{}
}

// met keeps account of the state that callers meet.
func (m *model) met(from breaker.State, at time.Time, origin breaker.Origin, counts breaker.Counts) {
	to := m.effective()
	if from == to {
		return
	}
	if from == breaker.Open {
		m.totals.OpenTime += at.Sub(m.since)
	}
	if to == breaker.Open {
		m.totals.Opened++
	}
	opened, rejected := m.inOutage()
	m.transitions = append(m.transitions, breaker.Transition{
		Key: "peer", From: from, To: to, Mode: m.mode, Since: m.since, At: at, Until: m.until(), Origin: origin,
		Counts: counts, LastFailure: m.lastErr, Share: m.share(), Generation: m.generation,
		Rejected: m.totals.Rejected - m.rejectedBefore, OutageSince: m.outage, OutageOpened: opened, OutageRejected: rejected,
		Fleet: m.fleet,
	})
	m.since, m.rejectedBefore = at, m.totals.Rejected
}

// inOutage is how often the circuit has opened since it left Closed, and how many calls
// it has rejected.
func (m *model) inOutage() (opened, rejected uint64) {
	if m.outage.IsZero() {
		return 0, 0
	}
	return m.totals.Opened - m.before.Opened, m.totals.Rejected - m.before.Rejected
}

func (m *model) effective() breaker.State {
	switch m.mode {
	case breaker.ForceOpen:
		return breaker.Open
	case breaker.Disabled:
		return breaker.Closed
	}
	return m.phase.state()
}

// until is when an open circuit is probed.
func (m *model) until() time.Time {
	if m.phase == open && m.mode <= breaker.Observe {
		return m.opening.until
	}
	return time.Time{}
}

// share is how much of the calls is let through. That of a slow start is known only
// roughly, see differs.
func (m *model) share() float64 {
	switch {
	case m.mode == breaker.Disabled:
		return 1
	case m.mode == breaker.ForceOpen, m.phase == open, m.phase == probed:
		return 0
	case m.phase == shed && m.enough(m.counts()):
		return m.shedding.share
	}
	return 1
}

// count counts calls that have not ended.
func (m *model) count(which func(*modelCall) bool) (n int) {
	for _, c := range m.calls {
		if which(c) {
			n++
		}
	}
	return n
}
