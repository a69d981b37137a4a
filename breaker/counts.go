package breaker

import (
	"sync/atomic"
	"time"
)

// counts is what the rules are judged on. What only a breaker needs that has met
// something else than success is in its history.
type counts struct {
	window timeWindow // empty with WindowCalls
}

// history is what a breaker remembers that has met something else than success. It is
// made when it is first needed, so that a healthy peer costs little memory.
type history struct {
	totals   Totals        // Successes, Rejected and OpenTime are reckoned in Snapshot
	rejected atomic.Uint64 // calls that were not let through
	calls    *callWindow   // in place of window with WindowCalls
	run      run           // the present run of failures
	hang     *backlog      // who waits, with HangAfter; nil while few calls wait
	overdue  *overdueCalls // who waits, with SlowCall
	lateEnds uint64        // calls of an earlier generation that have ended or were answered since
	bypass   bypassing     // calls let through under Observe
	lastErr  error         // what the last failed call returned

	machineHistory
}

// bypassing counts the calls that were rejected, but let through under Observe. They are
// in no word and no window: no rule sees them.
type bypassing struct {
	inFlight int // neither answered nor ended
	answered int // and not ended
	totals   Totals
}

// run is the failures since the last success.
type run struct {
	number      uint16 // of the runs so far, so that a permit can tell whose it is
	length      int
	began, last int64 // when the first and the last of them ended
	asleep      int64 // of the time between, what does not count, see add
	independent int   // those that began after the first had ended
	answered    int   // calls answered since, and not ended: so far, they are successes

	// To tell calls that stay answered from those that break off: how many there were
	// at some moment, and how many of all have ended since.
	marked struct {
		at              int64
		answered, ended int
	}
}

// add adds a failure of a call that has waited for so long. While it waited in silence the
// process may have been frozen: of that no more than half of ConsecutiveSpan counts, unless
// enough had failed before.
func (r *run) add(rules *rules, now, waited int64) {
	silent, most := min(now-r.last, waited), int64(rules.ConsecutiveSpan+1)/2
	switch {
	case r.length == 0 || now < r.began:
		*r = run{number: r.number + 1, began: now}
	case most > 0 && silent > most && r.length+1 < rules.ConsecutiveFailures:
		r.asleep += silent - most
	}
	r.last = now
	r.length++
}

// precedes reports whether a call that began then came after the run's first failure.
func (r *run) precedes(began int64) bool { return began >= r.began+r.asleep }

// lasting is how long calls that were answered have to stay so to end a run.
const lasting = time.Second

// outlived reports whether calls that were answered in the run have stayed so.
func (r *run) outlived(now int64) bool {
	m := &r.marked
	if now-m.at < int64(lasting) && now >= m.at {
		return false
	}
	if m.answered > m.ended {
		return true
	}
	m.at, m.answered, m.ended = now, r.answered, 0
	return false
}

// has reports whether a call was answered in the run.
func (r *run) has(p Permit) bool {
	return r.length > 0 && p.tag&permitAnsweredInRun != 0 && p.number() == r.number
}

// left takes note that a call has ended, and reports whether it was answered in the run.
func (r *run) left(p Permit) bool {
	if !r.has(p) {
		return false
	}
	r.answered--
	r.marked.ended++
	return true
}

// past returns the history, to look at only.
func (b *Breaker) past() *history {
	if b.history == nil {
		return &noHistory
	}
	return b.history
}

var noHistory history

// remember returns the history, to change it. The lock is held.
func (b *Breaker) remember() *history {
	if b.history == nil {
		b.history = new(history)
	}
	return b.history
}

// fold takes the successes that were counted without the lock into the window.
func (b *Breaker) fold() { b.window.ok += uint32(b.takeSuccesses()) }

// succeeded is the exact number of successes so far, unfolded being those that the
// words still have.
func (b *Breaker) succeeded(unfolded uint64) uint64 {
	t := &b.past().totals
	return b.ended.Load() + unfolded - t.Failures - t.Ignored - t.Late
}

// failureRateBefore is the failure rate of all calls before those that are counted. Where
// there were none it is that of the counted ones before the run, and 0 if those were few.
func (b *Breaker) failureRateBefore(c Counts) float64 {
	_, unfolded, _, _ := b.sums()
	h := b.past()
	failed := float64(h.totals.Failures) - float64(c.Failures)
	all := float64(b.succeeded(unfolded)) + float64(h.totals.Failures) - float64(c.Calls)
	if all < minOthers {
		inRun := min(h.run.length, c.Failures)
		failed, all = float64(c.Failures-inRun), float64(c.Calls-inRun)
	}
	if all < minOthers {
		return 0
	}
	return min(1, max(0, failed/all))
}

// roll moves the time window on to now.
func (b *Breaker) roll(now int64) {
	b.fold()
	r := b.rules.Load()
	index := r.bucketAt(now)
	_, _, _, answered := b.sums()
	b.window.advance(index, answered)
	b.setBucketEnd(r.begin(index + 1))
}

// book puts a call that has ended into the window.
func (b *Breaker) book(c Call, now int64) {
	if calls := b.past().calls; calls != nil {
		call := callAt{at: now}
		if c.Outcome == Failure {
			call.bits |= callFailed
		}
		if c.Slow {
			call.bits |= callSlow
		}
		_, _, _, answered := b.sums()
		calls.add(call, answered)
		return
	}
	b.roll(now)
	if c.Outcome == Failure {
		b.window.failed++
	} else {
		b.window.ok++
	}
	if c.Slow {
		b.window.slow++
	}
}

// forget clears what a generation has counted. The totals stay.
func (b *Breaker) forget() {
	h := b.remember()
	_, _, _, answered := b.sums()
	b.window = timeWindow{index: b.window.index, answered: answered}
	if h.calls != nil {
		h.calls = newCallWindow(len(h.calls.calls), answered)
	}
	h.run = run{number: h.run.number}
}

// count reckons what the rules are judged on now. It changes nothing.
func (b *Breaker) count(now int64) (c Counts, failedIn int) {
	h := b.past()
	_, unfolded, open, answered := b.sums()
	if h.calls != nil {
		c = h.calls.Counts
		c.Answered = min(int(answered-h.calls.answered[0]), int(open))
	} else {
		index := b.rules.Load().bucketAt(now)
		b.window.each(index, func(n int64, in bucket) {
			c.Calls += int(in.ok) + int(in.failed)
			c.Failures += int(in.failed)
			c.Slow += int(in.slow)
			c.Answered += int(in.answered)
			if in.failed > 0 {
				failedIn++
			}
		})
		if b.window.index <= index && b.window.index > index-windowBuckets {
			c.Calls += int(unfolded)
		}
		c.Answered += int(answered - b.window.answered) // of late, see timeWindow.advance
		c.Answered = min(c.Answered, int(open))         // the others are in Calls
	}
	c.ConsecutiveFailures = h.run.length
	if h.overdue != nil {
		c.Overdue = h.overdue.waiting(b, now)
		c.ConsecutiveFailures += h.overdue.inRun(b, now)
	}
	return c, failedIn
}

// callRate estimates how many calls came in a second of late.
func (b *Breaker) callRate(c Counts, now int64) float64 {
	if w := b.past().calls; w != nil {
		span := max(time.Duration(now-w.oldest(now)), 100*time.Millisecond)
		return float64(c.Calls) / span.Seconds()
	}
	return float64(c.Calls+max(0, b.waiting())) / b.window.span(b.rules.Load(), now).Seconds()
}
