package breaker

import (
	"fmt"
	"math"
	"time"
)

// settleCounted books the end of a call through a closed or shedding circuit, and
// judges the rules.
func (b *Breaker) settleCounted(p Permit, c Call, v verdict, now int64) {
	b.book(c, now)
	b.note(p, c, now)
	s, isShedding := b.past().phase.(*shedding)
	switch {
	case v.trip > 0:
		counts, failedIn := b.count(now)
		reason := b.reasonToOpen(counts, failedIn, now)
		if reason == "" && b.rateSheds(counts, failedIn) && b.shareOf(counts) == 0 {
			reason = b.failedOf(counts)
		}
		if reason != "" {
			b.openAsked(now, ByRules, reason, v)
		} else {
			b.openUntil(now, after(now, v.trip), ByPeer, v.reason)
		}
	case c.Outcome == Failure || c.Slow:
		b.judge(now)
	case isShedding:
		b.judgeShedding(s, now)
	}
}

// note keeps the run of failures.
func (b *Breaker) note(p Permit, c Call, now int64) {
	if c.Outcome == Success {
		// The end of a call that was answered before the run says nothing about now.
		if h := b.history; h != nil && (p.tag&permitAnswered == 0 || h.run.has(p)) {
			h.run = run{number: h.run.number}
		}
		return
	}
	r := &b.remember().run
	if r.length > 0 && r.outlived(now) {
		*r = run{number: r.number}
	}
	answered := p.tag&permitAnswered != 0
	waited := now - p.began()
	if answered {
		waited = now // nobody knows since when
	}
	r.add(b.rules.Load(), now, waited)
	answeredInRun := r.left(p)
	if r.length > 1 && (answeredInRun && p.tag&permitIndependent != 0 || !answered && r.precedes(p.began())) {
		r.independent++
	}
}

// judge opens the circuit, or sheds a share of the calls, if the rules say so.
func (b *Breaker) judge(now int64) {
	c, failedIn := b.count(now)
	if reason := b.reasonToOpen(c, failedIn, now); reason != "" {
		b.open(now, ByRules, reason)
		return
	}
	if s, ok := b.past().phase.(*shedding); ok {
		b.judgeShedding(s, now)
		return
	}
	if b.rateSheds(c, failedIn) {
		b.shedOrOpen(c, now)
	}
}

// rateSheds reports whether the failure rate says how much to let through.
func (b *Breaker) rateSheds(c Counts, failedIn int) bool {
	r, h := b.rules.Load(), b.past()
	if r.ShedRate < 0 || c.Calls < r.MinCalls {
		return false
	}
	if s, ok := h.phase.(*shedding); ok {
		return s.byHang == 1
	}
	return c.FailureRate() >= r.ShedRate && (h.calls != nil || failedIn > 1)
}

// judgeShedding says how much a shedding circuit lets through from now on, and ends it
// when the rate has fallen well below ShedRate.
func (b *Breaker) judgeShedding(s *shedding, now int64) {
	if s.byHang < 1 {
		if b.history.hang != nil {
			return // failures are the calls that hung, admitted when more were: to judge by them would spiral
		}
		s.byHang = 1 // few wait, or nobody looks any more
	}
	c, _ := b.count(now)
	r := b.rules.Load()
	switch rate := c.FailureRate(); {
	case r.ShedRate < 0 || rate < calmShare*r.ShedRate:
		b.stopShedding(now)
	case c.Calls >= r.MinCalls:
		b.shedOrOpen(c, now)
	}
}

// calmShare of ShedRate is the failure rate below which shedding ends. The distance
// keeps a circuit from coming and going at ShedRate.
const calmShare = 0.8

// shedOrOpen sheds by the failure rate, or opens the circuit if there is nothing to let
// through.
func (b *Breaker) shedOrOpen(c Counts, now int64) {
	reason := b.failedOf(c)
	if share := b.shareOf(c); share > 0 {
		b.shedByRate(now, share, reason)
	} else {
		b.open(now, ByRules, reason)
	}
}

