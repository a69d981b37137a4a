package breaker_test

import (
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/seed-0b728cf8/httpbreaker/breaker"
)

// What becomes of the counts when the window is another.

// windowed is a rule by rate over some window.
func windowed(window time.Duration, calls int, rate float64) breaker.Config {
	return with(plain, func(c *breaker.Config) {
		c.Window, c.WindowCalls, c.FailureRate, c.MinCalls = window, calls, rate, 10
		c.SlowCall, c.SlowRate = time.Second, 0.9
	})
}

// A new window invents no outage: the rate of a steady traffic is about the same in it,
// and no next call opens the circuit.
func TestNewWindowInventsNoOutage(t *testing.T) {
	windows := []breaker.Config{
		windowed(10*time.Second, 0, 0.5), windowed(time.Minute, 0, 0.5), windowed(time.Second, 0, 0.5),
		windowed(10*time.Second, 10, 0.5), windowed(10*time.Second, 100, 0.5), windowed(10*time.Second, 5000, 0.5),
	}
	for from, old := range windows {
		for to, next := range windows {
			for _, failing := range []float64{0, 0.1, 0.25} {
				inBubble(t, old, func(r rig) {
					// Every few calls fail, and every few others are slow: no two in a row.
					n := 0.0
					play := func(calls int) {
						for range calls {
							p := r.admit()
							if n++; math.Floor(n*failing) > math.Floor((n-1)*failing) {
								p.Done(breaker.Failure)
							} else {
								p.Done(breaker.Success)
							}
							time.Sleep(3 * time.Millisecond)
						}
					}
					play(3000)
					before := r.b.Snapshot().Counts
					if err := r.b.Update(next); err != nil {
						r.Fatal(err)
					}
					after := r.b.Snapshot().Counts
					if after.Calls == 0 || next.WindowCalls > 0 && after.Calls > next.WindowCalls || after.Calls > before.Calls {
						r.Errorf("%d to %d: %+v became %+v", from, to, before, after)
					}
					if off := math.Abs(after.FailureRate() - failing); off > 1.01/float64(min(after.Calls, 100)) {
						r.Errorf("%d to %d, %.0f %% fail: %+v became %+v", from, to, 100*failing, before, after)
					}
					play(500)
					r.fail(1)
					r.wantSeen()
				})
			}
		}
	}
}

// Counts follow the calls into a window that has a place for them: the last ones, each
// as what it was.
func TestNewWindowKeepsTheLastCalls(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 15))
	for range 200 {
		from, to := 1+random.IntN(40), 1+random.IntN(40)
		if random.IntN(4) == 0 {
			from = 0
		}
		never := func(calls int) breaker.Config {
			return with(plain, func(c *breaker.Config) {
				c.Window, c.WindowCalls, c.Trip = time.Hour, calls, func(breaker.Counts) bool { return false }
				c.SlowCall, c.SlowRate = time.Second, -1
			})
		}
		inBubble(t, never(from), func(r rig) {
			var last []breaker.Counts // one for each call
			for range random.IntN(60) {
				p := r.admit()
				c := breaker.Counts{Calls: 1}
				if random.IntN(3) == 0 {
					time.Sleep(time.Second)
					c.Slow = 1
				}
				if random.IntN(3) == 0 {
					p.Done(breaker.Failure)
					c.Failures = 1
				} else {
					p.Done(breaker.Success)
				}
				last = append(last, c)
			}
			before := r.b.Snapshot().Counts
			if err := r.b.Update(never(to)); err != nil {
				r.Fatal(err)
			}
			got := r.b.Snapshot().Counts
			if got.Calls != min(before.Calls, to) || got.ConsecutiveFailures != before.ConsecutiveFailures {
				r.Fatalf("%d to %d: %+v became %+v", from, to, before, got)
			}
			if from == 0 && len(last) > to { // their order is not known
				if off := math.Abs(share(got.Failures, got.Calls) - share(before.Failures, before.Calls)); off > 1.01/float64(to) {
					r.Errorf("%d to %d: %+v became %+v", from, to, before, got)
				}
				return
			}
			var want breaker.Counts
			for _, c := range last[max(0, len(last)-got.Calls):] {
				want.Calls, want.Failures, want.Slow = want.Calls+1, want.Failures+c.Failures, want.Slow+c.Slow
			}
			want.ConsecutiveFailures = before.ConsecutiveFailures
			if got != want {
				r.Errorf("%d to %d: got %+v, want %+v", from, to, got, want)
			}
			// … and back to a window of time: none is lost.
			if err := r.b.Update(never(0)); err != nil {
				r.Fatal(err)
			}
			if back := r.b.Snapshot().Counts; back != got {
				r.Errorf("%d to %d and back: got %+v, want %+v", from, to, back, got)
			}
		})
	}
}

