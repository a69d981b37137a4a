package breaker_test

import (
	"context"
	"math/rand/v2"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seed-0b728cf8/httpbreaker/breaker"
)

// Observe decides what Enforce decides, and rejects nothing.

// A pair is one breaker that enforces and one that observes, driven by one traffic.
type pair struct {
	*testing.T
	enforced, observed *breaker.Breaker
	wouldReject        int // calls that observed has reported as rejected
	ends               []pairEnd
}

// pairEnd is the end, or the answer, of one call at both breakers.
type pairEnd struct {
	at       time.Time
	answered bool // not the end yet
	outcome  breaker.Outcome
	trip     time.Duration
	permits  [2]*breaker.Permit // of enforced, nil if it was rejected there; of observed
}

func newPair(t *testing.T, cfg breaker.Config) *pair {
	p := &pair{T: t}
	p.enforced = breaker.New("peer", cfg)
	cfg.Mode = breaker.Observe
	p.observed = breaker.New("peer", cfg, breaker.Hooks{Rejected: func(context.Context, *breaker.OpenError) { p.wouldReject++ }})
	return p
}

// sleepUntil moves time on, and ends the calls whose time has come, one by one.
func (p *pair) sleepUntil(t time.Time) {
	for len(p.ends) > 0 && !p.ends[0].at.After(t) {
		e := p.ends[0]
		p.ends = p.ends[1:]
		time.Sleep(time.Until(e.at))
		for _, permit := range e.permits {
			switch {
			case permit == nil:
			case e.answered:
				permit.Answered()
			case e.trip > 0:
				permit.Trip(e.trip, "the peer asks for a rest")
			default:
				permit.Done(e.outcome)
			}
		}
	}
	time.Sleep(time.Until(t))
}

func (p *pair) add(e pairEnd) {
	i, _ := slices.BinarySearchFunc(p.ends, e.at, func(e pairEnd, at time.Time) int { return e.at.Compare(at) })
	p.ends = slices.Insert(p.ends, i, e)
}

// call makes a call at both.
func (p *pair) call(answeredAfter, took time.Duration, outcome breaker.Outcome, trip time.Duration) {
	p.Helper()
	e := pairEnd{at: time.Now().Add(took), outcome: outcome, trip: trip}
	before := p.wouldReject
	if permit, err := p.enforced.Allow(p.Context()); err == nil {
		e.permits[0] = &permit
	}
	permit, err := p.observed.Allow(p.Context())
	if err != nil {
		p.Fatalf("Observe rejects: %v", err)
	}
	e.permits[1] = &permit
	if rejected, would := e.permits[0] == nil, p.wouldReject > before; rejected != would {
		p.Fatalf("at %v: Enforce rejects: %t, Observe would: %t\n enforced %+v\n observed %+v", time.Now(), rejected, would,
			p.enforced.Snapshot(), p.observed.Snapshot())
	}
	if e.permits[0] != nil && e.permits[0].Probe() != e.permits[1].Probe() {
		p.Fatalf("at %v: a probe of one is none of the other", time.Now())
	}
	if answeredAfter > 0 {
		answer := e
		answer.answered, answer.at = true, time.Now().Add(answeredAfter)
		p.add(answer)
	}
	if took > 0 {
		p.add(e)
	}
}

// compare checks that the two are alike, except for what the calls were that Enforce has
// rejected. Transitions that are due have to be made, as by a call.
func (p *pair) compare() {
	p.Helper()
	want, got := p.enforced.Snapshot(), p.observed.Snapshot()
	want.Counts.Answered = got.Counts.Answered // depends on when the window has moved on
	got.Mode, got.InFlight = want.Mode, want.InFlight
	// Totals count every call that was made.
	if got.Totals.Rejected != want.Totals.Rejected || got.Totals.Opened != want.Totals.Opened || got.Totals.OpenTime != want.Totals.OpenTime {
		p.Fatalf("at %v:\n enforced %+v\n observed %+v", time.Now(), want, got)
	}
	got.Totals, got.Answered = want.Totals, want.Answered
	if want.State == breaker.Closed { // says why it observes
		got.Reason, got.Origin = want.Reason, want.Origin
	}
	if got != want {
		p.Fatalf("at %v:\n enforced %+v\n observed %+v", time.Now(), want, got)
	}
}

