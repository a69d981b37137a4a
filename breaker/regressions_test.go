package breaker_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seed-0b728cf8/httpbreaker/breaker"
)

// Each test of this file is named for a defect that was found in other circuit
// breakers, and shows that this one does not have it.

// Calls that hang for longer than the window are counted when they end.
func TestFailuresSlowerThanTheWindowOpen(t *testing.T) {
	inBubble(t, breaker.Config{Window: time.Second}, func(r rig) {
		for range 20 {
			go func() {
				for {
					p, err := r.b.Allow(context.Background())
					if err != nil {
						return
					}
					time.Sleep(1500 * time.Millisecond)
					p.Done(breaker.Failure)
				}
			}()
		}
		time.Sleep(6 * time.Second)
		r.want(breaker.Open)
		synctest.Wait()
		if got := r.b.Snapshot().Totals; got.Failures+got.Late > 40 {
			r.Errorf("%d calls failed before the circuit opened", got.Failures+got.Late)
		}
	})
}

// Half of twenty calls that failed are worth no more than a share of the calls: the
// circuit does not open by default, as it does for who sets FailureRate.
func TestHalfOfTwentyCallsShedsByDefaultAndOpensWithFailureRate(t *testing.T) {
	for rate, want := range map[float64]breaker.State{0: breaker.HalfOpen, 0.5: breaker.Open} {
		inBubble(t, breaker.Config{FailureRate: rate, ProbeShare: -1}, func(r rig) {
			for range 9 {
				r.succeed(1)
				r.fail(1)
			}
			time.Sleep(time.Second) // a second bucket
			r.succeed(1)
			r.want(breaker.Closed)
			r.fail(1)
			r.want(want)
			if got := r.b.Snapshot(); !strings.Contains(got.Reason, "10 of 20 calls failed in 10s") || got.Origin != breaker.ByRules {
				r.Errorf("%+v", got)
			}
			if want == breaker.HalfOpen {
				r.succeed(100) // at one half exactly, all are let through
				r.want(breaker.Closed)
				return
			}
			if got := time.Until(r.b.Snapshot().Until); got < 4*time.Second || got > 6*time.Second {
				r.Errorf("open for %v, want 5s within 20 %%", got)
			}
		})
	}
}

// A threshold of so many per cent is met at so many per cent.
func TestRateIsMetAtExactlyTheRate(t *testing.T) {
	for _, calls := range []int{7, 29, 100} {
		for failures := 1; failures <= calls; failures++ {
			cfg := with(plain, func(c *breaker.Config) {
				c.WindowCalls, c.MinCalls, c.FailureRate = calls, calls, float64(failures)/float64(calls)
			})
			if calls == 100 { // as a person would write it
				fmt.Sscanf(fmt.Sprintf("0.%02d", failures%100), "%g", &cfg.FailureRate)
				if failures == 100 {
					cfg.FailureRate = 1
				}
			}
			inBubble(t, cfg, func(r rig) {
				r.succeed(calls - failures)
				r.fail(failures - 1)
				r.want(breaker.Closed)
				r.fail(1)
				if r.b.State() != breaker.Open {
					r.Errorf("%d of %d failed: closed with a rate of %v", failures, calls, cfg.FailureRate)
				}
			})
		}
	}
}

func TestFirstFailureAloneDoesNotOpen(t *testing.T) {
	inBubble(t, breaker.Config{}, func(r rig) {
		r.fail(1)
		r.want(breaker.Closed)
	})
}

// A peer that gets a call every five seconds is watched as well.
func TestLowTrafficOpens(t *testing.T) {
	inBubble(t, breaker.Config{}, func(r rig) {
		for range 5 {
			r.want(breaker.Closed)
			r.fail(1)
			time.Sleep(5 * time.Second)
		}
		if got := r.b.Snapshot().Totals.Opened; got != 1 {
			r.Errorf("opened %d times after five failures in 20s", got)
		}
	})
}

// One lost connection with fifty calls on it is one event.
func TestOneBlipDoesNotOpen(t *testing.T) {
	for _, before := range []int{0, 10, 1000} {
		inBubble(t, breaker.Config{}, func(r rig) {
			for range 5 {
				r.succeed(before / 5)
				time.Sleep(time.Second)
			}
			var lost []*breaker.Permit
			for range 50 {
				lost = append(lost, r.admit())
			}
			time.Sleep(50 * time.Millisecond)
			for _, p := range lost {
				p.Done(breaker.Failure)
			}
			r.want(breaker.Closed)
			for range 20 {
				time.Sleep(50 * time.Millisecond)
				r.succeed(1)
			}
			r.wantSeen()
		})
	}
}

