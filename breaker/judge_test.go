package breaker_test

import (
	"testing"
	"time"

	"github.com/seed-0b728cf8/httpbreaker/breaker"
)

// What the rules judge, and the reasons that they give.

// The reason of a transition says what was counted and over which time.
func TestReasonSaysWhatWasJudged(t *testing.T) {
	apart := func(d time.Duration) func(rig) {
		return func(r rig) {
			for range 3 {
				r.fail(1)
				time.Sleep(d)
			}
		}
	}
	slowRule := with(plain, func(c *breaker.Config) {
		c.SlowCall, c.MinCalls, c.Window = time.Second, 4, time.Minute
	})
	for name, test := range map[string]struct {
		cfg  breaker.Config
		play func(rig)
		want string
	}{
		"a run at one moment": {runRule, apart(0), "3 calls in a row failed"},
		"a run within 1ms":    {runRule, apart(time.Millisecond/2 - 1), "3 calls in a row failed"},
		"a run over 1ms":      {runRule, apart(time.Millisecond / 2), "3 calls in a row failed over 1ms"},
		"a run over seconds":  {runRule, apart(time.Second), "3 calls in a row failed over 2s"},
		"a run of calls that overlap": {
			with(runRule, func(c *breaker.Config) { c.ConsecutiveFailures, c.ConsecutiveSpan = 5, -time.Second }),
			func(r rig) {
				for _, p := range []*breaker.Permit{r.admit(), r.admit(), r.admit(), r.admit(), r.admit()} {
					time.Sleep(10 * time.Millisecond)
					p.Done(breaker.Failure)
				}
			},
			"5 calls in a row failed over 40ms",
		},
		"a run with calls that hang": {
			with(runRule, func(c *breaker.Config) { c.SlowCall, c.SlowRate = 2*time.Second, -1 }),
			func(r rig) {
				r.fail(1)
				r.admit()
				r.admit()
				time.Sleep(3 * time.Second)
				r.reject()
			},
			"3 calls in a row failed or were unanswered after 2s over 3s",
		},
		"slow calls": {slowRule, func(r rig) {
			r.succeed(2)
			p, q := r.admit(), r.admit()
			time.Sleep(time.Second)
			p.Done(breaker.Success)
			q.Done(breaker.Success)
		}, "2 of 4 calls took 1s or longer in 1m"},
		"slow calls that go on": {slowRule, func(r rig) {
			r.succeed(2)
			p := r.admit()
			r.admit()
			time.Sleep(time.Second)
			p.Done(breaker.Success)
			time.Sleep(time.Second)
			r.reject()
		}, "2 of 4 calls took 1s or longer in 1m, 1 of them unanswered"},
		"the rule that holds, though the peer asks for a moment": {
			with(shedRule, func(c *breaker.Config) { c.MinCalls, c.Failures = 1, 3 }),
			func(r rig) {
				r.fail(2)
				time.Sleep(2 * time.Second)
				r.admit().Trip(time.Nanosecond, "please")
			},
			"3 calls failed in 10s",
		},
		"a probe that fails": {runRule, func(r rig) {
			r.fail(3)
			time.Sleep(10 * time.Second)
			r.fail(1)
		}, "a probe failed, after: 3 calls in a row failed"},
		"a failed probe after that": {runRule, func(r rig) {
			r.fail(3)
			time.Sleep(10 * time.Second)
			r.fail(1)
			time.Sleep(20 * time.Second)
			r.fail(1)
		}, "a probe failed, after: 3 calls in a row failed"},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, test.cfg, func(r rig) {
				test.play(r)
				r.want(breaker.Open)
				if got := r.b.Snapshot().Reason; got != test.want {
					r.Errorf("%q, want %q", got, test.want)
				}
			})
		})
	}
}

// A run opens when it has lasted for exactly ConsecutiveSpan, and not before.
func TestRunOpensAtTheExactSpan(t *testing.T) {
	for lasts, want := range map[time.Duration]breaker.State{
		time.Second - 1: breaker.Closed, time.Second: breaker.Open,
	} {
		inBubble(t, with(runRule, func(c *breaker.Config) { c.ConsecutiveSpan = time.Second }), func(r rig) {
			r.fail(2)
			time.Sleep(lasts)
			r.fail(1)
			r.want(want)
		})
	}
}

