package breaker

import (
	"fmt"
	"time"
)

// settleClosed books a call of the closed circuit and judges the rules. It
// reports whether Trip is to be asked.
func (b *Breaker) settleClosed(c Call, v verdict, now int64) (askTrip bool) {
	b.book(c, now)
	if c.Outcome == Success {
		if b.run > 0 {
			b.run = 0
			b.publish(false)
		}
		if !c.Slow {
			return false
		}
	} else {
		b.run++
		if b.run == 1 || now < b.runBegan {
			b.runBegan = now
			b.publish(false)
		}
	}
	if reason := b.judge(now); reason != "" {
		b.open(now, reason)
	}
	if v.trip > 0 {
		b.openAtLeast(now, v.trip, v.reason)
	}
	return b.state == Closed && b.rules.Load().Trip != nil
}

// book puts a call that has ended into the window.
func (b *Breaker) book(c Call, now int64) {
	if b.calls != nil {
		var call uint8
		if c.Outcome == Failure {
			call |= callFailed
		}
		if c.Slow {
			call |= callSlow
		}
		b.calls.add(call)
		return
	}
	b.roll(now)
	bucket := b.window.at(b.window.current)
	if c.Outcome == Failure {
		bucket.failed++
	} else {
		bucket.ok++
	}
	if c.Slow {
		bucket.slow++
	}
}

// roll moves the time window on to now.
func (b *Breaker) roll(now int64) {
	b.fold()
	r := b.rules.Load()
	index := r.indexOf(now)
	b.window.advance(index)
	b.bucketEnd.Store((index-firstBucket+1)*r.bucket + beginning)
}

// firstBucket is the index of the bucket that begins at env.start: a multiple of
// windowBuckets, and so large that those before it have a positive one.
const firstBucket = 1e18

func (r *rules) indexOf(now int64) int64 {
	index := (now-beginning)/r.bucket + firstBucket
	if (now-beginning)%r.bucket < 0 {
		index--
	}
	return index
}

// fold takes the successes that were counted without the lock into the window
// and the totals.
func (b *Breaker) fold() {
	word := b.word.Load()
	for !b.word.CompareAndSwap(word, word&^countMask) {
		word = b.word.Load()
	}
	b.addSuccesses(word & countMask)
}

func (b *Breaker) addSuccesses(n uint64) {
	b.totals.Successes += n
	b.window.at(b.window.current).ok += uint32(n)
}

// successes is the exact number of successes so far.
func (b *Breaker) successes() uint64 { return b.totals.Successes + b.word.Load()&countMask }

// counted is what the rules are judged on.
type counted struct {
	Counts
	failedIn int   // number of buckets with failures
	runBegan int64 // when the run of ConsecutiveFailures began
}

// count changes nothing.
func (b *Breaker) count(now int64) (c counted) {
	if b.calls != nil {
		c.Counts = b.calls.Counts
	} else {
		index := b.rules.Load().indexOf(now)
		c.Counts, c.failedIn = b.window.sum(index)
		if b.window.current > index-windowBuckets {
			c.Calls += int(b.word.Load() & countMask)
		}
	}
	c.ConsecutiveFailures, c.runBegan = int(b.run), b.runBegan
	if f := b.inflight.Load(); f != nil {
		overdue, run, began := f.overdue(b.successes(), now)
		c.Overdue = overdue
		if run > 0 && (b.run == 0 || began < c.runBegan) {
			c.runBegan = began
		}
		c.ConsecutiveFailures += run
	}
	return c
}

// judge returns why the rules want the closed circuit to open, or "".
func (b *Breaker) judge(now int64) string {
	c, r := b.count(now), b.rules.Load()
	span := "in " + short(r.Window)
	if b.calls != nil {
		span = fmt.Sprintf("of the last %d", c.Calls)
	}
	lasted := now - c.runBegan
	switch {
	case r.FailureRate > 0 && c.Calls >= r.MinCalls && c.Failures > 0 && c.FailureRate() >= r.FailureRate &&
		(b.calls != nil || c.failedIn > 1):
		return fmt.Sprintf("%d of %d calls failed %s", c.Failures, c.Calls, span)
	case r.SlowCall > 0 && r.SlowRate > 0 && c.Calls+c.Overdue >= r.MinCalls && c.Slow+c.Overdue > 0 &&
		c.SlowRate() >= r.SlowRate:
		reason := fmt.Sprintf("%d of %d calls took %s or longer %s", c.Slow+c.Overdue, c.Calls+c.Overdue, short(r.SlowCall), span)
		if c.Overdue > 0 {
			reason += fmt.Sprintf(", %d of them unanswered", c.Overdue)
		}
		return reason
	case r.Failures > 0 && c.Failures >= r.Failures:
		return plural(c.Failures, "call") + " failed " + span
	case r.ConsecutiveFailures > 0 && c.ConsecutiveFailures >= r.ConsecutiveFailures && lasted >= int64(r.ConsecutiveSpan):
		over := ""
		if lasted >= int64(time.Millisecond) {
			over = fmt.Sprintf(" over %s", roundDuration(time.Duration(lasted)))
		}
		if c.Overdue > 0 {
			return fmt.Sprintf("%s in a row failed or were unanswered after %s%s",
				plural(c.ConsecutiveFailures, "call"), short(r.SlowCall), over)
		}
		return plural(c.ConsecutiveFailures, "call") + " in a row failed" + over
	}
	return ""
}

// lookOverdue opens the circuit if the calls that are overdue make a rule hold.
func (b *Breaker) lookOverdue(now int64) {
	f := b.inflight.Load()
	if f == nil || now < f.nextLook.Load() {
		return
	}
	f.nextLook.Store(f.end(f.step(now)))
	successes := b.successes()
	f.noteSuccesses(successes, now)
	if overdue, _, _ := f.overdue(successes, now); overdue > 0 {
		if reason := b.judge(now); reason != "" {
			b.open(now, reason)
		}
	}
}

// askTrip asks Config.Trip, under no lock, on behalf of a call whose permit had
// this tag.
func (b *Breaker) askTrip(tag uint64) {
	b.lock()
	counts, trip := b.count(b.env.now()).Counts, b.rules.Load().Trip
	current := tagOf(tag^b.word.Load()) == 0
	b.unlock()
	if trip == nil || !current || !says(trip, counts) {
		return
	}
	b.lock()
	if tagOf(tag^b.word.Load()) == 0 {
		b.open(b.env.now(), fmt.Sprintf("the Trip rule held at %d failures of %d calls", counts.Failures, counts.Calls))
	}
	b.unlock()
}

// says calls a rule of the user's own. If it panics it has said no.
func says(trip func(Counts) bool, c Counts) (yes bool) {
	defer func() { _ = recover() }()
	return trip(c)
}
