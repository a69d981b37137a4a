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
	s, last := b.snapshot()
	if last != nil {
		s.LastFailure = describe(last)
	}
	return s
}

func (b *Breaker) snapshot() (s Snapshot, last error) {
	b.lock()
	defer b.unlock()
	now, h := b.shared.now(), b.past()
	s = Snapshot{
		Key:        b.key,
		State:      b.effective(),
		Mode:       b.mode,
		Share:      b.share(now),
		Since:      b.shared.time(b.since),
		Until:      b.until(),
		Origin:     h.origin,
		Reason:     h.reason,
		Generation: b.generation() >> generationShift,
		Counts:     b.countsNow(now),
		InFlight:   max(0, b.waiting()),
		Totals:     h.totals,
	}
	s.InFlight += h.bypass.inFlight
	if o := h.outage; o != nil {
		s.OutageSince, s.Fleet = b.shared.time(o.began), o.fleet
		s.OutageOpened, s.OutageRejected = h.totals.Opened-o.openedBefore, b.rejections()-o.rejectedBefore
	}
	if h.modeReason != "" && (b.mode >= ForceOpen || h.phase == nil) {
		s.Reason, s.Origin = h.modeReason, ByOperator
	}
	_, unfolded, open, _ := b.sums()
	s.Answered = int(open) + h.bypass.answered
	through := &h.bypass.totals
	s.Totals.Successes = b.succeeded(unfolded) + through.Successes
	s.Totals.Failures += through.Failures
	s.Totals.Ignored += through.Ignored
	s.Totals.Slow += through.Slow
	s.Totals.Late += through.Late
	s.Totals.Rejected = b.rejections()
	s.Totals.OpenTime = h.openTime
	if s.State == Open {
		s.Totals.OpenTime += time.Duration(now - b.since)
	}
	return s, h.lastErr
}

func (b *Breaker) countsNow(now int64) Counts {
	c, _ := b.count(now)
	return c
}

// Trip opens the circuit now, for d, without jitter: for operators. If it is open
// already, Trip may shorten or lengthen that. It leaves the backoff as it is. A d
// that is not positive stands for Config.OpenFor. Under ForceOpen and Disabled it
// takes effect once that ends.
func (b *Breaker) Trip(d time.Duration, reason string) {
	b.operate(ActTrip, reason, func(now int64) {
		b.expireProbes(now)
		if d <= 0 {
			d = b.rules.Load().OpenFor
		}
		b.openUntil(now, after(now, d), ByOperator, reason)
	})
}

// Reset closes the circuit at once, without a slow start, and forgets counts and
// backoff. Totals and the mode stay.
func (b *Breaker) Reset(reason string) {
	b.operate(ActReset, reason, func(now int64) {
		b.close(now, ByOperator, cmp.Or(reason, "reset"))
	})
}

// SetMode sets the mode, which then stays until it is set again; the reason is
// shown in Snapshot and OpenError. ForceOpen and Disabled leave the state that
// the rules have made as it is, and what is in flight when they begin or end
// counts as Late. SetMode panics if there is no such mode.
func (b *Breaker) SetMode(m Mode, reason string) {
	m.check("SetMode")
	b.operate(ActMode, reason, func(now int64) { b.changeMode(now, m, reason) })
}

func (m Mode) check(method string) {
	if int(m) >= len(modeNames) {
		panic(fmt.Sprintf("breaker: %s(%d); want one of %q", method, uint8(m), modeNames))
	}
}

// operate does an operator's act and tells of it.
func (b *Breaker) operate(act Act, reason string, do func(now int64)) {
	b.lock()
	now := b.shared.now()
	do(now)
	op := Operation{Key: b.key, At: b.shared.time(now), Act: act, Mode: b.mode, Reason: reason}
	b.unlock()
	b.shared.tellOperation(op)
}

