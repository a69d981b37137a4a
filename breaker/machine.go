package breaker

import (
	"cmp"
	"time"
)

// machine is the state of a circuit. The rules make it, see effective for what callers
// meet.
type machine struct {
	since   int64 // when the effective state began
	mode    Mode
	history *history // nil for a breaker that has met nothing but success
}

// machineHistory is what the machine remembers of a circuit that was not always closed.
type machineHistory struct {
	phase  phase // nil: closed
	outage *outage
	level  uint8 // of the backoff: how often it has opened without having closed
	origin Origin
	reason string // why the circuit came into its state

	modeReason string   // the reason given for the mode, if any
	modeSet    bool     // by hand, not by Config.Mode
	modeSince  int64    // when it was set to another one
	forced     *opening // with ForceOpen

	rejectedBefore uint64 // rejected when the effective state began
	openTime       time.Duration
	pending        *deliveries
}

// A phase is a state other than Closed. Each is a type of its own: opening, probing,
// starting and shedding. All methods are called with the lock held.
type phase interface {
	// state is what callers are told: Open, or HalfOpen if some calls are let through.
	state() State
	// admit returns flags for the permit of a call that arrives now, or its rejection.
	admit(b *Breaker, now int64) (flags uint64, rejection *OpenError)
	// settle judges the end of a call that the phase, or the closed circuit before it,
	// has let through in the present generation. It is never Ignored.
	settle(b *Breaker, p Permit, c Call, v verdict, now int64)
	// free takes note that a call is answered or has ended, and takes back its place.
	free(p Permit)
	// share is how much of the calls is let through now.
	share(b *Breaker, now int64) float64
}

// outage lasts from when a circuit leaves Closed until it is Closed again.
type outage struct {
	began int64
	cause string // why it opened or shed first

	openedBefore, rejectedBefore uint64 // the totals when it began

	fleet       bool    // held open by the fleet, too
	usual       int     // calls in flight some seconds before
	failureRate float64 // of all calls before the window

	// Probes since this generation had no outcome in time, and none has failed since; how many
	// such have succeeded after their time.
	expired   bool
	expiredIn uint64
	lateGood  int

	slowStarts int64   // how long the slow starts have lasted that are over
	demand     float64 // calls in a second, when it opened last

	// After a hang, which a late success of the generation hungIn disproves.
	hung    bool
	hungIn  uint64
	hungAt  int64         // when that ended
	hangFor time.Duration // how long a call has to wait to be taken to hang
}

// state is what the rules have made of the circuit.
func (m *machine) state() State {
	if m.history == nil || m.history.phase == nil {
		return Closed
	}
	return m.history.phase.state()
}

// effective is the state that callers meet.
func (m *machine) effective() State {
	switch m.mode {
	case ForceOpen:
		return Open
	case Disabled:
		return Closed
	}
	return m.state()
}

// move brings the circuit into another phase; nil closes it. Calls are counted anew, in
// a generation of their own, except where the phase goes on with the counts.
func (b *Breaker) move(to phase, at int64, origin Origin, reason string, anew bool) {
	before, counts := b.effective(), b.countsNow(at)
	h := b.remember()
	if s, ok := h.phase.(*starting); ok {
		h.outage.slowStarts += at - s.began
	}
	if h.phase == nil && to != nil {
		h.outage = &outage{
			began: at, cause: reason, usual: h.hang.usual(), fleet: origin == ByFleet, failureRate: b.failureRateBefore(counts),
			openedBefore: h.totals.Opened, rejectedBefore: b.rejections(),
		}
	}
	h.phase, h.origin, h.reason = to, origin, reason
	if anew {
		b.beginGeneration()
	}
	b.met(before, at, origin, reason, counts)
	if to == nil {
		h.outage = nil
	}
	b.force()
}

// beginGeneration makes all calls in flight late.
func (b *Breaker) beginGeneration() {
	b.window.ok += uint32(b.nextGeneration())
	h := b.remember()
	h.hang, h.overdue = nil, nil
	if b.mode <= Observe {
		b.nextLook.Store(0)
	}
}

// met does what is due when callers meet another state than before.
func (b *Breaker) met(before State, at int64, origin Origin, reason string, counts Counts) {
	now := b.effective()
	if now == before {
		return
	}
	h := b.remember()
	if before == Open {
		h.openTime += time.Duration(at - b.since)
	}
	if now == Open {
		h.totals.Opened++
	}
	rejected := b.rejections()
	if b.shared.observing().wantTransitions() {
		t := Transition{
			Key: b.key, From: before, To: now, Mode: b.mode, Since: b.shared.time(b.since), At: b.shared.time(at),
			Until: b.until(), Origin: origin,
			Reason: reason, Counts: counts, Rejected: rejected - h.rejectedBefore,
			Share: b.share(at), Generation: b.generation() >> generationShift,
		}
		if o := h.outage; o != nil {
			t.OutageSince, t.Fleet = b.shared.time(o.began), o.fleet
			t.OutageOpened, t.OutageRejected = h.totals.Opened-o.openedBefore, rejected-o.rejectedBefore
		}
		h.pending = h.pending.add(t, h.lastErr)
	}
	b.since, h.rejectedBefore = at, rejected
}

// share is how much of the calls is let through now.
func (b *Breaker) share(now int64) float64 {
	switch {
	case b.mode == ForceOpen:
		return 0
	case b.mode == Disabled || b.state() == Closed:
		return 1
	}
	return b.history.phase.share(b, now)
}

// until is when an open circuit is probed, or zero.
func (b *Breaker) until() (t time.Time) {
	if o, open := b.past().phase.(*opening); open && b.mode <= Observe && o.until != never {
		t = b.shared.time(o.until)
	}
	return t
}

// rejection makes the error of the calls that are rejected from now on.
func (b *Breaker) rejection(s State, at int64, reason string) *OpenError {
	h := b.remember()
	e := &OpenError{
		Key: b.key, State: s, Mode: b.mode, Origin: h.origin, Reason: reason,
		Since: b.shared.time(at), Last: h.lastErr,
	}
	if o := h.outage; o != nil {
		e.OutageSince, e.Fleet = b.shared.time(o.began), o.fleet
	}
	return e
}

// close closes the circuit and forgets counts, run and backoff.
func (b *Breaker) close(at int64, origin Origin, reason string) {
	b.move(nil, at, origin, reason, true)
	b.forget()
	b.settleDown()
}

// settleDown forgets what belongs to an outage.
func (b *Breaker) settleDown() {
	h := b.history
	h.level, h.lastErr = 0, nil
}

// cause is why the outage began.
func (h *history) cause() string {
	if h.outage == nil {
		return ""
	}
	return cmp.Or(h.outage.cause, h.reason)
}
