package fleet_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seed-0b728cf8/httpbreaker/breaker"
	"github.com/seed-0b728cf8/httpbreaker/contrib/breakerredis/fleet"
)

func forceOpen(key string) fleet.Mode {
	return fleet.Mode{Key: key, Mode: breaker.ForceOpen, Reason: "maintenance", By: "alice", For: time.Hour}
}

func TestAModeForOneCircuitOfEveryNode(t *testing.T) {
	inBubble(t, func(r *rig) {
		r.add(5)
		r.run(time.Second)
		require.NoError(t, r.nodes[0].SetMode(r.t.Context(), forceOpen(host)))
		r.run(time.Second)
		for _, n := range r.nodes {
			s := n.snapshot()
			assert.Equal(t, breaker.ForceOpen, s.Mode)
			assert.Regexp(t, `^maintenance, by alice, for the fleet until 2000-01-01 01:00:0\d UTC$`, s.Reason)
			assert.Equal(t, breaker.Enforce, n.set.Get("other").Snapshot().Mode)
			require.Len(t, n.Status().Modes, 1)
			assert.Equal(t, "alice", n.Status().Modes[0].By)
		}
		require.NoError(t, r.nodes[1].SetMode(r.t.Context(), fleet.Mode{Key: host}))
		r.run(time.Second)
		for _, n := range r.nodes {
			assert.Equal(t, breaker.Enforce, n.snapshot().Mode)
			assert.Empty(t, n.Status().Modes)
		}
	})
}

func TestAModeEndsByItself(t *testing.T) {
	inBubble(t, func(r *rig) {
		r.add(2)
		require.NoError(t, r.nodes[0].SetMode(r.t.Context(), forceOpen(host)))
		r.run(time.Second)
		r.nodes[1].link.set(fleet.ErrFrozen) // also where the engine has gone
		r.run(time.Hour - 5*time.Second)
		assert.Equal(t, breaker.ForceOpen, r.nodes[1].snapshot().Mode)
		r.run(10 * time.Second)
		for _, n := range r.nodes {
			assert.Equal(t, breaker.Enforce, n.snapshot().Mode)
		}
	})
}

func TestAModeForAllCircuitsThoseToComeIncluded(t *testing.T) {
	inBubble(t, func(r *rig) {
		r.add(2)
		own := fleet.Mode{Key: host, Mode: breaker.Disabled, Reason: "let it through", For: time.Hour}
		require.NoError(t, r.nodes[0].SetMode(r.t.Context(), forceOpen("")))
		require.NoError(t, r.nodes[0].SetMode(r.t.Context(), own))
		r.run(time.Second)
		n := r.nodes[1]
		n.set.Get("new")
		r.run(100 * time.Millisecond)
		assert.Equal(t, breaker.ForceOpen, n.set.Get("new").Snapshot().Mode)
		assert.Equal(t, breaker.Disabled, n.snapshot().Mode, "that of one goes before that of all")
		r.add(1) // a process that starts now
		r.run(100 * time.Millisecond)
		assert.Equal(t, breaker.Disabled, r.nodes[2].snapshot().Mode)

		require.NoError(t, n.SetMode(r.t.Context(), fleet.Mode{Key: host}))
		r.run(time.Second)
		assert.Equal(t, breaker.ForceOpen, n.snapshot().Mode, "now it is one of all")
		require.NoError(t, n.SetMode(r.t.Context(), fleet.Mode{}))
		r.run(time.Second)
		assert.Equal(t, breaker.Enforce, n.snapshot().Mode)
		assert.Equal(t, breaker.Enforce, n.set.Get("new").Snapshot().Mode)
	})
}

func TestAModeGivesBackWhatWasThereBefore(t *testing.T) {
	inBubble(t, func(r *rig) {
		r.add(3)
		r.nodes[0].set.Get(host).SetMode(breaker.Observe, "trying it out")
		require.NoError(t, r.nodes[0].SetMode(r.t.Context(), forceOpen(host)))
		r.run(time.Second)
		r.nodes[1].set.Get(host).SetMode(breaker.Disabled, "this one not") // the last word of somebody here
		require.NoError(t, r.nodes[2].Close())
		assert.Equal(t, breaker.Enforce, r.nodes[2].snapshot().Mode, "Close takes it back")
		require.NoError(t, r.nodes[0].SetMode(r.t.Context(), fleet.Mode{Key: host}))
		r.run(time.Second)
		assert.Equal(t, breaker.Observe, r.nodes[0].snapshot().Mode)
		assert.Equal(t, breaker.Disabled, r.nodes[1].snapshot().Mode)
	})
}

func TestAModeEndsForAKeyThatWasEvicted(t *testing.T) {
	inBubble(t, func(r *rig) {
		r.add(1)
		n := r.nodes[0]
		require.NoError(t, n.set.Update(breaker.Options{MaxKeys: 2}))
		require.NoError(t, n.SetMode(r.t.Context(), forceOpen(host)))
		r.run(time.Second)
		n.rate = 0
		for i, there := 0, true; there; _, there = n.set.Lookup(host) {
			require.Less(t, i, 1000)
			i++
			n.set.Get(fmt.Sprint(i)).SetMode(breaker.Observe, "so that it is kept")
		}
		r.run(time.Hour)
		assert.Equal(t, breaker.Enforce, n.snapshot().Mode)
	})
}

