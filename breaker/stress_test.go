package breaker_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/seed-0b728cf8/httpbreaker/breaker"
)

// These tests let many goroutines loose on one breaker or set in real time,
// with operators at work meanwhile: nothing may be lost or counted twice.

// tally is what the callers themselves counted.
type tally struct {
	admitted, rejected                              atomic.Uint64
	opened                                          atomic.Uint64
	doneSuccess, doneFailure, doneIgnored, doneLate atomic.Uint64
}

func (c *tally) hooks() breaker.Hooks {
	return breaker.Hooks{
		Rejected: func(context.Context, *breaker.OpenError) { c.rejected.Add(1) },
		StateChanged: func(s breaker.Transition) {
			if s.To == breaker.Open {
				c.opened.Add(1)
			}
		},
		Done: func(_ context.Context, call breaker.Call) {
			switch {
			case call.Late:
				c.doneLate.Add(1)
			case call.Outcome == breaker.Success:
				c.doneSuccess.Add(1)
			case call.Outcome == breaker.Failure:
				c.doneFailure.Add(1)
			default:
				c.doneIgnored.Add(1)
			}
		},
	}
}

// check compares the totals of b, at rest, with what was counted outside.
func (c *tally) check(t *testing.T, b *breaker.Breaker, hooked bool) {
	t.Helper()
	s := b.Snapshot()
	got := s.Totals
	if ended := got.Successes + got.Failures + got.Ignored + got.Late; ended != c.admitted.Load() || s.InFlight != 0 || s.Answered != 0 || s.Counts.Answered != 0 {
		t.Errorf("%d calls admitted, %d ended, %d in flight, %d answered: %+v", c.admitted.Load(), ended, s.InFlight, s.Answered, got)
	}
	// Under Observe a call is let through and yet counts as rejected.
	if rejected := c.rejected.Load(); got.Rejected < rejected || hooked && got.Rejected > rejected {
		t.Errorf("%d calls rejected, %d counted", rejected, got.Rejected)
	}
	if s.Counts.Overdue != 0 {
		t.Errorf("%d overdue with none in flight", s.Counts.Overdue)
	}
	if !hooked {
		return
	}
	want := got
	want.Successes, want.Failures = c.doneSuccess.Load(), c.doneFailure.Load()
	want.Ignored, want.Late, want.Opened = c.doneIgnored.Load(), c.doneLate.Load(), c.opened.Load()
	if got != want {
		t.Errorf("\n     got %+v\nobserved %+v", got, want)
	}
}

func TestTotalsAreExactUnderLoad(t *testing.T) {
	const soon = 10 * time.Millisecond // the operator lets circuits be probed sooner still
	configs := map[string]breaker.Config{
		"defaults": {OpenFor: soon, MaxOpenFor: soon},
		"slow start": {
			ConsecutiveFailures: 4, ConsecutiveSpan: -1, Chance: -1, OpenFor: soon, MaxOpenFor: soon,
			ProbeTimeout: soon, SlowStart: 2,
		},
		"shedding": {ConsecutiveFailures: -1, MinCalls: 5, ShedRate: 0.2, Window: 10 * time.Millisecond, OpenFor: soon, MaxOpenFor: soon},
		"run": with(plain, func(c *breaker.Config) {
			c.ConsecutiveFailures, c.ConsecutiveSpan, c.OpenFor, c.MaxOpenFor = 3, -1, soon, soon
			c.Window, c.Probes, c.ProbeSuccesses = 10*time.Millisecond, 3, 3
		}),
		"count window": with(plain, func(c *breaker.Config) {
			c.WindowCalls, c.MinCalls, c.FailureRate, c.OpenFor, c.MaxOpenFor = 50, 10, 0.5, soon, soon
		}),
		"slow": {
			SlowCall: 20 * time.Microsecond, SlowRate: 0.9, HangAfter: soon, OpenFor: soon, MaxOpenFor: soon, ProbeTimeout: soon,
		},
		"observe": {ConsecutiveFailures: 3, ConsecutiveSpan: -1, Mode: breaker.Observe, OpenFor: soon, MaxOpenFor: soon},
	}
	for name, cfg := range configs {
		for _, hooked := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, hooks %v", name, hooked), func(t *testing.T) {
				var c tally
				var b *breaker.Breaker
				if hooked {
					b = breaker.New("peer", cfg, c.hooks())
				} else {
					b = breaker.New("peer", cfg)
				}
				callAndOperate(t, b, cfg, &c, hooked)
				c.check(t, b, hooked)
			})
		}
	}
}

