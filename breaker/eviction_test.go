package breaker_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seed-0b728cf8/httpbreaker/breaker"
)

// Which breakers a full set gives up, and what it remembers of them.

// The closed breaker that was not used for longest goes first, whatever the
// order of use before, and whether use means Get alone or a call as well.
func TestLongestIdleGoesFirst(t *testing.T) {
	for seed := range uint64(200) {
		synctest.Test(t, func(t *testing.T) {
			random := rand.New(rand.NewPCG(seed, 6))
			const size = 4
			set := breaker.NewSet(breaker.Options{MaxKeys: size})
			var order []string // latest last
			for step := range 40 {
				key := fmt.Sprint("new", step)
				if len(order) == size && random.IntN(3) > 0 {
					key = order[random.IntN(size)]
				}
				b := set.Get(key)
				if seed%2 == 0 {
					if p, err := b.Allow(t.Context()); err == nil {
						p.Done(breaker.Success)
					}
				}
				order = append(slices.DeleteFunc(order, func(k string) bool { return k == key }), key)
				order = order[max(0, len(order)-size):]
				for _, key := range order {
					if _, ok := set.Lookup(key); !ok {
						t.Fatalf("seed %d, step %d: %s was evicted, want to keep %v", seed, step, key, order)
					}
				}
				time.Sleep(time.Minute)
			}
		})
	}
}

// Where there are closed circuits, the open and the forced ones stay.
func TestClosedCircuitsMakeRoomFirst(t *testing.T) {
	set := breaker.NewSet(breaker.Options{MaxKeys: 10})
	check := func(evicted uint64) {
		t.Helper()
		for _, key := range []string{"open", "forced"} {
			if _, ok := set.Lookup(key); !ok {
				t.Errorf("%s had to go", key)
			}
		}
		if got := set.Stats(); got.Keys != 10 || got.Evicted != evicted || got.Demoted != 0 {
			t.Errorf("%+v, want %d evicted", got, evicted)
		}
	}
	set.Get("open").Trip(time.Hour, "test")
	set.Get("forced").SetMode(breaker.ForceOpen, "test")
	for i := range 1000 {
		set.Get(fmt.Sprint(i))
	}
	check(992)
	// The mode in which new breakers start is nothing to be remembered.
	if err := set.Update(breaker.Options{MaxKeys: 10, Config: breaker.Config{Mode: breaker.Observe}}); err != nil {
		t.Fatal(err)
	}
	for i := range 1000 {
		set.Get(fmt.Sprint("more", i))
	}
	check(1992)
}

// A record is kept of an open circuit that had to make room.
func TestEvictedOpenCircuitComesBackAsItWas(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		set := breaker.NewSet(breaker.Options{Config: runRule, MaxKeys: 10})
		set.Get("victim").Trip(10*time.Second, "test")
		until := set.Get("victim").Snapshot().Until
		flood := func() {
			for i := range 50 {
				set.Get(fmt.Sprint(i)).Trip(time.Hour, "test")
			}
			if _, ok := set.Lookup("victim"); ok {
				t.Fatal("the victim was not evicted")
			}
		}
		flood()
		r := rig{T: t, b: set.Get("victim"), start: time.Now()}
		if e := r.reject(); !e.Until.Equal(until) {
			t.Errorf("open until %v, want %v", e.Until, until)
		}
		flood()
		time.Sleep(10 * time.Second)
		r.b = set.Get("victim")
		if p := r.admit(); !p.Probe() {
			t.Error("let through, but not as a probe")
		}
		r.reject()
		if got := set.Stats(); got.Keys != 10 || got.Demoted == 0 || got.Forgotten != 0 {
			t.Errorf("%+v", got)
		}
	})
}

// New rules reach a set to which keys are added all the time.
func TestUpdateEndsDuringAFloodOfKeys(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		set := breaker.NewSet(breaker.Options{MaxKeys: -1})
		var updated atomic.Bool
		var flood sync.WaitGroup
		flood.Go(func() {
			for i := 0; !updated.Load(); i++ {
				set.Get(fmt.Sprint(i))
				time.Sleep(time.Millisecond)
			}
		})
		time.Sleep(20 * time.Millisecond)
		begun := time.Now()
		err := set.Update(breaker.Options{MaxKeys: -1, Config: runRule, Override: func(key string, c *breaker.Config) {
			time.Sleep(time.Millisecond) // as one that looks something up
			if time.Since(begun) > 5*time.Second {
				updated.Store(true) // or the test never ends
			}
		}})
		if updated.Swap(true) || err != nil {
			t.Errorf("after %v: %v", time.Since(begun), err)
		}
		flood.Wait()
		for key, b := range set.All() { // the rules are in force for all of them
			for range 3 {
				if p, err := b.Allow(t.Context()); err == nil {
					p.Done(breaker.Failure)
				}
			}
			if b.State() != breaker.Open {
				t.Fatalf("%s has the old rules", key)
			}
		}
	})
}
