package breaker_test

import (
	"slices"
	"time"

	"github.com/seed-0b728cf8/httpbreaker/breaker"
)

// A model is one breaker as its documentation describes it, made to be obviously right
// and nothing else: it remembers every call and counts all of them again at each step.
// Fuzzing compares the real one with it.
//
// It knows no jitter, no hangs and no concurrency, and reads the bubble's clock. This
// file has the states, model_counts_test.go what they are judged on, and
// model_compare_test.go how the real one is compared.
type model struct {
	cfg  breaker.Config // no zero fields, except for rules that are off
	born time.Time
	mode breaker.Mode

	// What the rules have made of the circuit, whatever the mode shows of it.
	phase      phase
	origin     breaker.Origin
	generation uint64
	outage     time.Time // when it left Closed; zero: it is closed
	fleet      bool
	level      int    // how often the rules opened it in a row
	lastErr    string // of the last failed call
	opening    opening
	streak     int           // successful probes in a row
	lease      time.Duration // that a probe has
	slowStart  slowStart
	shedding   shedding

	since          time.Time // when the state that callers meet began
	rejectedBefore uint64    // until then
	modeGiven      bool      // an operator gave a reason for the mode

	calls    []*modelCall // let through and not ended
	ended    []modelEnd   // since counts were cleared, in order
	answered int          // of those that are answered, how many count: see sees
	cleared  time.Time    // when counts were, or when the window became another
	run      modelRun
	totals   breaker.Totals
	before   breaker.Totals // when the outage began

	// What observers are told.
	transitions []breaker.Transition
	told        breaker.Call // the last that ended
	toldErr     string
}

type phase int

const (
	closed phase = iota
	open
	probed
	slowlyStarted
	shed
)

func (p phase) state() breaker.State {
	return [...]breaker.State{breaker.Closed, breaker.Open, breaker.HalfOpen, breaker.HalfOpen, breaker.HalfOpen}[p]
}

// opening is the present time for which the circuit is open, or the last one.
type opening struct {
	began, until time.Time
	rejected     uint64 // ever, before it
	lastErr      string
}

type slowStart struct {
	limit         float64
	timeout       time.Duration // after which a place is free again, or an eighth later
	enough        int           // successes with no call rejected between them end it
	rejectedAt    time.Time     // the last call, or when it began
	admitted      int           // calls
	rejects       bool          // has rejected calls
	mayGrow       bool          // a call was rejected since the limit grew
	enough        int           // so many successes end it
	gentle        bool          // a call has failed and fewer than 50 have succeeded since
	good          int           // successes since a call was rejected
	row, failures int           // successes since the last failure, and the other way round
}

type shedding struct {
	share  float64
	credit float64
}

// A modelCall was let through.
type modelCall struct {
	generation uint64
	start      time.Time
	sending    bool
	sent       time.Time // zero: when it started
	answered   time.Time // zero: not yet
	answeredIn int       // the run
	watched    bool      // becomes overdue
	probe      bool
	lease      time.Time // of a probe
	proven     bool      // has succeeded as a probe, and goes on
	place      bool      // has one in the slow start
	placed     bool      // had one
	bypasses   bool      // was rejected, and let through under Observe
	unjudged   bool      // was let through when Disabled
}

// waits reports whether the call is in flight.
func (c *modelCall) waits() bool { return c.answered.IsZero() && !c.sending }

// goesOn reports whether the call is answered and one of those that rules see.
func (c *modelCall) goesOn() bool { return !c.answered.IsZero() && !c.bypasses }

// began is when the call's time began.
func (c *modelCall) began() time.Time {
	if !c.sent.IsZero() {
		return c.sent
	}
	return c.start
}

type modelEnd struct {
	at           time.Time
	failed, slow bool
}

// modelRun is the failures since the last success. Calls that are answered meanwhile, and
// go on, may be successes: if some go on for a second, the next failure begins a new run.
type modelRun struct {
	number int // of runs so far
	failed []*modelCall
	began  time.Time // when the first of them ended

	marked      time.Time // when calls that go on were counted last
	goingOn     int       // so many did
	brokenSince int       // so many have ended since, of all that were answered in the run
}

func newModel(cfg breaker.Config) *model {
	now := time.Now()
	return &model{cfg: withModelDefaults(cfg), born: now, since: now, mode: cfg.Mode, modeGiven: cfg.Mode != breaker.Enforce}
}