// callAndOperate makes calls from many goroutines while another one trips,
// resets and reconfigures.
func callAndOperate(t *testing.T, b *breaker.Breaker, cfg breaker.Config, c *tally, hooked bool) {
	var callers, operator sync.WaitGroup
	finished := make(chan struct{})
	operator.Go(func() {
		random := rand.New(rand.NewPCG(0, 3))
		for {
			select {
			case <-finished:
				b.SetMode(breaker.Enforce, "")
				return
			default:
			}
			switch random.IntN(12) {
			case 0:
				b.Trip(time.Duration(1+random.IntN(20_000)), "test")
			case 1:
				b.Reset("")
			case 2:
				b.SetMode(breaker.Mode(random.IntN(4)), "test")
			case 3:
				b.SetMode(cfg.Mode, "")
			case 4:
				changed := cfg
				changed.MinCalls = 5 + random.IntN(3)
				if err := b.Update(changed); err != nil {
					t.Error(err)
				}
			case 5, 6, 7:
				b.Retry(b.Snapshot().Generation, time.Duration(random.IntN(20_000)))
			case 8:
				b.Hold(b.Snapshot().Generation, time.Duration(random.IntN(20_000)), "test")
			default:
				s := b.Snapshot()
				ended := s.Totals.Successes + s.Totals.Failures + s.Totals.Ignored + s.Totals.Late
				if s.InFlight < 0 || s.InFlight > 8*4 || s.Answered < 0 || s.Answered > 8*4 || ended > c.admitted.Load()+8*4 {
					t.Errorf("%+v", s)
				}
			}
			runtime.Gosched()
		}
	})
	for seed := range uint64(8) {
		callers.Go(func() {
			random := rand.New(rand.NewPCG(seed, 4))
			var out []breaker.Permit
			finish := func() {
				i := random.IntN(len(out))
				p := &out[i]
				switch random.IntN(20) {
				case 0:
					p.Done(breaker.Ignored)
				case 1, 2, 3, 4, 5:
					p.Fail(errBroken)
				case 6:
					p.Trip(time.Duration(random.IntN(2000)), "test")
				case 7:
					p.Answered()
					p.Done(breaker.Success)
				case 8:
					p.Answered()
					p.Fail(errBroken)
				case 9:
					sending := p.Sending()
					go sending.Sent() // before, while or after the call ends
					if random.IntN(2) == 0 {
						p.Answered()
					}
					p.Done(breaker.Success)
				default:
					p.Done(breaker.Success)
				}
				p.Done(breaker.Failure) // counts for nothing
				out[i] = out[len(out)-1]
				out = out[:len(out)-1]
			}
			for calls := 0; calls < 2000; {
				p, err := b.Allow(context.Background())
				if err == nil {
					c.admitted.Add(1)
					out = append(out, p)
					calls++
				} else {
					if !hooked {
						c.rejected.Add(1)
					}
					switch random.IntN(32) { // or most calls are rejected
					case 0:
						b.Reset("")
					case 1, 2, 3, 4, 5, 6, 7, 8:
						b.Retry(b.Snapshot().Generation, 0)
					}
				}
				for len(out) > random.IntN(4) {
					finish()
				}
			}
			for len(out) > 0 {
				finish()
			}
		})
	}
	callers.Wait()
	close(finished)
	operator.Wait()
}

// The fast path of a success must neither lose one nor count it twice when the
// window rolls on under it.
func TestSuccessesAreExactWhileTheWindowRolls(t *testing.T) {
	const callers, calls = 8, 20_000
	b := breaker.New("peer", breaker.Config{Window: 10 * time.Microsecond})
	var done sync.WaitGroup
	for range callers {
		done.Go(func() {
			for range calls {
				p, err := b.Allow(context.Background())
				if err != nil {
					t.Error(err)
					return
				}
				p.Done(breaker.Success)
			}
		})
	}
	done.Wait()
	if got := b.Snapshot().Totals.Successes; got != callers*calls {
		t.Errorf("%d successes, want %d", got, callers*calls)
	}
	b = breaker.New("peer", breaker.Config{Window: time.Hour})
	for range callers {
		done.Go(func() {
			for range calls {
				p, _ := b.Allow(context.Background())
				p.Done(breaker.Success)
			}
		})
	}
	done.Wait()
	if got := b.Snapshot(); got.Counts.Calls != callers*calls || got.Totals.Successes != callers*calls {
		t.Errorf("%+v, want %d calls", got, callers*calls)
	}
}

