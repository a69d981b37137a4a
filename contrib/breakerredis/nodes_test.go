//go:build unix

package breakerredis

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seed-0b728cf8/httpbreaker/breaker"
	"github.com/seed-0b728cf8/httpbreaker/contrib/breakerredis/fleet"
)

const host = "api.example.com"

var errDown = errors.New("down")

// nodes are some processes, in one, that share through a real server: three that
// call a host every 10ms, and a quiet one that makes no call and hears of an
// incident only from the others.
type nodes struct {
	t    *testing.T
	down atomic.Bool
	all  []*node
	stop chan struct{}
	done sync.WaitGroup
}

type node struct {
	*fleet.Fleet
	set *breaker.Set

	mu   sync.Mutex
	slow []time.Duration // how long each Allow took
}

const callers = 3

// startNodes starts nodes whose clients connect makes. Nothing of theirs is left
// when the test ends.
func startNodes(t *testing.T, connect func() redis.UniversalClient) *nodes {
	return startNodesKeeping(t, func() redis.UniversalClient {
		return closing{connect()}
	})
}

// closing is a client that startNodesKeeping closes at once: the fleet has one of
// its own.
type closing struct{ redis.UniversalClient }

// startNodesKeeping leaves the clients open.
func startNodesKeeping(t *testing.T, connect func() redis.UniversalClient) *nodes {
	n := &nodes{t: t, stop: make(chan struct{})}
	labelled(t.Name(), func() {
		for range callers + 1 {
			client := connect()
			c, close := client.(closing)
			if close {
				client = c.UniversalClient
			}
			set := breaker.NewSet(breaker.Options{Config: breaker.Config{
				ConsecutiveSpan: 300 * time.Millisecond, OpenFor: 500 * time.Millisecond, MaxOpenFor: time.Second,
			}})
			set.Get(host)
			f, err := New(client, set, &Options{
				Fleet: "test", Timeout: 250 * time.Millisecond, Logger: slog.New(slog.NewTextHandler(io.Discard, nil)),
			})
			require.NoError(t, err)
			if close {
				require.NoError(t, client.Close())
			}
			n.all = append(n.all, &node{Fleet: f, set: set})
		}
	})
	for _, one := range n.all[:callers] {
		n.done.Go(func() { n.traffic(one) })
	}
	t.Cleanup(n.close)
	return n
}

func (n *nodes) traffic(one *node) {
	for {
		select {
		case <-n.stop:
			return
		case <-time.After(10 * time.Millisecond):
		}
		b := one.set.Get(host)
		start := time.Now()
		p, err := b.Allow(context.Background())
		took := time.Since(start)
		one.mu.Lock()
		one.slow = append(one.slow, took)
		one.mu.Unlock()
		switch {
		case err != nil:
		case n.down.Load():
			p.Fail(errDown)
		default:
			p.Done(breaker.Success)
		}
	}
}

// close asserts what holds at the end of each test.
func (n *nodes) close() {
	for _, one := range n.all {
		start := time.Now()
		assert.NoError(n.t, one.Close())
		assert.Less(n.t, time.Since(start), time.Second, "Close")
	}
	assert.Eventually(n.t, func() bool { return goroutines(n.t.Name()) == 0 }, time.Second, 10*time.Millisecond, "goroutines are left")
	close(n.stop)
	n.done.Wait()
	for _, one := range n.all[:callers] {
		slices.Sort(one.slow)
		if len(one.slow) > 0 {
			// Not the slowest: on a busy machine a goroutine may have to wait for its turn.
			p90 := one.slow[len(one.slow)*9/10]
			assert.Less(n.t, p90, 50*time.Millisecond, "Allow, and a request to Redis may take 250ms")
		}
	}
}

func (n *nodes) quiet() *node { return n.all[callers] }

func (one *node) state() breaker.State { return one.set.Get(host).State() }

func (n *nodes) callersAre(want breaker.State) func() bool {
	return func() bool {
		for _, one := range n.all[:callers] {
			if one.state() != want {
				return false
			}
		}
		return true
	}
}

// reachable waits until all nodes think so, or not so.
func (n *nodes) reachable(want bool) {
	n.t.Helper()
	within(n.t, 8*time.Second, "reachable", func() bool {
		for _, one := range n.all {
			if one.Status().Reachable != want {
				return false
			}
		}
		return true
	})
}

// toldOf waits until a node's status says so, with something to report.
func (n *nodes) toldOf(what string) {
	n.t.Helper()
	n.down.Store(true)
	defer n.healHost()
	within(n.t, 8*time.Second, "told of "+what, func() bool { return strings.Contains(n.all[0].Status().Error, what) })
}

func (n *nodes) listening() {
	n.t.Helper()
	within(n.t, 8*time.Second, "all nodes listen", func() bool {
		for _, one := range n.all {
			if !one.Status().Listening {
				return false
			}
		}
		return true
	})
}

// breakHost takes the host down and waits until the callers reject.
func (n *nodes) breakHost() {
	n.t.Helper()
	n.down.Store(true)
	within(n.t, 5*time.Second, "the callers reject", n.callersAre(breaker.Open))
}

// healHost brings the host back and waits until the callers are let through.
func (n *nodes) healHost() {
	n.t.Helper()
	n.down.Store(false)
	within(n.t, 8*time.Second, "the callers are let through", n.callersAre(breaker.Closed))
}

// share asserts that the quiet node hears of what the callers find.
func (n *nodes) share() {
	n.t.Helper()
	n.breakHost()
	within(n.t, 6*time.Second, "the quiet node hears of it", func() bool { return n.quiet().state() == breaker.Open })
	s := n.quiet().set.Get(host).Snapshot()
	assert.Equal(n.t, breaker.ByFleet, s.Origin)
	assert.Contains(n.t, s.Reason, "nodes of the fleet cannot reach it")
	n.healHost()
	// Its own circuit is due, and its next call the probe.
	within(n.t, 8*time.Second, "the quiet node may call", func() bool {
		p, err := n.quiet().set.Get(host).Allow(context.Background())
		if err != nil {
			return false
		}
		p.Done(breaker.Success)
		return true
	})
	n.quiet().set.Remove(host) // a host that it has never reached, again
	n.quiet().set.Get(host)
}

// alone asserts that each node decides by itself, and that the quiet one hears
// of nothing.
func (n *nodes) alone() {
	n.t.Helper()
	n.breakHost()
	time.Sleep(500 * time.Millisecond)
	assert.Equal(n.t, breaker.Closed, n.quiet().state())
	for _, one := range n.all[:callers] {
		assert.NotEqual(n.t, breaker.ByFleet, one.set.Get(host).Snapshot().Origin)
	}
	n.healHost()
}

func single(addr string) func() redis.UniversalClient {
	return func() redis.UniversalClient { return redis.NewClient(&redis.Options{Addr: addr}) }
}
