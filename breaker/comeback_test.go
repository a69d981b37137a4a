package breaker_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seed-0b728cf8/httpbreaker/breaker"
)

// How a circuit comes back to a host that is not as it was, or never was fast or free of
// errors. A rejection that goes on is an outage that the breaker causes.

// steady makes calls at a rate for a while, each of which goes as answer says, and returns
// how many were let through and how many rejected.
func (r rig) steady(perSecond float64, span time.Duration, answer func(n int) (time.Duration, breaker.Outcome)) (sent, rejected int) {
	r.Helper()
	var wg sync.WaitGroup
	for n, end := 0, r.now()+span; r.now() < end; n++ {
		if p, err := r.b.Allow(r.Context()); err != nil {
			rejected++
		} else {
			sent++
			took, o := answer(n)
			r.later(&wg, took, func() { p.Done(o) })
		}
		time.Sleep(time.Duration(float64(time.Second) / perSecond))
	}
	synctest.Wait()
	return sent, rejected
}

func (r rig) later(wg *sync.WaitGroup, d time.Duration, do func()) {
	wg.Go(func() {
		time.Sleep(d)
		do()
	})
}

// of makes so many in a hundred of the calls fail, at random, and all take as long.
func of(percent int, took time.Duration) func(int) (time.Duration, breaker.Outcome) {
	return func(n int) (time.Duration, breaker.Outcome) {
		if rand.New(rand.NewPCG(uint64(n), 1)).IntN(100) < percent {
			return took, breaker.Failure
		}
		return took, breaker.Success
	}
}

// hanging makes six in ten of the calls end at the client's timeout.
func hanging(n int) (time.Duration, breaker.Outcome) {
	if n*7%10 < 6 {
		return 10 * time.Second, breaker.Failure
	}
	return 50 * time.Millisecond, breaker.Success
}

// A host that fails now and then, as it did before the outage, gets all calls back; one
// that fails half of them, which nobody knew before, after three minutes at most.
func TestHostWithErrorsComesBackFromAnOutage(t *testing.T) {
	for _, c := range []struct {
		percent int
		took    time.Duration
		least   float64 // let through, of the calls from the fourth minute on
	}{
		{5, 20 * time.Millisecond, 1}, {5, 200 * time.Millisecond, 1}, {5, time.Second, 1}, {10, 100 * time.Millisecond, 1},
		{20, 500 * time.Millisecond, 1}, {30, 20 * time.Millisecond, 1}, {50, 200 * time.Millisecond, 0.9},
	} {
		inBubble(t, breaker.Config{Jitter: -1}, func(r rig) {
			r.steady(100, time.Minute, of(c.percent, c.took))
			r.steady(100, 20*time.Second, of(100, 0))
			r.steady(100, 200*time.Second, of(c.percent, c.took))
			sent, rejected := r.steady(100, 5*time.Minute, of(c.percent, c.took))
			if share := float64(sent) / float64(sent+rejected); share < c.least {
				r.Errorf("%d %% errors of %v: %.1f %% let through", c.percent, c.took, 100*share)
			}
			time.Sleep(time.Minute)
		})
	}
}

// A share that is rejected because calls hang is let through again when nobody looks for
// hangs any more.
func TestSheddingForHangsEndsWhenNobodyLooks(t *testing.T) {
	for name, do := range map[string]func(rig){
		"Disabled for a while": func(r rig) {
			r.b.SetMode(breaker.Disabled, "incident")
			r.steady(20, time.Minute, of(0, 10*time.Millisecond))
			r.b.SetMode(breaker.Enforce, "over")
		},
		"forced open for a while": func(r rig) {
			r.b.SetMode(breaker.ForceOpen, "incident")
			time.Sleep(time.Minute)
			r.b.SetMode(breaker.Enforce, "over")
		},
		"HangAfter off": func(r rig) {
			if err := r.b.Update(breaker.Config{HangAfter: -1}); err != nil {
				r.Fatal(err)
			}
		},
		"errors, and nobody waits": func(r rig) { r.steady(20, time.Minute, of(60, 10*time.Millisecond)) },
	} {
		inBubble(t, breaker.Config{Jitter: -1}, func(r rig) {
			r.steady(100, 5*time.Second, of(0, 50*time.Millisecond))
			r.steady(100, 9*time.Second, hanging)
			r.want(breaker.HalfOpen)
			do(r)
			r.steady(20, 2*time.Minute, of(0, 10*time.Millisecond))
			if _, rejected := r.steady(20, time.Minute, of(0, 10*time.Millisecond)); rejected > 0 {
				r.Errorf("%s: %d of 1200 healthy calls rejected: %+v", name, rejected, r.b.Snapshot())
			}
			time.Sleep(time.Minute)
		})
	}
}

