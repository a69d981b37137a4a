package breaker_test

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/seed-0b728cf8/httpbreaker/breaker"
)

// A peer that fails in part keeps the calls that it can answer.

// failing makes calls fail at random, at a rate.
func failing(rate float64, seed uint64) func(int) (time.Duration, breaker.Outcome) {
	random := rand.New(rand.NewPCG(seed, 12))
	return func(int) (time.Duration, breaker.Outcome) {
		if random.Float64() < rate {
			return 20 * time.Millisecond, breaker.Failure
		}
		return 20 * time.Millisecond, breaker.Success
	}
}

// The more fail, the fewer are let through: all up to one half, the square of the odds
// of success above, and next to none when nearly all fail.
func TestShareThatIsLetThrough(t *testing.T) {
	for rate, want := range map[float64][2]float64{
		0.3: {1, 1}, 0.45: {0.97, 1}, 0.6: {0.3, 0.65}, 0.7: {0.1, 0.4}, 0.8: {0.03, 0.2},
	} {
		inBubble(t, with(breaker.Config{}, func(c *breaker.Config) { c.ConsecutiveFailures = -1 }), func(r rig) {
			r.drive(100, 20*time.Second, healthy)
			before := r.b.Snapshot().Totals
			call := failing(rate, 1)
			calls := 0
			r.drive(100, 5*time.Minute, func(n int) (time.Duration, breaker.Outcome) { calls++; return call(n) })
			after := r.b.Snapshot().Totals
			through := float64(calls) / float64(calls+int(after.Rejected-before.Rejected))
			if through < want[0] || through > want[1] {
				r.Errorf("%.0f %% fail: %.0f %% let through, want %.0f to %.0f %%", 100*rate, 100*through, 100*want[0], 100*want[1])
			}
			if rate < 0.5 && after.Opened > 0 {
				r.Errorf("%.0f %% fail: opened %d times", 100*rate, after.Opened)
			}
		})
	}
}

// The share follows from the counts that are shown, and the reason says both.
func TestShareIsTheSquareOfTheOdds(t *testing.T) {
	for _, shedRate := range []float64{0.2, 0.5, 0.8} {
		inBubble(t, with(shedRule, func(c *breaker.Config) { c.ShedRate = shedRate }), func(r rig) {
			r.succeed(20)
			checked := 0
			for range 400 {
				p, err := r.b.Allow(r.Context())
				time.Sleep(20 * time.Millisecond)
				if err != nil {
					continue
				}
				p.Done(breaker.Failure)
				s := r.b.Snapshot()
				if s.State == breaker.Open {
					if rate := s.Counts.FailureRate(); rate < 0.9 {
						r.Errorf("ShedRate %v: open at a rate of %v", shedRate, rate)
					}
					break
				}
				if s.State != breaker.HalfOpen {
					continue
				}
				rate := s.Counts.FailureRate()
				odds := (1 - rate) / rate / ((1 - shedRate) / shedRate)
				if want := min(1, odds*odds); math.Abs(s.Share-want) > 1e-9 {
					r.Fatalf("ShedRate %v: share %v at a rate of %v, want %v", shedRate, s.Share, rate, want)
				}
				checked++
				if e, err := r.b.Allow(r.Context()); err == nil {
					e.Done(breaker.Ignored)
				} else if says := fmt.Sprintf("%.0f %% are let through", 100*s.Share); !strings.Contains(err.Error(), says) {
					r.Fatalf("%q does not say that %s", err, says)
				}
			}
			if checked < 4 {
				r.Errorf("ShedRate %v: only %d checks", shedRate, checked)
			}
		})
	}
}

// Rejected calls are spread evenly: of a share of a third, every third is let through.
func TestShareIsSpreadEvenly(t *testing.T) {
	inBubble(t, shedRule, func(r rig) {
		r.toShedding()
		share := r.b.Snapshot().Share
		through, longest, row := 0, 0, 0
		for range 300 {
			p, err := r.b.Allow(r.Context())
			if err != nil {
				row++
				longest = max(longest, row)
				continue
			}
			p.Done(breaker.Ignored) // which changes no rate
			through, row = through+1, 0
		}
		if want := 300 * share; math.Abs(float64(through)-want) > 2 || float64(longest) > 1/share {
			r.Errorf("%d of 300 let through, want %.0f; %d rejected in a row", through, want, longest)
		}
	})
}

