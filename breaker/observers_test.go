package breaker_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seed-0b728cf8/httpbreaker/breaker"
)

// Hooks are where other breakers deadlock, reorder, lose events or die.

// everyMethod calls all there is to call on b.
func everyMethod(b *breaker.Breaker) {
	b.Key()
	b.State()
	b.Snapshot()
	b.SetMode(breaker.Observe, "hook")
	b.SetMode(breaker.Enforce, "hook")
	b.Update(runRule)
	p, _ := b.Allow(context.Background())
	p.Sending().Sent()
	p.Answered()
	p.Elapsed()
	p.Probe()
	p.Done(breaker.Ignored)
	b.Hold(b.Snapshot().Generation, time.Second, "hook")
	b.Retry(b.Snapshot().Generation, time.Second)
	p.Trip(time.Second, "hook")
	breaker.Do(context.Background(), b, func(context.Context) (int, error) { return 0, nil })
	b.Trip(time.Second, "hook")
	b.Reset("")
}

func TestHookMayCallEveryMethod(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var b *breaker.Breaker
		called := map[string]int{}
		once := func(hook string) {
			if called[hook]++; called[hook] == 1 {
				everyMethod(b)
			}
		}
		b = breaker.New("peer", runRule, breaker.Hooks{
			StateChanged: func(breaker.Transition) { once("StateChanged") },
			Rejected:     func(context.Context, *breaker.OpenError) { once("Rejected") },
			Done:         func(context.Context, breaker.Call) { once("Done") },
			Failed:       func(breaker.Call) { once("Failed") },
			Operated:     func(breaker.Operation) { once("Operated") },
		})
		r := rig{T: t, b: b}
		r.fail(3)
		b.Trip(time.Second, "test")
		r.reject()
		for _, hook := range []string{"StateChanged", "Rejected", "Done", "Failed", "Operated"} {
			if called[hook] == 0 {
				t.Errorf("%s was not called", hook)
			}
		}
	})
}

func TestHookOfASetMayCallEveryMethod(t *testing.T) {
	var set *breaker.Set
	var stop func()
	var depth, added, operated, evicted int
	options := breaker.Options{Config: runRule, MaxKeys: 2}
	options.Hooks = []breaker.Hooks{{
		StateChanged: func(c breaker.Transition) {
			if depth++; depth == 1 {
				set.Get("other")
				set.Lookup("other")
				set.Len()
				set.Stats()
				for _, b := range set.All() {
					b.Snapshot()
				}
				set.Watch(breaker.Hooks{})()
				set.Update(options)
				set.Remove("other")
				set.SetMode(breaker.Observe, "hook")
				set.SetMode(breaker.Enforce, "hook")
				stop()
			}
			depth--
		},
		Added: func(key string) {
			if added++; added == 1 {
				set.Get(key).Snapshot()
				set.Get("added")
			}
		},
		Operated: func(breaker.Operation) {
			if operated++; operated == 1 {
				set.SetMode(breaker.Enforce, "hook")
			}
		},
		Evicted: func(key string) {
			if evicted++; evicted == 1 {
				set.Get(key)
			}
		},
	}}
	set = breaker.NewSet(options)
	stop = set.Watch(breaker.Hooks{StateChanged: func(breaker.Transition) { stop() }})
	set.Get("a").Trip(time.Second, "test")
	for i := range 10 {
		set.Get(fmt.Sprint(i))
	}
	if set.Len() > 2 || evicted == 0 || added == 0 || operated == 0 {
		t.Errorf("%d keys, %d evicted, %d added, %d operations", set.Len(), evicted, added, operated)
	}
}

// A hook that trips and resets makes transitions of its own: they come after
// the one that it was called for.
func TestTransitionsMadeByHooksComeInOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var b *breaker.Breaker
		var seen []breaker.State
		hook := func(c breaker.Transition) {
			seen = append(seen, c.To)
			if len(seen) == 1 {
				b.Reset("")
				b.Trip(time.Second, "hook")
			}
		}
		var after []breaker.State
		b = breaker.New("peer", runRule, breaker.Hooks{StateChanged: hook},
			breaker.Hooks{StateChanged: func(c breaker.Transition) { after = append(after, c.To) }})
		b.Trip(time.Minute, "test")
		want := fmt.Sprint([]breaker.State{breaker.Open, breaker.Closed, breaker.Open})
		if fmt.Sprint(seen) != want || fmt.Sprint(after) != want {
			t.Errorf("the first hook saw %v, the second %v, want %v", seen, after, want)
		}
	})
}

func TestHookThatPanicsHarmsNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var seen int
		b := breaker.New("peer", runRule,
			breaker.Hooks{
				StateChanged: func(breaker.Transition) { panic("StateChanged") },
				Rejected:     func(context.Context, *breaker.OpenError) { panic("Rejected") },
				Done:         func(context.Context, breaker.Call) { panic("Done") },
				Failed:       func(breaker.Call) { panic("Failed") },
				Operated:     func(breaker.Operation) { panic("Operated") },
			},
			breaker.Hooks{
				StateChanged: func(breaker.Transition) { seen++ },
				Rejected:     func(context.Context, *breaker.OpenError) { seen++ },
				Done:         func(context.Context, breaker.Call) { seen++ },
				Failed:       func(breaker.Call) { seen++ },
				Operated:     func(breaker.Operation) { seen++ },
			})
		r := rig{T: t, b: b}
		r.fail(3)
		r.reject()
		time.Sleep(10 * time.Second)
		r.succeed(1)
		r.want(breaker.Closed)
		b.Reset("")
		if want := 3 + 3 + 1 + 1 + 3 + 1; seen != want { // calls, failed, opened, rejected, half-open with one call and closed, reset
			t.Errorf("the second observer saw %d events, want %d", seen, want)
		}
	})
}

// A failing test inside of a hook ends the goroutine: the breaker lives on.
func TestHookThatExitsLeavesTheBreakerWorking(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		exit := true
		var seen []breaker.State
		b := breaker.New("peer", runRule, breaker.Hooks{StateChanged: func(c breaker.Transition) {
			seen = append(seen, c.To)
			if exit {
				runtime.Goexit()
			}
		}})
		r := rig{T: t, b: b}
		r.fail(2)
		go r.fail(1)
		synctest.Wait()
		r.want(breaker.Open)
		r.reject()
		exit = false
		time.Sleep(10 * time.Second)
		r.succeed(1)
		want := fmt.Sprint([]breaker.State{breaker.Open, breaker.HalfOpen, breaker.Closed})
		if fmt.Sprint(seen) != want {
			t.Errorf("saw %v, want %v", seen, want)
		}
	})
}

// A Trip rule runs under no lock either, and has said no if it panics.
func TestTripRuleMayCallEveryMethodAndPanic(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var b *breaker.Breaker
		cfg := plain
		asked := 0
		cfg.Trip = func(c breaker.Counts) bool {
			asked++
			b.Snapshot()
			b.State()
			if asked == 1 {
				panic("no")
			}
			return c.Failures == 2
		}
		b = breaker.New("peer", cfg)
		r := rig{T: t, b: b}
		r.succeed(10)
		if asked != 0 {
			t.Error("asked about a plain success")
		}
		r.fail(1)
		r.want(breaker.Closed)
		r.fail(1)
		r.wantOpenFor(10 * time.Second)
	})
}

// Transitions are told in the order in which they happened, one at a time,
// however many goroutines make them: each begins where the one before ended.
func TestTransitionsAreToldInOrderAndOneAtATime(t *testing.T) {
	var inside, told atomic.Int64
	var last breaker.Transition
	b := breaker.New("peer", with(runRule, func(c *breaker.Config) { c.ConsecutiveFailures = 1 }),
		breaker.Hooks{StateChanged: func(c breaker.Transition) {
			if inside.Add(1) != 1 {
				t.Error("two transitions are told at once")
			}
			if c.From != last.To || c.At.Before(last.At) {
				t.Errorf("%v at %v after %v at %v", c, c.At, last, last.At)
			}
			runtime.Gosched()
			last = c
			told.Add(1)
			inside.Add(-1)
		}})
	var calls sync.WaitGroup
	for seed := range uint64(8) {
		calls.Go(func() {
			random := rand.New(rand.NewPCG(seed, 2))
			for range 2000 {
				if p, err := b.Allow(context.Background()); err == nil {
					p.Done(breaker.Outcome(random.IntN(3)))
				}
				switch random.IntN(20) {
				case 0:
					b.Trip(time.Nanosecond, "test")
				case 1:
					b.Reset("")
				case 2, 3, 4, 5:
					b.Retry(b.Snapshot().Generation, 0)
				}
			}
		})
	}
	calls.Wait()
	if inside.Load() != 0 || told.Load() < 100 {
		t.Errorf("%d transitions told", told.Load())
	}
	if last.To != b.State() {
		t.Errorf("the last one led to %v, the circuit is %v", last.To, b.State())
	}
}

