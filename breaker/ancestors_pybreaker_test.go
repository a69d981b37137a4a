package breaker_test

import (
	"context"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seed-0b728cf8/httpbreaker/breaker"
)

// The scenarios of pybreaker and of the article; see ancestors_test.go.

func TestOpensWhenTheThresholdIsReached(t *testing.T) {
	inBubble(t, runRule, func(r rig) {
		r.fail(2)
		r.want(breaker.Closed)
		r.fail(1)
		r.want(breaker.Open)
	})
}

func TestSuccessEndsTheRun(t *testing.T) {
	inBubble(t, runRule, func(r rig) {
		r.fail(2)
		r.succeed(1)
		r.fail(2)
		r.want(breaker.Closed)
		if got := r.b.Snapshot().Counts.ConsecutiveFailures; got != 2 {
			r.Errorf("a run of %d, want 2", got)
		}
	})
}

func TestRejectedCallsChangeNothing(t *testing.T) {
	inBubble(t, runRule, func(r rig) {
		r.fail(3)
		before := r.b.Snapshot()
		for range 5 {
			r.reject()
		}
		after := r.b.Snapshot()
		before.Totals.Rejected += 5
		before.OutageRejected += 5
		if after != before {
			r.Errorf("%+v became %+v", before, after)
		}
	})
}

func TestTheCallThatFindsTheTimeOverIsTheProbe(t *testing.T) {
	inBubble(t, runRule, func(r rig) {
		r.fail(3)
		time.Sleep(10 * time.Second)
		made := 0
		v, err := breaker.Do(r.Context(), r.b, func(context.Context) (int, error) { made++; return 7, nil })
		if v != 7 || err != nil || made != 1 {
			r.Errorf("got %d, %v from %d calls", v, err, made)
		}
		r.want(breaker.Closed)
	})
}

func TestSeveralProbesMustSucceedInARow(t *testing.T) {
	inBubble(t, with(runRule, func(c *breaker.Config) { c.ProbeSuccesses = 3 }), func(r rig) {
		r.fail(3)
		time.Sleep(10 * time.Second)
		r.succeed(2)
		r.want(breaker.HalfOpen)
		r.fail(1)
		r.wantOpenFor(20 * time.Second)
		time.Sleep(20 * time.Second)
		r.succeed(2)
		r.want(breaker.HalfOpen)
		r.succeed(1)
		r.want(breaker.Closed)
	})
}

func TestRulesChangeInUse(t *testing.T) {
	inBubble(t, with(runRule, func(c *breaker.Config) { c.ConsecutiveFailures = 5 }), func(r rig) {
		r.fail(2)
		if err := r.b.Update(with(runRule, func(c *breaker.Config) { c.ConsecutiveFailures = 2 })); err != nil {
			r.Fatal(err)
		}
		r.want(breaker.Closed)
		r.fail(1)
		r.wantOpenFor(10 * time.Second)
		if err := r.b.Update(with(runRule, func(c *breaker.Config) { c.OpenFor = time.Second })); err != nil {
			r.Fatal(err)
		}
		r.wantOpenFor(10 * time.Second)
	})
}

func TestACallMayMakeAnother(t *testing.T) {
	inBubble(t, runRule, func(r rig) {
		v, err := breaker.Do(r.Context(), r.b, func(ctx context.Context) (int, error) {
			return breaker.Do(ctx, r.b, func(context.Context) (int, error) { return 7, nil })
		})
		if v != 7 || err != nil {
			r.Errorf("got %d, %v", v, err)
		}
	})
}

func TestEventsComeInAFixedOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var events []string
		b := breaker.New("peer", runRule, breaker.Hooks{
			StateChanged: func(c breaker.Transition) { events = append(events, fmt.Sprintf("%v->%v", c.From, c.To)) },
			Done:         func(_ context.Context, c breaker.Call) { events = append(events, c.Outcome.String()) },
			Rejected:     func(context.Context, *breaker.OpenError) { events = append(events, "rejected") },
		})
		r := rig{T: t, b: b}
		r.fail(3)
		r.reject()
		time.Sleep(10 * time.Second)
		r.succeed(1)
		got := strings.Join(events, " ")
		// Either order of a call's end and the transition that it caused is fine
		// as long as it is always the same.
		first := "failure failure failure closed->open rejected open->half-open success half-open->closed"
		second := "failure failure closed->open failure rejected open->half-open half-open->closed success"
		if got != first && got != second {
			t.Errorf("got %s\nwant %s\n or  %s", got, first, second)
		}
	})
}

func TestCreationIsNoTransition(t *testing.T) {
	for _, mode := range []breaker.Mode{breaker.Enforce, breaker.Observe, breaker.ForceOpen, breaker.Disabled} {
		inBubble(t, breaker.Config{Mode: mode}, func(r rig) { r.wantSeen() })
	}
}

