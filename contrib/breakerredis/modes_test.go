//go:build unix

package breakerredis

import (
	"context"
	"time"

	"github.com/seed-0b728cf8/httpbreaker/breaker"
	"github.com/seed-0b728cf8/httpbreaker/contrib/breakerredis/fleet"
)

func forceOpen(key string) fleet.Mode {
	return fleet.Mode{Key: key, Mode: breaker.ForceOpen, Reason: "a {test}, \"quoted\"\n", By: "alice", For: time.Hour}
}

// setModes sets modes and takes them back, and waits for all nodes each time.
func (n *nodes) setModes() {
	n.t.Helper()
	n.setMode(0, forceOpen(host))
	n.modes(breaker.ForceOpen)
	n.setMode(1, fleet.Mode{Key: host})
	n.modes(breaker.Enforce)
	short := forceOpen("")
	short.For = 700 * time.Millisecond
	n.setMode(0, short)
	n.modes(breaker.ForceOpen)
	n.modes(breaker.Enforce)
}

// setMode tries again where the machine was too busy to answer in time.
func (n *nodes) setMode(node int, m fleet.Mode) {
	n.t.Helper()
	within(n.t, 3*time.Second, "the mode is set", func() bool {
		return n.all[node].SetMode(context.Background(), m) == nil
	})
}

func (n *nodes) modes(want breaker.Mode) {
	n.t.Helper()
	within(n.t, 4*time.Second, "mode "+want.String(), func() bool {
		for _, one := range n.all {
			if one.set.Get(host).Snapshot().Mode != want {
				return false
			}
		}
		return true
	})
}
