package breaker_test

import (
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seed-0b728cf8/httpbreaker/breaker"
)

// With SlowCall, a host that hangs is noticed before the calls to it end. What is known
// without SlowCall is tested in waiting_test.go.

var hangRule = breaker.Config{SlowCall: time.Second, HangAfter: -1, Jitter: -1}

// drive makes calls at a steady rate until the bubble's clock shows end, each
// ending as call says, and returns the most that were in flight at once.
func (r rig) drive(perSecond int, end time.Duration, call func(n int) (time.Duration, breaker.Outcome)) (peak int) {
	r.Helper()
	for n := 0; r.now() < end; n++ {
		if p, err := r.b.Allow(r.Context()); err == nil {
			took, outcome := call(n)
			if took == 0 {
				p.Done(outcome)
			} else {
				time.AfterFunc(took, func() { p.Done(outcome) })
			}
		}
		peak = max(peak, r.b.Snapshot().InFlight)
		time.Sleep(time.Second / time.Duration(perSecond))
	}
	synctest.Wait() // for those that end in this moment, so that r.seen may be read
	return peak
}

func healthy(int) (time.Duration, breaker.Outcome) { return 50 * time.Millisecond, breaker.Success }

func TestHangingHostIsCutOffAfterSlowCall(t *testing.T) {
	inBubble(t, hangRule, func(r rig) {
		r.drive(100, 10*time.Second, healthy)
		peak := r.drive(100, 70*time.Second, func(int) (time.Duration, breaker.Outcome) {
			return 10 * time.Second, breaker.Failure
		})
		if peak > 200 {
			r.Errorf("%d calls in flight at the peak, want at most 200", peak)
		}
		if r.b.State() == breaker.Closed {
			r.Error("closed")
		}
		first := (*r.seen)[0]
		if after := first.At.Sub(r.start) - 10*time.Second; after < time.Second || after > 1500*time.Millisecond {
			r.Errorf("opened %v after the host had begun to hang, want about 1s; %s", after, first.Reason)
		}
		if got := r.b.Snapshot().Totals; got.Rejected < 5000 {
			r.Errorf("%d of 6000 calls rejected; %+v", got.Rejected, got)
		}
	})
}

// With no traffic before it, and with so little that the rate never has its
// minimum of calls.
func TestHangingHostIsCutOffInLowTraffic(t *testing.T) {
	inBubble(t, hangRule, func(r rig) {
		r.drive(1, 60*time.Second, func(int) (time.Duration, breaker.Outcome) { return time.Hour, breaker.Failure })
		if got := r.b.Snapshot(); got.Totals.Opened == 0 || got.InFlight > 10 {
			r.Errorf("%+v", got)
		}
	})
}

func TestLongPollAmongFastCallsDoesNotOpen(t *testing.T) {
	inBubble(t, hangRule, func(r rig) {
		r.drive(100, 2*time.Minute, func(n int) (time.Duration, breaker.Outcome) {
			if n%20 == 0 {
				return 30 * time.Second, breaker.Success
			}
			return 20 * time.Millisecond, breaker.Success
		})
		r.wantSeen()
	})
}

// Each success ends the run, overdue calls included.
func TestTenPercentHangingDoNotOpenThroughTheRun(t *testing.T) {
	cfg := with(hangRule, func(c *breaker.Config) { c.SlowRate = -1 })
	inBubble(t, cfg, func(r rig) {
		random := rand.New(rand.NewPCG(1, 1))
		r.drive(1000, 20*time.Second, func(int) (time.Duration, breaker.Outcome) {
			if random.IntN(10) == 0 {
				return 10 * time.Second, breaker.Failure
			}
			return 20 * time.Millisecond, breaker.Success
		})
		r.wantSeen()
	})
}

func TestCallsThatHangForEverDoNotReopenARecoveredCircuit(t *testing.T) {
	inBubble(t, hangRule, func(r rig) {
		r.drive(100, 30*time.Second, func(int) (time.Duration, breaker.Outcome) {
			return 24 * time.Hour, breaker.Ignored
		})
		time.Sleep(time.Minute)
		r.b.Allow(r.Context()) // finds that the last probe is lost
		time.Sleep(time.Minute)
		r.succeed(1)
		r.want(breaker.Closed)
		seen := len(*r.seen)
		r.drive(100, 3*time.Minute, healthy)
		if len(*r.seen) != seen {
			r.Errorf("reopened: %+v", (*r.seen)[seen:])
		}
		if got := r.b.Snapshot(); got.InFlight < 100 || got.Counts.Overdue != 0 {
			r.Errorf("%d in flight, %d overdue", got.InFlight, got.Counts.Overdue)
		}
	})
}