// allow returns the call that was let through, or nil for a rejected one.
func (m *model) allow() *modelCall {
	m.expireProbes()
	now := time.Now()
	call := &modelCall{start: now, watched: m.cfg.SlowCall > 0}
	rejected := false
	switch m.mode {
	case breaker.ForceOpen:
		rejected = true
	case breaker.Disabled:
		call.unjudged = true
	default:
		rejected = !m.admits(call, now)
	}
	if rejected {
		m.totals.Rejected++
		if m.mode != breaker.Observe {
			return nil
		}
		call.bypasses = true
	}
	call.generation = m.generation
	m.calls = append(m.calls, call)
	return call
}

func (m *model) admits(call *modelCall, now time.Time) bool {
	if m.phase == open && !now.Before(m.opening.until) {
		m.move(probed, now, breaker.ByProbe, true)
		m.lease = m.cfg.ProbeTimeout
	}
	switch m.phase {
	case open:
		return false
	case probed:
		call.probe = m.count(m.isOut) < m.cfg.Probes
		call.lease = now.Add(m.lease)
		return call.probe
	case slowlyStarted:
		s := &m.slowStart
		m.expirePlaces(now)
		call.place = float64(m.places()) < s.limit
		if call.placed = call.place; call.placed {
			s.admitted++
		}
		if !call.place {
			s.rejects, s.mayGrow, s.good, s.rejectedAt = true, true, 0, now
		}
		return call.place
	case shed:
		c := m.counts()
		if c.Calls == 0 {
			m.settleDown(now, breaker.ByRules)
			return true
		}
		s := &m.shedding
		if s.credit += m.share(); s.credit < 1 {
			return false
		}
		s.credit--
	}
	return true
}

// end ends a call. A trip that is positive is Permit.Trip's.
func (m *model) end(call *modelCall, o breaker.Outcome, err string, trip time.Duration) {
	m.expireProbes()
	now := time.Now()
	m.calls = slices.DeleteFunc(m.calls, func(c *modelCall) bool { return c == call })
	m.answer(call)
	slow, late := m.slow(call), call.generation != m.generation
	m.told = breaker.Call{Key: "peer", Outcome: o, Duration: call.answered.Sub(call.began()), Slow: slow, Probe: call.probe, Late: late}
	m.told.Began = call.start
	m.toldErr = err
	if late {
		m.totals.Late++
		return
	}
	if slow {
		m.totals.Slow++
	}
	judged := !call.bypasses && !call.unjudged
	failed := o == breaker.Failure
	switch o {
	case breaker.Success:
		m.totals.Successes++
	case breaker.Failure:
		m.totals.Failures++
		if judged {
			m.lastErr = err
		}
	case breaker.Ignored:
		m.totals.Ignored++
	}
	if !judged {
		return
	}
	if o == breaker.Ignored {
		if m.run.has(call) {
			m.run.brokenSince++
		}
		return
	}
	switch m.phase {
	case probed:
		if failed || slow {
			m.open(now, breaker.ByProbe)
		} else if !call.proven {
			m.probeSucceeded(now)
		}
	case slowlyStarted:
		m.ended = append(m.ended, modelEnd{now, failed, slow})
		m.endInSlowStart(failed, now)
	default:
		m.ended = append(m.ended, modelEnd{now, failed, slow})
		if failed {
			m.run.add(call, now, m.goingOn())
		} else {
			m.run.end()
		}
		m.judge(failed || slow, trip > 0, now)
	}
	if trip > 0 && (m.phase != open || now.Add(trip).After(m.opening.until)) {
		m.openUntil(now, now.Add(trip), breaker.ByPeer)
	}
}

// judge applies the rules after a call that was judged has ended, bad or not. If it was a
// Permit.Trip, which opens the circuit anyway, rules can only make that longer.
func (m *model) judge(bad, trips bool, now time.Time) {
	c := m.counts()
	sheds, share := (m.phase == shed || bad) && m.sheds(), m.shareOf(c)
	switch {
	case bad && m.rulesOpen(now):
		m.open(now, breaker.ByRules)
	case m.phase == shed && m.calm() && !trips:
		m.settleDown(now, breaker.ByRules)
	case sheds && (share < m.cfg.ProbeShare || c.Failures == c.Calls+c.Answered):
		m.open(now, breaker.ByRules)
	case sheds && !trips:
		if m.phase == closed {
			m.shedding = shedding{share: share, credit: 1}
			m.move(shed, now, breaker.ByRules, false)
		}
		m.shedding.share = share
	}
	if bad && !trips && m.phase != open && m.cfg.Trip != nil && m.cfg.Trip(m.counts()) {
		m.open(now, breaker.ByRules)
	}
}

