package breaker_test

import (
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/seed-0b728cf8/httpbreaker/breaker"
)

// How a circuit gives the load back after an outage.

// startRule opens on the third failure in a row, is probed by a budget, and gives the
// calls back by a slow start.
var startRule = breaker.Config{ConsecutiveFailures: 3, ConsecutiveSpan: -1, Chance: -1, ShedRate: -1, HangAfter: -1, OpenFor: time.Second, Jitter: -1}

// recover brings a circuit with startRule, and so many calls a second, to the moment
// after the good probe.
func (r rig) recover(perSecond int) {
	r.Helper()
	r.drive(perSecond, r.now()+5*time.Second, healthy)
	time.Sleep(100 * time.Millisecond)
	r.fail(3)
	for r.b.State() == breaker.Open {
		if p, err := r.b.Allow(r.Context()); err == nil {
			p.Done(breaker.Success)
		}
		time.Sleep(time.Second / time.Duration(perSecond))
	}
}

// fill admits calls until one is rejected, and returns them.
func (r rig) fill() (out []*breaker.Permit) {
	r.Helper()
	for {
		p, err := r.b.Allow(r.Context())
		if err != nil {
			return out
		}
		if out = append(out, &p); len(out) > 10_000 {
			r.Fatal("no call is rejected")
		}
	}
}

func doneAll(calls []*breaker.Permit, o breaker.Outcome) {
	for _, p := range calls {
		p.Done(o)
	}
}

// After the good probe few calls may be in flight; the others are told that the circuit
// is half-open, why, and no time.
func TestSlowStartBoundsCallsInFlight(t *testing.T) {
	for want, slowStart := range map[int]int{10: 0, 2: 2, 1: 1} {
		inBubble(t, with(startRule, func(c *breaker.Config) { c.SlowStart = slowStart }), func(r rig) {
			r.recover(200)
			r.want(breaker.HalfOpen)
			out := r.fill()
			if len(out) != want {
				r.Errorf("SlowStart %d: %d calls in flight, want %d", slowStart, len(out), want)
			}
			e := r.reject()
			if e.State != breaker.HalfOpen || !strings.Contains(e.Reason, "slow start") || !e.Until.IsZero() || e.Origin != breaker.ByProbe || e.OutageSince.IsZero() {
				r.Errorf("%+v", e)
			}
			if s := r.b.Snapshot(); s.InFlight != want || s.Share <= 0 || s.Share > 1 {
				r.Errorf("%+v", s)
			}
		})
	}
}

// Each success after a rejection lets one call more be in flight, so that the bound
// doubles with each round of calls, until it no longer matters.
func TestSlowStartGrowsWithSuccess(t *testing.T) {
	inBubble(t, startRule, func(r rig) {
		r.recover(200)
		last := 0
		for round := range 6 {
			out := r.fill()
			if round > 0 && len(out) <= last {
				r.Fatalf("round %d: %d calls in flight, %d the round before", round, len(out), last)
			}
			last = len(out)
			for _, p := range out { // they end one by one, while others are rejected
				p.Done(breaker.Success)
				doneAll(r.fill(), breaker.Ignored)
			}
		}
		if last < 100 {
			r.Errorf("%d calls in flight after six rounds", last)
		}
		for r.b.State() != breaker.Closed {
			r.succeed(1)
			time.Sleep(5 * time.Millisecond)
			if r.now() > time.Minute {
				r.Fatal("not closed")
			}
		}
		if c := (*r.seen)[len(*r.seen)-1]; c.Origin != breaker.ByProbe || !strings.Contains(c.Reason, "none rejected") {
			r.Errorf("%+v", c)
		}
	})
}

// Calls that come in batches get their load back as well, within a few of them.
func TestSlowStartGivesBatchesBack(t *testing.T) {
	inBubble(t, startRule, func(r rig) {
		r.recover(100)
		batches := 0
		for r.b.State() != breaker.Closed {
			var out []*breaker.Permit
			for range 100 {
				if p, err := r.b.Allow(r.Context()); err == nil {
					out = append(out, &p)
				}
			}
			time.Sleep(100 * time.Millisecond)
			doneAll(out, breaker.Success)
			time.Sleep(900 * time.Millisecond)
			if batches++; batches == 95 { // one more in each
				r.Fatalf("after %d batches of 100 calls, all of which succeed, %d are let through", batches, len(out))
			}
		}
	})
}