func TestProbeThatIsNeverEndedHasFailed(t *testing.T) {
	inBubble(t, runRule, func(r rig) {
		r.fail(3)
		time.Sleep(10 * time.Second)
		r.admit() // and forgotten
		time.Sleep(10*time.Second - 1)
		r.reject()
		r.want(breaker.HalfOpen)
		time.Sleep(1 * time.Nanosecond)
		r.reject()
		r.wantOpenFor(20 * time.Second)
		time.Sleep(20 * time.Second)
		r.succeed(1)
		r.want(breaker.Closed)
	})
}

func TestCallsRunSideBySide(t *testing.T) {
	inBubble(t, breaker.Config{}, func(r rig) {
		var calls sync.WaitGroup
		for range 5 {
			calls.Go(func() {
				breaker.Do(r.Context(), r.b, func(context.Context) (int, error) {
					time.Sleep(100 * time.Millisecond)
					return 0, nil
				})
			})
		}
		calls.Wait()
		if got := r.now(); got != 100*time.Millisecond {
			r.Errorf("five calls of 100ms took %v", got)
		}
	})
}

func TestTwoProbesClose(t *testing.T) {
	cfg := with(countRule, func(c *breaker.Config) { c.Failures, c.OpenFor, c.ProbeSuccesses = 5, 30*time.Second, 2 })
	inBubble(t, cfg, func(r rig) {
		r.fail(5)
		time.Sleep(29900 * time.Millisecond)
		r.reject()
		time.Sleep(100 * time.Millisecond)
		r.succeed(1)
		r.want(breaker.HalfOpen)
		r.succeed(1)
		r.want(breaker.Closed)
		if got := r.b.Snapshot().Counts.Failures; got != 0 {
			r.Errorf("%d failures left", got)
		}
	})
}

// What counts is the rate, however many failures there are.
func TestFewFailuresAmongManyCallsDoNotOpen(t *testing.T) {
	inBubble(t, breaker.Config{}, func(r rig) {
		for range 5 {
			r.succeed(200)
			r.fail(1)
			time.Sleep(time.Second)
		}
		r.want(breaker.Closed)
	})
}

func TestOneOfARushIsTheProbe(t *testing.T) {
	inBubble(t, runRule, func(r rig) {
		r.fail(3)
		time.Sleep(10 * time.Second)
		var mu sync.Mutex
		admitted := 0
		var rush sync.WaitGroup
		for range 50 {
			rush.Go(func() {
				p, err := r.b.Allow(r.Context())
				if err != nil {
					return
				}
				mu.Lock()
				admitted++
				mu.Unlock()
				time.Sleep(time.Second)
				p.Done(breaker.Success)
			})
		}
		rush.Wait()
		if admitted != 1 {
			r.Errorf("%d of 50 let through, want 1", admitted)
		}
		r.want(breaker.Closed)
	})
}

func TestOldFailuresLeaveTheWindow(t *testing.T) {
	cfg := with(countRule, func(c *breaker.Config) { c.Failures = 5 })
	inBubble(t, cfg, func(r rig) {
		for i := range 20 {
			r.failAt(time.Duration(i) * 15100 * time.Millisecond)
		}
		r.want(breaker.Closed)
		if got := r.b.Snapshot().Counts.Failures; got != 4 {
			r.Errorf("%d failures in the window, want 4", got)
		}
	})
}

func TestSlowCallsOpen(t *testing.T) {
	cfg := with(plain, func(c *breaker.Config) { c.SlowCall, c.MinCalls = time.Second, 10 })
	inBubble(t, cfg, func(r rig) {
		for range 9 {
			p := r.admit()
			time.Sleep(time.Second)
			p.Done(breaker.Success)
			r.want(breaker.Closed)
		}
		p := r.admit()
		time.Sleep(time.Second)
		p.Done(breaker.Success)
		r.want(breaker.Open)
	})
}

func TestRateNeedsItsMinimum(t *testing.T) {
	cfg := with(plain, func(c *breaker.Config) { c.WindowCalls, c.MinCalls, c.FailureRate = 10, 5, 0.5 })
	inBubble(t, cfg, func(r rig) {
		r.fail(4)
		r.want(breaker.Closed)
		r.fail(1)
		r.want(breaker.Open)
	})
}

func TestMemoryDoesNotGrowWithCalls(t *testing.T) {
	b := breaker.New("peer", breaker.Config{Window: time.Hour})
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	for i := range 200_000 {
		p, err := b.Allow(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		p.Done(breaker.Outcome(1 + i%50/49)) // one in fifty fails
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	if grown := int64(after.HeapAlloc) - int64(before.HeapAlloc); grown > 100_000 {
		t.Errorf("200,000 calls left %d bytes behind", grown)
	}
	runtime.KeepAlive(b)
}

func TestOpensRejectsAndClosesAgain(t *testing.T) {
	cfg := with(countRule, func(c *breaker.Config) { c.Failures, c.OpenFor = 2, 100*time.Millisecond })
	inBubble(t, cfg, func(r rig) {
		r.fail(2)
		r.reject()
		time.Sleep(150 * time.Millisecond)
		r.succeed(1)
		r.want(breaker.Closed)
	})
}