// shareOf is the square of the odds of success, which is 1 at ShedRate; or 0 if that is
// less than a probe would cost.
func (b *Breaker) shareOf(c Counts) float64 {
	r, rate := b.rules.Load(), c.FailureRate()
	odds := (1 - rate) / rate * r.ShedRate / (1 - r.ShedRate)
	if share := min(1, odds*odds); share >= r.ProbeShare {
		return share
	}
	return 0
}

func (b *Breaker) failedOf(c Counts) string {
	return fmt.Sprintf("%d of %d calls failed %s", c.Failures, c.Calls, b.windowText(c))
}

func (b *Breaker) windowText(c Counts) string {
	if b.past().calls != nil {
		return fmt.Sprintf("of the last %d", c.Calls)
	}
	return "in " + short(b.rules.Load().Window)
}

// reasonToOpen returns why the rules want the circuit to open, or "".
func (b *Breaker) reasonToOpen(c Counts, failedIn int, now int64) string {
	r := b.rules.Load()
	switch {
	case r.FailureRate > 0 && c.Calls >= r.MinCalls && c.FailureRate() >= r.FailureRate &&
		(b.past().calls != nil || failedIn > 1):
		return b.failedOf(c)
	case r.Failures > 0 && c.Failures >= r.Failures:
		return plural(c.Failures, "call") + " failed " + b.windowText(c)
	}
	return b.reasonOfWaiting(c, now)
}

// reasonOfWaiting is the same for the rules that calls move while they wait for their answer.
func (b *Breaker) reasonOfWaiting(c Counts, now int64) string {
	r := b.rules.Load()
	if r.SlowCall <= 0 || r.SlowRate <= 0 || c.Calls+c.Overdue < r.MinCalls || c.SlowRate() < r.SlowRate {
		return b.reasonOfRun(c, now)
	}
	reason := fmt.Sprintf("%d of %d calls took %s or longer %s",
		c.Slow+c.Overdue, c.Calls+c.Overdue, short(r.SlowCall), b.windowText(c))
	if c.Overdue > 0 {
		reason += fmt.Sprintf(", %d of them unanswered", c.Overdue)
	}
	return reason
}

// A run of independent failures has lasted at least so long.
const independentSpan = 100 * time.Millisecond

// reasonOfRun returns why the present run of failures should open the circuit, or "".
func (b *Breaker) reasonOfRun(c Counts, now int64) string {
	r, h := b.rules.Load(), b.past()
	if r.ConsecutiveFailures < 0 || c.ConsecutiveFailures < r.ConsecutiveFailures || 2*h.run.answered >= c.ConsecutiveFailures {
		return ""
	}
	began := now
	if h.run.length > 0 {
		began = h.run.began
	}
	if c.ConsecutiveFailures > h.run.length {
		began = min(began, h.overdue.runBegan)
	}
	lasted := time.Duration(now - began)
	counts := lasted - time.Duration(h.run.asleep)
	independent := r.IndependentFailures > 0 && h.run.independent >= r.IndependentFailures && counts >= independentSpan
	if !independent && counts < r.ConsecutiveSpan || b.chanceExplains(c) {
		return ""
	}
	over := ""
	if lasted >= time.Millisecond {
		over = fmt.Sprintf(" over %s", roundDuration(lasted))
	}
	if c.Overdue > 0 {
		return fmt.Sprintf("%s in a row failed or were unanswered after %s%s",
			plural(c.ConsecutiveFailures, "call"), short(r.SlowCall), over)
	}
	if c.ConsecutiveFailures == 1 {
		return "1 call failed" + over
	}
	return plural(c.ConsecutiveFailures, "call") + " in a row failed" + over
}

// minOthers is how many other calls must be in the window for chance to be judged.
const minOthers = 10

