package main

import (
	"io"
	"log/slog"
	"math/rand/v2"
	"time"

	"github.com/seed-0b728cf8/httpbreaker/breaker"
	"github.com/seed-0b728cf8/httpbreaker/contrib/breakerredis/fleet"
)

// Policy is a way for processes to share, or not to.
type Policy struct {
	Name   string
	Config breaker.Config
	// start lets the processes share, until stop.
	start func(w *World) (stop func())
}

// local processes share nothing.
func local() *Policy {
	return &Policy{Name: "local", start: func(*World) func() { return func() {} }}
}

// oneOpensAll stands for the family of designs in which the state is shared: the
// process whose rules open the circuit, or whose probe closes it, writes that to a
// store, and all others look there once a second and follow.
func oneOpensAll() *Policy {
	return &Policy{Name: "one opens all", start: func(w *World) func() {
		var shared struct {
			change int // how many there were
			until  time.Time
		}
		for _, set := range w.sets {
			b, seen := set.Get(key), 0
			set.Watch(breaker.Hooks{StateChanged: func(t breaker.Transition) {
				switch {
				case t.Origin == breaker.ByOperator: // it follows another
				case t.To == breaker.Open:
					shared.change, shared.until = shared.change+1, t.Until
					seen = shared.change
				case t.To == breaker.Closed, t.Share > 0 && t.Origin == breaker.ByProbe:
					shared.change, shared.until = shared.change+1, time.Time{}
					seen = shared.change
				}
			}})
			w.every(time.Duration(w.rng.Float64()*float64(time.Second)), time.Second, func() {
				left := time.Until(shared.until)
				switch {
				case seen == shared.change:
				case left > 0:
					b.Trip(left, "another process has opened it")
				case b.State() == breaker.Open:
					b.Reset("another process has closed it")
				}
				seen = shared.change
			})
		}
		return func() {}
	}}
}

// linkFaults are the faults of one process's way to the store.
type linkFaults struct {
	Delay  time.Duration
	Lost   float64 // share of the events
	Fault  func() error
	Deaf   bool
	Absent bool
}

// shared is package fleet, with the store in memory.
func shared(opts fleet.Options) *Policy {
	return &Policy{Name: "fleet", start: func(w *World) func() {
		store := fleet.NewMemory()
		quiet := slog.New(slog.NewTextHandler(io.Discard, nil))
		var nodes []*fleet.Fleet
		for i, set := range w.sets {
			faults := linkFaults{Delay: 500 * time.Microsecond}
			if w.Links != nil {
				faults = w.Links(w, i)
			}
			if faults.Absent {
				continue
			}
			o := opts
			o.Fleet, o.Logger = "bench", quiet
			node, err := fleet.New(store.Connect(fleet.Link{
				Delay:  func() time.Duration { return faults.Delay },
				Copies: func() int { return int(1 + rand.Float64() - faults.Lost) },
				Fault:  faults.Fault,
				Deaf:   faults.Deaf,
			}), set, o)
			if err != nil {
				panic(err)
			}
			nodes = append(nodes, node)
			set.Get(key)
		}
		last := 0
		w.every(time.Second, time.Second, func() {
			n := store.Counts().Reports
			w.out.Store.Peak = max(w.out.Store.Peak, n-last)
			last = n
		})
		w.at(w.start-time.Millisecond, func() { w.out.Store.Well = store.Counts().Reports })
		w.at(w.end, func() { w.out.Store.Fault = store.Counts().Reports - w.out.Store.Well })
		return func() {
			c := store.Counts()
			s := &w.out.Store
			s.Reports, s.Looks, s.Polls, s.Events = c.Reports, c.Looks, c.Polls, c.Events
			for _, node := range nodes {
				_ = node.Close()
			}
		}
	}}
}

// every does something at regular times, from first on.
func (w *World) every(first, then time.Duration, what func()) {
	if first < w.finish {
		w.at(first, func() { what(); w.every(first+then, then, what) })
	}
}
