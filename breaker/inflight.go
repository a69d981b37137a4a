package breaker

import (
	"context"
	"math/bits"
	"sync/atomic"
	"time"
)

// inflight knows when the calls still in flight began, so that later calls can
// notice those that are overdue: no timer does. There is one for each closed
// generation with SlowCall on, and the permits point to it, so that calls which
// hang for ever do not count against a circuit that has recovered.
//
// Calls are counted by the step of time in which they began, without a lock.
// Only what has to leave the ring because its slot is needed again is guarded
// by the breaker's lock.
type inflight struct {
	timed timed // for the permits of all calls, as long as no hook wants them one by one

	slow  int64 // SlowCall in nanoseconds
	shift uint8 // a step is 1<<shift nanoseconds: at most slow/16, more than slow/32

	nextLook atomic.Int64 // when the overdue calls are to be looked at again
	slots    [inflightSlots]atomic.Uint64

	// Guarded by Breaker.mu.
	old       int    // calls in flight that began before the ring does
	oldRun    int    // those of them that have become overdue since the last success
	oldBegan  int64  // when the first of those began
	successes uint64 // the breaker's successes when last looked at
	lastOK    int64  // about when the last success came: no earlier than it did
}

// timed is what a permit needs of a call that is timed.
type timed struct {
	inflight *inflight       // in which the call counts until it is answered; nil: in none
	ctx      context.Context // for Hooks.Done
}

// of is nil-safe.
func (t *timed) of() *inflight {
	if t == nil {
		return nil
	}
	return t.inflight
}

const (
	inflightSlots = 64 // more than two SlowCalls reach back
	slotBits      = 24 // a slot is the step above, without its high bits, and the calls in flight below
	slotCalls     = 1<<slotBits - 1
	slotSteps     = 1<<(64-slotBits) - 1
)

func newInflight(slowCall time.Duration, now int64, successes uint64) *inflight {
	f := &inflight{slow: int64(slowCall), successes: successes, lastOK: now}
	f.timed.inflight = f
	f.shift = uint8(max(0, bits.Len64(uint64(f.slow/16))-1))
	f.nextLook.Store(f.end(f.step(now)))
	return f
}

func (f *inflight) step(t int64) uint64 { return uint64(t) >> f.shift }

// end returns when a step has ended.
func (f *inflight) end(step uint64) int64 { return int64(step+1) << f.shift }

func (f *inflight) slot(step uint64) *atomic.Uint64 { return &f.slots[step%inflightSlots] }

// stepOf returns the step of a slot as seen from a step that is not much earlier;
// ok is false if it is from the time after.
func stepOf(slot, now uint64) (step uint64, ok bool) {
	ago := (now - slot>>slotBits) & slotSteps
	return now - ago, ago <= slotSteps/2
}

// enter counts a call that begins now. It fails if the slot still holds calls
// of an earlier step: the caller must make room under the lock first.
func (f *inflight) enter(now int64) bool {
	step := f.step(now)
	slot := f.slot(step)
	for {
		s := slot.Load()
		next := s + 1
		if s>>slotBits != step&slotSteps {
			if s&slotCalls != 0 {
				return false
			}
			next = step<<slotBits + 1
		}
		if slot.CompareAndSwap(s, next) {
			return true
		}
	}
}

// leave takes out a call that began at start. It fails if the call is not in
// the ring any more: the caller must take it from old under the lock.
func (f *inflight) leave(start int64) bool {
	step := f.step(start)
	slot := f.slot(step)
	for {
		s := slot.Load()
		if s>>slotBits != step&slotSteps || s&slotCalls == 0 {
			return false
		}
		if slot.CompareAndSwap(s, s-1) {
			return true
		}
	}
}

// makeRoom frees the slot in which a call that begins now would be counted.
func (f *inflight) makeRoom(now int64) {
	step := f.step(now)
	slot := f.slot(step)
	for {
		s := slot.Load()
		was, ok := stepOf(s, step)
		if !ok || was == step || s&slotCalls == 0 {
			return
		}
		if slot.CompareAndSwap(s, step<<slotBits) {
			began := f.end(was)
			n := int(s & slotCalls)
			f.old += n
			if began+f.slow > f.lastOK {
				if f.oldRun == 0 {
					f.oldBegan = began
				}
				f.oldRun += n
			}
			return
		}
	}
}

func (f *inflight) leaveOld() {
	f.old--
	f.oldRun = min(f.oldRun, f.old)
}

// noteSuccesses ends the run of overdue calls if there were successes since.
func (f *inflight) noteSuccesses(successes uint64, now int64) {
	if successes != f.successes {
		f.successes, f.lastOK, f.oldRun = successes, now, 0
	}
}

// overdue tells how many calls are in flight for SlowCall or longer, how many
// of them have become so since the last success, and when that run began. It
// changes nothing.
func (f *inflight) overdue(successes uint64, now int64) (calls, run int, runBegan int64) {
	lastOK, oldRun := f.lastOK, f.oldRun
	if successes != f.successes {
		lastOK, oldRun = now, 0
	}
	calls, run = f.old, oldRun
	runBegan = now
	if run > 0 {
		runBegan = f.oldBegan
	}
	for i := range f.slots {
		s := f.slots[i].Load()
		n := int(s & slotCalls)
		step, ok := stepOf(s, f.step(now))
		end := f.end(step)
		if !ok || n == 0 || end > now-f.slow {
			continue
		}
		calls += n
		if end+f.slow > lastOK {
			run += n
			runBegan = min(runBegan, end)
		}
	}
	return calls, run, max(runBegan, lastOK)
}