// An answer that has begun is no hang, however long it goes on.
func TestAnsweredCallIsNotOverdue(t *testing.T) {
	inBubble(t, hangRule, func(r rig) {
		for range 100 {
			p := r.admit()
			time.Sleep(100 * time.Millisecond)
			p.Answered()
			if p.Elapsed() != 100*time.Millisecond {
				r.Fatalf("took %v to be answered", p.Elapsed())
			}
			time.AfterFunc(time.Hour, func() { p.Done(breaker.Success) })
		}
		r.wantSeen()
		if got := r.b.Snapshot(); got.InFlight != 0 || got.Counts.Overdue != 0 {
			r.Errorf("%+v", got)
		}
		time.Sleep(2 * time.Hour)
		synctest.Wait()
		if got := r.b.Snapshot().Totals; got.Slow != 0 || got.Successes != 100 {
			r.Errorf("%+v", got)
		}
	})
}

func TestOverdueCallIsCountedOnce(t *testing.T) {
	for _, outcome := range []breaker.Outcome{breaker.Success, breaker.Failure, breaker.Ignored} {
		inBubble(t, hangRule, func(r rig) {
			p := r.admit()
			time.Sleep(2 * time.Second)
			if got := r.b.Snapshot().Counts; got != (breaker.Counts{Overdue: 1, ConsecutiveFailures: 1}) {
				r.Errorf("overdue: %+v", got)
			}
			p.Done(outcome)
			want := map[breaker.Outcome]breaker.Counts{
				breaker.Success: {Calls: 1, Slow: 1},
				breaker.Failure: {Calls: 1, Slow: 1, Failures: 1, ConsecutiveFailures: 1},
				breaker.Ignored: {},
			}
			if got := r.b.Snapshot().Counts; got != want[outcome] {
				r.Errorf("%v: got %+v, want %+v", outcome, got, want[outcome])
			}
		})
	}
}

func TestSlowRateCountsOverdueAboveAndBelowTheLine(t *testing.T) {
	cfg := breaker.Config{SlowCall: time.Second, SlowRate: 0.5, MinCalls: 10, ConsecutiveFailures: -1}
	for overdue, opens := range map[int]bool{6: false, 7: true, 10: true} {
		inBubble(t, cfg, func(r rig) {
			for range overdue {
				r.admit()
			}
			r.succeed(7)
			time.Sleep(2 * time.Second)
			if _, err := r.b.Allow(r.Context()); (err != nil) != opens {
				r.Errorf("%d overdue and 7 fast: err = %v", overdue, err)
			}
		})
	}
}

// Overdue calls count from SlowCall on, and not more than a sixteenth later.
func TestOverdueIsNoticedInTime(t *testing.T) {
	for _, slowCall := range []time.Duration{100 * time.Millisecond, time.Second, 7 * time.Second, time.Hour} {
		for _, offset := range []time.Duration{0, 1, slowCall / 40, slowCall / 17, slowCall / 3} {
			inBubble(t, with(hangRule, func(c *breaker.Config) { c.SlowCall = slowCall }), func(r rig) {
				time.Sleep(offset)
				r.admit()
				time.Sleep(slowCall - 1)
				if got := r.b.Snapshot().Counts.Overdue; got != 0 {
					r.Errorf("SlowCall %v: overdue before it is over", slowCall)
				}
				time.Sleep(1 + slowCall/16)
				if got := r.b.Snapshot().Counts.Overdue; got != 1 {
					r.Errorf("SlowCall %v, at %v: not overdue a sixteenth after it is over", slowCall, offset)
				}
			})
		}
	}
}

// The end of a call notices what is overdue as well as a new call does.
func TestOverdueIsNoticedByTheEndOfACall(t *testing.T) {
	inBubble(t, hangRule, func(r rig) {
		for range 5 {
			r.admit()
			time.Sleep(300 * time.Millisecond)
		}
		last := r.admit()
		time.Sleep(1200 * time.Millisecond)
		r.want(breaker.Closed)
		last.Done(breaker.Ignored)
		r.want(breaker.Open)
	})
}

// A quiet breaker opens at the first call that finds its rule met, also when
// that comes long after.
func TestOverdueIsNoticedByTheNextCall(t *testing.T) {
	for _, later := range []time.Duration{1200 * time.Millisecond, 5 * time.Second, time.Hour} {
		inBubble(t, hangRule, func(r rig) {
			for range 5 {
				r.admit()
				time.Sleep(300 * time.Millisecond)
			}
			time.Sleep(later)
			r.want(breaker.Closed)
			r.reject()
		})
	}
}

// One lost connection is one event, also when the calls on it are not ended but
// hang: as long as others succeed, nothing opens.
func TestOneHangingConnectionDoesNotOpen(t *testing.T) {
	inBubble(t, hangRule, func(r rig) {
		r.drive(50, 10*time.Second, healthy)
		for range 40 {
			p := r.admit()
			time.AfterFunc(20*time.Second, func() { p.Done(breaker.Failure) })
		}
		r.drive(50, 40*time.Second, healthy)
		r.wantSeen()
	})
}