// A host whose answers take longer than a probe may comes back all the same: what succeeds
// late has succeeded.
func TestHostSlowerThanAProbeMayBeComesBack(t *testing.T) {
	for _, c := range []struct {
		name              string
		before, down, now func(int) (time.Duration, breaker.Outcome)
		perSecond         float64
	}{
		{"hung, and answers in 3 s now", of(0, 50*time.Millisecond), of(100, 10*time.Second), of(0, 3*time.Second), 100},
		{"always 15 s", of(0, 15*time.Second), of(100, time.Millisecond), of(0, 15*time.Second), 2},
	} {
		inBubble(t, breaker.Config{Jitter: -1}, func(r rig) {
			r.steady(c.perSecond, time.Minute, c.before)
			r.steady(c.perSecond, 30*time.Second, c.down)
			r.steady(c.perSecond, 6*time.Minute, c.now)
			if _, rejected := r.steady(c.perSecond, time.Minute, c.now); rejected > 0 {
				r.Errorf("%s: %d rejected: %+v", c.name, rejected, r.b.Snapshot())
			}
			time.Sleep(time.Minute)
		})
	}
}

// Nor does it matter that the probe is an upload that its caller sends slowly.
func TestProbeThatIsSentSlowlyIsGoodAtLast(t *testing.T) {
	inBubble(t, breaker.Config{Jitter: -1}, func(r rig) {
		r.steady(5, 30*time.Second, of(100, time.Millisecond))
		for r.b.State() != breaker.HalfOpen {
			if p, err := r.b.Allow(r.Context()); err == nil {
				sending := p.Sending()
				time.Sleep(12 * time.Second)
				sending.Sent()
				p.Done(breaker.Success)
				break
			}
			time.Sleep(200 * time.Millisecond)
		}
		if s := r.b.Snapshot(); s.State == breaker.Open {
			r.Errorf("%+v", s)
		}
	})
}

// For how long an operator or the peer itself has cut the host off, no late success
// shortens.
func TestLateSuccessUndoesNobodysTime(t *testing.T) {
	for name, open := range map[string]func(rig){
		"operator": func(r rig) { r.b.Trip(time.Hour, "maintenance") },
		"peer": func(r rig) {
			for {
				if p, err := r.b.Allow(r.Context()); err == nil {
					p.Trip(time.Hour, "503, Retry-After 1h")
					return
				}
				time.Sleep(10 * time.Millisecond)
			}
		},
	} {
		inBubble(t, breaker.Config{Jitter: -1}, func(r rig) {
			r.steady(100, 5*time.Second, of(0, 50*time.Millisecond))
			r.steady(100, 3*time.Second, of(0, 20*time.Second))
			open(r)
			until := r.b.Snapshot().Until
			time.Sleep(time.Minute)
			if s := r.b.Snapshot(); s.State != breaker.Open || !s.Until.Equal(until) {
				r.Errorf("%s: %+v, want open until %v", name, s, until)
			}
		})
	}
}

// A busy host that always fails some of its calls gets them back within seconds, also
// where the circuit is too young to know more than the window.
func TestBusyHostWithErrorsComesBackSoon(t *testing.T) {
	for _, c := range []struct {
		perSecond float64
		percent   int
		took      time.Duration
		before    time.Duration
	}{
		{1000, 5, 50 * time.Millisecond, 20 * time.Second},
		{300, 2, 300 * time.Millisecond, time.Minute}, {100, 5, 200 * time.Millisecond, 9 * time.Second},
	} {
		inBubble(t, breaker.Config{}, func(r rig) {
			r.steady(c.perSecond, c.before, of(c.percent, c.took))
			r.steady(c.perSecond, 5*time.Second, of(100, 0))
			r.steady(c.perSecond, 15*time.Second, of(c.percent, c.took))
			if sent, rejected := r.steady(c.perSecond, 30*time.Second, of(c.percent, c.took)); rejected > sent/50 {
				r.Errorf("%v calls a second of %v, %d %% fail: %d rejected, %d not", c.perSecond, c.took, c.percent, rejected, sent)
			}
			time.Sleep(time.Minute)
		})
	}
}

// A host whose answers take longer than two probes may is called again, too: each of its
// probes succeeds after others have begun.
func TestVerySlowHostComesBack(t *testing.T) {
	for _, c := range []struct {
		took   time.Duration
		outage func(int) (time.Duration, breaker.Outcome)
		before time.Duration // that an answer took before
	}{
		{30 * time.Second, of(100, 0), 30 * time.Second},
		{7 * time.Second, of(100, 20*time.Second), 50 * time.Millisecond}, // a hang, whose probes have 2 s
	} {
		inBubble(t, breaker.Config{}, func(r rig) {
			r.steady(30, 2*time.Minute, of(0, c.before))
			time.Sleep(c.before)
			r.steady(30, time.Minute, c.outage)
			slow := func(n int) (time.Duration, breaker.Outcome) {
				return c.took + time.Duration(n%10)*c.took/50, breaker.Success
			}
			r.steady(30, 2*time.Minute, slow)
			if sent, rejected := r.steady(30, 3*time.Minute, slow); rejected > sent/10 {
				r.Errorf("answers of %v: %d rejected, %d not", c.took, rejected, sent)
			}
			time.Sleep(time.Minute)
		})
	}
}

