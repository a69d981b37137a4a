package breaker_test

import (
	"fmt"
	"slices"
	"time"

	"github.com/seed-0b728cf8/httpbreaker/breaker"
)

// A model is one breaker as its documentation describes it, made to be
// obviously right and nothing else: it remembers every call and counts all of
// them again at each step. Fuzzing compares the real one with it.
//
// It knows no jitter, no ramp and no concurrency, and reads the bubble's clock.
// Overdue calls are noticed by it at once, where the real breaker takes steps of
// time, and count for SlowRate only.
type model struct {
	cfg  breaker.Config // no zero fields, but for rules that are off
	born time.Time
	mode breaker.Mode

	// The state that the rules have made, whatever the mode shows of it.
	state   breaker.State
	entered time.Time
	until   time.Time // of Open: when it is probed,
	early   time.Time // or from when on, once it has rejected so many calls
	busy    uint64
	// The state that callers meet began then.
	since time.Time

	generation int
	calls      []*modelCall // let through and not ended
	ended      []modelEnd   // since it was last closed, in order
	run        int          // failures since the last success …
	runSince   time.Time    // … the first of which ended then
	streak     int          // successful probes in a row
	backoffs   int          // how often the rules opened it since it was last closed
	looked     time.Time    // when a call last looked for overdue ones
	totals     breaker.Totals
}

// A modelCall was let through.
type modelCall struct {
	generation int
	start      time.Time
	answered   time.Time // zero: not yet
	timed      bool      // SlowCall was on
	watched    bool      // becomes overdue
	probe      bool
	lease      time.Time // of a probe
	uncounted  bool      // let through whatever the state: under Observe or Disabled
}

type modelEnd struct {
	at           time.Time
	failed, slow bool
}

func newModel(cfg breaker.Config) *model {
	now := time.Now()
	return &model{cfg: withModelDefaults(cfg), born: now, entered: now, since: now, mode: cfg.Mode}
}

// withModelDefaults spells the documented defaults out once more.
func withModelDefaults(c breaker.Config) breaker.Config {
	duration := func(d *time.Duration, otherwise time.Duration) {
		if *d == 0 {
			*d = otherwise
		}
	}
	number := func(n *int, otherwise int) {
		if *n == 0 {
			*n = otherwise
		}
	}
	if c.FailureRate == 0 {
		c.FailureRate = 0.5
	}
	if c.SlowRate == 0 {
		c.SlowRate = 0.5
	}
	minCalls := 20
	if c.WindowCalls > 0 && c.WindowCalls < minCalls {
		minCalls = c.WindowCalls
	}
	number(&c.MinCalls, minCalls)
	number(&c.ConsecutiveFailures, 5)
	number(&c.Probes, 1)
	number(&c.ProbeSuccesses, 1)
	duration(&c.Window, 10*time.Second)
	duration(&c.ConsecutiveSpan, time.Second)
	duration(&c.OpenFor, 5*time.Second)
	duration(&c.MaxOpenFor, max(45*time.Second, c.OpenFor))
	duration(&c.ProbeTimeout, 10*time.Second)
	return c
}

// allow returns the call that was let through, or nil for a rejected one.
func (m *model) allow() *modelCall {
	m.expireProbes()
	now := time.Now()
	call := &modelCall{start: now, timed: m.cfg.SlowCall > 0}
	rejected := false
	switch {
	case m.mode == breaker.ForceOpen:
		rejected = true
	case m.mode == breaker.Disabled:
		call.uncounted = true
	default:
		if m.state == breaker.Closed && m.counts().Overdue > 0 && !now.Equal(m.looked) && m.ruleHolds(false) {
			m.open(now)
		}
		m.looked = now
		if m.state == breaker.Open && (!now.Before(m.until) || !now.Before(m.early) && m.totals.Rejected >= m.busy) {
			m.enter(breaker.HalfOpen, now)
		}
		switch m.state {
		case breaker.Open:
			rejected = true
		case breaker.HalfOpen:
			rejected = m.probesOut() >= m.cfg.Probes
			call.probe = !rejected
			call.lease = now.Add(m.cfg.ProbeTimeout)
		case breaker.Closed:
			call.watched = call.timed
		}
	}
	if rejected {
		m.totals.Rejected++
		if m.mode != breaker.Observe {
			return nil
		}
		call.uncounted = true
	}
	call.generation = m.generation
	m.calls = append(m.calls, call)
	return call
}

// done ends a call.
func (m *model) done(call *modelCall, o breaker.Outcome) { m.end(call, o, true) }