// A success ends the run, with the overdue calls that it had by then: they are not in
// the next one, however many calls have ended meanwhile.
func TestSuccessEndsTheRunOfOverdueCalls(t *testing.T) {
	cfg := with(hangRule, func(c *breaker.Config) { c.SlowRate, c.ConsecutiveSpan = -1, -1 })
	inBubble(t, cfg, func(r rig) {
		for round := range 10 {
			for range 4 {
				r.admit()
			}
			time.Sleep(1500 * time.Millisecond)
			if got := r.b.Snapshot().Counts.ConsecutiveFailures; got > 4 || round == 0 && got != 4 {
				r.Fatalf("round %d: a run of %d, want 4", round, got)
			}
			r.succeed(1)
			time.Sleep(500 * time.Millisecond)
		}
		time.Sleep(time.Second)
		if got := r.b.Snapshot().Counts; got.Overdue != 40 || got.ConsecutiveFailures != 0 {
			r.Errorf("%+v, want 40 overdue and no run", got)
		}
	})
}

// Long polls beside healthy calls are no run: not when there is a pause, and not when
// the last calls before the pause fail or are given up.
func TestLongPollsAndAPauseAreNoRun(t *testing.T) {
	for _, polls := range []int{5, 50} {
		for _, last := range []breaker.Outcome{breaker.Success, breaker.Failure, breaker.Ignored} {
			inBubble(t, hangRule, func(r rig) {
				for range polls {
					r.admit()
				}
				r.drive(100, 10*time.Second, healthy)
				time.Sleep(100 * time.Millisecond)
				r.calls(3, last)
				time.Sleep(2 * time.Second)
				if p, err := r.b.Allow(r.Context()); err != nil {
					r.Errorf("%d long polls, the last calls ended as %v: %v", polls, last, err)
				} else {
					p.Done(breaker.Success)
				}
			})
		}
	}
}

// The run of overdue calls began when they did, but not before the last success.
func TestRunOfOverdueCallsLastsSinceTheyBegan(t *testing.T) {
	cfg := with(hangRule, func(c *breaker.Config) { c.SlowRate, c.ConsecutiveSpan = -1, 3*time.Second })
	inBubble(t, cfg, func(r rig) {
		for range 8 {
			r.admit()
		}
		for _, at := range []time.Duration{1100, 2000, 3000} {
			r.sleepUntil(at * time.Millisecond)
			r.ignore(1)
		}
		r.sleepUntil(3200 * time.Millisecond)
		r.reject()
	})
	cfg.SlowCall = 3 * time.Second
	inBubble(t, cfg, func(r rig) {
		for range 8 {
			r.admit()
		}
		r.sleepUntil(2 * time.Second)
		r.succeed(1)
		for _, at := range []time.Duration{2500, 3500, 4900} {
			r.sleepUntil(at * time.Millisecond)
			r.ignore(1) // the success is 2.9s ago, the calls began 4.9s ago
		}
	})
	cfg.SlowCall, cfg.ConsecutiveSpan = time.Second, 10*time.Second
	inBubble(t, cfg, func(r rig) { // nor with a run before it
		first := r.admit()
		time.Sleep(2 * time.Second)
		r.ignore(1) // which notices that one is overdue
		first.Done(breaker.Success)
		r.sleepUntil(20 * time.Second)
		for range 8 {
			r.admit()
		}
		for range 8 {
			time.Sleep(time.Second)
			r.ignore(1)
		}
	})
}

// While calls end, Overdue is a lower bound, as they are taken for the oldest. It is
// exact once as much as SlowCall has passed without one.
func TestOverdueIsExactOnceNothingElseEnds(t *testing.T) {
	inBubble(t, hangRule, func(r rig) {
		first, second := r.admit(), r.admit()
		r.drive(100, time.Minute, healthy)
		if got := r.b.Snapshot().Counts.Overdue; got > 2 {
			r.Errorf("%d overdue, want at most 2", got)
		}
		time.Sleep(time.Second + time.Second/16)
		if got := r.b.Snapshot().Counts.Overdue; got != 2 {
			r.Errorf("%d overdue, want 2", got)
		}
		first.Done(breaker.Ignored)
		if got := r.b.Snapshot().Counts.Overdue; got != 1 {
			r.Errorf("%d overdue, want 1", got)
		}
		second.Answered()
		if got := r.b.Snapshot().Counts.Overdue; got != 0 {
			r.Errorf("%d overdue, want none", got)
		}
	})
}

// A call that waits moves only the rules in which it counts: what has failed before was
// judged when it failed.
func TestWaitingCallOpensByNoOtherRule(t *testing.T) {
	rules := breaker.Config{ConsecutiveFailures: -1, ShedRate: -1, SlowCall: time.Second, SlowRate: -1}
	inBubble(t, rules, func(r rig) {
		r.fail(3)
		rules.Failures = 3
		if err := r.b.Update(rules); err != nil {
			r.Fatal(err)
		}
		for range 20 {
			r.admit()
			time.Sleep(100 * time.Millisecond)
		}
		if r.want(breaker.Closed); r.b.Snapshot().Counts.Overdue == 0 {
			r.Error("no call is overdue")
		}
		r.fail(1)
		r.want(breaker.Open)
	})
}
