package breaker_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seed-0b728cf8/httpbreaker/breaker"
)

// What operators do to a breaker and see of it, and how it comes back: again
// named for what other circuit breakers get wrong.

func TestForcedOpenIsNotProbed(t *testing.T) {
	inBubble(t, runRule, func(r rig) {
		r.b.SetMode(breaker.ForceOpen, "maintenance")
		for range 100 {
			time.Sleep(time.Minute)
			if e := r.reject(); e.Mode != breaker.ForceOpen || e.Reason != "maintenance" || e.RetryAfter() != 0 {
				r.Fatalf("%+v", e)
			}
		}
		r.b.SetMode(breaker.Enforce, "over")
		r.succeed(1)
	})
}

// A mode that is forced stays, whatever comes of the calls and whatever state
// the machine was in.
func TestForcedModesAreStickyInEveryState(t *testing.T) {
	reach := map[string]func(rig){
		"closed":    func(rig) {},
		"open":      func(r rig) { r.fail(3) },
		"half-open": func(r rig) { r.fail(3); time.Sleep(10 * time.Second); r.ignore(1) },
	}
	for name, reach := range reach {
		for _, mode := range []breaker.Mode{breaker.ForceOpen, breaker.Disabled} {
			inBubble(t, runRule, func(r rig) {
				reach(r)
				r.b.SetMode(mode, "by hand")
				for range 50 {
					p, err := r.b.Allow(r.Context())
					if (err == nil) != (mode == breaker.Disabled) {
						r.Fatalf("%v when %s: err = %v", mode, name, err)
					}
					p.Done(breaker.Failure)
					time.Sleep(time.Second)
				}
				want := breaker.Open
				if mode == breaker.Disabled {
					want = breaker.Closed
				}
				r.want(want)
				if got := r.b.Snapshot(); got.Mode != mode || got.Reason != "by hand" || !got.Until.IsZero() {
					r.Errorf("%+v", got)
				}
			})
		}
	}
}

// Two breakers made from one Config share nothing.
func TestBreakersOfOneConfigAreApart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := breaker.New("a", runRule), breaker.New("b", runRule)
		for range 3 {
			p, _ := a.Allow(t.Context())
			p.Done(breaker.Failure)
			q, _ := b.Allow(t.Context())
			q.Done(breaker.Success)
		}
		if a.State() != breaker.Open || b.State() != breaker.Closed {
			t.Errorf("a is %v, b is %v", a.State(), b.State())
		}
	})
}

// Looking takes no probe and makes no transition.
func TestLookingChangesNothing(t *testing.T) {
	inBubble(t, with(runRule, func(c *breaker.Config) { c.ProbeTimeout = time.Second }), func(r rig) {
		look := func() {
			before := r.b.Snapshot()
			for range 10 {
				r.b.State()
				if after := r.b.Snapshot(); after != before {
					r.Fatalf("%+v became %+v", before, after)
				}
			}
		}
		look()
		r.fail(3)
		look()
		time.Sleep(10 * time.Second)
		look()
		r.wantSeen(breaker.Open)
		r.admit()
		look()
		time.Sleep(time.Hour) // the probe is lost
		look()
		r.want(breaker.HalfOpen)
		r.admit() // it reopened for 20s, long ago
		r.wantSeen(breaker.Open, breaker.HalfOpen, breaker.Open, breaker.HalfOpen)
	})
}

// Totals go on growing through every transition, so that flapping shows.
func TestTotalsSurviveTransitions(t *testing.T) {
	inBubble(t, runRule, func(r rig) {
		for range 10 {
			r.fail(3)
			r.reject()
			time.Sleep(10 * time.Second)
			r.succeed(1)
		}
		r.b.Reset("")
		want := breaker.Totals{Successes: 10, Failures: 30, Rejected: 10, Opened: 10, OpenTime: 100 * time.Second}
		if got := r.b.Snapshot().Totals; got != want {
			r.Errorf("\n got %+v\nwant %+v", got, want)
		}
	})
}

