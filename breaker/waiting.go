package breaker

import (
	"math"
	"time"
)

// Calls that wait for their answer are known by counting: how many calls were
// admitted by some moment, and how many have ended since the generation began.
// Calls end in any order, so what was admitted by that moment, less all that has
// ended by now, is a lower bound of those that wait since then. No clock runs for a
// call and no list of calls is kept. An answered call counts as ended here.

// watchFrom is how many calls must wait for a look to be worth its while.
const watchFrom = 4

// lookDue reports whether the next call has to look for calls that hang. It needs no
// lock.
func (b *Breaker) lookDue(now int64) bool {
	switch next := b.nextLook.Load(); next {
	case 0:
	case never:
		return false
	default:
		return uint64(next-now-1) >= uint64(maxSpan) // it is time, or time has gone back
	}
	r := b.rules.Load()
	return r.SlowCall > 0 || r.HangAfter > 0 && b.waiting() >= watchFrom
}

// look takes note of how many calls wait, and does what the rules say about it.
func (b *Breaker) look(now int64) {
	r, h := b.rules.Load(), b.remember()
	next := int64(never)
	if r.SlowCall > 0 {
		if h.overdue == nil {
			h.overdue = newOverdueCalls(r.SlowCall, b, now)
		}
		h.overdue.look(b, now)
		next = h.overdue.next
	}
	if r.HangAfter > 0 {
		limit := b.hangLimit(now)
		switch {
		case h.hang == nil && b.waiting() >= watchFrom:
			h.hang = &backlog{last: now}
			fallthrough
		case h.hang != nil:
			h.hang.add(b, now, limit)
			next = min(next, after(now, limit/8))
			if h.hang.calm() {
				h.hang = nil
			}
		}
	}
	switch {
	case next != never:
	case b.stripes.Load() == nil:
		next = 0
	case r.HangAfter > 0: // so that no call has to go over the stripes
		next = after(now, r.HangAfter/8)
	}
	b.nextLook.Store(next)
	b.judgeWaiting(now)
}

// hangLimit is how long a call has to wait to be taken to hang.
func (b *Breaker) hangLimit(now int64) time.Duration {
	return max(b.rules.Load().HangAfter, 3*b.pace.slowestAnswer(now))
}

// tally is how many calls the rules have seen come, go and succeed, ever, without the
// ends of those whose generation had passed.
type tally struct{ admitted, ended, good uint64 }

func (b *Breaker) tally() tally {
	h := b.past()
	admitted, unfolded, open, _ := b.sums()
	return tally{
		admitted: admitted,
		ended:    b.ended.Load() + unfolded + open - h.lateEnds,
		good:     b.succeeded(unfolded),
	}
}

// backlog holds samples of the last three limits or so.
type backlog struct {
	awake   int64 // time as this process has lived through it, see add
	last    int64 // when that was
	samples [32]sample
	n       int // samples ever taken
}

type sample struct {
	at int64 // by backlog.awake
	tally
}

// add takes a sample. Between two samples no more than half of the limit counts as
// passed: else a process that was stopped would convict every peer.
func (l *backlog) add(b *Breaker, now int64, limit time.Duration) {
	l.awake += min(max(0, now-l.last), int64(limit/2))
	l.last = now
	l.samples[l.n%len(l.samples)] = sample{l.awake, b.tally()}
	l.n++
}

// at returns the newest sample that is at least as old as ago, or the oldest there is.
func (l *backlog) at(ago time.Duration) *sample {
	s := &l.samples[(l.n-1)%len(l.samples)]
	for i := l.n - 1; i >= max(0, l.n-len(l.samples)); i-- {
		s = &l.samples[i%len(l.samples)]
		if s.at <= l.awake-int64(ago) {
			break
		}
	}
	return s
}

// since returns the oldest sample that is no older than ago.
func (l *backlog) since(ago time.Duration) *sample {
	s := &l.samples[(l.n-1)%len(l.samples)]
	for i := l.n - 1; i >= max(0, l.n-len(l.samples)); i-- {
		if l.samples[i%len(l.samples)].at < l.awake-int64(ago) {
			break
		}
		s = &l.samples[i%len(l.samples)]
	}
	return s
}

// usual is how many calls were in flight when the oldest sample was taken.
func (l *backlog) usual() int {
	if l == nil {
		return 0
	}
	s := &l.samples[max(0, l.n-len(l.samples))%len(l.samples)]
	return int(s.admitted - s.ended)
}