// Shedding ends when the rate has fallen well below ShedRate, not at it; the counts go
// on, and nothing flaps.
func TestSheddingEndsWellBelowTheRate(t *testing.T) {
	inBubble(t, shedRule, func(r rig) {
		r.toShedding()
		generation := r.b.Snapshot().Generation
		for r.b.State() == breaker.HalfOpen {
			rate := r.b.Snapshot().Counts.FailureRate()
			if rate < 0.4 {
				r.Fatalf("still half-open at a rate of %v", rate)
			}
			if p, err := r.b.Allow(r.Context()); err == nil {
				p.Done(breaker.Success)
			}
		}
		s := r.b.Snapshot()
		if s.State != breaker.Closed || s.Counts.FailureRate() >= 0.4 || s.Counts.Failures == 0 || s.Generation != generation || s.Share != 1 {
			r.Errorf("%+v", s)
		}
		r.wantSeen(breaker.HalfOpen, breaker.Closed)
	})
	inBubble(t, shedRule, func(r rig) { // or when nobody has called for as long as the window
		r.toShedding()
		time.Sleep(time.Hour)
		r.succeed(1)
		r.want(breaker.Closed)
	})
}

// Of too few calls there is no rate to shed by: all are let through, and that is told.
func TestShareIsAllWhenFewCallsAreLeft(t *testing.T) {
	inBubble(t, shedRule, func(r rig) {
		r.toShedding()
		r.sleepUntil(10 * time.Second) // what came in the first bucket has left the window
		if s := r.b.Snapshot(); s.Counts.Calls != 2 || s.State != breaker.HalfOpen || s.Share != 1 {
			r.Errorf("%+v", s)
		}
		for range 8 {
			r.ignore(1)
		}
		time.Sleep(time.Hour)
		if s := r.b.Snapshot(); s.Counts.Calls != 0 || s.State != breaker.HalfOpen || s.Share != 1 {
			r.Errorf("%+v", s)
		}
	})
}

// Too few calls open nothing, either: of those before them, most have left the window.
func TestFewCallsLeftDoNotOpenWhileShedding(t *testing.T) {
	inBubble(t, shedRule, func(r rig) {
		r.toShedding()
		r.sleepUntil(10 * time.Second)
		r.fail(5)
		if s := r.b.Snapshot(); s.State != breaker.HalfOpen || s.Counts.Calls != 7 || s.Counts.Failures != 7 {
			r.Errorf("%+v", s)
		}
		r.fail(3) // which are as many as MinCalls together
		r.want(breaker.Open)
	})
}

// When ShedRate is switched off, a circuit that sheds closes with the next call.
func TestSheddingEndsWhereItIsSwitchedOff(t *testing.T) {
	inBubble(t, shedRule, func(r rig) {
		r.toShedding()
		if err := r.b.Update(with(countRule, func(c *breaker.Config) { c.Failures = 100 })); err != nil {
			r.Fatal(err)
		}
		for r.b.State() == breaker.HalfOpen {
			if p, err := r.b.Allow(r.Context()); err == nil {
				p.Done(breaker.Failure)
			}
		}
		r.wantSeen(breaker.HalfOpen, breaker.Closed)
	})
}

// A peer that asks for a moment while nearly all of its calls fail does not shorten what
// ShedRate asks for.
func TestPermitTripWhileShedding(t *testing.T) {
	inBubble(t, with(shedRule, func(c *breaker.Config) { c.ProbeShare = 0.6 }), func(r rig) {
		r.toShedding()
		p, err := r.b.Allow(r.Context())
		for err != nil {
			p, err = r.b.Allow(r.Context())
		}
		p.Trip(time.Nanosecond, "please")
		r.want(breaker.Open)
		if s := r.b.Snapshot(); s.Origin != breaker.ByRules || s.Reason != "7 of 12 calls failed in 10s" {
			r.Errorf("%+v", s)
		}
	})
}

// A share that follows from failures is told as such, however many calls are in flight.
func TestSheddingByTheRateIsNoHang(t *testing.T) {
	inBubble(t, with(breaker.Config{}, func(c *breaker.Config) { c.ConsecutiveFailures = -1 }), func(r rig) {
		r.drive(200, 20*time.Second, healthy)
		call := failing(0.6, 1)
		r.drive(200, 40*time.Second, func(n int) (time.Duration, breaker.Outcome) {
			_, outcome := call(n)
			return 200 * time.Millisecond, outcome
		})
		r.want(breaker.HalfOpen)
		for {
			p, err := r.b.Allow(r.Context())
			if err != nil {
				if !strings.Contains(err.Error(), "calls failed") {
					r.Error(err)
				}
				return
			}
			p.Done(breaker.Ignored)
		}
	})
}

