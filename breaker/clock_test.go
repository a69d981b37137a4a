package breaker_test

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seed-0b728cf8/httpbreaker/breaker"
)

// A breaker that a package keeps in a variable is older than the bubble in which
// a test uses it, and the clock of the bubble stands in the year 2000. For such
// a breaker time jumps, backwards too; it has to go on from there.

func TestMadeOutsideOfTheBubble(t *testing.T) {
	rule := with(runRule, func(c *breaker.Config) { c.SlowCall, c.SlowRate = 10*time.Millisecond, -1 })
	kept := map[string]*breaker.Breaker{
		"breaker":      breaker.New("peer", rule),
		"of a set":     breaker.NewSet(breaker.Options{Config: rule}).Get("peer"),
		"used already": breaker.New("peer", rule),
	}
	if p, err := kept["used already"].Allow(t.Context()); err == nil {
		p.Done(breaker.Failure)
	}
	for name, b := range kept {
		for bubble := range 3 {
			synctest.Test(t, func(t *testing.T) {
				r := rig{T: t, b: b, start: time.Now()}
				t.Logf("%s, bubble %d", name, bubble)
				r.b.Reset("")
				r.succeed(1)
				r.fail(3)
				r.wantOpenFor(10 * time.Second)
				time.Sleep(10*time.Second - 1)
				r.reject()
				time.Sleep(1 * time.Nanosecond)
				r.fail(1)
				r.wantOpenFor(20 * time.Second)
				time.Sleep(20 * time.Second)
				r.admit() // and lost
				time.Sleep(10 * time.Second)
				r.reject()
				r.wantOpenFor(40 * time.Second)
				time.Sleep(40 * time.Second)
				r.succeed(1)
				r.want(breaker.Closed)
				p := r.admit()
				if got := r.b.Snapshot().Counts; got.Overdue != 0 {
					t.Errorf("overdue at once: %+v", got)
				}
				time.Sleep(11 * time.Millisecond)
				if got := r.b.Snapshot().Counts; got.Overdue != 1 {
					t.Errorf("not overdue: %+v", got)
				}
				p.Done(breaker.Ignored)
				time.Sleep(time.Hour)
			})
		}
	}
}

func TestWindowOfABreakerMadeOutsideOfTheBubble(t *testing.T) {
	b := breaker.New("peer", countRule)
	for range 3 {
		synctest.Test(t, func(t *testing.T) {
			r := rig{T: t, b: b, start: time.Now()}
			for range 5 {
				r.fail(1)
				time.Sleep(time.Hour) // leaves the window
			}
			r.want(breaker.Closed)
			if got := b.Snapshot().Counts; got.Calls != 0 {
				t.Errorf("%+v", got)
			}
			r.fail(2)
			if got := b.Snapshot().Counts; got.Failures != 2 {
				t.Errorf("%+v", got)
			}
		})
	}
}

// One failure after the clock was put back is one failure.
func TestZeroBreakerInTwoBubbles(t *testing.T) {
	var b breaker.Breaker
	for range 2 {
		synctest.Test(t, func(t *testing.T) {
			r := rig{T: t, b: &b, start: time.Now()}
			before := b.Snapshot().Counts.Failures
			r.succeed(1)
			time.Sleep(time.Hour)
			r.succeed(1)
			r.fail(1)
			if got := b.Snapshot().Counts; got.Failures > before+1 || got.Calls > before+4 {
				t.Errorf("%+v", got)
			}
			r.want(breaker.Closed)
		})
	}
}

// Long after a breaker was made, SlowCall is what it says.
func TestOverdueAfterALongLife(t *testing.T) {
	const year = 365 * 24 * time.Hour
	for _, slowCall := range []time.Duration{time.Microsecond, 100 * time.Microsecond, time.Millisecond, time.Second} {
		for _, age := range []time.Duration{time.Hour, 24 * time.Hour, year / 6, year, 2 * year, 30 * year} {
			inBubble(t, breaker.Config{SlowCall: slowCall}, func(r rig) {
				time.Sleep(age)
				p := r.admit()
				if got := r.b.Snapshot().Counts.Overdue; got != 0 {
					r.Errorf("SlowCall %v after %v: overdue at once", slowCall, age)
				}
				time.Sleep(slowCall + slowCall/16)
				if got := r.b.Snapshot().Counts.Overdue; got != 1 {
					r.Errorf("SlowCall %v after %v: not overdue", slowCall, age)
				}
				p.Done(breaker.Success)
				if got := fmt.Sprint(r.b.Snapshot().Counts); got != fmt.Sprint(breaker.Counts{Calls: 1, Slow: 1}) {
					r.Errorf("SlowCall %v after %v: %v", slowCall, age, got)
				}
			})
		}
	}
}

// Places of a slow start that were taken in another bubble, at times that are still to
// come in this one, are taken by nobody.
func TestPlacesInTwoBubbles(t *testing.T) {
	b := breaker.New("peer", startRule)
	var late []*breaker.Permit
	var places int
	synctest.Test(t, func(t *testing.T) {
		r := rig{T: t, b: b, start: time.Now()}
		time.Sleep(time.Hour)
		r.recover(200)
		late = r.fill()
		places = len(late)
	})
	synctest.Test(t, func(t *testing.T) {
		r := rig{T: t, b: b, start: time.Now()}
		r.want(breaker.HalfOpen)
		out := r.fill()
		if len(out) != places {
			t.Errorf("%d places, want %d", len(out), places)
		}
		doneAll(late, breaker.Ignored)
		r.reject()
		doneAll(out, breaker.Ignored)
		if out = r.fill(); len(out) != places {
			t.Errorf("%d places once they were given back, want %d", len(out), places)
		}
	})
}

// Successes that were counted in another bubble, at times that are still to come in this
// one, are in no window.
func TestSuccessesOfAnotherBubble(t *testing.T) {
	b := breaker.New("peer", breaker.Config{})
	synctest.Test(t, func(t *testing.T) {
		r := rig{T: t, b: b, start: time.Now()}
		for range 20 {
			time.Sleep(time.Second)
			r.ignore(1)
			r.succeed(100)
		}
	})
	synctest.Test(t, func(t *testing.T) {
		if c := b.Snapshot().Counts; c.Calls != 0 {
			t.Errorf("%+v", c)
		}
		r := rig{T: t, b: b, start: time.Now()}
		time.Sleep(15 * time.Second)
		r.fail(1)
		if c := b.Snapshot().Counts; c.Calls != 1 || c.Failures != 1 {
			t.Errorf("%+v", c)
		}
	})
}
