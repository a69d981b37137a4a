package breaker_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/seed-0b728cf8/httpbreaker/breaker"
)

// The tests of this file and of ancestors_pybreaker_test.go play scenarios of two
// Python libraries, python-circuit and pybreaker, and of an article about them: what
// they do well is done likewise, and where they go wrong the better thing is shown. The
// settings that reproduce them are tested in comingfrom_test.go.

func TestTrippingCallGetsItsOwnResult(t *testing.T) {
	inBubble(t, runRule, func(r rig) {
		for range 3 {
			_, err := breaker.Do(r.Context(), r.b, func(context.Context) (int, error) { return 0, errBroken })
			if err != errBroken {
				r.Fatalf("got %v, want the call's own error", err)
			}
		}
		r.want(breaker.Open)
		_, err := breaker.Do(r.Context(), r.b, func(context.Context) (int, error) {
			r.Error("a rejected call was made")
			return 0, nil
		})
		if !errors.Is(err, breaker.ErrOpen) {
			r.Fatalf("got %v, want ErrOpen", err)
		}
	})
}

func TestSuccessesDiluteFailures(t *testing.T) {
	inBubble(t, breaker.Config{Window: time.Minute}, func(r rig) {
		r.fail(3)
		r.succeed(1000)
		r.sleepUntil(30 * time.Second)
		r.fail(1)
		r.want(breaker.Closed)
	})
}

func TestInfrequentFailuresDoNotOpen(t *testing.T) {
	inBubble(t, countRule, func(r rig) {
		for i := range 10 {
			r.failAt(time.Duration(i) * 30 * time.Second)
		}
		r.want(breaker.Closed)
	})
}

func TestOpenUntilTheExactMoment(t *testing.T) {
	inBubble(t, countRule, func(r rig) {
		r.fail(3)
		r.sleepUntil(10*time.Second - 1)
		r.reject()
		r.sleepUntil(10 * time.Second)
		if p := r.admit(); !p.Probe() {
			r.Error("the first call after the open time is no probe")
		}
	})
}

func TestNoTransitionWithoutACall(t *testing.T) {
	inBubble(t, countRule, func(r rig) {
		r.fail(3)
		time.Sleep(time.Hour)
		r.want(breaker.Open)
		r.wantSeen(breaker.Open)
		r.succeed(1)
		r.wantSeen(breaker.Open, breaker.HalfOpen, breaker.Closed)
	})
}

func TestHalfOpenLimitsItsProbes(t *testing.T) {
	for _, probes := range []int{0, 1, 3} {
		inBubble(t, with(countRule, func(c *breaker.Config) { c.Probes = probes }), func(r rig) {
			r.fail(3)
			time.Sleep(10 * time.Second)
			for range max(1, probes) {
				r.admit()
			}
			for range 5 {
				r.reject()
			}
			r.want(breaker.HalfOpen)
		})
	}
}

func TestClosingForgetsTheFailures(t *testing.T) {
	inBubble(t, countRule, func(r rig) {
		r.fail(3)
		time.Sleep(10 * time.Second)
		r.succeed(1)
		if c := r.b.Snapshot().Counts; c != (breaker.Counts{}) {
			r.Errorf("the window holds %+v after closing", c)
		}
		r.fail(2)
		r.want(breaker.Closed)
	})
}

// A failed probe reopens whatever the window holds, also when the backoff has
// become longer than the window.
func TestFailedProbeAlwaysReopens(t *testing.T) {
	for _, window := range []time.Duration{10 * time.Second, time.Minute} {
		for _, openFor := range []time.Duration{time.Second, 10 * time.Second, 30 * time.Second} {
			cfg := with(countRule, func(c *breaker.Config) { c.Window, c.OpenFor, c.MaxOpenFor = window, openFor, 300*time.Second })
			inBubble(t, cfg, func(r rig) {
				r.fail(3)
				for range 10 {
					time.Sleep(time.Until(r.b.Snapshot().Until))
					r.fail(1)
					r.want(breaker.Open)
					r.reject()
				}
			})
		}
	}
}

func TestOpenTimeDoublesUpToTheCap(t *testing.T) {
	inBubble(t, countRule, func(r rig) {
		r.fail(3)
		for i := range 100 {
			open := 64 * time.Second
			if i < 3 {
				open = 10 * time.Second << i
			}
			r.wantOpenFor(open)
			time.Sleep(open)
			r.fail(1)
		}
		time.Sleep(64 * time.Second)
		r.succeed(1)
		r.fail(3)
		r.wantOpenFor(10 * time.Second)
	})
}

// The open time is drawn once for each opening: how often the circuit is asked
// changes nothing.
func TestJitterIsDrawnOnce(t *testing.T) {
	const openings = 200
	for _, every := range []time.Duration{time.Second, time.Millisecond} {
		inBubble(t, with(runRule, func(c *breaker.Config) { c.Jitter, c.ConsecutiveFailures = 0.2, 1 }), func(r rig) {
			var sum time.Duration
			least, most := time.Duration(math.MaxInt64), time.Duration(0)
			for range openings {
				r.fail(1)
				opened := time.Now()
				until := r.b.Snapshot().Until
				for time.Now().Before(until) {
					if e := r.reject(); !e.Until.Equal(until) {
						r.Fatalf("until %v became %v", until, e.Until)
					}
					time.Sleep(min(every*100, max(1, time.Until(until))))
				}
				r.succeed(1)
				open := time.Since(opened)
				sum += open
				least, most = min(least, open), max(most, open)
			}
			mean := sum / openings
			if mean < 9500*time.Millisecond || mean > 10500*time.Millisecond {
				r.Errorf("asked every %v: open for %v on average, want about 10s", every, mean)
			}
			if least < 8*time.Second || most > 12*time.Second || most-least < 3*time.Second {
				r.Errorf("asked every %v: open for %v to %v, want 8s to 12s", every, least, most)
			}
		})
	}
}

