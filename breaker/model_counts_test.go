package breaker_test

import (
	"fmt"
	"math"
	"time"

	"github.com/seed-0b728cf8/httpbreaker/breaker"
)

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
	share := func(v *float64, otherwise float64) {
		if *v == 0 {
			*v = otherwise
		}
	}
	minCalls := 20
	if c.WindowCalls > 0 && c.WindowCalls < minCalls {
		minCalls = c.WindowCalls
	}
	number(&c.MinCalls, minCalls)
	if c.FailureRate > 0 {
		share(&c.ShedRate, -1)
	}
	share(&c.ShedRate, 0.5)
	share(&c.SlowRate, 0.5)
	share(&c.Chance, 0.00001)
	share(&c.ProbeShare, 0.02)
	number(&c.ConsecutiveFailures, 5)
	number(&c.IndependentFailures, 20)
	number(&c.Probes, 1)
	number(&c.ProbeSuccesses, 1)
	number(&c.SlowStart, 10)
	duration(&c.Window, 10*time.Second)
	duration(&c.ConsecutiveSpan, time.Second)
	duration(&c.OpenFor, 5*time.Second)
	duration(&c.MaxOpenFor, max(45*time.Second, c.OpenFor))
	duration(&c.ProbeTimeout, 10*time.Second)
	return c
}

// window returns the calls on which the rules are judged at a time.
func (m *model) window(at time.Time) []modelEnd {
	if n := m.cfg.WindowCalls; n > 0 {
		return m.ended[max(0, len(m.ended)-n):]
	}
	for i, e := range m.ended {
		if m.bucket(e.at) > m.bucket(at)-10 {
			return m.ended[i:]
		}
	}
	return nil
}

func (m *model) bucket(t time.Time) int64 { return int64(t.Sub(m.born) / (m.cfg.Window / 10)) }

func (m *model) counts() breaker.Counts { return m.countsAt(time.Now()) }

func (m *model) countsAt(at time.Time) (c breaker.Counts) {
	for _, e := range m.window(at) {
		c.Calls++
		if e.failed {
			c.Failures++
		}
		if e.slow {
			c.Slow++
		}
	}
	c.Overdue = m.count(func(c *modelCall) bool {
		return c.watched && c.waits() && !c.bypasses && c.generation == m.generation && at.Sub(c.began()) >= m.cfg.SlowCall
	})
	c.Answered = m.answered
	c.ConsecutiveFailures = len(m.run.failed)
	return c
}

// clearCounts is what closing does.
func (m *model) clearCounts() {
	m.ended, m.cleared, m.answered = nil, time.Now(), 0
	m.run.end()
}

// sees takes from the real breaker how many of the calls that were answered and go on
// it counts, which is known only roughly: all that were answered in the window, and
// perhaps others. The given call has just ended. It says what is wrong, or "".
func (m *model) sees(b *breaker.Breaker, ended *modelCall) string {
	least, most := 0, 0
	for _, c := range m.calls {
		if !c.goesOn() || c == ended {
			continue
		}
		most++
		if (m.phase == closed || m.phase == shed) && m.cfg.WindowCalls <= 0 &&
			c.answered.After(m.cleared) && time.Since(c.answered) < m.cfg.Window*8/10 {
			least++
		}
	}
	if most == 0 {
		m.answered = 0
		return ""
	}
	got := b.Snapshot().Counts.Answered
	if got < least || got > most {
		return fmt.Sprintf("%d calls that go on count, want %d to %d", got, least, most)
	}
	m.answered = got
	return ""
}

// goingOn is how many calls that were answered in the run go on.
func (m *model) goingOn() int {
	return m.count(func(c *modelCall) bool {
		return c.goesOn() && c.answeredIn == m.run.number && c.generation == m.generation
	})
}

// slow reports whether a call that has been answered took SlowCall.
func (m *model) slow(c *modelCall) bool {
	return m.cfg.SlowCall > 0 && c.answered.Sub(c.began()) >= m.cfg.SlowCall
}