// A quiet host holds nobody back, and neither does one for which the slow start is off.
func TestSlowStartIsForBusyHosts(t *testing.T) {
	inBubble(t, breaker.Config{Jitter: -1}, func(r rig) {
		for range 10 {
			r.fail(1)
			time.Sleep(3 * time.Second)
			if r.b.State() != breaker.Closed {
				break
			}
		}
		for r.b.State() != breaker.Closed {
			if p, err := r.b.Allow(r.Context()); err == nil {
				p.Done(breaker.Success)
			} else {
				time.Sleep(3 * time.Second)
			}
		}
		for range 100 {
			r.admit()
		}
		r.wantSeen(breaker.Open, breaker.HalfOpen, breaker.Closed)
	})
	inBubble(t, with(startRule, func(c *breaker.Config) { c.SlowStart = -1 }), func(r rig) {
		r.recover(100)
		r.want(breaker.Closed)
	})
}

// A client with few calls a second has its circuit closed after about two seconds of them.
func TestSlowStartOfAQuietClientIsShort(t *testing.T) {
	for _, perSecond := range []int{2, 5, 10, 25} {
		inBubble(t, startRule, func(r rig) {
			r.recover(perSecond)
			r.want(breaker.HalfOpen)
			began := r.now()
			for r.b.State() != breaker.Closed {
				r.succeed(1)
				time.Sleep(time.Second / time.Duration(perSecond))
			}
			if took := r.now() - began; took < time.Second || took > 3*time.Second {
				r.Errorf("%d calls a second: closed after %v", perSecond, took)
			}
		})
	}
}

// A failure halves the number of calls in flight, except a lone one after many successes;
// five in a row open the circuit again.
func TestFailuresInASlowStart(t *testing.T) {
	inBubble(t, startRule, func(r rig) {
		r.recover(200)
		out := r.fill()
		out[0].Done(breaker.Failure)
		doneAll(out[1:], breaker.Ignored)
		if got := len(r.fill()); got != len(out)/2 {
			r.Errorf("%d in flight after a failure, want half of %d", got, len(out))
		}
	})
	inBubble(t, startRule, func(r rig) {
		r.recover(200)
		out := r.fill()
		doneAll(out, breaker.Success)
		for range 30 {
			r.succeed(1)
		}
		before := r.fill()
		doneAll(before, breaker.Ignored)
		r.fail(1)
		if got := r.fill(); len(got) < len(before) {
			r.Errorf("%d in flight after a lone failure, want %d", len(got), len(before))
		}
	})
	inBubble(t, startRule, func(r rig) {
		r.recover(200)
		r.fail(4)
		r.succeed(1)
		r.fail(4)
		r.want(breaker.HalfOpen)
		r.fail(1)
		r.want(breaker.Open)
		if c := (*r.seen)[len(*r.seen)-1]; !strings.Contains(c.Reason, "5 calls in a row failed in the slow start") || c.Until.IsZero() {
			r.Errorf("%+v", c)
		}
	})
}

// After a failure the bound grows by one a round of calls, until 75 have succeeded in a
// row; then by one a call again.
func TestSlowStartIsGentleAfterAFailure(t *testing.T) {
	inBubble(t, startRule, func(r rig) {
		r.recover(200)
		out := r.fill()
		out[0].Done(breaker.Failure)
		doneAll(out[1:], breaker.Ignored)
		bound, good := len(out)/2, 0
		for good < 75 {
			out = r.fill()
			if len(out) != bound {
				r.Fatalf("%d in flight after %d successes, want %d", len(out), good, bound)
			}
			for _, p := range out { // they end one by one, while others are rejected
				p.Done(breaker.Success)
				doneAll(r.fill(), breaker.Ignored)
			}
			good += len(out)
			bound++
		}
		for _, p := range r.fill() {
			p.Done(breaker.Success)
			doneAll(r.fill(), breaker.Ignored)
		}
		if got := len(r.fill()); got < 3*bound/2 {
			r.Errorf("%d in flight in the round after %d successes, %d in the one before", got, good, bound)
		}
	})
}