func TestIgnoredProbeFreesItsSlotAndDecidesNothing(t *testing.T) {
	inBubble(t, with(countRule, func(c *breaker.Config) { c.ProbeSuccesses = 2 }), func(r rig) {
		r.fail(3)
		time.Sleep(10 * time.Second)
		r.ignore(5)
		r.want(breaker.HalfOpen)
		r.succeed(1)
		r.ignore(1)
		r.want(breaker.HalfOpen)
		r.succeed(1)
		r.want(breaker.Closed)
	})
}

func TestIgnoredCallsTouchNothing(t *testing.T) {
	inBubble(t, runRule, func(r rig) {
		r.fail(2)
		before := r.b.Snapshot().Counts
		r.ignore(50)
		if after := r.b.Snapshot().Counts; after != before {
			r.Errorf("counts %+v became %+v", before, after)
		}
		r.fail(1)
		r.want(breaker.Open)
	})
}

func TestCallersOwnCancellationIsIgnored(t *testing.T) {
	inBubble(t, runRule, func(r rig) {
		for range 20 {
			ctx, cancel := context.WithCancel(r.Context())
			_, err := breaker.Do(ctx, r.b, func(ctx context.Context) (int, error) {
				cancel()
				return 0, fmt.Errorf("get: %w", ctx.Err())
			})
			if !errors.Is(err, context.Canceled) {
				r.Fatal(err)
			}
		}
		r.want(breaker.Closed)
		if got := r.b.Snapshot().Totals.Ignored; got != 20 {
			r.Errorf("%d calls ignored, want 20", got)
		}
	})
}

func TestKeysAreIndependent(t *testing.T) {
	set := breaker.NewSet(breaker.Options{Config: runRule})
	a := set.Get("a")
	if set.Get("a") != a || set.Get("b") == a {
		t.Fatal("a key has not exactly one breaker")
	}
	a.Trip(time.Hour, "test")
	if set.Get("b").State() != breaker.Closed || set.Get("a").State() != breaker.Open {
		t.Error("tripping a moved b")
	}
}

func TestOperatedByHand(t *testing.T) {
	inBubble(t, countRule, func(r rig) {
		r.b.Trip(time.Minute, "maintenance")
		if e := r.reject(); e.Reason != "maintenance" {
			r.Errorf("reason %q", e.Reason)
		}
		r.wantOpenFor(time.Minute)
		r.b.Reset("")
		r.want(breaker.Closed)
		r.succeed(1)
		r.wantSeen(breaker.Open, breaker.Closed)
	})
}

func TestLateFailuresDoNotLengthenTheOpenTime(t *testing.T) {
	inBubble(t, countRule, func(r rig) {
		slow := r.admit()
		r.fail(3)
		r.sleepUntil(5 * time.Second)
		slow.Done(breaker.Failure)
		r.wantOpenFor(5 * time.Second)
		r.sleepUntil(10 * time.Second)
		r.admit()
	})
}

func TestLateSuccessLeavesTheCircuitOpen(t *testing.T) {
	inBubble(t, countRule, func(r rig) {
		slow := r.admit()
		r.fail(3)
		slow.Done(breaker.Success)
		r.reject()
	})
}

func TestLateFailureIsNotTheProbesResult(t *testing.T) {
	inBubble(t, countRule, func(r rig) {
		slow := r.admit()
		r.fail(3)
		time.Sleep(10 * time.Second)
		probe := r.admit()
		slow.Done(breaker.Failure)
		r.want(breaker.HalfOpen)
		probe.Done(breaker.Success)
		r.want(breaker.Closed)
	})
}

func TestConcurrentProbesThatFailAreOneStepOfBackoff(t *testing.T) {
	inBubble(t, with(countRule, func(c *breaker.Config) { c.Probes = 3 }), func(r rig) {
		r.fail(3)
		time.Sleep(10 * time.Second)
		probes := []*breaker.Permit{r.admit(), r.admit(), r.admit()}
		for _, p := range probes {
			p.Done(breaker.Failure)
		}
		r.wantOpenFor(20 * time.Second)
		if got := r.b.Snapshot().Totals; got.Opened != 2 || got.Late != 2 {
			r.Errorf("%+v, want 2 openings and 2 late calls", got)
		}
	})
}

func TestFirstFailureCanOpen(t *testing.T) {
	inBubble(t, with(countRule, func(c *breaker.Config) { c.Failures = 1 }), func(r rig) {
		r.succeed(100)
		r.fail(1)
		r.want(breaker.Open)
	})
}

func TestRejectionSaysWhoWhyAndHowLongStill(t *testing.T) {
	inBubble(t, runRule, func(r rig) {
		for range 3 {
			p := r.admit()
			p.Fail(errBroken)
		}
		time.Sleep(9900 * time.Millisecond)
		e := r.reject()
		if e.Key != "peer" || e.State != breaker.Open || e.Reason == "" || e.Last != errBroken {
			r.Errorf("%+v", e)
		}
		if got := e.RetryAfter(); got != 100*time.Millisecond {
			r.Errorf("retry after %v, want what is left: 100ms", got)
		}
		if errors.Is(e, errBroken) {
			r.Error("a rejection is taken for the failure that opened the circuit")
		}
		for _, part := range []string{`"peer"`, e.Reason, "100ms"} {
			if !strings.Contains(e.Error(), part) {
				r.Errorf("%q does not say %q", e.Error(), part)
			}
		}
	})
}
