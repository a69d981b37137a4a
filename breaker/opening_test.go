package breaker_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/seed-0b728cf8/httpbreaker/breaker"
)

// When a run of failures opens, and when an open circuit is probed.

// overlap makes n calls that are under way at once and fail at the same moment, after so
// long.
func (r rig) overlap(n int, after time.Duration) {
	r.Helper()
	var calls []*breaker.Permit
	for range n {
		calls = append(calls, r.admit())
	}
	time.Sleep(after)
	for _, p := range calls {
		p.Done(breaker.Failure)
	}
}

// Twenty failures of calls that began after the first of them had ended need not last a
// second; a tenth is enough, and necessary.
func TestIndependentFailuresOpenEarly(t *testing.T) {
	for _, every := range []time.Duration{time.Millisecond, 6 * time.Millisecond, 20 * time.Millisecond} {
		inBubble(t, breaker.Config{}, func(r rig) {
			n := 0
			for ; r.b.State() == breaker.Closed; n++ {
				r.fail(1)
				time.Sleep(every)
			}
			lasted := r.now() - every
			if n < 21 || lasted < 100*time.Millisecond || lasted > max(100*time.Millisecond, 21*every) {
				r.Errorf("every %v: opened after %d failures in %v", every, n, lasted)
			}
		})
	}
}

// Calls that were under way when the first of them failed are one event, however many
// they are, and so are those that follow one another too quickly.
func TestDependentFailuresWaitForTheSpan(t *testing.T) {
	inBubble(t, breaker.Config{}, func(r rig) {
		r.overlap(500, 50*time.Millisecond)
		time.Sleep(900 * time.Millisecond)
		r.fail(19) // independent, and one too few
		r.want(breaker.Closed)
		r.fail(1)
		r.want(breaker.Open)
	})
	inBubble(t, breaker.Config{}, func(r rig) {
		r.overlap(1, time.Millisecond)
		for range 50 { // fifty more, in less than a tenth of a second
			r.fail(1)
			time.Sleep(time.Millisecond)
		}
		r.want(breaker.Closed)
	})
	inBubble(t, breaker.Config{IndependentFailures: -1}, func(r rig) {
		for range 99 {
			r.fail(1)
			time.Sleep(10 * time.Millisecond)
		}
		r.want(breaker.Closed) // without the rule nothing opens before the second is over
		time.Sleep(10 * time.Millisecond)
		r.fail(1)
		r.want(breaker.Open)
	})
}

// A call that was answered in the run, and fails when its body breaks, is judged by when
// it began.
func TestAnsweredCallsAreIndependentByWhenTheyBegan(t *testing.T) {
	for _, before := range []bool{true, false} {
		inBubble(t, breaker.Config{}, func(r rig) {
			var calls []*breaker.Permit
			begin := func() {
				for range 30 {
					calls = append(calls, r.admit())
				}
			}
			if before {
				begin()
				time.Sleep(time.Millisecond)
			}
			r.fail(1)
			if !before {
				begin()
			}
			time.Sleep(200 * time.Millisecond)
			for _, p := range calls {
				p.Answered()
			}
			for _, p := range calls {
				p.Done(breaker.Failure)
			}
			want := breaker.Open
			if before {
				want = breaker.Closed
			}
			r.want(want)
		})
	}
}

// A run that the failure rate of the other calls explains opens nothing; the same run at
// a host that seldom fails does.
func TestRunThatChanceExplainsDoesNotOpen(t *testing.T) {
	for failed, want := range map[int]breaker.State{0: breaker.Open, 3: breaker.Open, 5: breaker.Closed, 18: breaker.Closed} {
		// The fifth power of failed / 40 is 0.000002 for 3, and 0.00003 for 5.
		for _, chance := range []float64{0, -1} {
			inBubble(t, breaker.Config{Chance: chance, ShedRate: -1}, func(r rig) {
				for i := range 40 {
					if i < 2*failed && i%2 == 0 {
						r.fail(1)
					} else {
						r.succeed(1)
					}
				}
				for range 5 {
					r.want(breaker.Closed)
					time.Sleep(300 * time.Millisecond)
					r.fail(1)
				}
				want := want
				if chance < 0 {
					want = breaker.Open
				}
				if got := r.b.State(); got != want {
					r.Errorf("%d of 40 others failed, Chance %v: %v, want %v", failed, chance, got, want)
				}
			})
		}
	}
	inBubble(t, breaker.Config{ShedRate: -1}, func(r rig) { // nine others say nothing about chance
		for range 4 {
			r.succeed(1)
			r.fail(1)
		}
		r.succeed(1)
		for range 5 {
			time.Sleep(300 * time.Millisecond)
			r.fail(1)
		}
		r.want(breaker.Open)
	})
}