// A pause of the callers, or of this process, while the circuit is open delays no probe:
// they were busy before and will be.
func TestPauseWhileOpenDelaysNoProbe(t *testing.T) {
	inBubble(t, breaker.Config{Jitter: -1}, func(r rig) {
		r.steady(100, 30*time.Second, of(0, 50*time.Millisecond))
		r.steady(100, 5*time.Second, of(100, 0))
		time.Sleep(time.Minute)
		r.steady(100, 500*time.Millisecond, of(100, 0))
		if sent, rejected := r.steady(100, 10*time.Second, of(0, 50*time.Millisecond)); rejected > sent {
			r.Errorf("%d rejected, %d not: %+v", rejected, sent, r.b.Snapshot())
		}
		time.Sleep(time.Second)
	})
}

// What counts of a slow start is how long it has lasted, not how long ago the first one began.
func TestOneGoodProbeInALongOutageTakesNoSlowStartAway(t *testing.T) {
	inBubble(t, breaker.Config{}, func(r rig) {
		r.steady(100, 30*time.Second, of(0, 50*time.Millisecond))
		r.steady(100, 5*time.Second, of(100, 0))
		for r.b.Snapshot().Reason != "1 probe succeeded; slow start" {
			r.steady(100, 10*time.Millisecond, of(0, 0))
		}
		r.steady(100, 10*time.Minute, of(100, 0))
		before := len(*r.seen)
		r.steady(100, 10*time.Second, of(0, 50*time.Millisecond))
		time.Sleep(time.Second)
		synctest.Wait()
		for _, c := range (*r.seen)[before:] {
			if c.To == breaker.Closed && c.Reason == "1 probe succeeded" {
				r.Errorf("closed by one probe after an outage of %v", c.At.Sub(c.OutageSince))
			}
		}
	})
}

// A call that has calls of the same circuit inside of it, such as one that fetches a token
// from the host first, finds the circuit half-open by itself: its inner call is rejected.
func TestCallsInsideOfCallsComeBack(t *testing.T) {
	down := errors.New("down")
	for depth := 1; depth <= 3; depth++ {
		for name, fails := range map[string]bool{"ignored": false, "taken for a failure": true} {
			t.Run(fmt.Sprintf("%d, %s", depth, name), func(t *testing.T) {
				inBubble(t, breaker.Config{Jitter: -1}, func(r rig) {
					answer := down
					var call func(depth int) error
					call = func(depth int) error {
						p, err := r.b.Allow(r.Context())
						if err != nil {
							return fmt.Errorf("inner: %w", err)
						}
						time.Sleep(10 * time.Millisecond)
						if depth > 0 {
							err = call(depth - 1)
						} else {
							err = answer
						}
						switch {
						case err == nil:
							p.Done(breaker.Success)
						case !fails && errors.Is(err, breaker.ErrOpen):
							p.Ignore(err)
						default:
							p.Fail(err)
						}
						return err
					}
					drive := func(d time.Duration) {
						for end := r.now() + d; r.now() < end; {
							_ = call(depth)
							time.Sleep(50 * time.Millisecond)
						}
					}
					drive(time.Minute)
					if r.b.State() == breaker.Closed {
						r.Error("closed, and all calls fail")
					}
					answer = nil
					drive(time.Minute)
					r.want(breaker.Closed)
					if err := call(depth); err != nil {
						r.Error(err)
					}
				})
			})
		}
	}
}

// Do takes the rejection of a call inside of it in the same way.
func TestDoInsideOfDoComesBack(t *testing.T) {
	inBubble(t, breaker.Config{Jitter: -1}, func(r rig) {
		r.b.Trip(time.Second, "a test")
		nested := func(ctx context.Context) (int, error) {
			return breaker.Do(ctx, r.b, func(context.Context) (int, error) { return 7, nil })
		}
		for range 20 {
			time.Sleep(time.Second)
			_, _ = breaker.Do(r.Context(), r.b, nested)
		}
		r.want(breaker.Closed)
	})
}

// The rejection of another circuit says nothing, and a probe makes way for one other only.
func TestProbeThatAnotherCircuitRejectsMakesWayForOne(t *testing.T) {
	inBubble(t, breaker.Config{Jitter: -1}, func(r rig) {
		r.b.Trip(time.Second, "a test")
		for _, err := range []error{&breaker.OpenError{Key: "other"}, errors.New("cancelled"), nil} {
			time.Sleep(time.Second)
			p := r.admit()
			r.reject()
			p.Ignore(err)
			p = r.admit()
			r.reject()
			p.Done(breaker.Ignored)
		}
	})
}
