package fleet_test

import (
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seed-0b728cf8/httpbreaker/breaker"
	"github.com/seed-0b728cf8/httpbreaker/contrib/breakerredis/fleet"
)

// Random troubles of the host, the nodes and the way to the store. Whatever
// happens, no circuit is opened by the fleet that fewer than MinNodes nodes have
// found bad, none is held for longer than MaxOpenFor, and all is well soon after
// all is well.
func TestRandomTroubles(t *testing.T) {
	seeds := 8
	if testing.Short() {
		seeds = 3
	}
	for seed := range uint64(seeds) {
		inBubble(t, func(r *rig) { randomTroubles(t, r, rand.New(rand.NewPCG(seed, 1))) })
	}
}

func randomTroubles(t *testing.T, r *rig, rng *rand.Rand) {
	worst := time.Duration(rng.Float64() * float64(300*time.Millisecond))
	lost := rng.Float64() * 0.5
	luck := newDice(rng.Uint64())
	r.add(2+rng.IntN(12), func(_ *fleet.Options, l *fleet.Link) {
		l.Delay = func() time.Duration { return time.Duration(luck.Float64() * float64(worst)) }
		l.Copies = func() int { return int(luck.Float64()*2.2 + 1 - 2*lost) }
	})
	var mu sync.Mutex
	failed := map[*node]time.Time{} // when its calls last failed
	for _, n := range r.nodes {
		n.rate = time.Duration(50+rng.IntN(3000)) * time.Millisecond
		n.set.Watch(breaker.Hooks{StateChanged: func(tr breaker.Transition) {
			if tr.To != breaker.Open || tr.Origin != breaker.ByFleet {
				return
			}
			mu.Lock()
			defer mu.Unlock()
			found := 0
			for _, other := range r.nodes {
				if other.snapshot().Counts.ConsecutiveFailures > 0 || time.Since(failed[other]) < time.Minute {
					found++
				}
			}
			assert.GreaterOrEqual(t, found, 3, tr.Reason) // not require: this is the node's goroutine
		}})
	}
	for range 40 {
		n := r.nodes[rng.IntN(len(r.nodes))]
		switch rng.IntN(8) {
		case 0, 1:
			setUp(false, r.nodes...)
		case 2, 3:
			setUp(true, r.nodes...)
		case 4:
			setUp(rng.IntN(2) == 0, n)
		case 5:
			n.link.set(fleet.ErrFrozen)
		case 6:
			n.link.set(nil)
		case 7:
			r.store.Forget()
		}
		end := time.Now().Add(time.Duration(rng.IntN(8000)) * time.Millisecond)
		for time.Now().Before(end) {
			r.run(50 * time.Millisecond)
			for _, n := range r.nodes {
				s := n.snapshot()
				if !n.up() {
					mu.Lock()
					failed[n] = time.Now()
					mu.Unlock()
				}
				require.LessOrEqual(t, time.Until(s.Until), 55*time.Second, "the rules' 45s and a fifth of jitter")
				if s.State == breaker.Open && s.Origin == breaker.ByFleet {
					require.LessOrEqual(t, time.Until(s.Until), 55*time.Second)
				}
			}
		}
	}
	setUp(true, r.nodes...)
	for _, n := range r.nodes {
		n.link.set(nil)
	}
	r.runUntil(3*time.Minute, "all are back", isBack)
}
