package fleet_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed-0b728cf8/httpbreaker/breaker"
	"github.com/seed-0b728cf8/httpbreaker/contrib/breakerredis/fleet"
)

const host = "api.example.com"

var errDown = errors.New("down")

// rig is some nodes that share through a store in memory.
type rig struct {
	t     *testing.T
	store *fleet.Memory
	nodes []*node
	log   syncBuffer
	luck  *rand.Rand
}

// node is one process and its callers.
type node struct {
	*fleet.Fleet
	set  *breaker.Set
	rate time.Duration // between two of its calls; zero makes none
	up   func() bool   // whether its calls succeed
	hang bool          // its calls that do not succeed fail after 10s
	sent int           // calls let through
	link *fault
}

// fault is what is wrong with a node's way to the store.
type fault struct {
	mu  sync.Mutex
	err error
}

func (f *fault) set(err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.err = err
}

func (f *fault) get() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.err
}

// dice may be thrown from several goroutines.
type dice struct {
	mu  sync.Mutex
	rng *rand.Rand
}

func newDice(seed uint64) *dice { return &dice{rng: rand.New(rand.NewPCG(seed, 1))} }

func (d *dice) Float64() float64 {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.rng.Float64()
}

type syncBuffer struct {
	mu sync.Mutex
	bytes.Buffer
}

func (b *syncBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.Buffer.Write(p)
}

func (b *syncBuffer) text() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.String()
}

// inBubble runs a test in virtual time. What is left running at its end fails it.
func inBubble(t *testing.T, test func(r *rig)) {
	synctest.Test(t, func(t *testing.T) {
		r := &rig{t: t, store: fleet.NewMemory(), luck: rand.New(rand.NewPCG(1, 2))}
		defer func() {
			for _, n := range r.nodes {
				if n.Fleet != nil {
					require.NoError(t, n.Close())
				}
			}
		}()
		test(r)
	})
}

// add starts nodes that call the host twice a second, one millisecond from the
// store.
func (r *rig) add(count int, change ...func(*fleet.Options, *fleet.Link)) {
	for range count {
		n := &node{
			set: breaker.NewSet(breaker.Options{}), rate: 500 * time.Millisecond,
			up: func() bool { return true }, link: &fault{},
		}
		opts := fleet.Options{Fleet: "test", Logger: slog.New(slog.NewTextHandler(&r.log, nil))}
		link := fleet.Link{Delay: func() time.Duration { return time.Millisecond }, Fault: n.link.get}
		for _, c := range change {
			c(&opts, &link)
		}
		var err error
		n.Fleet, err = fleet.New(r.store.Connect(link), n.set, opts)
		require.NoError(r.t, err)
		n.set.Get(host)
		r.nodes = append(r.nodes, n)
	}
}

// run lets that time pass with traffic. The calls of the nodes are out of step.
func (r *rig) run(d time.Duration) {
	const step = 10 * time.Millisecond
	end := time.Now().Add(d)
	for ; time.Now().Before(end); time.Sleep(step) {
		for _, n := range r.nodes {
			if n.rate > 0 && r.luck.Float64() < float64(step)/float64(n.rate) {
				n.call()
			}
		}
	}
	synctest.Wait()
}

// runUntil lets time pass until it is so for all nodes, and returns how long it
// took.
func (r *rig) runUntil(limit time.Duration, what string, so func(*node) bool) time.Duration {
	r.t.Helper()
	start := time.Now()
	for time.Since(start) < limit {
		all := true
		for _, n := range r.nodes {
			all = all && so(n)
		}
		if all {
			return time.Since(start)
		}
		r.run(20 * time.Millisecond)
	}
	for i, n := range r.nodes {
		s := n.snapshot()
		r.t.Logf("node %d: %s, %s: %s; %+v", i, s.State, s.Origin, s.Reason, n.Status())
	}
	r.t.Fatalf("not after %v: %s", limit, what)
	return 0
}

func (n *node) call() {
	p, err := n.set.Get(host).Allow(context.Background())
	if err != nil {
		return
	}
	n.sent++
	switch {
	case n.up():
		p.Done(breaker.Success)
	case n.hang:
		time.AfterFunc(10*time.Second, func() { p.Fail(errDown) })
	default:
		p.Fail(errDown)
	}
}

func (n *node) snapshot() breaker.Snapshot { return n.set.Get(host).Snapshot() }

func isOpen(n *node) bool { return n.snapshot().State == breaker.Open }

// isBack reports whether calls are let through, all or some in a slow start.
func isBack(n *node) bool { return n.snapshot().Share > 0 }

// setUp says whether the host answers these nodes.
func setUp(up bool, nodes ...*node) {
	for _, n := range nodes {
		n.up = func() bool { return up }
	}
}