// A peer that asks for a rest shortens none that the rules give it.
func TestPermitTripDoesNotShortenWhatTheRulesSay(t *testing.T) {
	for wish, want := range map[time.Duration]time.Duration{15 * time.Second: 20 * time.Second, 25 * time.Second: 25 * time.Second} {
		inBubble(t, runRule, func(r rig) {
			r.fail(3)
			time.Sleep(10 * time.Second)
			r.admit().Trip(wish, "please")
			r.wantOpenFor(want)
			time.Sleep(wish - 1)
			r.reject()
		})
	}
}

// Nor what ShedRate gives it where all calls fail, with which the circuit opens, too.
func TestPermitTripDoesNotShortenWhatShedRateSays(t *testing.T) {
	inBubble(t, shedRule, func(r rig) {
		r.fail(8)
		time.Sleep(time.Second)
		r.fail(1)
		r.admit().Trip(time.Second, "please")
		r.wantOpenFor(10 * time.Second)
		r.wantSeen(breaker.Open)
		if s := r.b.Snapshot(); s.Origin != breaker.ByRules || s.Reason != "10 of 10 calls failed in 10s" {
			r.Errorf("%+v", s)
		}
	})
	inBubble(t, shedRule, func(r rig) { // where a share would be let through, it opens for as long as asked
		r.succeed(4)
		r.fail(4)
		time.Sleep(time.Second)
		r.fail(1)
		r.admit().Trip(time.Second, "please")
		r.wantOpenFor(time.Second)
		r.wantSeen(breaker.Open)
	})
}

// The longest of times is for ever, and no overflow.
func TestOpenForEver(t *testing.T) {
	for _, jitter := range []float64{-1, 0.9} {
		for _, d := range []time.Duration{math.MaxInt64, math.MaxInt64 / 3 * 2, 250 * 365 * 24 * time.Hour} {
			cfg := with(runRule, func(c *breaker.Config) { c.OpenFor, c.MaxOpenFor, c.Jitter = d, d, jitter })
			for range 10 { // of which some draw a longer time
				inBubble(t, cfg, func(r rig) {
					r.fail(3)
					r.reject()
					time.Sleep(time.Hour)
					r.reject()
					r.b.Reset("")
					r.b.Trip(d, "for ever")
					r.reject()
				})
			}
		}
	}
}

func TestOpenAlwaysHasAReason(t *testing.T) {
	open := map[string]func(rig){
		"rules":       func(r rig) { r.fail(3) },
		"Trip":        func(r rig) { r.b.Trip(time.Second, "") },
		"Permit.Trip": func(r rig) { r.admit().Trip(time.Second, "") },
		"ForceOpen":   func(r rig) { r.b.SetMode(breaker.ForceOpen, "") },
		"start":       func(rig) {},
	}
	for name, open := range open {
		cfg := runRule
		if name == "start" {
			cfg.Mode = breaker.ForceOpen
		}
		inBubble(t, cfg, func(r rig) {
			open(r)
			if e := r.reject(); e.Reason == "" || r.b.Snapshot().Reason == "" {
				r.Errorf("%s: no reason in %q and %+v", name, e, r.b.Snapshot())
			}
		})
	}
}

// New rules leave alone what has happened.
func TestUpdateKeepsStateDeadlinesAndCounts(t *testing.T) {
	longer := with(runRule, func(c *breaker.Config) { c.Window = time.Hour })
	lastCalls := with(runRule, func(c *breaker.Config) { c.WindowCalls = 50 })
	for name, change := range map[string][2]breaker.Config{
		"longer window": {runRule, longer},
		"count window":  {runRule, lastCalls},
		"time window":   {lastCalls, longer},
		"more calls":    {lastCalls, with(lastCalls, func(c *breaker.Config) { c.WindowCalls = 100 })},
		"other times":   {runRule, with(runRule, func(c *breaker.Config) { c.OpenFor, c.ProbeTimeout = time.Second, time.Second })},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, change[0], func(r rig) {
				update := func() {
					t.Helper()
					before := r.b.Snapshot()
					if err := r.b.Update(change[1]); err != nil {
						r.Fatal(err)
					}
					if after := r.b.Snapshot(); after != before {
						r.Errorf("\n got %+v\nwant %+v", after, before)
					}
				}
				r.succeed(3)
				time.Sleep(3 * time.Second)
				r.succeed(4)
				r.fail(2)
				update()
				r.fail(1)
				r.wantOpenFor(change[1].OpenFor)
				r.b.Update(change[0])
				update()
				time.Sleep(change[1].OpenFor)
				r.admit()
				update()
				r.reject()
			})
		})
	}
}