// Once stop has returned, the hooks of Watch run no more, and none is running.
func TestStopIsABarrier(t *testing.T) {
	set := breaker.NewSet(breaker.Options{Config: runRule})
	done := make(chan struct{})
	var calls sync.WaitGroup
	for range 4 {
		calls.Go(func() {
			for {
				select {
				case <-done:
					return
				default:
					b := set.Get("peer")
					p, _ := b.Allow(context.Background())
					p.Done(breaker.Failure)
					b.Reset("")
				}
			}
		})
	}
	for range 25 {
		var stopped atomic.Bool
		var running, heard atomic.Int64
		hook := func() {
			running.Add(1)
			defer running.Add(-1)
			if stopped.Load() {
				t.Error("called after stop had returned")
			}
			heard.Add(1)
			runtime.Gosched()
		}
		stop := set.Watch(breaker.Hooks{
			StateChanged: func(breaker.Transition) { hook() },
			Done:         func(context.Context, breaker.Call) { hook() },
		})
		for heard.Load() < 20 {
			runtime.Gosched()
		}
		stop()
		stopped.Store(true)
		if running.Load() != 0 {
			t.Error("a hook was running when stop returned")
		}
		stop() // does nothing
	}
	close(done)
	calls.Wait()
}

// What a hook is told is what there was.
func TestTransitionsSayWhatHappened(t *testing.T) {
	inBubble(t, runRule, func(r rig) {
		r.fail(3)
		for range 7 {
			r.reject()
		}
		opened := (*r.seen)[0]
		if opened.Key != "peer" || opened.From != breaker.Closed || opened.To != breaker.Open || opened.Reason == "" ||
			!opened.At.Equal(r.start) || !opened.Until.Equal(r.start.Add(10*time.Second)) ||
			opened.Counts != (breaker.Counts{Calls: 3, Failures: 3, ConsecutiveFailures: 3}) {
			r.Errorf("%+v", opened)
		}
		time.Sleep(10 * time.Second)
		r.succeed(1)
		if half := (*r.seen)[1]; half.Rejected != 7 || !half.Until.IsZero() {
			r.Errorf("%+v", half)
		}
		if closed := (*r.seen)[2]; closed.To != breaker.Closed || closed.Reason == "" || closed.Rejected != 0 {
			r.Errorf("%+v", closed)
		}
	})
}

func TestHooksHearTheCallsContext(t *testing.T) {
	type key struct{}
	var heard []string
	b := breaker.New("peer", runRule, breaker.Hooks{
		Rejected: func(ctx context.Context, _ *breaker.OpenError) {
			heard = append(heard, fmt.Sprint("rejected ", ctx.Value(key{})))
		},
		Done: func(ctx context.Context, c breaker.Call) {
			heard = append(heard, fmt.Sprint("done ", ctx.Value(key{})))
		},
	})
	for i := range 4 {
		if p, err := b.Allow(context.WithValue(context.Background(), key{}, i)); err == nil {
			p.Done(breaker.Failure)
		}
	}
	if got := fmt.Sprint(heard); got != "[done 0 done 1 done 2 rejected 3]" {
		t.Error(got)
	}
}