// A host that fails by chance at 40 % is never taken for one that is down.
func TestFailuresByChanceDoNotOpen(t *testing.T) {
	for seed := range uint64(10) {
		inBubble(t, breaker.Config{}, func(r rig) {
			random := rand.New(rand.NewPCG(seed, 10))
			r.drive(20, 5*time.Minute, func(int) (time.Duration, breaker.Outcome) {
				if random.IntN(10) < 3 {
					return 20 * time.Millisecond, breaker.Failure
				}
				return 20 * time.Millisecond, breaker.Success
			})
			if got := r.b.Snapshot().Totals; got.Opened > 0 {
				r.Errorf("seed %d: opened %d times", seed, got.Opened)
			}
		})
	}
}

// outage is a host that is down from the start of the rig on, called at a steady rate.
// It checks each time that is told against what comes.
func (r rig) outage(perSecond float64, lasts time.Duration) (probes int) {
	r.Helper()
	every := time.Duration(float64(time.Second) / perSecond)
	var told time.Time // the next probe, as the first rejection of this opening said
	for n := 0; r.now() < lasts; n++ {
		p, err := r.b.Allow(r.Context())
		now := time.Now()
		var open *breaker.OpenError
		switch {
		case err == nil && p.Probe():
			if told.IsZero() {
				told = (*r.seen)[len(*r.seen)-2].Until // nobody was rejected in this opening
			}
			if now.Before(told) || !now.Before(told.Add(every)) {
				r.Fatalf("at %v: probed, and told until %v", r.now(), told.Sub(r.start))
			}
			probes++
			told = time.Time{}
			p.Fail(errBroken)
		case err == nil:
			if probes > 0 {
				r.Fatalf("at %v: let through, and no probe", r.now())
			}
			p.Fail(errBroken)
		case errors.As(err, &open):
			until := open.Until
			if told.IsZero() {
				told = until
			}
			if !until.Equal(told) || !until.After(now) || open.RetryAfter() != until.Sub(now) {
				r.Fatalf("at %v: rejected until %v, told %v before", r.now(), until.Sub(r.start), told.Sub(r.start))
			}
			if n%50 > 0 {
				break
			}
			if s := r.b.Snapshot(); !s.Until.Equal(told) {
				r.Fatalf("at %v: Snapshot says until %v, the error %v", r.now(), s.Until.Sub(r.start), told.Sub(r.start))
			}
		}
		time.Sleep(every)
	}
	return probes
}

// What is told of the next probe is true, at any rate of calls: no call is let through
// before, and the first one from then on is the probe.
func TestTimesToldAreTrue(t *testing.T) {
	for _, perSecond := range []float64{0.3, 1, 10, 100, 1000} {
		for seed := range 3 {
			t.Run(fmt.Sprintf("%v a second, %d", perSecond, seed), func(t *testing.T) {
				inBubble(t, breaker.Config{}, func(r rig) { // with jitter: each run is another
					if perSecond > 1 {
						r.drive(int(perSecond), 5*time.Second, healthy)
					}
					lasts := 3 * time.Minute
					if perSecond > 100 {
						lasts = 30 * time.Second
					}
					if probes := r.outage(perSecond, lasts); probes == 0 {
						r.Errorf("no probe in %v", lasts)
					}
				})
			})
		}
	}
}