func share(part, whole int) float64 {
	if whole == 0 {
		return 0
	}
	return float64(part) / float64(whole)
}

// An outage that there is is not lost either.
func TestNewWindowKeepsAnOutage(t *testing.T) {
	for _, to := range []breaker.Config{windowed(time.Minute, 0, 0.5), windowed(0, 100, 0.5), windowed(0, 1000, 0.5)} {
		inBubble(t, windowed(10*time.Second, 0, 0.9), func(r rig) {
			for range 20 {
				r.succeed(10)
				r.fail(30)
				time.Sleep(time.Second)
			}
			if err := r.b.Update(to); err != nil {
				r.Fatal(err)
			}
			if rate := r.b.Snapshot().Counts.FailureRate(); rate < 0.7 || rate > 0.8 {
				r.Errorf("a rate of %v, want 0.75; %+v", rate, r.b.Snapshot().Counts)
			}
			r.fail(1)
			r.want(breaker.Open)
		})
	}
}

// Time that moves on by a bucket, by several, and by more than the window leaves in it
// just what is young enough.
func TestWindowForgetsBucketByBucket(t *testing.T) {
	for _, window := range []time.Duration{time.Second, 10 * time.Second, time.Minute} {
		inBubble(t, with(plain, func(c *breaker.Config) {
			c.Window, c.Trip = window, func(breaker.Counts) bool { return false }
		}), func(r rig) {
			random := rand.New(rand.NewPCG(1, 16))
			var ends []time.Duration
			for range 500 {
				for range random.IntN(3) {
					r.calls(1, breaker.Outcome(1+random.IntN(2)))
					ends = append(ends, r.now())
				}
				time.Sleep(time.Duration(random.Int64N(int64(window / 8))))
				if random.IntN(30) == 0 {
					time.Sleep(time.Duration(random.Int64N(int64(2 * window))))
				}
				least, most := 0, 0
				for _, at := range ends {
					if age := r.now() - at; age < window {
						most++
						if age < window-window/10 {
							least++
						}
					}
				}
				if got := r.b.Snapshot().Counts.Calls; got < least || got > most {
					r.Fatalf("window %v, at %v: %d calls in it, want %d to %d", window, r.now(), got, least, most)
				}
			}
		})
	}
}

// The buckets of a new window are filled from the moment on at which it is set.
func TestShorterWindowIsFilledAtOnce(t *testing.T) {
	cfg := with(countRule, func(c *breaker.Config) { c.Window, c.Failures = 100*time.Second, 1000 })
	inBubble(t, cfg, func(r rig) {
		r.succeed(1)
		cfg.Window = 10 * time.Second
		if err := r.b.Update(cfg); err != nil {
			r.Fatal(err)
		}
		time.Sleep(5 * time.Second)
		r.succeed(1)
		time.Sleep(6 * time.Second)
		if c := r.b.Snapshot().Counts; c.Calls != 1 {
			r.Errorf("%+v", c)
		}
	})
}

// Calls that are being answered stay in the counts when the window becomes another.
func TestNewWindowKeepsAnsweredCalls(t *testing.T) {
	cfg := with(countRule, func(c *breaker.Config) { c.Window, c.Failures = 10*time.Second, 1000 })
	inBubble(t, cfg, func(r rig) {
		for range 5 {
			r.admit().Answered()
			time.Sleep(time.Second)
			r.fail(1)
		}
		time.Sleep(2 * time.Second)
		cfg.Window = 20 * time.Second
		if err := r.b.Update(cfg); err != nil {
			r.Fatal(err)
		}
		if c := r.b.Snapshot().Counts; c.Answered != 5 || c.Calls != 5 {
			r.Errorf("%+v", c)
		}
	})
}

// With WindowCalls, too, the first probe comes after about ten rejected calls, however long
// the circuit has been closed.
func TestWindowOfCallsKnowsTheRateOfCalls(t *testing.T) {
	inBubble(t, breaker.Config{Jitter: -1, WindowCalls: 100}, func(r rig) {
		r.steady(100, 10*time.Minute, of(0, 0))
		for r.b.State() == breaker.Closed {
			r.steady(100, 10*time.Millisecond, of(100, 0))
		}
		if wait := time.Until(r.b.Snapshot().Until); wait > 200*time.Millisecond {
			r.Errorf("at 100 calls a second the first probe comes after %v", wait)
		}
	})
}