func TestWindowShorterThanTheOpenTimeForgetsNothing(t *testing.T) {
	cfg := with(countRule, func(c *breaker.Config) { c.Window, c.OpenFor = time.Second, 8*time.Second })
	inBubble(t, cfg, func(r rig) {
		r.fail(3)
		for range 79 {
			time.Sleep(100 * time.Millisecond)
			r.reject()
		}
	})
}

func TestLateIgnoredCallAddsNoProbe(t *testing.T) {
	inBubble(t, countRule, func(r rig) {
		var slow []*breaker.Permit
		for range 5 {
			slow = append(slow, r.admit())
		}
		r.fail(3)
		time.Sleep(10 * time.Second)
		r.admit()
		for _, p := range slow {
			p.Done(breaker.Ignored)
			r.reject()
		}
	})
}

func TestLateCallFromAnEarlierHalfOpenState(t *testing.T) {
	for _, late := range []breaker.Outcome{breaker.Success, breaker.Failure, breaker.Ignored} {
		inBubble(t, with(countRule, func(c *breaker.Config) { c.Probes = 2 }), func(r rig) {
			r.fail(3)
			time.Sleep(10 * time.Second)
			first, straggler := r.admit(), r.admit()
			first.Done(breaker.Failure)
			time.Sleep(20 * time.Second)
			r.admit()
			r.admit()
			straggler.Done(late)
			r.want(breaker.HalfOpen)
			r.reject()
		})
	}
}

// A result moves the state only while the state in which its call was admitted
// lasts, whatever the two states are.
func TestLateResultsInEveryPairOfStates(t *testing.T) {
	// Each step leads from the state before it to its own.
	type step struct {
		name string
		go_  func(rig)
		out  breaker.State
	}
	steps := []step{
		{"closed", func(rig) {}, breaker.Closed},
		{"open", func(r rig) { r.b.Trip(10*time.Second, "test") }, breaker.Open},
		{"half-open", func(r rig) { time.Sleep(10 * time.Second); r.ignore(1) }, breaker.HalfOpen},
		{"open again", func(r rig) { r.fail(1) }, breaker.Open},
		{"half-open again", func(r rig) { time.Sleep(time.Until(r.b.Snapshot().Until)); r.ignore(1) }, breaker.HalfOpen},
		{"closed again", func(r rig) { r.succeed(2) }, breaker.Closed},
	}
	cfg := with(countRule, func(c *breaker.Config) { c.Failures, c.Probes, c.ProbeSuccesses = 1, 2, 2 })
	for admitted := range steps {
		for ends := admitted + 1; ends < len(steps); ends++ {
			if steps[admitted].out == breaker.Open {
				continue // lets nothing through
			}
			for _, outcome := range []breaker.Outcome{breaker.Ignored, breaker.Success, breaker.Failure} {
				name := fmt.Sprintf("%s, then %v when %s", steps[admitted].name, outcome, steps[ends].name)
				t.Run(name, func(t *testing.T) {
					inBubble(t, cfg, func(r rig) {
						var slow *breaker.Permit
						for i := range ends + 1 {
							steps[i].go_(r)
							r.want(steps[i].out)
							if i == admitted {
								slow = r.admit()
							}
						}
						before := r.b.Snapshot()
						seen := len(*r.seen)
						slow.Done(outcome)
						after := r.b.Snapshot()
						before.Totals.Late++
						before.InFlight--
						if after != before || len(*r.seen) != seen {
							r.Errorf("\n got %+v\nwant %+v", after, before)
						}
					})
				})
			}
		}
	}
}

func TestIgnoredProbeDoesNotReopen(t *testing.T) {
	inBubble(t, countRule, func(r rig) {
		r.fail(3)
		time.Sleep(10 * time.Second)
		r.ignore(1)
		r.want(breaker.HalfOpen)
		r.succeed(1)
		r.want(breaker.Closed)
	})
}

// The rules of a closed circuit have no say while it is probed.
func TestVolumeDoesNotMatterWhenProbed(t *testing.T) {
	cfg := breaker.Config{MinCalls: 1000, Jitter: -1}
	inBubble(t, cfg, func(r rig) {
		r.b.Trip(time.Second, "test")
		time.Sleep(time.Second)
		r.fail(1)
		r.want(breaker.Open)
	})
}

// endings are the ways in which a call made by Do can end.
var endings = map[string]func() (int, error){
	"panic":   func() (int, error) { panic("boom") },
	"goexit":  func() (int, error) { runtime.Goexit(); return 0, nil },
	"failure": func() (int, error) { return 0, errBroken },
}