// Share is of the last hundred calls or so.
func TestShareInASlowStartIsOfLate(t *testing.T) {
	inBubble(t, startRule, func(r rig) {
		r.recover(200)
		for range 2 {
			out := r.fill()
			for range 300 {
				r.reject()
			}
			if s := r.b.Snapshot(); s.Share > 0.1 {
				r.Errorf("share %v after 300 were rejected", s.Share)
			}
			doneAll(out, breaker.Ignored)
			r.ignore(300)
			if s := r.b.Snapshot(); s.Share < 0.9 {
				r.Errorf("share %v after 300 were let through", s.Share)
			}
		}
	})
}

// A place that was taken back after ProbeTimeout is not given back once more when its
// call ends after all: it may be another call's by then.
func TestPlacesAreTakenBackOnce(t *testing.T) {
	for _, later := range []time.Duration{
		11250 * time.Millisecond, 12500 * time.Millisecond, time.Minute, 2 * time.Minute, // an eighth of ProbeTimeout is a step
	} {
		inBubble(t, startRule, func(r rig) {
			r.recover(200)
			lost := r.fill()
			time.Sleep(later)
			out := r.fill()
			if len(out) != len(lost) {
				r.Fatalf("%v later there are %d places, want %d", later, len(out), len(lost))
			}
			doneAll(lost, breaker.Ignored)
			r.reject()
			doneAll(out, breaker.Ignored)
			if again := r.fill(); len(again) != len(out) {
				r.Errorf("%v later there are %d places, and then %d", later, len(out), len(again))
			}
		})
	}
}

// A host that answers one probe and then hangs is cut off as soon as that shows.
func TestHangInASlowStart(t *testing.T) {
	inBubble(t, with(startRule, func(c *breaker.Config) { c.HangAfter, c.SlowStart = 0, 40 }), func(r rig) {
		r.recover(200)
		r.want(breaker.HalfOpen)
		seen := len(*r.seen)
		r.drive(200, r.now()+4*time.Second, func(int) (time.Duration, breaker.Outcome) { return time.Minute, breaker.Failure })
		if len(*r.seen) == seen || (*r.seen)[seen].To != breaker.Open || !strings.Contains((*r.seen)[seen].Reason, "unanswered") {
			r.Errorf("%+v", (*r.seen)[seen:])
		}
	})
}

// A peer that asks for a rest in the slow start gets it.
func TestPermitTripInASlowStart(t *testing.T) {
	inBubble(t, startRule, func(r rig) {
		r.recover(200)
		r.admit().Trip(time.Minute, "please")
		r.wantOpenFor(time.Minute)
		if e := r.reject(); e.Reason != "please" || e.Origin != breaker.ByPeer {
			r.Errorf("%+v", e)
		}
	})
}

// Nor does it shorten the wait after five failures in a row, of which it may be the last.
func TestPermitTripAsTheLastFailureOfASlowStart(t *testing.T) {
	for wish, want := range map[time.Duration]breaker.Origin{1: breaker.ByProbe, time.Minute: breaker.ByPeer} {
		inBubble(t, with(startRule, func(c *breaker.Config) { c.ProbeShare = -1 }), func(r rig) {
			r.recover(200)
			r.fail(4)
			r.admit().Trip(wish, "please")
			r.wantOpenFor(max(wish, time.Second))
			if s := r.b.Snapshot(); s.Origin != want {
				r.Errorf("%+v", s)
			}
		})
	}
}

// An answered call needs no place, and a call that is given up or ends late gives it back.
func TestPlacesAreGivenBack(t *testing.T) {
	inBubble(t, startRule, func(r rig) {
		r.recover(200)
		for range 100 {
			out := r.fill()
			for _, p := range out {
				p.Answered()
			}
			if again := r.fill(); len(again) < len(out) {
				r.Fatalf("%d answered calls have left %d places", len(out), len(again))
			} else {
				doneAll(again, breaker.Ignored)
			}
			doneAll(out, breaker.Ignored)
		}
		if s := r.b.Snapshot(); s.InFlight != 0 || s.Answered != 0 {
			r.Errorf("%+v", s)
		}
	})
}