// add adds a call that has failed, when so many calls go on that were answered in the run.
func (r *modelRun) add(call *modelCall, now time.Time, goingOn int, cfg breaker.Config) {
	wasAnswered := r.has(call)
	if wasAnswered {
		goingOn++ // until now
	}
	if len(r.failed) > 0 && (r.marked.IsZero() || now.Sub(r.marked) >= time.Second) {
		if !r.marked.IsZero() && r.goingOn > r.brokenSince {
			r.end()
		} else {
			r.marked, r.goingOn, r.brokenSince = now, goingOn, 0
		}
	}
	if len(r.failed) == 0 {
		r.began = now
		r.number++
		wasAnswered = false
	} else if len(r.failed) < cfg.ConsecutiveFailures-1 && cfg.ConsecutiveSpan > 0 {
		silent := now.Sub(r.last)
		if !call.wasAnswered {
			silent = min(silent, now.Sub(call.start))
		}
		r.asleep += max(0, silent-(cfg.ConsecutiveSpan+1)/2)
	}
	if call.wasAnswered {
		call.follows = call.follows && wasAnswered
	} else {
		call.follows = r.precedes(call)
	}
	r.last = now
	r.failed = append(r.failed, call)
	if wasAnswered {
		r.brokenSince++
	}
}

// has reports whether the call was answered in the run.
func (r *modelRun) has(call *modelCall) bool { return len(r.failed) > 0 && call.answeredIn == r.number }

func (r *modelRun) end() { *r = modelRun{number: r.number} }

// precedes reports whether the call began after the first of the run's calls had ended.
func (r *modelRun) precedes(c *modelCall) bool { return !c.start.Before(r.began.Add(r.asleep)) }

func (r *modelRun) independent() (n int) {
	for _, c := range r.failed[1:] {
		if c.follows {
			n++
		}
	}
	return n
}

// rulesOpen reports whether one of the rules wants the circuit to open.
func (m *model) rulesOpen(now time.Time) bool {
	c, cfg := m.counts(), m.cfg
	return cfg.FailureRate > 0 && m.enough(c) && failureRate(c) >= cfg.FailureRate && !m.oneEvent() ||
		cfg.Failures > 0 && c.Failures >= cfg.Failures ||
		m.runOpens(c, now)
}

// enough reports whether there are calls enough for a rate.
func (m *model) enough(c breaker.Counts) bool { return c.Calls > 0 && c.Calls >= m.cfg.MinCalls }

func failureRate(c breaker.Counts) float64 {
	return float64(c.Failures) / float64(max(1, c.Calls+c.Answered))
}

// oneEvent reports whether all failures stand in one bucket.
func (m *model) oneEvent() bool {
	failedIn := map[int64]bool{}
	for _, e := range m.window(time.Now()) {
		if e.failed {
			failedIn[m.bucket(e.at)] = true
		}
	}
	return m.cfg.WindowCalls <= 0 && len(failedIn) < 2
}

func (m *model) runOpens(c breaker.Counts, now time.Time) bool {
	run, cfg := len(m.run.failed), m.cfg
	if cfg.ConsecutiveFailures < 0 || run == 0 || run < cfg.ConsecutiveFailures {
		return false
	}
	// Calls that were answered during the run, and go on, are successes so far: half as
	// many as failures are enough.
	lasted := now.Sub(m.run.began) - m.run.asleep
	independent := cfg.IndependentFailures > 0 && m.run.independent() >= cfg.IndependentFailures && lasted >= 100*time.Millisecond
	return 2*m.goingOn() < run && (lasted >= cfg.ConsecutiveSpan || independent) && !m.chance(c)
}

// chance reports whether chance explains the run.
func (m *model) chance(c breaker.Counts) bool {
	run := len(m.run.failed)
	inWindow := min(run, c.Failures) // the failures of the run are the last ones
	others := c.Calls + c.Answered - inWindow
	if m.cfg.Chance < 0 || others < 10 {
		return false
	}
	rate, chance := float64(c.Failures-inWindow)/float64(others), 1.0
	for i := range run {
		chance *= rate * float64(i+1+m.goingOn()) / float64(i+1) // in any order with those that go on
	}
	return chance*math.Pow(1-rate, float64(m.goingOn())) > m.cfg.Chance
}

// sheds reports whether a share of the calls is to be rejected. Once it is, all that
// is asked for is that there are enough calls.
func (m *model) sheds() bool {
	c := m.counts()
	return m.cfg.ShedRate > 0 && m.enough(c) &&
		(m.phase == shed || failureRate(c) >= m.cfg.ShedRate && !m.oneEvent())
}

// calm reports whether so few calls fail that shedding ends.
func (m *model) calm() bool {
	return m.cfg.ShedRate < 0 || failureRate(m.counts()) < 0.8*m.cfg.ShedRate
}

