package fleet_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/seed-0b728cf8/httpbreaker/breaker"
	"github.com/seed-0b728cf8/httpbreaker/contrib/breakerredis/fleet"
)

// Holding a circuit calls the hooks of its set, on the node's goroutine.
func TestAHookMayCallTheNode(t *testing.T) {
	inBubble(t, func(r *rig) {
		r.add(4)
		n := r.nodes[3]
		n.rate = 0
		called := 0
		n.set.Watch(breaker.Hooks{StateChanged: func(tr breaker.Transition) {
			if tr.Origin == breaker.ByFleet {
				called++
				n.Status()
				assert.NoError(t, n.SetMode(r.t.Context(), fleet.Mode{Key: "other", Mode: breaker.Observe, Reason: "x", For: time.Hour}))
			}
		}})
		setUp(false, r.nodes...)
		r.runUntil(10*time.Second, "all are open", isOpen)
		r.run(time.Second)
		assert.Equal(t, 1, called)
		assert.Len(t, n.Status().Modes, 1)
	})
}

func TestASharedFunctionThatPanicsSaysNo(t *testing.T) {
	inBubble(t, func(r *rig) {
		r.add(4, func(o *fleet.Options, _ *fleet.Link) { o.Shared = func(string) bool { panic("oops") } })
		setUp(false, r.nodes...)
		r.run(10 * time.Second)
		assert.Zero(t, r.store.Counts().Reports)
	})
}