func TestShorterWindowKeepsWhatIsStillInIt(t *testing.T) {
	inBubble(t, with(countRule, func(c *breaker.Config) { c.Failures = 100 }), func(r rig) {
		r.fail(5)
		time.Sleep(30 * time.Second)
		r.fail(3)
		if err := r.b.Update(with(countRule, func(c *breaker.Config) { c.Failures, c.Window = 100, 20*time.Second })); err != nil {
			r.Fatal(err)
		}
		if got := r.b.Snapshot().Counts; got.Failures != 3 || got.Calls != 3 {
			r.Errorf("%+v, want the last three", got)
		}
	})
}

func TestInvalidUpdateChangesNothing(t *testing.T) {
	inBubble(t, runRule, func(r rig) {
		r.fail(2)
		before := r.b.Snapshot()
		bad := breaker.Config{FailureRate: math.NaN(), Jitter: 1, Window: -1, WindowCalls: 5, MinCalls: 6}
		if err := r.b.Update(bad); err == nil {
			r.Error("accepted")
		}
		if after := r.b.Snapshot(); after != before {
			r.Errorf("%+v became %+v", before, after)
		}
		r.fail(1)
		r.wantOpenFor(10 * time.Second)
	})
}

// After closing the load comes back step by step, the same way each time.
func TestDoSpendsNothingOnAContextThatIsDone(t *testing.T) {
	inBubble(t, runRule, func(r rig) {
		r.fail(3)
		time.Sleep(10 * time.Second)
		gone := errors.New("the caller has gone")
		ctx, cancel := context.WithCancelCause(r.Context())
		cancel(gone)
		before := r.b.Snapshot()
		_, err := breaker.Do(ctx, r.b, func(context.Context) (int, error) {
			r.Error("the call was made")
			return 0, nil
		})
		if !errors.Is(err, gone) || r.b.Snapshot() != before {
			r.Errorf("%v; %+v became %+v", err, before, r.b.Snapshot())
		}
	})
}

// A breaker that has met nothing but success takes new rules, too.
func TestUpdateOfAHealthyBreaker(t *testing.T) {
	inBubble(t, breaker.Config{}, func(r rig) {
		r.succeed(10)
		if err := r.b.Update(with(countRule, func(c *breaker.Config) { c.SlowCall, c.WindowCalls = time.Second, 10 })); err != nil {
			r.Fatal(err)
		}
		r.fail(3)
		r.want(breaker.Open)
	})
	inBubble(t, breaker.Config{}, func(r rig) {
		if err := r.b.Update(breaker.Config{SlowCall: time.Second}); err != nil {
			r.Fatal(err)
		}
		r.succeed(1)
		r.wantSeen()
	})
}

// The error of a forced circuit tells for how long it is forced, not for how long the outage
// before has lasted.
func TestForcedCircuitTellsSinceWhenItIsForced(t *testing.T) {
	inBubble(t, breaker.Config{}, func(r rig) {
		r.failAt(0, time.Second, 2*time.Second, 3*time.Second, 4*time.Second)
		time.Sleep(time.Hour)
		r.b.SetMode(breaker.ForceOpen, "maintenance")
		time.Sleep(30 * time.Second)
		r.b.SetMode(breaker.ForceOpen, "maintenance of the network")
		time.Sleep(30 * time.Second)
		if got := r.reject().Error(); !strings.Contains(got, "is forced open for 1m0s: maintenance of the network") {
			r.Error(got)
		}
	})
}

// Once the kill switch is off again nothing is remembered of circuits that were closed.
func TestKillSwitchLeavesNoRecordsOfClosedCircuits(t *testing.T) {
	s := breaker.NewSet(breaker.Options{MaxKeys: 100})
	s.Get("down").Trip(time.Hour, "a test")
	s.SetMode(breaker.Disabled, "the breakers are to blame")
	for i := range 400 {
		s.Get(fmt.Sprint(i))
	}
	s.SetMode(breaker.Enforce, "they were not")
	if got := s.Stats().Records; got > 1 {
		t.Errorf("%d records", got)
	}
	if got := s.Get("down").State(); got != breaker.Open {
		t.Errorf("the one that was open is %v", got)
	}
}