// chanceExplains reports whether a run as long as this one is to be expected now and
// then at the failure rate of the calls before it. Calls that are being answered well since
// it began are good ones among its bad ones: it could have come in any order with them.
func (b *Breaker) chanceExplains(c Counts) bool {
	r, run := b.rules.Load(), b.past().run
	length := min(run.length, c.Failures)
	others := c.Calls + c.Answered - length
	if r.Chance < 0 || others < minOthers {
		return false
	}
	rate := float64(c.Failures-length) / float64(others)
	bad, good := float64(c.ConsecutiveFailures), float64(run.answered)
	orders := logFactorial(bad+good) - logFactorial(bad) - logFactorial(good)
	chance := orders + bad*math.Log(rate)
	if good > 0 {
		chance += good * math.Log1p(-rate)
	}
	return chance > math.Log(r.Chance)
}

func logFactorial(n float64) float64 {
	v, _ := math.Lgamma(n + 1)
	return v
}

// judgeWaiting opens the circuit, or sheds a share of the calls, if calls hang.
func (b *Breaker) judgeWaiting(now int64) {
	h := b.history
	s, isShedding := h.phase.(*shedding)
	if h.overdue != nil && (h.phase == nil || isShedding) {
		if c, _ := b.count(now); c.Overdue > 0 {
			if reason := b.reasonOfWaiting(c, now); reason != "" {
				b.open(now, ByRules, reason)
				return
			}
		}
	}
	if h.hang == nil || b.tally().good < minGood {
		return
	}
	limit := b.hangLimit(now)
	found := h.hang.judge(limit)
	reason := fmt.Sprintf("%s unanswered for %s, %d answered meanwhile", plural(found.waiting, "call"), short(roundDuration(limit)), found.answered)
	switch _, isStarting := h.phase.(*starting); {
	case found.holds() && (isShedding || h.phase == nil || isStarting):
		if !found.total() {
			if !isStarting {
				b.shedByHang(now, found.share(), reason)
			}
			return
		}
		generation := b.generation()
		b.open(now, ByRules, reason)
		h.outage.hung, h.outage.hungIn = true, generation
		h.outage.hungAt, h.outage.hangFor = now, limit
	case isShedding && s.byHang < 1:
		b.shedByHang(now, found.share(), reason)
	}
}

// lateSuccess gives the calls back when a call of an earlier generation shows that the
// peer is slow and not dead: a probe that took longer than its time, or a call that was
// taken to hang.
func (b *Breaker) lateSuccess(p Permit, now int64) {
	h := b.history
	if h.outage == nil || h.origin != ByRules && h.origin != ByProbe { // an operator or the peer has said for how long
		return
	}
	if _, starts := h.phase.(*starting); starts {
		return
	}
	if p.Probe() {
		b.succeedLate(p, now)
		return
	}
	if !h.outage.hung || generationOf(p.tag^h.outage.hungIn) != 0 {
		return
	}
	// The others of that generation say nothing: they were about to be answered.
	took, waited := time.Duration(now-h.outage.hungAt), h.outage.hangFor/3
	if p.tag&permitTimed != 0 {
		took, waited = time.Duration(p.took(now)), h.outage.hangFor
	}
	if took < waited {
		return
	}
	b.pace.took(int64(max(took, h.outage.hangFor)), now)
	b.close(now, ByRules, "a call that was taken to hang has succeeded")
}

// askTrip asks Config.Trip, under no lock, on behalf of a call whose permit had
// this tag.
func (b *Breaker) askTrip(tag uint64) {
	b.lock()
	c, _ := b.count(b.shared.now())
	trip := b.rules.Load().Trip
	current := generationOf(tag^b.generation()) == 0
	b.unlock()
	if trip == nil || !current || !says(trip, c) {
		return
	}
	b.lock()
	if generationOf(tag^b.generation()) == 0 {
		b.open(b.shared.now(), ByRules, fmt.Sprintf("the Trip rule held at %d failures of %d calls", c.Failures, c.Calls))
	}
	b.unlock()
}

// says calls a rule of the user's own. If it panics it has said no.
func says(trip func(Counts) bool, c Counts) (yes bool) {
	defer func() { _ = recover() }()
	return trip(c)
}