// end ends a call, and reports whether it had a say.
func (m *model) end(call *modelCall, o breaker.Outcome, askTrip bool) (counted bool) {
	m.expireProbes()
	now := time.Now()
	m.calls = slices.DeleteFunc(m.calls, func(c *modelCall) bool { return c == call })
	m.answered(call)
	if call.generation != m.generation {
		m.totals.Late++
		return false
	}
	slow := call.timed && m.cfg.SlowCall > 0 && call.answered.Sub(call.start) >= m.cfg.SlowCall
	if slow {
		m.totals.Slow++
	}
	switch o {
	case breaker.Success:
		m.totals.Successes++
	case breaker.Failure:
		m.totals.Failures++
	case breaker.Ignored:
		m.totals.Ignored++
	}
	failed := o == breaker.Failure
	switch {
	case call.uncounted:
		return false
	case o == breaker.Ignored:
	case call.probe && (failed || slow):
		m.open(now)
	case call.probe:
		if m.streak++; m.streak >= m.cfg.ProbeSuccesses {
			m.close(now)
		}
	default:
		m.ended = append(m.ended, modelEnd{now, failed, slow})
		if !failed {
			m.run = 0
		} else if m.run++; m.run == 1 {
			m.runSince = now
		}
		if (failed || slow) && m.ruleHolds(askTrip) {
			m.open(now)
		}
	}
	return true
}

// answered stops a call's clock: it is no longer in flight.
func (m *model) answered(call *modelCall) {
	if call.answered.IsZero() {
		call.answered = time.Now()
	}
}

