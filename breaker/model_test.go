package breaker_test

import (
	"math"
	"slices"
	"time"

	"github.com/seed-0b728cf8/httpbreaker/breaker"
)

// A model is one breaker as its documentation describes it, made to be obviously right
// and nothing else: it remembers every call and counts all of them again at each step.
// Fuzzing compares the real one with it.
//
// It knows no jitter, no hangs and no concurrency, and reads the bubble's clock. This
// file has the states and what calls do, model_moves_test.go what operators do and how
// states change, model_counts_test.go what they are judged on, and
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

	// Of the outage.
	usualRate  float64       // of failures, before the window
	slowStarts time.Duration // of those that are over
	lastDemand float64       // when it opened last
	expired    uint64        // 1 more than the generation of the first probe that had no outcome in time since one failed
	lateGood   int           // probes that have succeeded after their time

	seen breaker.Counts // calls that the rules have seen

	since          time.Time // when the state that callers meet began
	modeSince      time.Time // when the mode was set
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
	gentle        bool          // a call has failed and fewer than 75 have succeeded since
	calls, failed int           // of the present round
	rounds        int           // before it
	began         time.Time
	good          int // successes since a call was rejected
	row, failures int // successes since the last failure, and the other way round
}

type shedding struct {
	share  float64
	credit float64
}

// A modelCall was let through.
type modelCall struct {
	generation   uint64
	start        time.Time
	sending      bool
	sendingSince time.Time
	sent         time.Time // zero: when it started
	answered     time.Time // zero: not yet
	wasAnswered  bool      // before it ended
	answeredIn   int       // the run
	follows      bool      // the first failure of its run
	watched      bool      // becomes overdue
	probe        bool
	lease        time.Time // of a probe
	proven       bool      // has succeeded as a probe, and goes on
	place        bool      // has one in the slow start
	placed       bool      // had one
	bypasses     bool      // was rejected, and let through under Observe
	unjudged     bool      // was let through when Disabled
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
	began  time.Time     // when the first of them ended
	last   time.Time     // when the last of them did
	asleep time.Duration // of the time between, what does not count

	marked      time.Time // when calls that go on were counted last
	goingOn     int       // so many did
	brokenSince int       // so many have ended since, of all that were answered in the run
}

func newModel(cfg breaker.Config) *model {
	now := time.Now()
	return &model{cfg: withModelDefaults(cfg), born: now, since: now, modeSince: now, mode: cfg.Mode, modeGiven: cfg.Mode != breaker.Enforce}
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
		call.probe = m.count(func(c *modelCall) bool {
			return m.isOut(c) && (!c.sending || now.Sub(c.sendingSince) < time.Second)
		}) < m.cfg.Probes
		call.lease = now.Add(m.lease)
		return call.probe
	case slowlyStarted:
		if m.slowStarts+now.Sub(m.slowStart.began) >= 3*time.Minute {
			m.settleDown(now, breaker.ByProbe)
			return true
		}
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
		if o == breaker.Success && !call.bypasses {
			m.succeedLate(call, now)
		}
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
		if !call.bypasses {
			m.seen.Calls++
		}
	case breaker.Failure:
		m.totals.Failures++
		if !call.bypasses {
			m.seen.Calls++
			m.seen.Failures++
		}
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
			if failed {
				m.expired = 0
			}
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
			m.run.add(call, now, m.goingOn(), m.cfg)
		} else if !call.wasAnswered || m.run.has(call) {
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
	if m.cfg.SlowStart < 0 || demand < 1 || m.slowStarts >= 3*time.Minute {
		m.close(now, breaker.ByProbe)
		return
	}
	m.move(slowlyStarted, now, breaker.ByProbe, true)
	m.slowStart = slowStart{
		limit:      min(float64(m.cfg.SlowStart), max(2, demand/10)),
		enough:     int(min(2*demand, 50)),
		timeout:    m.cfg.ProbeTimeout,
		rejectedAt: now,
		began:      now,
	}
	m.clearCounts()
	m.level = 0
}

func (m *model) endInSlowStart(failed bool, now time.Time) {
	s := &m.slowStart
	n := max(10, s.limit)
	if float64(s.calls) >= n {
		s.calls, s.failed = 0, 0
		s.rounds++
	}
	s.calls++
	if failed {
		s.failed++
		least := 1.0
		if s.rounds == 0 && s.calls < 10 {
			least = float64(s.calls) / 10
		}
		if float64(s.failed) > max(m.usualRate*n+3.5*math.Sqrt(m.usualRate*(1-m.usualRate)*n), least) {
			s.limit = max(1, s.limit/2)
			s.good, s.calls, s.failed = 0, 0, 0
			s.rounds++
		}
		s.gentle, s.row = true, 0
		s.failures++
		byChance := m.cfg.Chance > 0 && math.Pow(m.usualRate, float64(s.failures)) > m.cfg.Chance
		if s.failures >= 5 && !byChance {
			m.open(now, breaker.ByProbe)
		}
		return
	}
	s.failures = 0
	s.good++
	s.row++
	if s.row >= 75 {
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
		c.place = c.place && step(now)-step(c.began()) <= 8
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
		case first.sending:
			first.proven = true // it says nothing any more, except by a failure
		case first.answered.IsZero():
			if m.expired == 0 {
				m.expired, m.lateGood = m.generation+1, 0
			}
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

// succeedLate is about a success of a generation that has passed.
func (m *model) succeedLate(call *modelCall, now time.Time) {
	if !call.probe || m.expired == 0 || call.generation+1 < m.expired || m.phase == closed || m.phase == slowlyStarted ||
		m.origin != breaker.ByRules && m.origin != breaker.ByProbe {
		return
	}
	if m.lateGood++; m.lateGood >= m.cfg.ProbeSuccesses {
		m.expired = 0
		m.start(now)
	}
}