func (b *Breaker) changeMode(now int64, m Mode, reason string) {
	b.expireProbes(now)
	before, old, counts := b.effective(), b.mode, b.countsNow(now)
	b.setMode(m, reason)
	b.remember().modeSet = true
	if old != m && (old >= ForceOpen || m >= ForceOpen) {
		b.beginGeneration()
		b.history.run = run{number: b.history.run.number}
		switch p := b.history.phase.(type) { // no call in flight counts any more
		case *probing:
			p.out = nil
		case *starting:
			p.places = places{step: p.places.step}
		}
	}
	b.met(before, now, ByOperator, cmp.Or(reason, "mode set to "+m.String()), counts)
	b.tellMode()
}

// tellMode lets the errors of calls that are rejected from now on say the mode.
func (b *Breaker) tellMode() {
	m := b.mode
	told := func(e *OpenError) *OpenError {
		if e == nil {
			return nil
		}
		c := *e
		c.Mode, c.Since = m, b.shared.time(b.since)
		return &c
	}
	switch p := b.history.phase.(type) {
	case *opening:
		o := *p
		o.err = told(o.err)
		b.history.phase = &o
	case *probing:
		p.err = told(p.err)
	case *starting:
		p.err = told(p.err)
	case *shedding:
		p.err = told(p.err)
	}
	b.force()
}

// force makes what rejects under ForceOpen.
func (b *Breaker) force() {
	if b.mode == ForceOpen {
		e := b.rejection(Open, b.history.modeSince, b.history.modeReason)
		e.Origin = ByOperator
		b.history.forced = &opening{err: e, began: b.since, until: never}
	}
}

func (b *Breaker) setMode(m Mode, reason string) {
	h := b.remember()
	if m != b.mode {
		h.modeSince = b.shared.now()
	}
	b.mode, h.modeReason = m, reason
	if m != Enforce {
		h.modeReason = cmp.Or(reason, "mode set to "+m.String())
	}
	b.nextLook.Store(0)
	if m >= ForceOpen {
		b.nextLook.Store(never)
	}
	b.tellMode()
}

// Hold opens the circuit for d, or lengthens the time for which it is open: for what
// other processes know of the peer. It never shortens, and leaves reason, backoff
// and origin of what the rules did as they are. It does nothing and returns false
// if the circuit is not in that generation any more, is half-open or is Disabled
// or forced open.
func (b *Breaker) Hold(generation uint64, d time.Duration, reason string) bool {
	b.lock()
	defer b.unlock()
	now := b.shared.now()
	b.expireProbes(now)
	if !b.actsOn(generation) || d <= 0 {
		return false
	}
	h := b.remember()
	switch o, open := h.phase.(*opening); {
	case h.phase == nil:
		b.openUntil(now, after(now, d), ByFleet, reason)
	case !open:
		return false
	default:
		h.outage.fleet = true
		b.openUntil(now, max(o.until, after(now, d)), h.origin, h.reason)
	}
	return true
}

// Retry lets an open circuit be probed after d, sooner or later than it would be:
// where another process knows that the time has come. It does nothing and returns
// false if the circuit is not in that generation any more, is not open, is Disabled
// or forced open, or if an operator or the peer itself has set the time.
func (b *Breaker) Retry(generation uint64, d time.Duration) bool {
	b.lock()
	defer b.unlock()
	now := b.shared.now()
	h := b.past()
	if _, open := h.phase.(*opening); !open || !b.actsOn(generation) || h.origin == ByOperator || h.origin == ByPeer {
		return false
	}
	b.openUntil(now, after(now, max(0, d)), h.origin, h.reason)
	return true
}

func (b *Breaker) actsOn(generation uint64) bool {
	return b.mode < ForceOpen && b.generation()>>generationShift == generation
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
	now := b.shared.now()
	b.expireProbes(now)
	if old.bucket != r.bucket || old.WindowCalls != r.WindowCalls {
		b.rewindow(old, r, now)
	}
	b.rules.Store(r)
	if h := b.history; h != nil {
		if old.SlowCall != r.SlowCall {
			h.overdue = nil
		}
		if r.HangAfter < 0 {
			h.hang = nil
		}
	}
	if b.mode <= Observe {
		b.nextLook.Store(0)
	}
}
