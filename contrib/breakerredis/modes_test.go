//go:build unix

package breakerredis

import (
	"context"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed-0b728cf8/httpbreaker/breaker"
	"github.com/seed-0b728cf8/httpbreaker/contrib/breakerredis/fleet"
)

func forceOpen(key string) fleet.Mode {
	return fleet.Mode{Key: key, Mode: breaker.ForceOpen, Reason: "a {test}, \"quoted\"\n", By: "alice", For: time.Hour}
}

// setModes sets modes and takes them back, and waits for all nodes each time.
func (n *nodes) setModes() {
	n.t.Helper()
	require.NoError(n.t, n.all[0].SetMode(context.Background(), forceOpen(host)))
	n.modes(breaker.ForceOpen)
	require.NoError(n.t, n.all[1].SetMode(context.Background(), fleet.Mode{Key: host}))
	n.modes(breaker.Enforce)
	short := forceOpen("")
	short.For = 700 * time.Millisecond
	require.NoError(n.t, n.all[0].SetMode(context.Background(), short))
	n.modes(breaker.ForceOpen)
	n.modes(breaker.Enforce)
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