// One traffic through both gives the same decisions: what becomes of calls that would
// have been rejected is drawn, and counts nowhere.
func TestObserveDecidesAsEnforceDoes(t *testing.T) {
	configs := map[string]breaker.Config{
		"default":      {},
		"slow calls":   {SlowCall: time.Second},
		"failure rate": {FailureRate: 0.4, MinCalls: 5},
		"plain run":    runRule,
		"slow start":   startRule,
		"shedding":     {ConsecutiveFailures: -1, MinCalls: 5},
		"last calls":   {WindowCalls: 50, FailureRate: 0.5},
		"probes":       with(runRule, func(c *breaker.Config) { c.Probes, c.ProbeSuccesses = 3, 3 }),
	}
	seeds := uint64(10)
	if testing.Short() {
		seeds = 4
	}
	for name, cfg := range configs {
		cfg.Jitter = -1
		if breaker.AlwaysStriped {
			cfg.HangAfter = -1 // which calls look for hangs depends on their stripes, and these on the core
		}
		t.Run(name, func(t *testing.T) {
			rejected, opened := uint64(0), uint64(0)
			for seed := range seeds {
				synctest.Test(t, func(t *testing.T) {
					random := rand.New(rand.NewPCG(seed, 13))
					p := newPair(t, cfg)
					for range 12 { // phases
						every := []time.Duration{time.Second, 50 * time.Millisecond, 5 * time.Millisecond}[random.IntN(3)]
						failing := []int{0, 0, 30, 60, 90, 100}[random.IntN(6)]
						hanging := []int{0, 0, 0, 60, 100}[random.IntN(5)]
						answers := []int{0, 50}[random.IntN(2)]
						took := []time.Duration{time.Millisecond, 100 * time.Millisecond, 2 * time.Second}[random.IntN(3)]
						for range 150 {
							// Every time is another, or it is left open what comes first.
							odd := time.Duration(random.IntN(1_000_000))
							d, outcome, trip := took+odd, breaker.Success, time.Duration(0)
							switch {
							case random.IntN(100) < hanging:
								d, outcome = 10*time.Second+odd, breaker.Ignored
							case random.IntN(100) < failing:
								outcome = breaker.Failure
							}
							if random.IntN(300) == 0 {
								outcome, trip = breaker.Failure, time.Duration(random.IntN(20))*time.Second
							}
							if random.IntN(100) < answers {
								p.call(d, 2*d, outcome, trip)
							} else {
								p.call(0, d, outcome, trip)
							}
							p.compare()
							p.sleepUntil(time.Now().Add(time.Duration(random.ExpFloat64() * float64(every))))
						}
						if random.IntN(6) == 0 {
							p.enforced.Reset("test")
							p.observed.Reset("test")
						}
					}
					totals := p.enforced.Snapshot().Totals
					rejected += totals.Rejected
					opened += totals.Opened
				})
			}
			if rejected == 0 {
				t.Error("nothing was rejected")
			}
			t.Logf("%d rejected, opened %d times", rejected, opened)
		})
	}
}

// Observe counts all calls that were made, those included that Enforce would have
// rejected.
func TestObserveCountsWhatWasMade(t *testing.T) {
	inBubble(t, with(runRule, func(c *breaker.Config) { c.Mode = breaker.Observe }), func(r rig) {
		r.fail(3)
		r.want(breaker.Open)
		open, other := r.admit(), r.admit()
		if s := r.b.Snapshot(); s.InFlight != 2 || s.Answered != 0 {
			r.Errorf("%+v", s)
		}
		open.Answered()
		if s := r.b.Snapshot(); s.InFlight != 1 || s.Answered != 1 || s.Counts.Answered != 0 {
			r.Errorf("one of two is answered, and the rules do not count it: %+v", s)
		}
		open.Done(breaker.Success)
		other.Done(breaker.Failure)
		s := r.b.Snapshot()
		if s.InFlight != 0 || s.Answered != 0 || s.Totals != (breaker.Totals{Successes: 1, Failures: 4, Rejected: 2, Opened: 1}) {
			r.Errorf("%+v", s)
		}
	})
}