// After a forced mode all places are free: what was in flight before it is late.
func TestForcedModeFreesThePlaces(t *testing.T) {
	for _, mode := range []breaker.Mode{breaker.ForceOpen, breaker.Disabled} {
		inBubble(t, startRule, func(r rig) {
			r.recover(200)
			out := r.fill()
			r.b.SetMode(mode, "test")
			doneAll(out, breaker.Success)
			r.b.SetMode(breaker.Enforce, "test")
			r.want(breaker.HalfOpen)
			if again := r.fill(); len(again) != len(out) {
				r.Errorf("%d places before %v, %d after it", len(out), mode, len(again))
			}
		})
	}
}

// Permits that are lost, by the ten thousand, wedge nothing, whatever the state in which
// they were given: the circuit lets calls through again and comes back to Closed once the
// peer works, and the books are right.
func TestTenThousandLostPermits(t *testing.T) {
	const lost = 10_000
	for name, test := range map[string]struct {
		cfg   breaker.Config
		reach func(rig)
	}{
		"closed": {breaker.Config{}, func(r rig) { r.drive(100, 5*time.Second, healthy) }},
		"closed, SlowCall": {breaker.Config{SlowCall: time.Second}, func(r rig) {
			r.drive(100, 5*time.Second, healthy)
		}},
		"probing": {with(runRule, func(c *breaker.Config) { c.Probes, c.ProbeTimeout = 100, time.Second }), func(r rig) {
			r.fail(3)
			time.Sleep(10 * time.Second)
		}},
		"slow start": {with(startRule, func(c *breaker.Config) { c.ProbeTimeout = time.Second }), func(r rig) { r.recover(200) }},
		"shedding":   {shedRule, func(r rig) { r.toShedding() }},
		"observed":   {with(startRule, func(c *breaker.Config) { c.Mode = breaker.Observe }), func(r rig) { r.fail(3) }},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, test.cfg, func(r rig) {
				test.reach(r)
				time.Sleep(100 * time.Millisecond)
				random := rand.New(rand.NewPCG(1, 11))
				before := r.b.Snapshot()
				var out []*breaker.Permit
				for len(out) < lost && r.now() < time.Hour {
					if p, err := r.b.Allow(r.Context()); err == nil {
						out = append(out, &p)
						if len(out)%10 == 0 {
							p.Answered()
						}
					}
					if random.IntN(10) == 0 { // others come and go meanwhile
						if p, err := r.b.Allow(r.Context()); err == nil {
							p.Done(breaker.Ignored)
						}
					}
					time.Sleep(time.Duration(random.IntN(20)) * time.Millisecond)
				}
				if name != "probing" && len(out) < 100 {
					r.Errorf("only %d calls let through in an hour; %+v", len(out), r.b.Snapshot())
				}
				check := func(waiting, answered int) {
					r.Helper()
					s := r.b.Snapshot()
					if s.InFlight != before.InFlight+waiting || s.Answered != answered || s.Counts.Answered > answered {
						r.Fatalf("%d in flight and %d answered, want %d and %d; %+v", s.InFlight, s.Answered, before.InFlight+waiting, answered, s)
					}
				}
				check(len(out)-len(out)/10, len(out)/10)
				until := r.now() + 5*time.Minute
				r.drive(50, until, healthy) // the peer is well
				time.Sleep(time.Second)
				r.want(breaker.Closed)
				check(len(out)-len(out)/10, len(out)/10)
				rejected := r.b.Snapshot().Totals.Rejected
				r.drive(50, r.now()+time.Minute, healthy)
				if got := r.b.Snapshot().Totals.Rejected; got != rejected {
					r.Errorf("%d calls rejected in a minute in which all succeed", got-rejected)
				}
				for i, p := range out { // they turn up after all
					p.Done(breaker.Outcome(i % 3))
				}
				time.Sleep(time.Second)
				if s := r.b.Snapshot(); s.InFlight != before.InFlight || s.Answered != 0 || s.Counts.Answered != 0 {
					r.Errorf("%+v", s)
				}
				r.drive(50, r.now()+time.Minute, healthy)
				r.want(breaker.Closed)
			})
		})
	}
}
