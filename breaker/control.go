package breaker

import (
	"cmp"
	"fmt"
	"time"
)

// State returns the state that callers meet: Open under ForceOpen, Closed when
// Disabled, and else what the rules have made of it. An open circuit stays Open
// until a call makes the transition, even when its time is over.
func (b *Breaker) State() State {
	b.lock()
	defer b.unlock()
	return b.effective()
}

// Snapshot returns what the breaker is like now. It takes no probe and changes
// nothing.
func (b *Breaker) Snapshot() Snapshot {
	b.lock()
	defer b.unlock()
	now := b.env.now()
	s := Snapshot{
		Key:    b.key,
		State:  b.effective(),
		Mode:   b.mode,
		Since:  b.env.time(b.since),
		Until:  b.until(),
		Reason: b.reason,
		Counts: b.count(now).Counts,
		Totals: b.totals,
	}
	if given := b.modeReason(); given != "" && (b.mode >= ForceOpen || b.state == Closed) {
		s.Reason = given
	}
	s.Totals.Successes = b.successes()
	s.Totals.Rejected = b.rejected.Load()
	if s.State == Open {
		s.Totals.OpenTime += time.Duration(now - b.since)
	}
	ended := s.Totals.Successes + s.Totals.Failures + s.Totals.Ignored + s.Totals.Late
	answered := b.answered.Load()
	s.InFlight = max(0, int(int64(b.admitted.Load()-ended)-answered))
	return s
}

// Trip opens the circuit now, for d, without jitter: for operators, and for what
// others know of the peer. If it is open already, Trip may shorten or lengthen
// that. It leaves the backoff as it is. A d that is not positive stands for
// Config.OpenFor. Under ForceOpen and Disabled it takes effect once that ends.
func (b *Breaker) Trip(d time.Duration, reason string) {
	b.lock()
	defer b.unlock()
	now := b.env.now()
	b.expireProbes(now)
	if d <= 0 {
		d = b.rules.Load().OpenFor
	}
	b.openFor(now, d, reason)
}

// Reset closes the circuit at once, without a ramp, and forgets counts and
// backoff. Totals and the mode stay.
func (b *Breaker) Reset() {
	b.lock()
	defer b.unlock()
	b.phase = nil
	b.forget(b.env.now(), "reset")
}

// SetMode sets the mode, which then stays until it is set again; the reason is
// shown in Snapshot and OpenError. ForceOpen and Disabled leave the state that
// the rules have made as it is, and what is in flight when they begin or end
// counts as Late. SetMode panics if there is no such mode.
func (b *Breaker) SetMode(m Mode, reason string) {
	if int(m) >= len(modeNames) {
		panic(fmt.Sprintf("breaker: SetMode(%d); want one of %q", uint8(m), modeNames))
	}
	b.lock()
	defer b.unlock()
	now := b.env.now()
	b.expireProbes(now)
	before, old, counts := b.effective(), b.mode, b.count(now).Counts
	b.setMode(m, reason)
	forced := old != m && (old >= ForceOpen || m >= ForceOpen)
	if b.phase != nil {
		p := *b.phase
		if forced {
			p.probes = nil
		}
		if p.err != nil {
			e := *p.err
			e.Mode = m
			p.err = &e
		}
		b.phase = &p
	}
	b.met(before, now, cmp.Or(reason, "mode set to "+m.String()), counts)
	b.setGate()
	b.publish(forced)
}

func (b *Breaker) setMode(m Mode, reason string) {
	b.mode, b.forMode = m, nil
	if m != Enforce {
		reason = cmp.Or(reason, "mode set to "+m.String())
	}
	if reason != "" {
		b.forMode = &reason
	}
}

func (b *Breaker) modeReason() string {
	if b.forMode == nil {
		return ""
	}
	return *b.forMode
}

// Update sets new rules. State, deadlines, counts and the mode stay; but
// with another SlowCall, the calls now in flight are never overdue. An invalid
// cfg is an error as of [Config.Validate] and changes nothing.
func (b *Breaker) Update(cfg Config) error {
	r, err := newRules(cfg)
	if err != nil {
		return err
	}
	b.lock()
	defer b.unlock()
	b.update(r)
	return nil
}

func (b *Breaker) update(r *rules) {
	old := b.rules.Load()
	if old == r {
		return
	}
	now := b.env.now()
	if old.bucket != r.bucket || old.WindowCalls != r.WindowCalls {
		b.rewindow(old, r, now)
	} else {
		b.rules.Store(r)
	}
	if old.SlowCall != r.SlowCall {
		b.inflight.Store(nil)
	}
	b.publish(false)
}

// rewindow puts the counts into a window of another size or kind, where they
// have a place in it.
func (b *Breaker) rewindow(old, r *rules, now int64) {
	was, wasCalls := b.window, b.calls
	if wasCalls == nil {
		b.roll(now)
		was = b.window
	}
	b.rules.Store(r)
	b.window, b.calls = timeWindow{}, nil
	b.roll(now)
	if r.WindowCalls <= 0 {
		if wasCalls != nil {
			*b.window.at(b.window.current) = bucket{
				ok:     uint32(wasCalls.Calls - wasCalls.Failures),
				failed: uint32(wasCalls.Failures),
				slow:   uint32(wasCalls.Slow),
			}
			return
		}
		was.each(func(index int64, from bucket) {
			to := min(b.window.current, r.indexOf((index-firstBucket)*old.bucket+old.bucket/2+beginning))
			if to > b.window.current-windowBuckets {
				b.window.at(to).add(from)
			}
		})
		return
	}
	b.calls = newCallWindow(r.WindowCalls)
	if wasCalls != nil {
		wasCalls.each(b.calls.add)
		return
	}
	was.each(func(_ int64, from bucket) { b.calls.pour(from) })
}