func TestCallsSayWhatTheyWere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var got []breaker.Call
		start := time.Now()
		cfg := with(runRule, func(c *breaker.Config) { c.SlowCall = time.Second; c.SlowRate = -1 })
		b := breaker.New("peer", cfg, breaker.Hooks{Done: func(_ context.Context, c breaker.Call) { got = append(got, c) }})
		r := rig{T: t, b: b}
		late := r.admit()
		p := r.admit()
		time.Sleep(time.Second)
		p.Done(breaker.Success)
		r.fail(3)
		late.Done(breaker.Ignored)
		time.Sleep(10 * time.Second)
		p = r.admit()
		time.Sleep(10 * time.Millisecond)
		p.Answered()
		time.Sleep(2 * time.Second)
		p.Done(breaker.Success)
		at := func(d time.Duration) time.Time { return start.Add(d) }
		want := []breaker.Call{
			{Key: "peer", Outcome: breaker.Success, Began: at(0), Duration: time.Second, Slow: true},
			{Key: "peer", Outcome: breaker.Failure, Began: at(time.Second)},
			{Key: "peer", Outcome: breaker.Failure, Began: at(time.Second)},
			{Key: "peer", Outcome: breaker.Failure, Began: at(time.Second)},
			{Key: "peer", Outcome: breaker.Ignored, Began: at(0), Duration: time.Second, Slow: true, Late: true},
			{Key: "peer", Outcome: breaker.Success, Began: at(11 * time.Second), Duration: 10 * time.Millisecond, Probe: true},
		}
		for i := range got {
			got[i].Began = got[i].Began.Round(0) // as printed
		}
		if fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("\n got %+v\nwant %+v", got, want)
		}
	})
}

// A Snapshot taken by a hook is exact: the call that it is about has ended.
func TestSnapshotInAHookIsExact(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var b *breaker.Breaker
		var got []int
		b = breaker.New("peer", runRule, breaker.Hooks{
			StateChanged: func(breaker.Transition) { got = append(got, b.Snapshot().InFlight) },
			Done:         func(context.Context, breaker.Call) { got = append(got, b.Snapshot().InFlight) },
		})
		r := rig{T: t, b: b}
		r.admit()
		r.fail(2)
		p := r.admit()
		p.Answered()
		p.Done(breaker.Failure)
		if fmt.Sprint(got) != "[1 1 1 1]" {
			t.Errorf("in flight: %v, want 1 each time", got)
		}
	})
}

// An observer that another one stops does not even hear of the event that is
// just being told.
func TestStoppedByAnotherHook(t *testing.T) {
	var stop func()
	set := breaker.NewSet(breaker.Options{Hooks: []breaker.Hooks{{
		StateChanged: func(breaker.Transition) { stop() },
	}}})
	stop = set.Watch(breaker.Hooks{StateChanged: func(breaker.Transition) { t.Error("called after stop had returned") }})
	set.Get("peer").Trip(time.Second, "test")
}

// An observer is told whatever others do not want to know.
func TestObserversBesideOthersThatWantNothing(t *testing.T) {
	told := map[string]int{}
	wants := breaker.Hooks{
		StateChanged: func(breaker.Transition) { told["StateChanged"]++ },
		Rejected:     func(context.Context, *breaker.OpenError) { told["Rejected"]++ },
		Done:         func(context.Context, breaker.Call) { told["Done"]++ },
		Failed:       func(breaker.Call) { told["Failed"]++ },
	}
	for _, hooks := range [][]breaker.Hooks{{wants, {}}, {{}, wants}} {
		clear(told)
		b := breaker.New("peer", countRule, hooks...)
		for range 4 {
			if p, err := b.Allow(t.Context()); err == nil {
				p.Done(breaker.Failure)
			}
		}
		if told["StateChanged"] != 1 || told["Rejected"] != 1 || told["Done"] != 3 || told["Failed"] != 3 {
			t.Errorf("told %v", told)
		}
	}
}

// Who begins to watch hears of the next call through each circuit that is there, also of
// one whose calls take no lock, and may stop in the middle of a hook of its own.
func TestWatchHearsOfTheNextCall(t *testing.T) {
	set := breaker.NewSet(breaker.Options{})
	call := func(o breaker.Outcome) {
		p, err := set.Get("peer").Allow(t.Context())
		if err != nil {
			t.Error(err)
		}
		p.Done(o)
	}
	for range 100 {
		call(breaker.Success)
	}
	told := 0
	var stop func()
	stop = set.Watch(breaker.Hooks{Done: func(context.Context, breaker.Call) {
		if told++; told == 2 {
			stop()
		}
	}})
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for range 3 {
			call(breaker.Success)
		}
	}()
	select {
	case <-ended:
	case <-time.After(10 * time.Second):
		t.Fatal("a hook that stops itself waits for itself")
	}
	if told != 2 {
		t.Errorf("told of %d calls, want 2", told)
	}
}