// At a rate just about ShedRate, states change seldom.
func TestSheddingDoesNotFlap(t *testing.T) {
	for seed := range uint64(2) {
		inBubble(t, breaker.Config{}, func(r rig) {
			r.drive(50, 10*time.Minute, failing(0.5, seed))
			if n := len(*r.seen); n > 60 {
				r.Errorf("seed %d: %d transitions in ten minutes", seed, n)
			}
			if got := r.b.Snapshot().Totals; float64(got.Rejected) > 0.15*30_000 {
				r.Errorf("seed %d: %d of 30,000 rejected at half of the calls failing", seed, got.Rejected)
			}
		})
	}
}

// Who sets FailureRate, Failures or Trip gets what they say: the circuit opens there, and
// rejects no share before.
func TestRulesThatAreSetOpenAndDoNotShed(t *testing.T) {
	for name, cfg := range map[string]breaker.Config{
		"FailureRate": {FailureRate: 0.6},
		"Failures":    {Failures: 30},
		"Trip":        {Trip: func(c breaker.Counts) bool { return c.Failures >= 30 }},
	} {
		inBubble(t, cfg, func(r rig) {
			r.drive(100, 5*time.Second, healthy)
			r.drive(100, 20*time.Second, failing(0.7, 1))
			if len(*r.seen) == 0 || (*r.seen)[0].To != breaker.Open {
				r.Errorf("%s: %+v", name, *r.seen)
			}
		})
	}
}

// A run opens a circuit that sheds as it does a closed one.
func TestRunOpensWhileShedding(t *testing.T) {
	cfg := with(shedRule, func(c *breaker.Config) { c.ConsecutiveFailures, c.ConsecutiveSpan, c.ProbeShare = 12, -1, 0.001 })
	inBubble(t, cfg, func(r rig) {
		r.succeed(50)
		for range 60 {
			r.fail(5)
			r.succeed(5)
			time.Sleep(10 * time.Millisecond)
		}
		for n := 0; r.b.State() != breaker.Open; n++ {
			if p, err := r.b.Allow(r.Context()); err == nil {
				p.Done(breaker.Failure)
			}
			if n > 1000 {
				r.Fatalf("not open: %+v", r.b.Snapshot())
			}
		}
		if c := (*r.seen)[len(*r.seen)-1]; !strings.Contains(c.Reason, "12 calls in a row failed") {
			r.Errorf("%+v", c)
		}
	})
}

// Counts do not follow the mode: an operator who disables a circuit that sheds, and sets
// it back, finds it as it was.
func TestModesWhileShedding(t *testing.T) {
	inBubble(t, shedRule, func(r rig) {
		r.toShedding()
		share := r.b.Snapshot().Share
		r.b.SetMode(breaker.Disabled, "test")
		if s := r.b.Snapshot(); s.Share != 1 || s.State != breaker.Closed {
			r.Errorf("%+v", s)
		}
		for range 100 {
			r.admit().Done(breaker.Failure)
		}
		r.b.SetMode(breaker.ForceOpen, "test")
		if s := r.b.Snapshot(); s.Share != 0 || s.State != breaker.Open {
			r.Errorf("%+v", s)
		}
		r.b.SetMode(breaker.Enforce, "test")
		if s := r.b.Snapshot(); s.Share != share || s.State != breaker.HalfOpen {
			r.Errorf("share %v became %v; %+v", share, s.Share, s)
		}
	})
}

// Page and error give the same figures, those of now.
func TestReasonOfSheddingIsThatOfTheErrors(t *testing.T) {
	inBubble(t, breaker.Config{Jitter: -1}, func(r rig) {
		r.steady(100, 15*time.Second, of(60, 10*time.Millisecond))
		first := r.b.Snapshot().Reason
		r.steady(100, 5*time.Second, of(70, 10*time.Millisecond))
		for {
			_, err := r.b.Allow(r.Context())
			var open *breaker.OpenError
			if errors.As(err, &open) {
				if got := r.b.Snapshot().Reason; got != open.Reason || got == first {
					r.Errorf("the page says %q, the error %q, both at first %q", got, open.Reason, first)
				}
				return
			}
		}
	})
}