// permitTrip is Permit.Trip.
func (m *model) permitTrip(call *modelCall, d time.Duration) {
	if !m.end(call, breaker.Failure, d <= 0) || d <= 0 {
		return
	}
	until := time.Now().Add(d)
	if m.state != breaker.Open {
		m.trip(d)
		return
	}
	m.until, m.early = later(m.until, until), later(m.early, until)
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// trip is Breaker.Trip.
func (m *model) trip(d time.Duration) {
	m.expireProbes()
	if d <= 0 {
		d = m.cfg.OpenFor
	}
	if m.state != breaker.Open {
		m.enter(breaker.Open, time.Now())
	}
	m.until = time.Now().Add(d)
	m.early = m.until
}

func (m *model) reset() { m.close(time.Now()) }

func (m *model) setMode(mode breaker.Mode) {
	m.expireProbes()
	forced := func(mode breaker.Mode) bool { return mode == breaker.ForceOpen || mode == breaker.Disabled }
	if mode != m.mode && (forced(mode) || forced(m.mode)) {
		m.generation++
	}
	m.become(time.Now(), func() { m.mode = mode })
}

func (m *model) update(cfg breaker.Config) {
	old := m.cfg.SlowCall
	m.cfg = withModelDefaults(cfg)
	if m.cfg.SlowCall != old {
		for _, c := range m.calls {
			c.watched = false
		}
	}
}

// expireProbes reopens the circuit at the moment at which the first of its
// probes ran out of time.
func (m *model) expireProbes() {
	if m.state != breaker.HalfOpen {
		return
	}
	var first time.Time
	for _, c := range m.calls {
		if c.probe && c.generation == m.generation && (first.IsZero() || c.lease.Before(first)) {
			first = c.lease
		}
	}
	if !first.IsZero() && !time.Now().Before(first) {
		m.open(first)
	}
}

func (m *model) probesOut() (n int) {
	for _, c := range m.calls {
		if c.probe && c.generation == m.generation {
			n++
		}
	}
	return n
}

// open opens the circuit for OpenFor, doubled for each time that the rules have
// done so since it was closed.
func (m *model) open(at time.Time) {
	d := m.cfg.OpenFor
	for range m.backoffs {
		d = min(2*d, m.cfg.MaxOpenFor)
	}
	m.backoffs++
	m.enter(breaker.Open, at)
	m.until = at.Add(d)
	m.early = m.until
}

func (m *model) close(at time.Time) {
	m.enter(breaker.Closed, at)
	m.ended, m.run, m.backoffs = nil, 0, 0
}

func (m *model) enter(s breaker.State, at time.Time) {
	m.become(at, func() { m.state = s })
	m.entered, m.until, m.streak = at, time.Time{}, 0
	m.generation++
}

// become makes a change, and keeps account of the state that callers meet.
func (m *model) become(at time.Time, change func()) {
	before := m.effective()
	change()
	after := m.effective()
	if before == after {
		return
	}
	if before == breaker.Open {
		m.totals.OpenTime += at.Sub(m.since)
	}
	if after == breaker.Open {
		m.totals.Opened++
	}
	m.since = at
}

func (m *model) effective() breaker.State {
	switch m.mode {
	case breaker.ForceOpen:
		return breaker.Open
	case breaker.Disabled:
		return breaker.Closed
	}
	return m.state
}

// window returns the calls on which the rules are judged now.
func (m *model) window() []modelEnd {
	if n := m.cfg.WindowCalls; n > 0 {
		return m.ended[max(0, len(m.ended)-n):]
	}
	var in []modelEnd
	for _, e := range m.ended {
		if m.bucket(e.at) > m.bucket(time.Now())-10 {
			in = append(in, e)
		}
	}
	return in
}

func (m *model) bucket(t time.Time) int64 {
	return int64(t.Sub(m.born) / (m.cfg.Window / 10))
}

func (m *model) counts() (c breaker.Counts) {
	for _, e := range m.window() {
		c.Calls++
		if e.failed {
			c.Failures++
		}
		if e.slow {
			c.Slow++
		}
	}
	for _, call := range m.calls {
		if call.watched && call.generation == m.generation && call.answered.IsZero() &&
			time.Since(call.start) >= m.cfg.SlowCall {
			c.Overdue++
		}
	}
	c.ConsecutiveFailures = m.run
	return c
}

func (m *model) ruleHolds(askTrip bool) bool {
	c := m.counts()
	cfg := m.cfg
	failedIn := map[int64]bool{}
	for _, e := range m.window() {
		if e.failed {
			failedIn[m.bucket(e.at)] = true
		}
	}
	slow, calls := c.Slow+c.Overdue, c.Calls+c.Overdue
	rate := float64(c.Failures) / float64(c.Calls)
	slowRate := float64(slow) / float64(calls)
	switch {
	case cfg.FailureRate > 0 && c.Calls > 0 && c.Calls >= cfg.MinCalls && rate >= cfg.FailureRate &&
		(cfg.WindowCalls > 0 || len(failedIn) >= 2):
	case cfg.SlowCall > 0 && cfg.SlowRate > 0 && calls > 0 && calls >= cfg.MinCalls && slowRate >= cfg.SlowRate:
	case cfg.Failures > 0 && c.Failures >= cfg.Failures:
	case cfg.ConsecutiveFailures > 0 && m.run >= cfg.ConsecutiveFailures &&
		time.Since(m.runSince) >= cfg.ConsecutiveSpan:
	case askTrip && cfg.Trip != nil && cfg.Trip(c):
	default:
		return false
	}
	return true
}

// differs says how the real breaker is not what the model says, or "".
func (m *model) differs(b *breaker.Breaker) string {
	want := breaker.Snapshot{
		Key: b.Key(), State: m.effective(), Mode: m.mode, Since: m.since, Counts: m.counts(), Totals: m.totals,
	}
	if want.State == breaker.Open {
		want.Totals.OpenTime += time.Since(want.Since)
		if m.mode != breaker.ForceOpen {
			want.Until = m.until
		}
	}
	for _, c := range m.calls {
		if c.answered.IsZero() {
			want.InFlight++
		}
	}
	got := b.Snapshot()
	if s := b.State(); s != got.State {
		return fmt.Sprintf("State() = %v, but Snapshot().State = %v", s, got.State)
	}
	if got.State == breaker.Open && got.Reason == "" {
		return "open without a reason"
	}
	got.Reason = ""
	if !got.Since.Equal(want.Since) || !got.Until.Equal(want.Until) {
		return fmt.Sprintf("since %v until %v, want since %v until %v",
			m.clock(got.Since), m.clock(got.Until), m.clock(want.Since), m.clock(want.Until))
	}
	got.Since, got.Until = want.Since, want.Until
	// Overdue calls are part of the run if they came after the last success,
	// which is known only roughly.
	if extra := got.Counts.ConsecutiveFailures - m.run; extra >= 0 && extra <= want.Counts.Overdue {
		got.Counts.ConsecutiveFailures = m.run
	}
	if got != want {
		return fmt.Sprintf("\n got %+v\nwant %+v", got, want)
	}
	return ""
}

// clock prints a time as it appears to the breaker's life.
func (m *model) clock(t time.Time) string {
	if t.IsZero() {
		return "never"
	}
	return t.Sub(m.born).String()
}