// A call that was answered in one run of failures and ends in the next one belongs to
// neither: it takes nobody's place among those that are being answered well, and is not
// independent.
func TestCallAnsweredInOneRunEndsInTheNext(t *testing.T) {
	inBubble(t, with(runRule, func(c *breaker.Config) { c.ConsecutiveFailures = 2 }), func(r rig) {
		first := r.admit()
		r.fail(1)
		first.Answered()
		r.succeed(1)
		second := r.admit()
		r.fail(1)
		second.Answered()
		first.Done(breaker.Ignored)
		r.fail(1)
		r.want(breaker.Closed) // as many are answered well as half of those that fail
		second.Done(breaker.Ignored)
		r.fail(1)
		r.want(breaker.Open)
	})
	inBubble(t, with(runRule, func(c *breaker.Config) { c.ConsecutiveFailures = 2 }), func(r rig) {
		first := r.admit()
		r.fail(1)
		first.Answered()
		r.succeed(1)
		first.Done(breaker.Ignored) // where there is no run
		second := r.admit()
		r.fail(1)
		second.Answered()
		r.fail(1)
		r.want(breaker.Closed)
	})
	inBubble(t, with(runRule, func(c *breaker.Config) {
		c.ConsecutiveFailures, c.ConsecutiveSpan, c.IndependentFailures = 3, time.Minute, 2
	}), func(r rig) {
		r.fail(1)
		first := r.admit()
		first.Answered() // independent of the failure before it, in that run
		r.succeed(1)
		second := r.admit()
		time.Sleep(time.Second)
		r.fail(1)
		time.Sleep(time.Second)
		first.Done(breaker.Failure)
		second.Done(breaker.Failure)
		r.fail(1) // the only one that began after the first of this run had ended
		r.want(breaker.Closed)
		r.fail(1)
		r.want(breaker.Open)
	})
}

// When SlowCall is taken away, calls that were slow by it open nothing.
func TestSlowCallsOfRulesThatArePastOpenNothing(t *testing.T) {
	cfg := with(plain, func(c *breaker.Config) { c.SlowCall, c.MinCalls, c.Failures = time.Second, 4, 100 })
	inBubble(t, cfg, func(r rig) {
		for range 3 {
			p := r.admit()
			time.Sleep(time.Second)
			p.Done(breaker.Success)
		}
		cfg.SlowCall = 0
		if err := r.b.Update(cfg); err != nil {
			r.Fatal(err)
		}
		r.fail(2)
		if c := r.b.Snapshot().Counts; c.Slow != 3 || c.Calls != 5 {
			r.Errorf("%+v", c)
		}
		r.wantSeen()
	})
}

// Calls that hang count for the rules of a circuit that sheds, too.
func TestOverdueCallsOpenACircuitThatSheds(t *testing.T) {
	cfg := with(shedRule, func(c *breaker.Config) { c.SlowCall, c.ConsecutiveFailures, c.ConsecutiveSpan = time.Second, 12, -1 })
	inBubble(t, cfg, func(r rig) {
		r.toShedding()
		var out []*breaker.Permit
		for len(out) < 12 {
			if p, err := r.b.Allow(r.Context()); err == nil {
				out = append(out, &p)
			}
		}
		time.Sleep(1100 * time.Millisecond)
		_, _ = r.b.Allow(r.Context())
		r.want(breaker.Open)
	})
}

// The Trip rule is asked when a call fails or was slow, and for nothing else.
func TestTripRuleIsAskedWhenACallFailsOrWasSlow(t *testing.T) {
	asked := 0
	cfg := with(plain, func(c *breaker.Config) {
		c.SlowCall, c.SlowRate = time.Second, -1
		c.Trip = func(breaker.Counts) bool { asked++; return false }
	})
	inBubble(t, cfg, func(r rig) {
		for i, test := range []struct {
			outcome breaker.Outcome
			slow    bool
			want    int
		}{
			{breaker.Failure, false, 1}, {breaker.Success, true, 1},
			{breaker.Success, false, 0}, {breaker.Ignored, false, 0}, {breaker.Ignored, true, 0},
		} {
			asked = 0
			p := r.admit()
			if test.slow {
				time.Sleep(time.Second)
			}
			p.Done(test.outcome)
			if asked != test.want {
				r.Errorf("%d: asked %d times after %+v", i, asked, test)
			}
		}
	})
}