// shareOf is how much to let through: the square of the odds of success, 1 at ShedRate.
func (m *model) shareOf(c breaker.Counts) float64 {
	rate, from := failureRate(c), m.cfg.ShedRate
	odds := (1 - rate) / rate * from / (1 - from)
	return min(1, odds*odds)
}

// wait is for how long the rules open the circuit.
func (m *model) wait(at time.Time) time.Duration {
	longest, grown := m.cfg.OpenFor, 1.0
	for range m.level {
		longest = min(2*longest, m.cfg.MaxOpenFor)
		grown *= 1.4
	}
	if m.cfg.ProbeShare < 0 {
		return longest
	}
	shortest := min(grown*0.1, 2)
	if m.phase != closed {
		shortest = max(shortest, at.Sub(m.outage).Seconds()/200)
	}
	calls := min(grown*0.2, 1) / m.cfg.ProbeShare
	seconds := max(shortest, calls/m.demandNow(at))
	if seconds >= longest.Seconds() {
		return longest
	}
	return time.Duration(seconds * float64(time.Second))
}

// demandNow is the demand, which has not fallen by more than half since the circuit opened last.
func (m *model) demandNow(at time.Time) float64 {
	if m.phase == closed {
		return m.demand(at)
	}
	return max(m.demand(at), m.lastDemand/2)
}

// demand is how many calls came in a second: those of the window and those in flight,
// or those that were rejected since it opened.
func (m *model) demand(at time.Time) float64 {
	calls, since := 0, at
	switch in := m.window(at); {
	case m.phase == open || m.phase == probed:
		calls, since = int(m.totals.Rejected-m.opening.rejected), m.opening.began
	case m.cfg.WindowCalls > 0:
		if calls = len(in); calls > 0 {
			since = in[0].at
		}
	default:
		calls = len(in) + m.count(func(c *modelCall) bool { return c.waits() && !c.bypasses })
		if len(in) > 0 {
			since = m.born.Add(time.Duration(m.bucket(in[0].at)) * (m.cfg.Window / 10))
		}
	}
	return float64(calls) / max(0.1, at.Sub(since).Seconds())
}

// update is Breaker.Update: counts find their place in the new window.
func (m *model) update(cfg breaker.Config) {
	m.expireProbes()
	cfg = withModelDefaults(cfg)
	old, now, in := m.cfg, time.Now(), m.window(time.Now())
	if old.SlowCall != cfg.SlowCall {
		for _, c := range m.calls {
			c.watched = false
		}
	}
	switch {
	case old.Window == cfg.Window && old.WindowCalls == cfg.WindowCalls:
	case old.WindowCalls > 0 && cfg.WindowCalls > 0:
		m.ended = in
	case old.WindowCalls > 0: // all have ended now
		m.ended = nil
		for _, e := range in {
			m.ended = append(m.ended, modelEnd{now, e.failed, e.slow})
		}
	case cfg.WindowCalls > 0:
		m.ended = m.mixed(in)
		for i := range m.ended {
			m.ended[i].at = now
		}
	default: // each has ended in the middle of its bucket
		m.ended = nil
		for _, e := range in {
			width := old.Window / 10
			middle := m.born.Add(time.Duration(m.bucket(e.at))*width + width/2)
			if middle.After(now) {
				middle = now
			}
			m.ended = append(m.ended, modelEnd{middle, e.failed, e.slow})
		}
	}
	if old.Window != cfg.Window || old.WindowCalls != cfg.WindowCalls {
		m.cleared = now
	}
	m.cfg = cfg
}

// mixed spreads failures and slow calls evenly over the calls of their bucket, since
// their order is not known: among the last n of a bucket with a share of failures there
// are n times that share, rounded up.
func (m *model) mixed(in []modelEnd) (mixed []modelEnd) {
	for len(in) > 0 {
		var total, failed, slow int
		for _, e := range in {
			if m.bucket(e.at) != m.bucket(in[0].at) {
				break
			}
			total++
			if e.failed {
				failed++
			}
			if e.slow {
				slow++
			}
		}
		among := func(last, of int) int { return (last*of + total - 1) / total }
		for last := total; last > 0; last-- {
			mixed = append(mixed, modelEnd{in[0].at,
				among(last, failed) > among(last-1, failed), among(last, slow) > among(last-1, slow)})
		}
		in = in[total:]
	}
	return mixed
}
