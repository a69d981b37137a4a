package fleet_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seed-0b728cf8/httpbreaker/breaker"
	"github.com/seed-0b728cf8/httpbreaker/contrib/breakerredis/fleet"
)

// A probe that hangs ends long after the lease. It counts all the same, and one
// that was out when the host came back holds nobody up.
func TestAHostThatHangsIsProbedOnAndOn(t *testing.T) {
	inBubble(t, func(r *rig) {
		r.add(30)
		r.run(5 * time.Second)
		for _, n := range r.nodes {
			n.hang = true
		}
		setUp(false, r.nodes...)
		r.runUntil(30*time.Second, "nobody is let through", func(n *node) bool { return n.snapshot().Share == 0 })
		r.run(90 * time.Second)
		before := sentBy(r)
		r.run(time.Minute)
		assert.InDelta(t, 25, sentBy(r)-before, 20, "the fleet's probes, and nobody's own")
		setUp(true, r.nodes...)
		r.runUntil(14*time.Second, "all are back: ten seconds for the last probe that hangs", isBack)
	})
}

// What failed before an incident was over is no opinion afterwards.
func TestFailuresOfAnIncidentThatIsOverAreForgotten(t *testing.T) {
	inBubble(t, func(r *rig) {
		r.add(6)
		setUp(false, r.nodes...)
		r.runUntil(20*time.Second, "all are open", isOpen)
		for _, n := range r.nodes[1:] {
			n.rate = 0
		}
		setUp(true, r.nodes...)
		r.runUntil(20*time.Second, "who calls is back", func(n *node) bool { return n.rate == 0 || isBack(n) })
		r.run(15 * time.Second)
		before := r.store.Counts().Reports
		r.run(time.Minute)
		assert.Equal(t, before, r.store.Counts().Reports)
		for _, n := range r.nodes[1:] {
			s := n.snapshot()
			assert.Equal(t, breaker.Open, s.State, "it makes no call")
			assert.LessOrEqual(t, time.Until(s.Until), time.Duration(0), "and may")
		}
	})
}

// In a large fleet, that looks rarely, the word goes round.
func TestTheEndOfAnIncidentIsToldToAll(t *testing.T) {
	inBubble(t, func(r *rig) {
		r.add(700)
		for _, n := range r.nodes {
			n.rate = 2 * time.Second
		}
		setUp(false, r.nodes...)
		r.runUntil(30*time.Second, "all are open", isOpen)
		setUp(true, r.nodes...)
		events := r.store.Counts().Events
		for r.store.Counts().Events == events {
			r.run(20 * time.Millisecond)
		}
		took := r.runUntil(10*time.Second, "all may call", func(n *node) bool {
			s := n.snapshot()
			return s.State != breaker.Open || time.Until(s.Until) <= 0
		})
		assert.Less(t, took, 1700*time.Millisecond)
	})
}

func TestAnOperatorsTripIsNotLengthened(t *testing.T) {
	inBubble(t, func(r *rig) {
		r.add(4)
		setUp(false, r.nodes[:3]...)
		b := r.nodes[3].set.Get(host)
		r.nodes[3].rate = 0
		b.Trip(20*time.Second, "maintenance")
		until := b.Snapshot().Until
		r.run(19500 * time.Millisecond)
		require.True(t, r.nodes[0].snapshot().Fleet)
		assert.Equal(t, until, b.Snapshot().Until)
	})
}

func TestAGoodOpinionEndsWithTheNextFailure(t *testing.T) {
	inBubble(t, func(r *rig) {
		r.add(5)
		r.run(5 * time.Second)
		setUp(false, r.nodes[:2]...)
		last := r.nodes[4]
		last.rate = 0
		r.run(4 * time.Second)
		last.call()
		r.run(time.Second)
		require.Equal(t, fleet.Good, last.Status().Circuits[0].Opinion)
		setUp(false, last)
		last.call()
		r.run(time.Second)
		assert.Equal(t, fleet.None, last.Status().Circuits[0].Opinion)
	})
}