func (m *model) probeSucceeded(at time.Time) {
	if m.streak++; m.streak >= m.cfg.ProbeSuccesses {
		m.start(at)
	}
}

// start begins the slow start after good probes.
func (m *model) start(now time.Time) {
	demand := m.demand(now)
	if m.cfg.SlowStart < 0 || demand < 1 {
		m.close(now, breaker.ByProbe)
		return
	}
	m.move(slowlyStarted, now, breaker.ByProbe, true)
	m.slowStart = slowStart{
		limit:      min(float64(m.cfg.SlowStart), max(2, demand/10)),
		enough:     int(min(2*demand, 50)),
		timeout:    m.cfg.ProbeTimeout,
		enough:     50,
		rejectedAt: now,
	}
	m.clearCounts()
	m.level = 0
}

func (m *model) endInSlowStart(failed bool, now time.Time) {
	s := &m.slowStart
	if failed {
		if s.row < 10 { // more, and it was a chance
			s.limit = max(1, s.limit/2)
			s.good = 0
		}
		s.gentle, s.row = true, 0
		if s.failures++; s.failures >= 5 {
			m.open(now, breaker.ByProbe)
		}
		return
	}
	s.failures = 0
	s.good++
	s.row++
	if s.row >= 50 {
		s.gentle = false
	}
	if s.mayGrow {
		s.mayGrow = false
		if s.gentle {
			s.limit += 1 / s.limit
		} else {
			s.limit++
		}
	}
	if s.good >= s.enough && now.Sub(s.rejectedAt) >= time.Second {
		m.settleDown(now, breaker.ByProbe)
	}
}

// places is how many calls have a place in the slow start.
func (m *model) places() int {
	return m.count(func(c *modelCall) bool { return c.place && c.generation == m.generation })
}

// expirePlaces takes places back, in steps of an eighth of the timeout. The breaker's
// clock begins at 2⁶⁰ ns.
func (m *model) expirePlaces(now time.Time) {
	step := func(t time.Time) int64 { return (1<<60 + int64(t.Sub(m.born))) / int64(m.slowStart.timeout/8) }
	for _, c := range m.calls {
		c.place = c.place && step(now)-step(c.start) <= 8
	}
}

// expireProbes ends probes whose time is over, as of that moment: one that is answered is
// good, however long it goes on, and any other reopens the circuit.
func (m *model) expireProbes() {
	for m.phase == probed {
		var first *modelCall
		for _, c := range m.calls {
			if m.isOut(c) && (first == nil || c.lease.Before(first.lease)) {
				first = c
			}
		}
		switch {
		case first == nil || time.Now().Before(first.lease):
			return
		case first.answered.IsZero():
			m.open(first.lease, breaker.ByProbe)
		default:
			first.proven = true
			m.probeSucceeded(first.lease)
		}
	}
}

// isOut reports whether the call is a probe about which nothing is known.
func (m *model) isOut(c *modelCall) bool {
	return c.probe && !c.proven && c.generation == m.generation
}

// answers is Permit.Answered.
func (m *model) answers(call *modelCall) {
	if !call.answered.IsZero() {
		return
	}
	if call.probe || call.placed {
		m.expireProbes()
	}
	if len(m.run.failed) > 0 && call.generation == m.generation && !call.bypasses {
		call.answeredIn = m.run.number
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
func (m *model) sends(call *modelCall) { call.sending = call.answered.IsZero() }

// send ends the time of sending.
func (m *model) send(call *modelCall) {
	if call.sending {
		call.sending, call.sent = false, time.Now()
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
	m.mode, m.modeGiven = mode, true
	m.met(from, time.Now(), breaker.ByOperator, counts)
}

// open opens the circuit for as long as the rules say.
func (m *model) open(at time.Time, origin breaker.Origin) {
	until := at.Add(m.wait(at))
	m.level++
	m.openUntil(at, until, origin)
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