func TestProbeThatPanicsOrExitsFreesItsSlot(t *testing.T) {
	for _, how := range []string{"panic", "goexit"} {
		inBubble(t, runRule, func(r rig) {
			r.fail(3)
			time.Sleep(10 * time.Second)
			for range 3 {
				ended := make(chan any)
				go func() {
					returned := false
					defer func() {
						if returned {
							r.Errorf("%s: the call returned", how)
						}
						ended <- recover()
					}()
					breaker.Do(context.Background(), r.b, func(context.Context) (int, error) { return endings[how]() })
					returned = true
				}()
				if value := <-ended; (value == "boom") != (how == "panic") {
					r.Errorf("%s: recovered %v", how, value)
				}
				r.want(breaker.HalfOpen)
			}
			r.succeed(1)
			r.want(breaker.Closed)
		})
	}
}

func TestPanicsWhenClosedAreIgnored(t *testing.T) {
	inBubble(t, runRule, func(r rig) {
		for range 20 {
			func() {
				defer func() { recover() }()
				breaker.Do(context.Background(), r.b, func(context.Context) (int, error) { return endings["panic"]() })
			}()
		}
		r.want(breaker.Closed)
		if got := r.b.Snapshot(); got.Totals.Ignored != 20 || got.InFlight != 0 {
			r.Errorf("%+v", got)
		}
	})
}

// Whatever has happened, once everything that can run out has run out the
// circuit lets a call through again.
func TestNothingWedgesTheCircuit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for seed := range uint64(300) {
			random := rand.New(rand.NewPCG(seed, 1))
			cfg := with(runRule, func(c *breaker.Config) { c.Probes, c.ProbeSuccesses = 1+int(seed%3), 1+int(seed/3%3) })
			r := newRig(t, cfg)
			var out []breaker.Permit
			for range 100 {
				if p, err := r.b.Allow(t.Context()); err == nil {
					out = append(out, p)
				}
				for range random.IntN(3) {
					if len(out) > 0 && random.IntN(4) > 0 { // one in four is never ended
						out[0].Done(breaker.Outcome(random.IntN(3)))
					}
					out = out[min(1, len(out)):]
				}
				time.Sleep(time.Duration(random.IntN(8000)) * time.Millisecond)
			}
			time.Sleep(time.Minute)
			if _, err := r.b.Allow(t.Context()); err != nil { // finds a lost probe …
				time.Sleep(64 * time.Second)
				r.admit() // … and this one is let through
			}
		}
	})
}

// Nothing runs in the background, so that a dropped breaker is garbage.
func TestBreakersBringNoGoroutines(t *testing.T) {
	before := runtime.NumGoroutine()
	freed := make(chan struct{}, 100)
	for i := range 100 {
		b := breaker.New(fmt.Sprint(i), runRule)
		runtime.AddCleanup(b, func(int) { freed <- struct{}{} }, 0)
		for range 3 {
			p, _ := b.Allow(t.Context())
			p.Done(breaker.Failure)
		}
	}
	if after := runtime.NumGoroutine(); after > before {
		t.Errorf("%d goroutines became %d", before, after)
	}
	for range 20 {
		runtime.GC()
		runtime.Gosched()
	}
	if n := len(freed); n < 90 {
		t.Errorf("%d of 100 dropped breakers were freed", n)
	}
}

// A permit that was never filled in, and one that is ended twice.
func TestPermitEndsOnce(t *testing.T) {
	var zero breaker.Permit
	zero.Done(breaker.Failure)
	zero.Fail(errBroken)
	zero.Answered()
	zero.Trip(time.Second, "zero")
	if zero.Probe() || zero.Elapsed() != 0 {
		t.Error("the zero Permit is a probe")
	}
	inBubble(t, runRule, func(r rig) {
		p := r.admit()
		for range 10 {
			p.Done(breaker.Failure)
			p.Fail(errBroken)
			p.Trip(time.Second, "again")
			p.Answered()
		}
		r.want(breaker.Closed)
		if got := r.b.Snapshot(); got.Totals.Failures != 1 || got.InFlight != 0 {
			r.Errorf("%+v", got)
		}
	})
}

// An outcome that there is not says nothing, like Ignored.
func TestUnknownOutcomeIsIgnored(t *testing.T) {
	inBubble(t, runRule, func(r rig) {
		r.calls(10, breaker.Outcome(7))
		r.want(breaker.Closed)
		if got := r.b.Snapshot(); got.Totals.Ignored != 10 || got.Counts != (breaker.Counts{}) {
			r.Errorf("%+v", got)
		}
		r.fail(3)
		time.Sleep(10 * time.Second)
		r.calls(10, breaker.Outcome(255))
		r.want(breaker.HalfOpen)
	})
}