func TestAModeThatIsNotTakenChangesNothing(t *testing.T) {
	inBubble(t, func(r *rig) {
		r.add(2)
		r.run(time.Second)
		r.nodes[0].link.set(fleet.ErrFrozen)
		start := time.Now()
		err := r.nodes[0].SetMode(r.t.Context(), forceOpen(host))
		assert.ErrorContains(t, err, "no confirmation that the mode was set")
		assert.ErrorIs(t, err, context.DeadlineExceeded)
		assert.LessOrEqual(t, time.Since(start), 500*time.Millisecond)
		r.nodes[0].link.set(nil)
		r.run(2 * time.Minute)
		for _, n := range r.nodes {
			assert.Equal(t, breaker.Enforce, n.snapshot().Mode)
		}
	})
}

func TestANodeThatMissedAModeFollows(t *testing.T) {
	inBubble(t, func(r *rig) {
		r.add(1)
		r.add(1, func(_ *fleet.Options, l *fleet.Link) { l.Copies = func() int { return 0 } })
		r.run(time.Second)
		require.NoError(t, r.nodes[0].SetMode(r.t.Context(), forceOpen(host)))
		r.run(75 * time.Second)
		assert.Equal(t, breaker.ForceOpen, r.nodes[1].snapshot().Mode)
	})
}

func TestBadModesAreNamed(t *testing.T) {
	inBubble(t, func(r *rig) {
		r.add(1)
		for want, m := range map[string]fleet.Mode{
			"Mode.For = 0s; want a time of at most 30 days":    {Mode: breaker.ForceOpen, Reason: "x"},
			"Mode.For = -1s; want a time of at most 30 days":   {Mode: breaker.ForceOpen, Reason: "x", For: -time.Second},
			"Mode.For = 721h0m0s; want a time of at most 30":   {Mode: breaker.ForceOpen, Reason: "x", For: 721 * time.Hour},
			`Mode.Reason = " "; want a reason`:                 {Mode: breaker.ForceOpen, Reason: " ", For: time.Hour},
			"Mode.Mode = Mode(9); want enforce, observe":       {Mode: 9, Reason: "x", For: time.Hour},
			`Mode.Key = "kkkkkkkkkkkkkkkkkkkk"…; want at most`: {Key: strings.Repeat("k", 257), Mode: breaker.Observe, Reason: "x", For: time.Hour},
		} {
			assert.ErrorContains(t, r.nodes[0].SetMode(r.t.Context(), m), want)
		}
		assert.Zero(t, r.store.Counts().Events)
	})
}

func TestReasonsAreCut(t *testing.T) {
	inBubble(t, func(r *rig) {
		r.add(1)
		m := forceOpen(host)
		m.Reason, m.By = strings.Repeat("ü", 500), "bob\xff"
		require.NoError(t, r.nodes[0].SetMode(r.t.Context(), m))
		r.run(time.Second)
		got := r.nodes[0].Status().Modes[0]
		assert.Equal(t, strings.Repeat("ü", 100), got.Reason)
		assert.Equal(t, "bob\uFFFD", got.By)
		assert.True(t, utf8.ValidString(r.nodes[0].snapshot().Reason))
	})
}

func TestAModeIsAppliedOnce(t *testing.T) {
	inBubble(t, func(r *rig) {
		luck := newDice(1)
		r.add(1, func(_ *fleet.Options, l *fleet.Link) {
			l.Delay = func() time.Duration { return time.Duration(luck.Float64() * float64(50*time.Millisecond)) }
		})
		acts := 0
		r.nodes[0].set.Watch(breaker.Hooks{Operated: func(breaker.Operation) { acts++ }})
		require.NoError(t, r.nodes[0].SetMode(r.t.Context(), forceOpen(host)))
		r.run(time.Second)
		for i := range 5 {
			other := forceOpen(fmt.Sprint(i)) // makes the node look again
			require.NoError(t, r.nodes[0].SetMode(r.t.Context(), other))
			r.run(time.Second)
		}
		assert.Equal(t, 1, acts)
	})
}

// After a silence all is looked at again, whatever the version says.
func TestAModeSetDuringASilenceIsFound(t *testing.T) {
	inBubble(t, func(r *rig) {
		r.add(2)
		require.NoError(t, r.nodes[0].SetMode(r.t.Context(), forceOpen("old")))
		r.run(time.Second)
		r.nodes[1].link.set(fleet.ErrFrozen)
		r.nodes[1].rate = 100 * time.Millisecond
		setUp(false, r.nodes[1])
		r.run(5 * time.Second)
		require.False(t, r.nodes[1].Status().Reachable)
		r.store.Forget()
		require.NoError(t, r.nodes[0].SetMode(r.t.Context(), forceOpen(host)))
		r.nodes[1].link.set(nil)
		r.run(10 * time.Second)
		assert.Equal(t, breaker.ForceOpen, r.nodes[1].snapshot().Mode)
	})
}