// Of a host's rejected calls one in fifty at most is a probe, of a busy one's or in a long
// outage far fewer; a quiet host is probed by time alone; and who switches the budget off gets
// OpenFor and its doubling, to the nanosecond.
func TestProbesAreASmallShareOfTheCalls(t *testing.T) {
	for _, test := range []struct {
		perSecond float64
		lasts     time.Duration
		most      int
	}{{10, 10 * time.Minute, 125}, {100, 10 * time.Minute, 320}, {1000, 5 * time.Minute, 180}, {100, 30 * time.Minute, 550}} {
		inBubble(t, breaker.Config{}, func(r rig) {
			r.drive(int(test.perSecond), 5*time.Second, healthy)
			probes := r.outage(test.perSecond, test.lasts)
			if share := float64(probes) / (test.perSecond * test.lasts.Seconds()); probes > test.most || share > 0.021 || probes < 15 {
				r.Errorf("%v a second: %d probes in %v, %.2f %% of the calls", test.perSecond, probes, test.lasts, 100*share)
			}
			// The host is back: it is noticed soon.
			back := r.now()
			for r.b.State() != breaker.Closed {
				if p, err := r.b.Allow(r.Context()); err == nil {
					p.Done(breaker.Success)
				}
				time.Sleep(time.Duration(float64(time.Second) / test.perSecond))
			}
			if took := r.now() - back; took > 20*time.Second {
				r.Errorf("%v a second: closed %v after the host was back", test.perSecond, took)
			}
		})
	}
	inBubble(t, breaker.Config{ProbeShare: -1, Jitter: -1}, func(r rig) {
		r.drive(1000, 5*time.Second, healthy)
		for r.b.State() == breaker.Closed {
			r.fail(1)
			time.Sleep(10 * time.Millisecond)
		}
		for _, open := range []time.Duration{5, 10, 20, 40, 45, 45} {
			s := r.b.Snapshot()
			if got := s.Until.Sub(s.Since); got != open*time.Second {
				r.Errorf("open for %v, want %v", got, open*time.Second)
			}
			for range 1000 {
				r.reject()
			}
			time.Sleep(time.Until(s.Until))
			r.fail(1)
		}
	})
}

// The wait for a probe is never shorter than a tenth of a second, nor longer than OpenFor
// allows, spread by Jitter.
func TestWaitForAProbeIsBounded(t *testing.T) {
	for _, perSecond := range []float64{0.1, 1, 7, 100, 5000} {
		inBubble(t, breaker.Config{}, func(r rig) {
			longest := 5 * time.Second
			for opened := 0; opened < 8; {
				p, err := r.b.Allow(r.Context())
				if err == nil {
					p.Fail(errBroken)
				}
				if s := r.b.Snapshot(); s.State == breaker.Open && int(s.Totals.Opened) > opened {
					opened++
					wait := s.Until.Sub(s.Since)
					if wait < 80*time.Millisecond || float64(wait) > 1.2*float64(longest) {
						r.Errorf("%v a second, opening %d: for %v, want 0.1s to %v, within 20 %%", perSecond, opened, wait, longest)
					}
					longest = min(2*longest, 45*time.Second)
				}
				time.Sleep(time.Duration(float64(time.Second) / perSecond))
			}
		})
	}
}

// However often a circuit has opened, it waits for MaxOpenFor.
func TestBackoffStaysAtItsCap(t *testing.T) {
	inBubble(t, runRule, func(r rig) {
		r.fail(3)
		for i := range 300 {
			time.Sleep(64 * time.Second)
			r.fail(1)
			if i >= 3 {
				r.wantOpenFor(64 * time.Second)
			}
		}
	})
}

// Chance is reckoned with the calls that are being answered well among those of the run:
// seven failures in any order with three of them, each with the rate of the 40 others.
func TestChanceCountsAnsweredCallsAmongTheRun(t *testing.T) {
	// 120 × 0.1⁷ × 0.9³ is 0.0000087, and 120 × 0.125⁷ × 0.875³ is 0.000038.
	for failed, want := range map[int]breaker.State{4: breaker.Open, 5: breaker.Closed} {
		cfg := breaker.Config{ConsecutiveFailures: 7, ConsecutiveSpan: -1, IndependentFailures: -1, ShedRate: -1}
		inBubble(t, cfg, func(r rig) {
			for i := range 37 {
				if i < failed {
					r.fail(1)
				}
				if i < 37-failed {
					r.succeed(1)
				}
			}
			r.fail(1)
			for range 3 {
				r.admit().Answered()
			}
			r.fail(6)
			r.want(want)
		})
	}
}

// Probes have their time, however many there are and whatever is found of calls that
// hang: what ends it is ProbeTimeout.
func TestProbesThatHangHaveTheirTime(t *testing.T) {
	for name, change := range map[string]func(*breaker.Config){
		"HangAfter": func(c *breaker.Config) { c.HangAfter = 0 },
		"SlowCall":  func(c *breaker.Config) { c.SlowCall = time.Second },
	} {
		cfg := with(runRule, func(c *breaker.Config) { c.Probes = 20 })
		inBubble(t, with(cfg, change), func(r rig) {
			r.succeed(30)
			r.fail(3)
			time.Sleep(10 * time.Second)
			for range 20 {
				r.admit()
			}
			for range 99 {
				time.Sleep(100 * time.Millisecond)
				r.reject()
				r.want(breaker.HalfOpen)
			}
			time.Sleep(100 * time.Millisecond)
			if e := r.reject(); e.State != breaker.Open {
				r.Errorf("%s: %+v", name, e)
			}
		})
	}
}