// calm reports whether few calls have waited for as long as the samples reach back.
func (l *backlog) calm() bool {
	if l.n < len(l.samples) {
		return false
	}
	for i := range l.samples {
		if l.samples[i].admitted-l.samples[i].ended >= watchFrom {
			return false
		}
	}
	return true
}

// hang is what is known of the calls that wait.
type hang struct {
	limit    time.Duration
	waiting  int     // calls that have waited for the limit or longer: a lower bound
	answered int     // calls that ended or were answered during the last limit
	good     float64 // share of the calls of late that succeeded
	few      bool    // too few calls of late for good to mean much
}

const (
	minHanging = 8  // calls that must wait in vain
	minGood    = 20 // successes that must have been seen before, ever
)

func (l *backlog) judge(limit time.Duration) hang {
	now := l.samples[(l.n-1)%len(l.samples)]
	from, to := l.since(3*limit), l.at(limit)
	h := hang{limit: limit}
	if to.at > now.at-int64(limit) || from.at > to.at {
		return h // not watched for long enough
	}
	h.waiting = int(int64(to.admitted-from.admitted) - int64(now.ended-from.ended))
	h.answered = int(now.ended - to.ended)
	recent := l.at(2 * limit)
	if now.admitted-recent.admitted < 40 {
		recent = from
	}
	admitted := now.admitted - recent.admitted
	h.few = admitted < 10
	if admitted > 0 {
		h.good = math.Min(1, float64(now.good-recent.good)/float64(admitted))
	}
	return h
}

// holds reports whether at least as many calls wait in vain as are answered.
func (h hang) holds() bool { return h.waiting >= minHanging && h.waiting >= h.answered }

// total reports whether next to nothing is answered.
func (h hang) total() bool { return h.answered*10 < h.waiting || h.good < 0.1 }

// share is how much to let through of a peer of which a part hangs.
func (h hang) share() float64 {
	if h.few || h.good >= 0.5 {
		return 1
	}
	odds := h.good / (1 - h.good)
	return math.Pow(odds, 2.2)
}

// overdueSteps is how many steps of time SlowCall has.
const overdueSteps = 16

// overdueCalls knows how many calls were admitted by the end of each step of the last
// SlowCall. With SlowCall each call is timed, so that none is admitted between the end
// of a step and the look that notes it.
type overdueCalls struct {
	slow  int64
	next  int64 // when the present step ends
	steps [overdueSteps + 2]struct {
		end      int64
		admitted uint64
	}
	n        int
	base     tally // when the count began
	success  tally // when the last success was noticed: the run has only calls that came after that
	runBegan int64 // when the first of those that are overdue began, about; 0: none is
}

func newOverdueCalls(slow time.Duration, b *Breaker, now int64) *overdueCalls {
	t := b.tally()
	return &overdueCalls{slow: int64(slow), next: now, base: t, success: t}
}

// look notes the step that has ended and what has succeeded since the last look.
func (o *overdueCalls) look(b *Breaker, now int64) {
	seen := b.tally()
	step := max(1, o.slow/overdueSteps)
	if now >= o.next || o.next-now > step {
		s := &o.steps[o.n%len(o.steps)]
		s.end, s.admitted = min(o.next, now), seen.admitted
		o.n++
		o.next = after(now, time.Duration(step))
	}
	if seen.good != o.success.good {
		o.success = seen
	}
	switch {
	case o.inRun(b, now) == 0:
		o.runBegan = 0
	case o.runBegan == 0:
		o.runBegan = now - o.slow
	}
}

// waiting is a lower bound of the calls that have waited for SlowCall or longer. It
// changes nothing.
func (o *overdueCalls) waiting(b *Breaker, now int64) int { return o.since(o.base, b.tally(), now) }

// inRun is the same for those that were admitted since the last success.
func (o *overdueCalls) inRun(b *Breaker, now int64) int {
	seen := b.tally()
	if seen.good != o.success.good {
		return 0
	}
	return o.since(o.success, seen, now)
}

// since is a lower bound of the calls admitted since the first tally that have waited for
// SlowCall or longer by the second, which is of now.
func (o *overdueCalls) since(first, seen tally, now int64) int {
	admitted := first.admitted
	if o.next <= now-o.slow {
		admitted = seen.admitted // no call has come since
	} else {
		for i := o.n - 1; i >= max(0, o.n-len(o.steps)); i-- {
			if s := o.steps[i%len(o.steps)]; s.end <= now-o.slow {
				admitted = max(admitted, s.admitted)
				break
			}
		}
	}
	return max(0, int(int64(admitted-first.admitted)-int64(seen.ended-first.ended)))
}