// A half-open circuit lets exactly Probes calls through, however many ask at
// the very moment when its time is over.
func TestRushAtAHalfOpenCircuitAdmitsExactlyTheProbes(t *testing.T) {
	for _, probes := range []int{1, 3} {
		for range 100 {
			b := breaker.New("peer", with(runRule, func(c *breaker.Config) { c.Probes = probes }))
			b.Trip(1, "test")
			var admitted atomic.Int64
			var rush sync.WaitGroup
			start := make(chan struct{})
			for range 50 {
				rush.Go(func() {
					<-start
					if _, err := b.Allow(context.Background()); err == nil {
						admitted.Add(1)
					}
				})
			}
			close(start)
			rush.Wait()
			if got := admitted.Load(); got != int64(probes) {
				t.Fatalf("%d of 50 let through, want %d", got, probes)
			}
		}
	}
}

// A flood of new hosts neither grows a bounded set nor makes it forget a
// circuit that is open or forced open.
func TestFloodOfHosts(t *testing.T) {
	for _, failing := range []bool{false, true} {
		var evicted atomic.Int64
		set := breaker.NewSet(breaker.Options{
			Config:  with(runRule, func(c *breaker.Config) { c.OpenFor, c.MaxOpenFor = time.Hour, time.Hour }),
			MaxKeys: 100,
			Hooks:   []breaker.Hooks{{Evicted: func(string) { evicted.Add(1) }}},
		})
		set.Get("victim").Trip(time.Hour, "test")
		set.Get("forced").SetMode(breaker.ForceOpen, "test")
		var flood sync.WaitGroup
		for part := range 4 {
			flood.Go(func() {
				for i := range 2500 {
					b := set.Get(fmt.Sprintf("host-%d-%d", part, i))
					for range 3 {
						p, err := b.Allow(context.Background())
						if err != nil {
							t.Errorf("a new host was rejected: %v", err)
							return
						}
						if failing {
							p.Done(breaker.Failure)
						} else {
							p.Done(breaker.Success)
						}
					}
				}
			})
		}
		flood.Wait()
		if n := set.Len(); n > 100 {
			t.Errorf("failing %v: %d keys, want at most 100", failing, n)
		}
		if evicted.Load() < 9900 {
			t.Errorf("failing %v: %d evicted, want at least 9,900", failing, evicted.Load())
		}
		for _, key := range []string{"victim", "forced"} {
			if p, err := set.Get(key).Allow(context.Background()); err == nil {
				p.Done(breaker.Ignored)
				t.Errorf("failing %v: %s lets calls through again; %+v", failing, key, set.Stats())
			}
		}
	}
}

// A set from which keys are taken while they are in use loses no call.
func TestSetUnderLoad(t *testing.T) {
	set := breaker.NewSet(breaker.Options{Config: runRule, MaxKeys: 8})
	var users sync.WaitGroup
	for seed := range uint64(6) {
		users.Go(func() {
			random := rand.New(rand.NewPCG(seed, 5))
			for range 2000 {
				key := fmt.Sprint(random.IntN(12))
				b := set.Get(key)
				if b.Key() != key {
					t.Errorf("Get(%q) has the key %q", key, b.Key())
				}
				if p, err := b.Allow(context.Background()); err == nil {
					p.Done(breaker.Outcome(random.IntN(3)))
				}
				switch random.IntN(50) {
				case 0:
					set.Remove(key)
				case 1:
					for key, b := range set.All() {
						if b.Key() != key {
							t.Errorf("All yields %q under %q", b.Key(), key)
						}
					}
				case 2:
					if err := set.Update(breaker.Options{Config: runRule, MaxKeys: 4 + random.IntN(8)}); err != nil {
						t.Error(err)
					}
				case 3:
					set.Watch(breaker.Hooks{})()
				case 4:
					set.Lookup(key)
					set.Stats()
				}
			}
		})
	}
	users.Wait()
	if n := set.Len(); n > 12 {
		t.Errorf("%d keys", n)
	}
}
